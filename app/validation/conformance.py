"""Checks a resource against the overlays of profiles and of extension definitions."""

from typing import Any

from app.fhir.fhirpath import FhirPathError, Node
from app.fhir.fhirpath.nodes import system
from app.fhir.fhirpath.operators import compare
from app.validation.codes import check_binding
from app.validation.overlays import Overlay, Profile, Profiles, Slicing
from app.validation.references import target_type
from app.validation.report import Scope, Spot
from app.validation.rules import BaseRules
from app.validation.slicing import Item, Slicer, has_pattern, same
from app.validation.walk import Walk


class Conformance:
    """The three callbacks of a Walk: profiles of resources, profiles of types, definitions of extensions."""

    def __init__(self, rules: BaseRules, profiles: Profiles, slicer: Slicer) -> None:
        self.rules, self.profiles, self.slicer = rules, profiles, slicer

    def check_resource(
        self, walk: Walk, resource: dict[str, Any], scope: Scope, path: str, asked: tuple[str, ...] = ()
    ) -> None:
        """Check the profiles a resource claims in meta.profile, and those asked for."""
        claimed = _claimed(resource)
        for place, url in enumerate([*claimed, *(each for each in asked if each not in claimed)]):
            profile = self.profiles.claimed(url)
            where = f"{path}.meta.profile[{place}]" if place < len(claimed) else path
            if profile is None:
                if not self._is_base(url, resource):
                    walk.report.add(
                        "not-found", "The profile is not known here, so it was not checked", where, severity="warning"
                    )
                continue
            if profile.type != resource["resourceType"]:
                walk.report.add("structure", f"The profile is for {profile.type}", where)
                continue
            spot = Spot(path, resource["resourceType"], resource["resourceType"])
            self._profile(walk, profile, Item(resource, None, spot, self.rules.type_rule(profile.type)), scope)

    def _is_base(self, url: str, resource: dict[str, Any]) -> bool:
        name = url.partition("|")[0].removeprefix("http://hl7.org/fhir/StructureDefinition/")
        return name in self.rules.ancestors(resource["resourceType"])

    def check_type(self, walk: Walk, url: str, value: Any, extra: Any, spot: Spot, scope: Scope) -> None:
        """Check a profile that an element's type names, such as SimpleQuantity."""
        profile = self.profiles.get(url)
        if profile and not profile.is_extension and self.rules.has(profile.type):
            rule = self.rules.type_rule(profile.type)
            if isinstance(value, dict):
                self._profile(walk, profile, self.slicer.item(value, extra, spot, rule), scope)

    def check_extension(self, walk: Walk, value: dict[str, Any], spot: Spot, scope: Scope) -> None:
        """Check an extension against its definition, if that is known."""
        url = value.get("url")
        if not isinstance(url, str) or not url:
            return
        is_inner = spot.rule_path == "Extension.extension"
        if ":" not in url:
            if not is_inner:
                walk.report.add("value", "The url of an extension must be absolute", spot)
            return
        profile = self.profiles.get(url)
        if profile is None or not profile.is_extension:
            return
        if not is_inner and not self._is_in_context(profile, spot, scope):
            walk.report.add("structure", "This extension is not allowed on this element", spot, rule="context")
        item = Item(value, None, spot, self.rules.type_rule("Extension"))
        self._profile(walk, profile, item, scope)
        self._check_inner(walk, profile, item)

    def _check_inner(self, walk: Walk, profile: Profile, item: Item) -> None:
        """Extensions in a complex extension that have a local name must be defined by it."""
        inner = profile.root.children.get("extension")
        names = set(inner.slices) if inner else set()
        urls = (
            {each.children["url"].fixed for each in inner.slices.values() if "url" in each.children} if inner else set()
        )
        for each in self.slicer.children(item, "extension"):
            url = each.value.get("url") if isinstance(each.value, dict) else None
            if isinstance(url, str) and ":" not in url and url not in urls | names:
                walk.report.add(
                    "structure", "The definition of the extension does not have this inner extension", each.spot
                )

    def _is_in_context(self, profile: Profile, spot: Spot, scope: Scope) -> bool:
        """Whether one of the contexts of an extension fits. Contexts in FHIRPath are taken as fitting."""
        holder = spot.rule_path.removesuffix(".extension").removesuffix(".modifierExtension")
        parent = scope.holder_type
        names = {holder, *self.rules.ancestors(holder), parent, *self.rules.ancestors(parent)}
        names |= {scope.holder_path, scope.holder_path.removesuffix("[x]")}
        for kind, expression in profile.contexts:
            if kind != "element" or expression.partition("#")[0] in names or expression == "Element":
                return True
        return not profile.contexts

    def _profile(self, walk: Walk, profile: Profile, item: Item, scope: Scope) -> None:
        before = walk.report.profile
        walk.report.profile = profile.url
        self._item(walk, item, profile.root, scope)
        walk.report.profile = before

    def _element(self, walk: Walk, parent: Item, name: str, overlay: Overlay, scope: Scope) -> None:
        """Check all repetitions of one element."""
        items = self.slicer.children(parent, name)
        report = walk.report
        # Where the slices ask for at least as many, they say more precisely what is missing.
        by_slices = sum(each.least or 0 for each in overlay.slices.values())
        if overlay.least and len(items) < overlay.least and by_slices < overlay.least:
            report.add(
                "required",
                f"{overlay.path} must be given at least {_times(overlay.least)}, found {len(items)}",
                # As in base R4: the place is the element's own, so that a client can point at what is empty.
                f"{parent.spot.path}.{name.removesuffix('[x]')}",
            )
        if overlay.most is not None and 0 <= overlay.most < len(items):
            report.add(
                "structure",
                f"{overlay.path} may be given at most {_times(overlay.most)}, found {len(items)}",
                parent.spot,
            )
        for item in items:
            self._item(walk, item, overlay, scope)
        if overlay.slices:
            self._slices(walk, parent, items, name, overlay, scope)

    def _slices(self, walk: Walk, parent: Item, items: list[Item], name: str, overlay: Overlay, scope: Scope) -> None:
        slicing = self.slicer.slicing_of(overlay, name)
        if slicing is None:
            return
        counts = dict.fromkeys(overlay.slices, 0)
        last = -1
        order = list(overlay.slices)
        for item in items:
            found = [key for key, slice_ in overlay.slices.items() if self._belongs(item, slice_, slicing, walk, scope)]
            for key in found:
                counts[key] += 1
                self._item(walk, item, overlay.slices[key], scope)
            if found and slicing.is_ordered and order.index(found[0]) < last:
                walk.report.add("structure", f"The slices of {overlay.path} must keep their order", item.spot)
            last = order.index(found[0]) if found else last
            if not found and slicing.rules == "closed":
                walk.report.add(
                    "structure", f"Only the slices of {overlay.path} are allowed: {', '.join(order)}", item.spot
                )
        for key, slice_ in overlay.slices.items():
            self._count(walk, parent, slice_, counts[key])

    def _belongs(self, item: Item, slice_: Overlay, slicing: Slicing, walk: Walk, scope: Scope) -> bool:
        return self.slicer.belongs(item, slice_, slicing, lambda each: self._resolved(each, walk, scope))

    def _count(self, walk: Walk, parent: Item, slice_: Overlay, count: int) -> None:
        if slice_.least and count < slice_.least:
            text = f"The slice {slice_.path} must be given at least {_times(slice_.least)}, found {count}"
            walk.report.add("required", text, parent.spot)
        if slice_.most is not None and 0 <= slice_.most < count:
            text = f"The slice {slice_.path} may be given at most {_times(slice_.most)}, found {count}"
            walk.report.add("structure", text, parent.spot)

    def _item(self, walk: Walk, item: Item, overlay: Overlay, scope: Scope) -> None:
        """Check one repetition: its type, its value, what it is bound to, its constraints, its children."""
        if walk.report.is_full:
            return
        self._types(walk, item, overlay, scope)
        self._value(walk, item, overlay)
        if overlay.binding:
            check_binding(walk.report, walk.terminology, overlay.binding, item.value, item.spot)
        if overlay.constraints:
            name = item.rule.name if item.rule else item.spot.type
            walk.constraints(overlay.constraints, item.value, item.extra, item.spot, scope, name)
        for name, child in overlay.children.items():
            self._element(walk, item, name, child, scope)

    def _types(self, walk: Walk, item: Item, overlay: Overlay, scope: Scope) -> None:
        """Only a choice, or an element that holds any resource, can have another type than the profile allows."""
        if not overlay.types:
            return
        is_resource = item.spot.type == "Resource" and item.rule is not None
        name = item.rule.name if is_resource and item.rule else item.spot.type
        allowed = [each for each in overlay.types if each.code in (name, "Resource")]
        if not allowed and (is_resource or item.spot.path.endswith(f".ofType({name})")):
            codes = " or ".join(each.code for each in overlay.types)
            walk.report.add("structure", f"Expected the type {codes}, found {name}", item.spot)
        for each in allowed:
            if name == "Reference" and each.targets:
                self._targets(walk, item, each.targets, scope)
        profiles = [url for each in allowed for url in each.profiles]
        if len(profiles) == 1 and name != "Extension":
            self.check_type(walk, profiles[0], item.value, item.extra, item.spot, scope)

    def _targets(self, walk: Walk, item: Item, targets: tuple[str, ...], scope: Scope) -> None:
        allowed = {self.profiles.types_of(each) for each in targets}
        found = self._resolved(item, walk, scope)
        if "" in allowed or found is None or found.rule is None or found.rule.name in allowed:
            return
        text = f"A reference to {found.rule.name} is not allowed here, only to {', '.join(sorted(allowed))}"
        walk.report.add("value", text, item.spot)

    def _resolved(self, item: Item, walk: Walk, scope: Scope) -> Item | None:
        """What a Reference points at: the contained resource, else a stand-in of the type its text names."""
        reference = item.value.get("reference") if isinstance(item.value, dict) else None
        if not isinstance(reference, str):
            return None
        if reference.startswith("#"):
            contained = scope.owner.get("contained")
            for each in contained if isinstance(contained, list) else []:
                if isinstance(each, dict) and each.get("id") == reference[1:]:
                    return self.slicer.item(each, None, item.spot, None)
            return None
        return self.slicer.item({"resourceType": target_type(reference)}, None, item.spot, None)

    def _value(self, walk: Walk, item: Item, overlay: Overlay) -> None:
        report = walk.report
        if overlay.fixed is not None and not same(item.value, overlay.fixed):
            report.add("value", f"Expected exactly {_told(overlay.fixed)}", item.spot, rule="fixed")
        if overlay.pattern is not None and not has_pattern(item.value, overlay.pattern):
            report.add("value", f"Expected a value that has {_told(overlay.pattern)}", item.spot, rule="pattern")
        if overlay.max_length is not None and isinstance(item.value, str) and len(item.value) > overlay.max_length:
            report.add("too-long", f"At most {overlay.max_length} characters are allowed", item.spot)
        if overlay.min_value is not None and _order(item, overlay.min_value) == -1:
            report.add("value", f"The least value allowed is {_told(overlay.min_value)}", item.spot, rule="minValue")
        if overlay.max_value is not None and _order(item, overlay.max_value) == 1:
            report.add("value", f"The greatest value allowed is {_told(overlay.max_value)}", item.spot, rule="maxValue")


def _claimed(resource: dict[str, Any]) -> list[str]:
    meta = resource.get("meta")
    found = meta.get("profile") if isinstance(meta, dict) else None
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _order(item: Item, limit: Any) -> int | None:
    """-1 or 1 if the item is below or above a limit of the same type; None where they cannot be compared."""
    try:
        return compare([Node(item.value, item.spot.type)], [system(Node(limit, item.spot.type))])
    except FhirPathError:
        return None


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _told(value: Any) -> str:
    """A value of a profile in words: codes and short values only."""
    if isinstance(value, dict):
        if "coding" in value:
            return " and ".join(_told(each) for each in value["coding"])
        return ", ".join(f"{name} {_told(each)}" for name, each in value.items())
    return ", ".join(_told(each) for each in value) if isinstance(value, list) else str(value)
