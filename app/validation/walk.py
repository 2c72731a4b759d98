"""One pass over a resource against base R4: structure, cardinality, primitives, codes, references, constraints."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from app.fhir.fhirpath import Frame, Node, r4_model
from app.terminology import Answer, Terminology
from app.validation.checks.bundles import check_entries
from app.validation.checks.codes import check_binding, is_member
from app.validation.checks.contained import check_contained, contained_of
from app.validation.checks.datatypes import CHECKED, check_datatype, check_id
from app.validation.checks.entries import Entries
from app.validation.checks.links import check_document
from app.validation.checks.narrative import narrative_flaws
from app.validation.checks.primitives import doubt, element_id_flaw
from app.validation.checks.questionnaires import Lookup, check_response, find_questionnaire
from app.validation.constraints import check_constraints
from app.validation.patience import Patience
from app.validation.rules import BaseRules, Constraint, Slot, TypeRule
from app.validation.telling import flaws, suggestions
from app.validation.telling.report import Report, Scope, Spot

# The greatest value set of language codes is required to hold them, although the binding itself is only preferred.
_LANGUAGE_SYSTEM = "urn:ietf:bcp:47"

ExtensionCheck = Callable[["Walk", dict[str, Any], Spot, Scope], None]
ResourceCheck = Callable[["Walk", dict[str, Any], Scope, str], None]
ProfileCheck = Callable[["Walk", str, Any, Any, Spot, Scope], None]


@dataclass(slots=True)
class Walk:
    """One validation. The three callbacks keep profiles out of this module."""

    rules: BaseRules
    terminology: Terminology
    report: Report
    check_extension: ExtensionCheck
    check_profile: ProfileCheck
    check_resource: ResourceCheck
    # Finds a Questionnaire by its canonical URL.
    questionnaires: Lookup | None = None
    # (id() of a resource that is referred to, profile) -> whether it conforms.
    conforming: dict[tuple[int, str], bool] = field(default_factory=dict)
    # Paths of the resources whose constraints took all the steps they may: each halves what the others get.
    exhausting: set[str] = field(default_factory=set)
    patience: Patience = field(default_factory=Patience)

    def resource(self, resource: Any, path: str, outer: Scope | None = None, *, is_contained: bool = False) -> None:
        """Check a resource at a path: the root, a contained one, or one in a Bundle entry or parameter."""
        report = self.report
        if not isinstance(resource, dict):
            flaws.no_resource(report, resource, path)
            return
        name = resource.get("resourceType")
        if not isinstance(name, str) or name not in self.rules.resource_types:
            flaws.unknown_type(report, name, path, self.rules.resource_types)
            return
        path = path or name
        scope = self.scope_of(resource, path, outer, is_contained=is_contained)
        scope.is_sound = True
        self.object(resource, self.rules.type_rule(name), Spot(path, name, name), scope)
        self.whole(resource, path)
        self.response(resource, scope, path)
        self.check_resource(self, resource, scope, path)

    def scope_of(self, resource: dict[str, Any], path: str, outer: Scope | None, *, is_contained: bool) -> Scope:
        name = str(resource["resourceType"])
        owner = outer.owner if is_contained and outer else resource
        frame = Frame(r4_model(), Node(owner, str(owner["resourceType"])), Node(resource, name), trusts_patterns=True)
        frame.member_of = self._is_member
        frame.resolver = _entries_around(resource, outer)
        frame.steps >>= len(self.exhausting)
        # Found once for all of them: there may be thousands.
        known = contained_of(outer) if is_contained and outer else None
        return Scope(resource, owner, path, frame, is_contained, contained=known)

    def whole(self, resource: dict[str, Any], path: str) -> None:
        """What holds for a resource as a whole, beyond its elements."""
        check_id(self.report, resource, path)
        check_contained(self.report, resource, path)
        if resource["resourceType"] == "Bundle":
            check_entries(self.report, resource, path)
            check_document(self.report, resource, path)

    def response(self, resource: dict[str, Any], scope: Scope, path: str) -> None:
        """Check a QuestionnaireResponse against its Questionnaire, where that is at hand."""
        if resource["resourceType"] != "QuestionnaireResponse":
            return
        entries = scope.frame.resolver if isinstance(scope.frame.resolver, Entries) else None
        questionnaire = find_questionnaire(resource, entries, self.questionnaires)
        if questionnaire is not None:
            check_response(self.report, resource, questionnaire, self.terminology, path)

    def _is_member(self, item: Any, value_set: str) -> bool:
        type_, value = (item.type, item.value) if isinstance(item, Node) else ("code", item)
        return is_member(self.terminology, value, type_, value_set)

    def object(self, value: dict[str, Any], rule: TypeRule, spot: Spot, scope: Scope) -> None:
        """Check a JSON object against a rule: each property, then what must be there, then the constraints."""
        report = self.report
        before, oddities = len(report.issues), report.oddities
        slots = rule.slots
        seen: dict[str, str] = {}
        for key, each in value.items():
            slot = slots.get(key)
            if slot is None:
                self._other(key, each, value, rule, spot, scope, seen)
                continue
            element = slot.element
            if element.name in seen:
                flaws.second_choice(report, element.name, seen[element.name], key, spot.path)
                continue
            seen[element.name] = key
            if slot.is_plain and "_" + key not in value and _is_plainly_fine(slot, each):
                continue
            if slot.use.code == "Extension":
                scope.holder_type, scope.holder_path = rule.name, spot.rule_path
                scope.holder = Node(value, rule.name)
            self.property(each, value.get("_" + key), slot, spot, scope)
        if not value or (len(value) == 1 and "id" in value and rule.kind != "resource"):
            flaws.no_content(report, spot)
        for element in rule.required:
            if element.name not in seen:
                flaws.missing(report, element, spot.path, self.terminology.codes)
        scope.is_sound = scope.is_sound and report.oddities == oddities
        # Constraints presume the shape is right, so they wait until it is.
        found = report.issues[before:]
        if rule.constraints and not (found and any(issue.code == "structure" for issue in found)):
            self.constraints(rule.constraints, value, None, spot, scope, rule.name)

    def _other(
        self, key: str, each: Any, value: dict[str, Any], rule: TypeRule, spot: Spot, scope: Scope, seen: dict[str, str]
    ) -> None:
        """A property without a slot: resourceType, the `_x` of a primitive, or unknown."""
        if key == "resourceType" and rule.kind == "resource":
            return
        self.report.oddities += 1
        slot = rule.slots.get(key[1:]) if key.startswith("_") else None
        if slot is None or not self.rules.rule_of(slot).is_primitive:
            flaws.unknown_element(self.report, key, rule, spot)
            return
        if key[1:] in value:
            return
        if slot.element.name in seen:
            name = slot.element.name
            flaws.second_choice(self.report, name, seen[name], key[1:], spot.path)
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
                fix = "Write the value without [ ] around it."
                flaws.shape(self.report, path, "dmt-single", "one value", "an array", fix)
                return
            self.item(value, extra, slot, Spot(path, slot.use.code, rule_path), scope)
            return
        if not isinstance(value, list | None) or not isinstance(extra, list | None):
            found = flaws.kind(extra if isinstance(value, list | None) else value)
            flaws.shape(self.report, path, "dmt-array", "an array", found, "Write [ ] around it, also for one value.")
            return
        values, extras = value or [], extra or []
        count = max(len(values), len(extras))
        if not count:
            self.report.add(
                "structure", "An array must not be empty", path, rule="dmt-empty", suggestion=flaws.LEAVE_OUT
            )
        if element.most is not None and count > element.most:
            flaws.too_many(self.report, path, element.most, count)
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
            scope.is_sound = scope.is_sound and is_fine
        elif type(value) is not dict:
            fix = partial(suggestions.object_form, type_, value)
            flaws.shape(self.report, spot.path, "dmt-object", "an object", flaws.kind(value), fix)
            return
        else:
            holder = scope.holder_type, scope.holder_path, scope.holder
            self.object(value, rule, spot, scope)
            scope.holder_type, scope.holder_path, scope.holder = holder
            if type_ == "Extension":
                self.extension(value, spot, scope)
            elif type_ in CHECKED:
                check_datatype(self.report, self.rules, self.terminology, value, slot.use, spot, scope)
        element = slot.element
        if element.binding and is_fine:
            check_binding(self.report, self.terminology, element.binding, value, spot)
        if element.constraints:
            self.constraints(element.constraints, value, extra, spot, scope, rule.name)
        for profile in slot.use.profiles:
            self.check_profile(self, profile, value, extra, spot, scope)

    def primitive(self, value: Any, extra: Any, rule: TypeRule, slot: Slot, spot: Spot, scope: Scope) -> bool:
        """Check a primitive; False if its value is not of the right form."""
        if extra is not None and rule.name == "xhtml":
            # Its id is an attribute of the div, and it has no extensions (R4 section 2.4.0).
            self.report.add("structure", "A div has no id or extension beside it", spot, rule="dmt-unknown-element")
        elif extra is not None:
            self._extra(value, extra, rule, spot, scope)
        if value is None:
            if extra is None:
                text = "A value must not be null; leave the element out instead"
                self.report.add("structure", text, spot, rule="dmt-null", found="null", suggestion=flaws.LEAVE_OUT)
            return extra is not None
        flaw = slot.check(value) if slot.check else ""
        if flaw:
            flaws.primitive(self.report, flaw, value, rule.name, spot)
        elif rule.name == "xhtml":
            for key, text in narrative_flaws(value):
                self.report.add("invariant", text, spot, rule=key)
        elif rule.name == "code" and slot.element.is_human_language and self.is_no_language(value):
            text = "Expected a language code of BCP 47, e.g. en or de-CH"
            self.report.add("code-invalid", text, spot, rule="dmt-language", expected="a language code of BCP 47")
        else:
            flaws.doubtful(self.report, rule.name, value, spot)
        return not flaw

    def is_no_language(self, code: str) -> bool:
        return self.terminology.has_code(_LANGUAGE_SYSTEM, code) is Answer.INVALID

    def _extra(self, value: Any, extra: Any, rule: TypeRule, spot: Spot, scope: Scope) -> None:
        """The `_x` of a primitive: an Element with id and extension only."""
        if not isinstance(extra, dict):
            found = flaws.kind(extra)
            flaws.shape(self.report, spot.path, "dmt-object", "an object with id or extension", found)
            return
        for name in extra.keys() - {"id", "extension"}:
            flaws.unknown_element(self.report, name, rule, spot)
        if not extra:
            flaws.no_content(self.report, spot)
        if "id" in extra and (flaw := element_id_flaw(extra["id"])):
            flaws.primitive(self.report, flaw, extra["id"], "id", spot)
        if "extension" in extra:
            scope.holder_type, scope.holder_path = rule.name, spot.rule_path
            scope.holder = Node(value, rule.name, extra)
            self.property(extra["extension"], None, self.rules.type_rule("Element").slots["extension"], spot, scope)
        if "extension" in extra and spot.rule_path in ("Resource.id", f"{scope.resource.get('resourceType')}.id"):
            self.report.add("structure", "The id of a resource cannot have extensions", spot, rule="dmt-id-extension")

    def _inner_resource(self, value: Any, slot: Slot, spot: Spot, scope: Scope) -> None:
        is_contained = slot.element.name == "contained"
        if is_contained and scope.is_contained:
            self.report.add("invariant", "A contained resource must not contain resources", scope.path, rule="dom-2")
        self.resource(value, spot.path, scope, is_contained=is_contained)

    def extension(self, value: dict[str, Any], spot: Spot, scope: Scope) -> None:
        has_value = any(key.lstrip("_").startswith("value") for key in value)
        if "url" not in value and "_url" in value:
            # The url alone tells what an extension is; a reason for its absence cannot stand in for it.
            self.report.add("required", "An extension needs a url", f"{spot.path}.url", rule="dmt-cardinality-min")
        if has_value == ("extension" in value):
            flaws.extension_content(self.report, spot, has_value=has_value)
        self.check_extension(self, value, spot, scope)

    def constraints(
        self, constraints: tuple[Constraint, ...], value: Any, extra: Any, spot: Spot, scope: Scope, type_: str
    ) -> None:
        if not check_constraints(self.report, constraints, Node(value, type_, extra), spot, scope, self.patience):
            self.exhausting.add(scope.path)


def _is_plainly_fine(slot: Slot, value: Any) -> bool:
    """Whether there is nothing to be said of a single primitive."""
    return slot.check is not None and not slot.check(value) and not doubt(slot.use.code, value)


def _entries_around(resource: dict[str, Any], outer: Scope | None) -> Entries | None:
    """The entries of the innermost Bundle around a resource, or of itself if it is one."""
    if resource["resourceType"] == "Bundle":
        return Entries(resource)
    around = outer.frame.resolver if outer else None
    if outer is None or not isinstance(around, Entries):
        return None
    return around.within(resource) if outer.resource is around.bundle else around
