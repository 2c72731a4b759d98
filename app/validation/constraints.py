"""Constraints on one element: a quick look first, then the closures for what does not surely hold."""

from collections.abc import Sequence
from typing import Any

from app.fhir.fhirpath import FhirPathError, Node
from app.fhir.fhirpath.native import quick_test
from app.validation.guards import codes_of, guard_of
from app.validation.patience import Patience, TooCostly
from app.validation.rules import Constraint
from app.validation.telling.report import Report, Scope, Spot

# Constraints that give neither true nor false where an optional element is missing -> that element.
_PRESUMES = {"bdl-8": "fullUrl", "ras-2": "probability"}
# Constraints that give neither true nor false where units differ, or where a choice is of another type than they are
# about: nothing is reported then.
_OPEN = frozenset({"rng-2", "vs-1"})


def check_constraints(
    report: Report, constraints: Sequence[Constraint], node: Node, spot: Spot, scope: Scope, patience: Patience
) -> bool:
    """Report the constraints that do not hold; answers whether the steps that expressions may take have sufficed.

    patience: what those of posted profiles may take, and are evaluated with.
    """
    is_sound = scope.is_sound and node.extra is None and not report.is_full
    open_ = [
        each
        for each in _applicable(constraints, node)
        if not (is_sound and _holds_surely(each, node, scope)) and not _is_moot(each.key, node.value, scope)
    ]
    has_steps = True
    for each in open_:
        scope.frame.context = node
        try:
            if each.is_posted:
                holds = patience.is_true(each.expression, scope.frame, node)
            else:
                holds = each.expression.is_true(scope.frame, node)
        except TooCostly as error:
            report.add(
                "too-costly", f"{each.key} could not be checked: {error}", spot, severity=each.severity, rule=each.key
            )
            continue
        except (FhirPathError, ArithmeticError) as error:
            has_steps = has_steps and scope.frame.steps >= 0
            told = f"{each.key} cannot be evaluated: {error}"
            report.add("invariant", told, spot, severity=each.severity, rule=each.key)
            continue
        is_open = each.key in _OPEN and not each.is_posted
        if not holds and not (is_open and not each.expression.on(scope.frame, node)):
            told = f"{each.key}: {each.human.rstrip('.')}"
            report.add("invariant", told, spot, severity=each.severity, rule=each.key)
    return has_steps


def _applicable(constraints: Sequence[Constraint], node: Node) -> Sequence[Constraint]:
    """Without those that are about codes the element does not have."""
    guards = [guard_of(each.expression.text) for each in constraints]
    if not any(guards) or node.extra is not None or (codes := codes_of(node.value)) is None:
        return constraints
    pairs = zip(constraints, guards, strict=True)
    return [each for each, guard in pairs if guard is None or not codes.isdisjoint(guard)]


def _holds_surely(constraint: Constraint, node: Node, scope: Scope) -> bool:
    """Whether a constraint holds on an element of the right form by a quick look. False: that is not known."""
    if constraint.is_posted:
        return False
    test = quick_test(constraint.expression.text, node.type)
    # Of the resource around an inner element not all may have been checked.
    return test is not None and (node.value is scope.resource or not test.is_wide) and test.holds(node.value, scope)


def _is_moot(key: str, value: Any, scope: Scope) -> bool:
    if key == "dom-6":
        # A contained resource needs no narrative of its own.
        return scope.is_contained
    presumed = _PRESUMES.get(key)
    return presumed is not None and not any(name.lstrip("_").startswith(presumed) for name in value)
