"""Structural problems as issues: what was expected, what is there, and how it may be put right."""

from collections.abc import Callable
from typing import Any

from app.fhir.scan import is_plain_name
from app.validation.checks.primitives import doubt
from app.validation.rules import Element, TypeRule
from app.validation.telling import suggestions
from app.validation.telling.report import Report, Spot, Suggestion

LEAVE_OUT = "Leave the element out if there is no value."
_KINDS: dict[type, str] = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    return "null" if value is None else _KINDS.get(type(value), "a number")


def shape(report: Report, path: str, rule: str, expected: str, found: str, suggestion: Suggestion = "") -> None:
    """A JSON value of another shape than the element has."""
    text = f"Expected {expected}, found {found}"
    report.add("structure", text, path, rule=rule, expected=expected, found=found, suggestion=suggestion)


def no_resource(report: Report, value: Any, path: str) -> None:
    text = "Expected a resource as JSON object"
    report.add("structure", text, path, rule="dmt-resource-object", expected="an object", found=kind(value))


def unknown_type(report: Report, name: Any, path: str, known: frozenset[str]) -> None:
    report.add(
        "structure",
        _type_flaw(name),
        path,
        rule="dmt-resource-type",
        expected="a resource type of R4",
        found="nothing" if name is None else kind(name),
        suggestion=lambda: _meant_type(name, known),
        member="resourceType",
    )


def unknown_element(report: Report, key: str, rule: TypeRule, spot: Spot) -> None:
    report.add(
        "structure",
        f"{_shown(key)} is not an element of {rule.name}",
        spot,
        rule="dmt-unknown-element",
        expected=f"an element of {rule.name}",
        suggestion=lambda: suggestions.element_name(key, rule),
        member=key,
    )


def second_choice(report: Report, name: str, first: str, second: str, path: str) -> None:
    """Two types of one choice. first, second: the JSON names given."""
    report.add(
        "structure",
        f"Only one of the types of {name}[x] may be given",
        f"{path}.{name}",
        rule="dmt-choice-one",
        expected=f"one {name}[x]",
        found=f"{first} and {second}",
        suggestion="Keep one of them.",
        member=second,
    )


def doubtful(report: Report, type_: str, value: Any, spot: Spot) -> None:
    """A value that is allowed, but unusual."""
    if text := doubt(type_, value):
        report.add("value", text, spot, severity="warning", rule="dmt-unusual")


def missing(report: Report, element: Element, path: str, codes: Callable[[str], list[str]]) -> None:
    """A required element that is not there. The place is its own, so that a client can point at the empty field."""
    report.add(
        "required",
        "required, but missing",
        f"{path}.{element.name}",
        rule="dmt-cardinality-min",
        expected=f"at least {element.least}",
        found="0",
        suggestion=lambda: suggestions.missing(element, codes),
    )


def too_many(report: Report, path: str, most: int, count: int) -> None:
    text = f"At most {most} may be given, found {count}"
    report.add("structure", text, path, rule="dmt-cardinality-max", expected=f"at most {most}", found=str(count))


def primitive(report: Report, flaw: str, value: Any, type_: str, spot: Spot) -> None:
    """flaw: what primitives.py says of the value."""
    told = f", found {kind(value)}" if flaw.startswith("expected a JSON") else ""
    report.add(
        "structure" if isinstance(value, dict | list) else "value",
        f"{flaw[0].upper()}{flaw[1:]}{told}",
        spot,
        rule=f"dmt-primitive-{type_}",
        expected=flaw.removeprefix("expected ") if flaw.startswith("expected ") else type_,
        found=kind(value),
        suggestion=lambda: suggestions.primitive_form(type_, value),
    )


def extension_content(report: Report, spot: Spot, *, has_value: bool) -> None:
    report.add(
        "invariant",
        "An extension must have either a value or extensions, not both",
        spot,
        rule="ext-1",
        expected="a value or extensions",
        found="a value and extensions" if has_value else "neither",
    )


def no_content(report: Report, spot: Spot) -> None:
    report.add("structure", "An object must have content", spot, rule="ele-1", suggestion=LEAVE_OUT)


def _type_flaw(name: Any) -> str:
    if name is None:
        return "resourceType is missing"
    return f"{_shown(name)} is not a resource type of R4" if isinstance(name, str) else "resourceType must be a string"


def _meant_type(name: Any, known: frozenset[str]) -> str:
    if name is None:
        return 'Add "resourceType": "..." with the type of the resource.'
    meant = suggestions.nearest(name, sorted(known)) if isinstance(name, str) else ""
    return f'Did you mean "{meant}"?' if meant else ""


def _shown(name: str) -> str:
    """A property name fit to be told back: it may be anything in hostile input."""
    return repr(name) if is_plain_name(name) else "A property with an unusual name"
