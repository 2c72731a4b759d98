"""Checks a resource against the overlays of profiles and of extension definitions."""

from dataclasses import replace
from functools import partial
from typing import Any

from app.fhir.canonicals import STRUCTURE, claimed_profiles
from app.fhir.fhirpath import FhirPathError, Node
from app.validation.checks.codes import check_binding
from app.validation.checks.extensions import ExtensionCheck, inner_names
from app.validation.checks.implied import as_implied, implied_profile, related_profile
from app.validation.checks.targets import held, reference_of, resolved, scope_of_target
from app.validation.checks.values import check_value
from app.validation.overlays import Overlay, Profile, Slicing
from app.validation.profiles import Profiles
from app.validation.rules import BaseRules
from app.validation.slicing import Item, Slicer, is_default
from app.validation.telling import breaches
from app.validation.telling.examples import example
from app.validation.telling.report import Report, Scope, Spot
from app.validation.walk import Walk


class Conformance:
    """The three callbacks of a Walk: profiles of resources, profiles of types, definitions of extensions."""

    def __init__(self, rules: BaseRules, profiles: Profiles, slicer: Slicer) -> None:
        self.rules, self.profiles, self.slicer = rules, profiles, slicer
        self._extensions = ExtensionCheck(rules, profiles, slicer, self._profile)

    def check_resource(
        self, walk: Walk, resource: dict[str, Any], scope: Scope, path: str, asked: tuple[str, ...] = ()
    ) -> None:
        """Check the profiles a resource claims in meta.profile, and those asked for."""
        claimed = claimed_profiles(resource)
        for place, url in enumerate([*claimed, *(each for each in asked if each not in claimed)]):
            profile = self.profiles.claimed(url)
            where = f"{path}.meta.profile[{place}]" if place < len(claimed) else path
            if profile is None:
                if not self.is_base(url, resource["resourceType"]):
                    # Who asks for a profile wants to know: not being able to tell is an error then.
                    severity = self.profiles.unknown if place < len(claimed) else "error"
                    breaches.profile_unknown(walk.report, where, severity)
                continue
            if profile.type != resource["resourceType"]:
                breaches.profile_type(walk.report, where, profile.type, resource["resourceType"])
                continue
            self._whole(walk, profile, resource, path, scope)
        self._check_implied(walk, resource, path, scope, {each.partition("|")[0] for each in (*claimed, *asked)})

    def _whole(self, walk: Walk, profile: Profile, resource: dict[str, Any], path: str, scope: Scope) -> None:
        spot = Spot(path, resource["resourceType"], resource["resourceType"])
        self.let_conform(walk, scope)
        self._profile(walk, profile, Item(resource, None, spot, self.rules.type_rule(profile.type)), scope)

    def let_conform(self, walk: Walk, scope: Scope) -> None:
        """Let constraints ask conformsTo(): those of profiles do, those of base R4 do not."""
        scope.frame.conforms_to = lambda node, url: self._node_conforms(walk, node, url, scope)

    def _node_conforms(self, walk: Walk, node: Any, url: str, scope: Scope) -> bool:
        if self.profiles.get(url) is None:
            raise FhirPathError(f"the profile {url} is not known")
        if not isinstance(node, Node):
            return False
        rule = self.rules.type_rule(node.type) if self.rules.has(node.type) else None
        return self._item_conforms(walk, Item(node.value, node.extra, Spot("", node.type), rule), url, scope)

    def _check_implied(self, walk: Walk, resource: dict[str, Any], path: str, scope: Scope, checked: set[str]) -> None:
        """Check the profile that the code of an Observation asks for, claimed or not."""
        url = implied_profile(resource)
        profile = self.profiles.get(url) if url and url not in checked else None
        if profile:
            self._whole(walk, as_implied(profile), resource, path, scope)
        elif related := related_profile(resource):
            breaches.vital_sign(walk.report, f"{path}.code", related)

    def is_base(self, url: str, type_: str) -> bool:
        """Whether a URL names the base definition of a resource type or of one it is derived from."""
        name = url.partition("|")[0].removeprefix(STRUCTURE)
        return name in self.rules.ancestors(type_)

    def check_type(self, walk: Walk, url: str, value: Any, extra: Any, spot: Spot, scope: Scope) -> None:
        """Check a profile that an element's type names, such as SimpleQuantity."""
        profile = self.profiles.get(url)
        if profile and not profile.is_extension and self.rules.has(profile.type):
            rule = self.rules.type_rule(profile.type)
            if isinstance(value, dict):
                self._profile(walk, profile, self.slicer.item(value, extra, spot, rule), scope)

    def check_extension(self, walk: Walk, value: dict[str, Any], spot: Spot, scope: Scope) -> None:
        """Check an extension against its definition, if that is known."""
        self._extensions.check(walk, value, spot, scope)

    inner_names = staticmethod(inner_names)

    def _profile(self, walk: Walk, profile: Profile, item: Item, scope: Scope) -> None:
        before = walk.report.profile
        walk.report.profile = profile.url
        self.check_item(walk, item, profile.root, scope)
        walk.report.profile = before

    def check_element(self, walk: Walk, parent: Item, name: str, overlay: Overlay, scope: Scope) -> None:
        """Check all repetitions of one element."""
        items = self.slicer.children(parent, name)
        report = walk.report
        if overlay.most is not None and 0 <= overlay.most < len(items):
            breaches.too_many(report, overlay, overlay.most, len(items), items[0].spot, parent.spot)
        for item in items:
            self.check_item(walk, item, overlay, scope)
        is_told = bool(overlay.slices) and self._slices(walk, parent, items, name, overlay, scope)
        # Where the slices ask for at least as many, what they have told says more precisely what is missing.
        by_slices = _asked_by_slices(overlay) if is_told else 0
        if overlay.least and len(items) < overlay.least and by_slices < overlay.least:
            path = f"{parent.spot.path}.{name.removesuffix('[x]')}"
            fix = partial(example, self.rules, parent.rule, overlay)
            breaches.too_few(report, overlay, overlay.least, len(items), path, fix)

    def _slices(self, walk: Walk, parent: Item, items: list[Item], name: str, overlay: Overlay, scope: Scope) -> bool:
        """Check the slices of an element; whether one has told that something is missing."""
        slicing = self.slicer.slicing_of(overlay, name)
        if slicing is None:
            return False
        members: dict[str, list[Item]] = {key: [] for key in overlay.slices}
        order = list(overlay.slices)
        last, is_after = -1, False
        for item in items:
            found = self._slices_of(item, overlay, slicing, walk, scope)
            for key in found:
                members[key].append(item)
                self.check_item(walk, item, overlay.slices[key], scope)
            if not found and slicing.rules == "closed":
                breaches.slice_closed(walk.report, overlay, order, item.spot)
            is_late = bool(found) and is_after and slicing.rules == "openAtEnd"
            if found and ((slicing.is_ordered and order.index(found[0]) < last) or is_late):
                breaches.slice_order(walk.report, overlay, order, found[0], item.spot)
            last = order.index(found[0]) if found else last
            is_after = is_after or not found
        for key, slice_ in overlay.slices.items():
            self._count(walk, parent, slice_, len(members[key]))
            if slice_.slices:
                self._slices(walk, parent, members[key], name, slice_, scope)
        return any(len(members[key]) < (slice_.least or 0) for key, slice_ in overlay.slices.items())

    def _slices_of(self, item: Item, overlay: Overlay, slicing: Slicing, walk: Walk, scope: Scope) -> list[str]:
        """The slices an item belongs to. @default holds what belongs to no other (R4 section 5.1.0.14)."""
        ends = self.slicer.ends(item, lambda each: resolved(self.slicer, each, scope))

        def conforms(each: Item, url: str) -> bool:
            return self._item_conforms(walk, each, url, scope)

        found = self.slicer.slices_of(ends, overlay, slicing, conforms)
        return found or [key for key in overlay.slices if is_default(key)]

    def _item_conforms(self, walk: Walk, item: Item, url: str, scope: Scope) -> bool:
        """Whether an element or a resource has what a profile asks; of a stand-in only the type is known."""
        profile = self.profiles.get(url)
        if profile is None or not isinstance(item.value, dict):
            return profile is None
        if "resourceType" in item.value:
            return len(item.value) == 1 or self.conforms(walk, item.value, url, scope)
        apart = replace(walk, report=Report())
        self._profile(apart, profile, self.slicer.item(item.value, item.extra, item.spot, item.rule), scope)
        return not any(issue.is_error for issue in apart.report.issues)

    def _count(self, walk: Walk, parent: Item, slice_: Overlay, count: int) -> None:
        if slice_.least and count < slice_.least:
            fix = partial(example, self.rules, parent.rule, slice_)
            breaches.slice_too_few(walk.report, slice_, slice_.least, count, parent.spot, fix)
        if slice_.most is not None and 0 <= slice_.most < count:
            breaches.slice_too_many(walk.report, slice_, slice_.most, count, parent.spot)

    def check_item(self, walk: Walk, item: Item, overlay: Overlay, scope: Scope) -> None:
        """Check one repetition: its type, its value, what it is bound to, its constraints, its children."""
        if walk.report.is_full:
            return
        self._types(walk, item, overlay, scope)
        check_value(walk.report, item, overlay)
        if overlay.binding:
            check_binding(walk.report, walk.terminology, overlay.binding, item.value, item.spot)
        if overlay.constraints:
            name = item.rule.name if item.rule else item.spot.type
            walk.constraints(overlay.constraints, item.value, item.extra, item.spot, scope, name)
        for name, child in overlay.children.items():
            self.check_element(walk, item, name, child, scope)

    def _types(self, walk: Walk, item: Item, overlay: Overlay, scope: Scope) -> None:
        """Only a choice, or an element that holds any resource, can have another type than the profile allows."""
        if not overlay.types:
            return
        is_resource = item.spot.type == "Resource" and item.rule is not None
        name = item.rule.name if is_resource and item.rule else item.spot.type
        allowed = [each for each in overlay.types if each.code in (name, "Resource")]
        if not allowed and (is_resource or item.spot.path.endswith(f".ofType({name})")):
            codes = " or ".join(each.code for each in overlay.types)
            breaches.wrong_type(walk.report, item.spot, codes, name)
        for each in allowed:
            if name == "Reference" and each.targets:
                self.check_targets(walk, item, each.targets, scope)
        profiles = [url for each in allowed for url in each.profiles]
        if len(profiles) == 1 and name != "Extension":
            self.check_type(walk, profiles[0], item.value, item.extra, item.spot, scope)

    def check_targets(self, walk: Walk, item: Item, targets: tuple[str, ...], scope: Scope) -> None:
        allowed = {self.profiles.types_of(each) for each in targets}
        found = resolved(self.slicer, item, scope)
        if found is None or found.rule is None:
            return
        name = found.rule.name
        if "" not in allowed and name not in allowed:
            breaches.wrong_target(walk.report, item.spot, allowed, name)
            return
        resource = held(reference_of(item), scope)
        wanted = [each for each in targets if self.profiles.types_of(each) in (name, "")]
        if resource and not any(self.conforms(walk, resource, each, scope) for each in wanted):
            breaches.target_profile(walk.report, item.spot, wanted)

    def conforms(self, walk: Walk, resource: dict[str, Any], url: str, scope: Scope) -> bool:
        """Whether a resource that something in the scope refers to has what a profile adds to its type.

        A profile that is not known is no reason to refuse. What a circle of references comes back to counts as
        conforming: it is being checked already.
        """
        profile = self.profiles.get(url)
        if profile is None or profile.type != resource.get("resourceType"):
            return profile is None
        key = (id(resource), profile.url)
        if key not in walk.conforming:
            walk.conforming[key] = True
            apart = replace(walk, report=Report())
            path = str(resource["resourceType"])
            self._whole(apart, profile, resource, path, scope_of_target(resource, scope, walk.scope_of, path))
            walk.conforming[key] = not any(issue.is_error for issue in apart.report.issues)
        return walk.conforming[key]


def _asked_by_slices(overlay: Overlay) -> int:
    """How many the slices ask for. Where that is as many, they say more precisely what is missing."""
    return sum(each.least or 0 for each in overlay.slices.values())
