"""Which slice an item belongs to (R4 section 5.1.0.14: discriminators)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from app.terminology import Answer, Terminology
from app.validation.checks.codes import codings
from app.validation.checks.equality import has_pattern, same
from app.validation.overlays import Overlay, ProfiledType, Slicing
from app.validation.profiles import Profiles
from app.validation.rules import BaseRules, TypeRule
from app.validation.telling.report import Spot

Resolve = Callable[["Item"], "Item | None"]
Conforms = Callable[["Item", str], bool]
Ends = Callable[[str], list["Item"]]

DEFAULT = "@default"
_EXTENSION = re.compile(r"extension\('([^']*)'\)")
_BY_URL = Slicing((("value", "url"),))


@dataclass(slots=True)
class Item:
    """One repetition of an element, with what is known of it. rule: None where the type is not known."""

    value: Any
    extra: Any
    spot: Spot
    rule: TypeRule | None


class Slicer:
    """Tells slices apart."""

    def __init__(self, rules: BaseRules, profiles: Profiles, terminology: Terminology) -> None:
        self.rules, self.profiles, self.terminology = rules, profiles, terminology
        self._by_text: dict[Overlay, dict[str, list[str]] | None] = {}
        self._known: dict[tuple[Overlay, str, str], list[Overlay]] = {}

    def slicing_of(self, overlay: Overlay, name: str) -> Slicing | None:
        if overlay.slicing and overlay.slicing.discriminators:
            return overlay.slicing
        if name in ("extension", "modifierExtension"):
            return Slicing(_BY_URL.discriminators, overlay.slicing.rules) if overlay.slicing else _BY_URL
        return None

    def ends(self, item: Item, resolve: Resolve) -> Ends:
        """What is at the end of the path of a discriminator; each path is gone once. resolve: what a Reference points
        at."""
        known: dict[str, list[Item]] = {}

        def end(path: str) -> list[Item]:
            if path not in known:
                known[path] = list(self.items_at(item, steps_of(path), resolve))
            return known[path]

        return end

    def slices_of(self, ends: Ends, overlay: Overlay, slicing: Slicing, conforms: Conforms) -> list[str]:
        """The slices an item belongs to, without @default. ends: of the item; conforms: whether an item has what a
        profile asks."""
        if overlay not in self._by_text:
            self._by_text[overlay] = self._texts(overlay, slicing)
        by_text = self._by_text[overlay]
        if by_text is not None:
            found = ends(slicing.discriminators[0][1])
            if len(found) == 1 and type(found[0].value) is str:
                return by_text.get(found[0].value, [])
        return [
            key
            for key, slice_ in overlay.slices.items()
            if not is_default(key) and self.belongs(ends, slice_, slicing, conforms)
        ]

    def _texts(self, overlay: Overlay, slicing: Slicing) -> dict[str, list[str]] | None:
        """The slices by the one text that tells them apart, such as the url of extensions; None if it takes more."""
        if len(slicing.discriminators) != 1 or slicing.discriminators[0][0] not in ("value", "pattern"):
            return None
        found: dict[str, list[str]] = {}
        for key, slice_ in overlay.slices.items():
            asked = self._asked(slice_, *slicing.discriminators[0])
            if len(asked) != 1 or type(asked[0].fixed) is not str or asks_anything(replace(asked[0], fixed=None)):
                return None
            if not is_default(key):
                found.setdefault(asked[0].fixed, []).append(key)
        return found

    def belongs(self, ends: Ends, slice_: Overlay, slicing: Slicing, conforms: Conforms) -> bool:
        """Whether an item belongs to a slice. ends: of the item; conforms: whether an item has what a profile asks."""
        return all(self._fits(ends(path), slice_, kind, path, conforms) for kind, path in slicing.discriminators)

    def _fits(self, found: list[Item], slice_: Overlay, kind: str, path: str, conforms: Conforms) -> bool:
        rules = self._asked(slice_, kind, path)
        if kind == "exists":
            return _exists_as_asked(rules, is_there=bool(found))
        if kind in ("type", "profile"):
            wanted = [type_ for each in rules for type_ in each.types]
            is_resolved = "resolve()" in steps_of(path)
            of_type = [each for each in found if self._is_of_type(each, wanted, is_resolved=is_resolved)]
            urls = [url for each in wanted for url in (each.targets if is_resolved else each.profiles)]
            if kind == "type" or not urls:
                return bool(of_type)
            return any(conforms(each, url) for each in of_type for url in urls)
        return any(self._conforms(each, rule) for each in found for rule in rules)

    def _asked(self, slice_: Overlay, kind: str, path: str) -> list[Overlay]:
        """The rules a slice has for what its discriminator looks at. Of values only those that ask for one."""
        found = self._known.get((slice_, kind, path))
        if found is None:
            found = list(self.overlays_at(slice_, steps_of(path)))
            if kind not in ("exists", "type", "profile"):
                found = found or ([self.url_rule(slice_)] if path == "url" else [])
                found = list(filter(asks_anything, found))
            self._known[slice_, kind, path] = found
        return found

    def url_rule(self, slice_: Overlay) -> Overlay:
        """The url of an extension slice whose definition is not known: the profile it names."""
        profiles = [each for type_ in slice_.types for each in type_.profiles]
        return Overlay("url", fixed=profiles[0].partition("|")[0] if profiles else None)

    def _is_of_type(self, item: Item, wanted: list[ProfiledType], *, is_resolved: bool) -> bool:
        name = item.rule.name if item.rule else item.spot.type
        codes: set[str] = set()
        for each in wanted:
            by_profile = each.targets if is_resolved and each.targets else each.profiles
            # A profile that is not known is at least for the type it stands beside.
            unknown = "" if is_resolved else each.code
            codes |= {self.profiles.types_of(url) or unknown for url in by_profile} if by_profile else {each.code}
        return name in codes or bool(codes & {"Resource", ""})

    def _conforms(self, item: Item, rule: Overlay) -> bool:
        """Whether an item has the fixed and pattern values (and required codes) a rule and the rules below it ask."""
        if rule.fixed is not None and not same(item.value, rule.fixed):
            return False
        if rule.pattern is not None and not has_pattern(item.value, rule.pattern):
            return False
        if rule.binding and rule.binding.strength == "required" and not self._is_bound(item, rule.binding.value_set):
            return False
        for name, child in rule.children.items():
            parts = [child, *child.slices.values()]
            for part in parts:
                if asks_anything(part) and not any(self._conforms(each, part) for each in self.children(item, name)):
                    return False
        return True

    def _is_bound(self, item: Item, value_set: str) -> bool:
        answers = [self.terminology.contains(value_set, *each) for each in codings(item.value, item.spot.type)]
        return Answer.VALID in answers

    def overlays_at(self, overlay: Overlay, steps: list[str]) -> Iterator[Overlay]:
        """The rules a slice has at a path; where it has none itself, those of the profile of its type."""
        if not steps:
            yield overlay
            return
        step, rest = steps[0], steps[1:]
        if step in ("$this", "resolve()") or step.startswith("ofType("):
            yield from self.overlays_at(overlay, rest)
            return
        match = _EXTENSION.fullmatch(step)
        name = "extension" if match else step
        below = overlay.children.get(name)
        if match and below:
            for each in below.slices.values():
                if match[1] in [url for type_ in each.types for url in type_.profiles]:
                    yield from self.overlays_at(each, rest)
        elif below:
            yield from self.overlays_at(below, rest)
            for each in below.slices.values():
                yield from self.overlays_at(each, rest)
        elif expected := _expected_below(overlay, step):
            for value in expected:
                yield from self.overlays_at(Overlay(f"{overlay.path}.{step}", pattern=value), rest)
        else:
            for url in [url for type_ in overlay.types for url in type_.profiles]:
                profile = self.profiles.get(url)
                if profile:
                    yield from self.overlays_at(profile.root, steps)

    def items_at(self, item: Item, steps: list[str], resolve: Resolve) -> Iterator[Item]:
        if not steps:
            yield item
            return
        step, rest = steps[0], steps[1:]
        match = _EXTENSION.fullmatch(step)
        if step == "$this":
            found = [item]
        elif step == "resolve()":
            found = [each for each in [resolve(item)] if each]
        elif step.startswith("ofType("):
            found = [item] if item.spot.type == step[7:-1] else []
        elif match:
            found = [each for each in self.children(item, "extension") if each.value.get("url") == match[1]]
        else:
            found = self.children(item, step)
        for each in found:
            yield from self.items_at(each, rest, resolve)

    def children(self, item: Item, name: str) -> list[Item]:
        """The child elements of an item by name (without [x])."""
        is_object = isinstance(item.value, dict)
        source = item.value if is_object else item.extra
        rule = item.rule if is_object else self.rules.type_rule("Element")
        element = rule.elements.get(name) if rule else None
        if not isinstance(source, dict) or rule is None or element is None:
            return []
        found: list[Item] = []
        for key in rule.keys_of(element):
            if key in source or "_" + key in source:
                slot = rule.slots[key]
                inner = None if slot.use.code == "Resource" else self.rules.rule_of(slot)
                spot = Spot(f"{item.spot.path}.{slot.step}", slot.use.code, element.path)
                found += self._repetitions(source.get(key), source.get("_" + key), spot, inner, slot.is_many)
        return found

    def _repetitions(self, value: Any, extra: Any, spot: Spot, rule: TypeRule | None, is_many: bool) -> list[Item]:
        if not is_many:
            return [self.item(value, extra, spot, rule)]
        values = value if isinstance(value, list) else []
        extras = extra if isinstance(extra, list) else []
        return [
            self.item(
                values[place] if place < len(values) else None,
                extras[place] if place < len(extras) else None,
                Spot(f"{spot.path}[{place}]", spot.type, spot.rule_path),
                rule,
            )
            for place in range(max(len(values), len(extras)))
        ]

    def item(self, value: Any, extra: Any, spot: Spot, rule: TypeRule | None) -> Item:
        """An item; a resource in it gets the rules of its own type."""
        if rule is None and isinstance(value, dict):
            name = value.get("resourceType")
            rule = self.rules.type_rule(name) if isinstance(name, str) and name in self.rules.resource_types else None
        return Item(value, extra, spot, rule)


def _exists_as_asked(rules: list[Overlay], *, is_there: bool) -> bool:
    """Whether an element is there or not, as the slice has it: with a minimum it must be, with a maximum of 0 not."""
    if any(each.least for each in rules):
        return is_there
    return not is_there if any(each.most == 0 for each in rules) or not rules else True


@lru_cache(maxsize=1024)
def steps_of(path: str) -> list[str]:
    """The steps of a discriminator path; dots inside extension('...') do not count."""
    return re.findall(r"(?:[^.(]+\('[^']*'\)|[^.]+)", path)


def _expected_below(overlay: Overlay, name: str) -> list[Any]:
    """What the fixed or pattern value of an element asks of a child."""
    for value in (overlay.fixed, overlay.pattern):
        if isinstance(value, dict) and name in value:
            return value[name] if isinstance(value[name], list) else [value[name]]
    return []


def is_default(slice_name: str) -> bool:
    """Whether a slice is the one for what belongs to no other (R4 section 5.1.0.14)."""
    return slice_name.rpartition("/")[2] == DEFAULT


def asks_anything(rule: Overlay) -> bool:
    if rule.fixed is not None or rule.pattern is not None:
        return True
    if rule.binding and rule.binding.strength == "required":
        return True
    return any(asks_anything(part) for child in rule.children.values() for part in (child, *child.slices.values()))
