"""What a concept map says of a code (R4 ConceptMap, $translate)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.terminology.own_maps import REVERSED

NO_TRANSLATION = frozenset({"unmatched", "disjoint"})


@dataclass(frozen=True, slots=True)
class Dependency:
    """A fact a translation may depend on, or that it gives besides. element: the definition of the element that holds
    it, e.g. our laterality."""

    element: str
    system: str
    code: str
    display: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A code to be translated. target: the code system wanted, "" for any; source_set, target_set: the value sets it
    is to be understood in, "" for any; dependencies: what is known besides the code."""

    system: str
    code: str
    version: str = ""
    target: str = ""
    source_set: str = ""
    target_set: str = ""
    reverse: bool = False
    dependencies: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """What a map says. code: "" where it says that there is no translation; source: the canonical URL of the map;
    products: what is given together with the target."""

    equivalence: str
    system: str
    code: str
    display: str
    source: str
    products: tuple[Dependency, ...] = ()


def covers(concept_map: Mapping[str, Any], asked: Asked) -> bool:
    """Whether a map is about codes of the system asked for, towards what is wanted."""
    if not _fits(concept_map, "source", asked.source_set) or not _fits(concept_map, "target", asked.target_set):
        return False
    return any(True for _ in _groups(concept_map, asked))


def translated(concept_map: Mapping[str, Any], asked: Asked) -> list[Match]:
    """Every translation of a code that a map has."""
    url = str(concept_map.get("url", ""))
    found: dict[Match, None] = {}
    for group in _groups(concept_map, asked):
        made = _backwards(group, asked, url) if asked.reverse else _forwards(group, asked, url)
        found |= dict.fromkeys(made)
    return list(found)


def depending(concept_map: Mapping[str, Any], asked: Asked) -> list[Dependency]:
    """The facts on which further translations depend, that were not among what was asked with the code."""
    if asked.reverse:
        return []
    elements = (_element(group, asked.code) for group in _groups(concept_map, asked))
    targets = (target for element in elements if element for target in element.get("target", ()))
    return list(dict.fromkeys(one for target in targets for one in _missing(target, asked)))


def elsewhere(concept_map: Mapping[str, Any], asked: Asked) -> list[str]:
    """The canonical URLs of the maps that a map names for a code it does not have itself."""
    modes = [group.get("unmapped", {}) for group in _groups(concept_map, asked) if not _element(group, asked.code)]
    return [] if asked.reverse else [each["url"] for each in modes if each.get("mode") == "other-map" and "url" in each]


def _fits(concept_map: Mapping[str, Any], end: str, wanted: str) -> bool:
    given = concept_map.get(f"{end}Uri") or concept_map.get(f"{end}Canonical")
    return not wanted or not given or str(given).partition("|")[0] == wanted.partition("|")[0]


def _groups(concept_map: Mapping[str, Any], asked: Asked) -> Iterator[Mapping[str, Any]]:
    near, far = ("target", "source") if asked.reverse else ("source", "target")
    for group in concept_map.get("group", ()):
        version = group.get(f"{near}Version", "")
        is_near = group.get(near) == asked.system and (not asked.version or version in ("", asked.version))
        if is_near and asked.target in ("", group.get(far)):
            yield group


def _element(group: Mapping[str, Any], code: str) -> Mapping[str, Any] | None:
    return next((each for each in group.get("element", ()) if each.get("code") == code), None)


def _forwards(group: Mapping[str, Any], asked: Asked, url: str) -> Iterator[Match]:
    system = str(group.get("target", ""))
    element = _element(group, asked.code)
    for target in element.get("target", ()) if element else ():
        if not _missing(target, asked):
            found = (target["equivalence"], system, target.get("code", ""), target.get("display", ""), url)
            yield Match(*found, _facts(target, "product"))
    if element is None:
        unmapped = group.get("unmapped", {})
        if unmapped.get("mode") == "fixed":
            yield Match("inexact", system, unmapped.get("code", ""), unmapped.get("display", ""), url)
        elif unmapped.get("mode") == "provided":
            yield Match("equal", system, asked.code, "", url)


def _backwards(group: Mapping[str, Any], asked: Asked, url: str) -> Iterator[Match]:
    for element in group.get("element", ()):
        for target in element.get("target", ()):
            equivalence = target["equivalence"]
            if target.get("code") == asked.code and equivalence != "unmatched":
                # What was translated under a condition says more than what it was translated from.
                turned = "wider" if target.get("dependsOn") else REVERSED.get(equivalence, equivalence)
                yield Match(turned, str(group.get("source", "")), element["code"], element.get("display", ""), url)


def _missing(target: Mapping[str, Any], asked: Asked) -> list[Dependency]:
    """What a target depends on and was not told."""
    known = {(one.element, system, one.code) for one in asked.dependencies for system in (one.system, "")}
    return [one for one in _facts(target, "dependsOn") if (one.element, one.system, one.code) not in known]


def _facts(target: Mapping[str, Any], name: str) -> tuple[Dependency, ...]:
    rows = target.get(name, ())
    return tuple(
        Dependency(one["property"], one.get("system", ""), one["value"], one.get("display", "")) for one in rows
    )
