"""What the recipes of generated modules make: checks of single values that remember what they found fine."""

from collections.abc import Callable
from typing import Any

from app.fhir.fhirpath import compile_expression
from app.fhir.json import parse
from app.terminology import Answer
from app.validation.checks.codes import check_binding, codings
from app.validation.checks.equality import has_pattern, same
from app.validation.conformance import Conformance
from app.validation.gate.runtime import Context, Kept, remember
from app.validation.overlays import Overlay
from app.validation.rules import Binding, Constraint
from app.validation.telling.report import Report, Scope, Spot
from app.validation.walk import Walk

Test = Callable[[Any], bool]
TestIn = Callable[[Any, Context], bool]


class Constants:
    """Each public method is a maker, named in the recipes of types.py and profiles.py.

    root_of: the root overlay of a profile by its key.
    """

    def __init__(self, conformance: Conformance, walk: Walk, root_of: Callable[[str], Overlay]) -> None:
        self._conformance, self._walk, self._root_of = conformance, walk, root_of
        self._rules, self._terminology = walk.rules, walk.terminology

    def _scope(self, c: Context) -> Scope:
        """The scope around a value, in which profiles may be asked too."""
        if c.scope.frame.conforms_to is None:
            self._conformance.let_conform(c.walk, c.scope)
        return c.scope

    def check(self, type_: str) -> Callable[[Any], str]:
        """What is wrong with a primitive, "" if nothing is."""
        return self._rules.checks[type_]

    def kept(self, type_: str, is_language: bool, value_set: str) -> Kept:
        check = self._rules.checks[type_]

        def is_fine(value: Any) -> bool:
            if check(value) or (is_language and self._walk.is_no_language(value)):
                return False
            return not value_set or self._is_bound(type_, value_set, value)

        return Kept(is_fine)

    def bound(self, type_: str, value_set: str) -> Test:
        """Whether a coded value has a code of a value set it is bound to, or one that cannot be checked here."""
        known: set[Any] = set()
        is_concept = type_ == "CodeableConcept"

        def is_bound(value: Any) -> bool:
            given = value.get("coding", ()) if is_concept else (value,)
            keys = []
            for each in given:
                key = (each.get("system"), each.get("code")) if type(each) is dict else each
                if key in known:
                    return True
                keys.append(key)
            if not self._is_bound(type_, value_set, value):
                return False
            if len(keys) == 1:
                remember(known, keys[0])
            return True

        return is_bound

    def _is_bound(self, type_: str, value_set: str, value: Any) -> bool:
        report = Report()
        check_binding(report, self._terminology, Binding("required", value_set), value, Spot("", type_))
        return not report.has_errors

    def member(self, type_: str, value_set: str) -> Test:
        """Whether a coded value surely has a code of a value set, as it takes to belong to a slice."""
        known: set[Any] = set()

        def is_member(value: Any) -> bool:
            for key in codings(value, type_):
                if key in known:
                    return True
                if self._terminology.contains(value_set, *key) is Answer.VALID:
                    remember(known, key)
                    return True
            return False

        return is_member

    def fixed(self, text: bytes) -> Test:
        wanted = parse(text)
        return lambda value: same(value, wanted)

    def pattern(self, text: bytes) -> Test:
        wanted = parse(text)
        return lambda value: has_pattern(value, wanted)

    def targets(self, names: tuple[str, ...]) -> frozenset[str]:
        return frozenset(names)

    def target(self, urls: tuple[str, ...]) -> TestIn:
        """Whether a reference points at one of the types that profiles are for."""
        types = frozenset(self._conformance.profiles.types_of(each) for each in urls)
        rule, is_any = self._rules.type_rule("Reference"), "" in types

        def is_fine(value: Any, c: Context) -> bool:
            # Base R4 has found its form to be right.
            if is_any or (c.outer is None and value.get("reference", "").partition("/")[0] in types):
                return True
            item = self._conformance.slicer.item(value, None, Spot("", "Reference"), rule)
            self._conformance.check_targets(c.walk, item, urls, self._scope(c))
            return not c.walk.report.has_errors

        return is_fine

    def slow(self, key: str, text: str, human: str, type_: str, is_posted: bool) -> TestIn:
        """A constraint by the closures of FHIRPath, qualified as the walk does."""

        def holds(value: Any, c: Context) -> bool:
            constraint = Constraint(key, "error", human, compile_expression(text), is_posted)
            c.walk.constraints((constraint,), value, None, Spot("", type_), self._scope(c), type_)
            return not c.walk.report.has_errors

        return holds

    def element(self, key: str, place: tuple[str, ...], type_: str) -> TestIn:
        """An element of a profile by the diagnosing pass. type_: the parent's, "" if it is told by its resourceType."""
        overlay = self._root_of(key)
        for step in place:
            overlay = overlay.slices[step[1:]] if step.startswith(":") else overlay.children[step]
        rule = self._rules.type_rule(type_) if type_ else None

        def is_fine(value: Any, c: Context) -> bool:
            parent = self._conformance.slicer.item(value, None, Spot("", type_), rule)
            self._conformance.check_element(c.walk, parent, place[-1], overlay, self._scope(c))
            return not c.walk.report.has_errors

        return is_fine

    def whole(self, key: str, type_: str) -> TestIn:
        """A profile by the diagnosing pass, from its root."""
        root, rule = self._root_of(key), self._rules.type_rule(type_)

        def is_fine(value: Any, c: Context) -> bool:
            item = self._conformance.slicer.item(value, None, Spot("", type_), rule)
            self._conformance.check_item(c.walk, item, root, self._scope(c))
            return not c.walk.report.has_errors

        return is_fine
