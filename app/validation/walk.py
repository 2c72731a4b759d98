"""One pass over a resource against base R4: structure, cardinality, primitives, codes, references, constraints."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.fhir.fhirpath import FhirPathError, Frame, Node, r4_model
from app.terminology import Answer, Terminology
from app.validation.bundles import check_entries
from app.validation.codes import check_binding, is_member
from app.validation.contained import check_contained
from app.validation.datatypes import check_datatype, check_id
from app.validation.narrative import narrative_flaws
from app.validation.report import Report, Scope, Spot
from app.validation.rules import BaseRules, Constraint, Slot, TypeRule

# The greatest value set of language codes is required to hold them, although the binding itself is only preferred.
_LANGUAGE_SYSTEM = "urn:ietf:bcp:47"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]{0,40}", re.ASCII)
# Constraints that give neither true nor false where an optional element is missing -> that element.
_PRESUMES = {"bdl-8": "fullUrl", "ras-2": "probability"}
# Constraints that cannot be told where units differ: nothing is reported then.
_OPEN = frozenset({"rng-2"})

ExtensionCheck = Callable[["Walk", dict[str, Any], Spot, Scope], None]
ProfileCheck = Callable[["Walk", str, Any, Any, Spot, Scope], None]


@dataclass(slots=True)
class Walk:
    """One validation. The three callbacks keep profiles out of this module."""

    rules: BaseRules
    terminology: Terminology
    report: Report
    check_extension: ExtensionCheck
    check_profile: ProfileCheck
    check_resource: Callable[["Walk", dict[str, Any], Scope, str], None]

    def resource(self, resource: Any, path: str, outer: Scope | None = None, *, is_contained: bool = False) -> None:
        """Check a resource at a path: the root, a contained one, or one in a Bundle entry or parameter."""
        report = self.report
        if not isinstance(resource, dict):
            report.add("structure", "Expected a resource as JSON object", path)
            return
        name = resource.get("resourceType")
        if not isinstance(name, str) or name not in self.rules.resource_types:
            report.add("structure", _type_flaw(name), path)
            return
        path = path or name
        owner = outer.owner if is_contained and outer else resource
        frame = Frame(r4_model(), Node(owner, str(owner["resourceType"])), Node(resource, name), trusts_patterns=True)
        frame.member_of = self._is_member
        scope = Scope(resource, owner, path, frame, is_contained)
        self.object(resource, self.rules.type_rule(name), Spot(path, name, name), scope)
        check_id(report, resource, path)
        check_contained(report, resource, path)
        if name == "Bundle":
            check_entries(report, resource, path)
        self.check_resource(self, resource, scope, path)

    def _is_member(self, item: Any, value_set: str) -> bool:
        type_, value = (item.type, item.value) if isinstance(item, Node) else ("code", item)
        return is_member(self.terminology, value, type_, value_set)

    def object(self, value: dict[str, Any], rule: TypeRule, spot: Spot, scope: Scope) -> None:
        """Check a JSON object against a rule: each property, then what must be there, then the constraints."""
        report = self.report
        before = len(report.issues)
        slots = rule.slots
        seen: dict[str, str] = {}
        for key, each in value.items():
            slot = slots.get(key)
            if slot is None:
                self._other(key, each, value, rule, spot, scope, seen)
                continue
            element = slot.element
            if element.name in seen:
                report.add("structure", _only_one(element.name), f"{spot.path}.{element.name}")
                continue
            seen[element.name] = key
            if slot.is_plain and slot.check and not slot.check(each) and "_" + key not in value:
                continue
            if slot.use.code == "Extension":
                scope.holder_type, scope.holder_path = rule.name, spot.rule_path
            self.property(each, value.get("_" + key), slot, spot, scope)
        if not value or (len(value) == 1 and "id" in value and rule.kind != "resource"):
            report.add("structure", "An object must have content", spot, rule="ele-1")
        for element in rule.required:
            if element.name not in seen:
                # The place is the element's own, so that a client can point at the field that is empty.
                report.add("required", "required, but missing", f"{spot.path}.{element.name}")
        # Constraints presume the shape is right, so they wait until it is.
        if rule.constraints and not any(issue.code == "structure" for issue in report.issues[before:]):
            self.constraints(rule.constraints, value, None, spot, scope, rule.name)

    def _other(
        self, key: str, each: Any, value: dict[str, Any], rule: TypeRule, spot: Spot, scope: Scope, seen: dict[str, str]
    ) -> None:
        """A property without a slot: resourceType, the `_x` of a primitive, or unknown."""
        if key == "resourceType" and rule.kind == "resource":
            return
        slot = rule.slots.get(key[1:]) if key.startswith("_") else None
        if slot is None or not self.rules.rule_of(slot).is_primitive:
            self.report.add("structure", f"{_shown(key)} is not an element of {rule.name}", spot)
            return
        if key[1:] in value:
            return
        if slot.element.name in seen:
            self.report.add("structure", _only_one(slot.element.name), f"{spot.path}.{slot.element.name}")
            return
        seen[slot.element.name] = key[1:]
        self.property(None, each, slot, spot, scope)

    def property(self, value: Any, extra: Any, slot: Slot, spot: Spot, scope: Scope) -> None:
        """One element with all its repetitions."""
        element = slot.element
        path = f"{spot.path}.{slot.step}"
        rule_path = element.path
        if not slot.is_many:
            if type(value) is list:
                self.report.add("structure", "Expected one value, found an array", path)
                return
            self.item(value, extra, slot, Spot(path, slot.use.code, rule_path), scope)
            return
        if not isinstance(value, list | None) or not isinstance(extra, list | None):
            self.report.add("structure", "Expected an array", path)
            return
        values, extras = value or [], extra or []
        count = max(len(values), len(extras))
        if not count:
            self.report.add("structure", "An array must not be empty", path)
        if element.most is not None and count > element.most:
            self.report.add("structure", f"At most {element.most} may be given, found {count}", path)
        for place in range(count):
            if self.report.is_full:
                return
            this = values[place] if place < len(values) else None
            its_extra = extras[place] if place < len(extras) else None
            self.item(this, its_extra, slot, Spot(f"{path}[{place}]", slot.use.code, rule_path), scope)

    def item(self, value: Any, extra: Any, slot: Slot, spot: Spot, scope: Scope) -> None:
        """One repetition of an element."""
        type_ = slot.use.code
        if type_ == "Resource":
            self._inner_resource(value, slot, spot, scope)
            return
        rule = slot.rule or self.rules.rule_of(slot)
        is_fine = True
        if rule.is_primitive:
            is_fine = self.primitive(value, extra, rule, slot, spot, scope)
        elif type(value) is not dict:
            self.report.add("structure", f"Expected an object, found {_kind(value)}", spot)
            return
        else:
            holder = scope.holder_type, scope.holder_path
            self.object(value, rule, spot, scope)
            scope.holder_type, scope.holder_path = holder
            if type_ == "Extension":
                self.extension(value, spot, scope)
            else:
                check_datatype(self.report, self.rules, self.terminology, value, slot, spot, scope)
        element = slot.element
        if element.binding and is_fine:
            check_binding(self.report, self.terminology, element.binding, value, spot)
        if element.constraints:
            self.constraints(element.constraints, value, extra, spot, scope, rule.name)
        for profile in slot.use.profiles:
            self.check_profile(self, profile, value, extra, spot, scope)

    def primitive(self, value: Any, extra: Any, rule: TypeRule, slot: Slot, spot: Spot, scope: Scope) -> bool:
        """Check a primitive; False if its value is not of the right form."""
        if extra is not None:
            self._extra(extra, rule, spot, scope)
        if value is None:
            if extra is None:
                self.report.add("structure", "A value must not be null; leave the element out instead", spot)
            return extra is not None
        flaw = slot.check(value) if slot.check else ""
        if flaw:
            code = "structure" if isinstance(value, dict | list) else "value"
            found = "" if flaw.startswith("a ") or "expected a JSON" not in flaw else f", found {_kind(value)}"
            self.report.add(code, f"{flaw[0].upper()}{flaw[1:]}{found}", spot)
        elif rule.name == "xhtml":
            for key, text in narrative_flaws(value):
                self.report.add("invariant", text, spot, rule=key)
        elif rule.name == "code" and slot.element.name == "language" and self._is_no_language(value):
            self.report.add("code-invalid", "Expected a language code of BCP 47, e.g. en or de-CH", spot)
        return not flaw

    def _is_no_language(self, code: str) -> bool:
        return self.terminology.has_code(_LANGUAGE_SYSTEM, code) is Answer.INVALID

    def _extra(self, extra: Any, rule: TypeRule, spot: Spot, scope: Scope) -> None:
        """The `_x` of a primitive: an Element with id and extension only."""
        if not isinstance(extra, dict):
            self.report.add("structure", "Expected an object with id or extension", spot)
            return
        for name in extra.keys() - {"id", "extension"}:
            self.report.add("structure", f"{_shown(name)} is not an element of {rule.name}", spot)
        if not extra:
            self.report.add("structure", "An object must have content", spot, rule="ele-1")
        if "extension" in extra:
            scope.holder_type, scope.holder_path = rule.name, spot.rule_path
            self.property(extra["extension"], None, self.rules.type_rule("Element").slots["extension"], spot, scope)
        if "extension" in extra and spot.rule_path in ("Resource.id", f"{scope.resource.get('resourceType')}.id"):
            self.report.add("structure", "The id of a resource cannot have extensions", spot)

    def _inner_resource(self, value: Any, slot: Slot, spot: Spot, scope: Scope) -> None:
        is_contained = slot.element.name == "contained"
        if is_contained and scope.is_contained:
            self.report.add("invariant", "A contained resource must not contain resources", scope.path, rule="dom-2")
        self.resource(value, spot.path, scope, is_contained=is_contained)

    def extension(self, value: dict[str, Any], spot: Spot, scope: Scope) -> None:
        has_value = any(key.lstrip("_").startswith("value") for key in value)
        if has_value == ("extension" in value):
            self.report.add(
                "invariant", "An extension must have either a value or extensions, not both", spot, rule="ext-1"
            )
        self.check_extension(self, value, spot, scope)

    def constraints(
        self, constraints: tuple[Constraint, ...], value: Any, extra: Any, spot: Spot, scope: Scope, type_: str
    ) -> None:
        node = Node(value, type_, extra)
        scope.frame.context = node
        for each in constraints:
            if self._is_moot(each.key, value, scope):
                continue
            try:
                holds = each.expression.is_true(scope.frame, node)
            except FhirPathError as error:
                self.report.add("invariant", f"{each.key} cannot be evaluated: {error}", spot, rule=each.key)
                continue
            if not holds and not (each.key in _OPEN and not each.expression.on(scope.frame, node)):
                self.report.add(
                    "invariant", f"{each.key}: {each.human.rstrip('.')}", spot, severity=each.severity, rule=each.key
                )

    def _is_moot(self, key: str, value: Any, scope: Scope) -> bool:
        if key == "dom-6":
            # A contained resource needs no narrative of its own.
            return scope.is_contained
        presumed = _PRESUMES.get(key)
        return presumed is not None and not any(name.lstrip("_").startswith(presumed) for name in value)


def _type_flaw(name: Any) -> str:
    if name is None:
        return "resourceType is missing"
    return f"{_shown(name)} is not a resource type of R4" if isinstance(name, str) else "resourceType must be a string"


def _only_one(name: str) -> str:
    return f"Only one of the types of {name}[x] may be given"


_KINDS: dict[type, str] = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}


def _kind(value: Any) -> str:
    """What a JSON value is, in words."""
    return "null" if value is None else _KINDS.get(type(value), "a number")


def _shown(name: str) -> str:
    """A property name fit to be told back: it may be anything in hostile input."""
    return repr(name) if _NAME.fullmatch(name) else "A property with an unusual name"
