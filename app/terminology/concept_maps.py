"""Concept maps: ours, made from the content files, and what any map says of a code (R4 ConceptMap, $translate)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.profiles import canonical, package, toml_files

# How a target stands to its source, and how the source then stands to the target (R4 concept-map-equivalence).
_REVERSED = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}
NO_TRANSLATION = frozenset({"unmatched", "disjoint"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A code to be translated. target: the code system wanted, "" for any; source_set, target_set: the value sets it
    is to be understood in, "" for any."""

    system: str
    code: str
    version: str = ""
    target: str = ""
    source_set: str = ""
    target_set: str = ""
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """What a map says. code: "" where it says that there is no translation; source: the canonical URL of the map."""

    equivalence: str
    system: str
    code: str
    display: str
    source: str


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
        yield Match(target["equivalence"], system, target.get("code", ""), target.get("display", ""), url)
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
                turned = _REVERSED.get(equivalence, equivalence)
                yield Match(turned, str(group.get("source", "")), element["code"], element.get("display", ""), url)


@cache
def own_maps() -> tuple[Mapping[str, Any], ...]:
    """The maps of this service: the medicines of its content, from RxNorm to ATC."""
    return (_medicines(),)


def _medicines() -> dict[str, Any]:
    """A drug has one ingredient in RxNorm, and in ATC a code for each use: the two are related, not the same."""
    file, systems = toml_files("vocabulary")["drugs"], toml_files("vocabulary")["systems"]["system"]
    pairs = [(each, other) for row in file["drug"] for each, other in _pairs(row.get("codings", ()))]
    elements: dict[str, dict[str, Any]] = {}
    for source, target in pairs:
        named = {"code": source["code"], "display": source["display"], "target": []}
        found = {"code": target["code"], "display": target["display"], "equivalence": "relatedto"}
        targets = elements.setdefault(source["code"], named)["target"]
        if found not in targets:
            targets.append(found)
    group = {"source": systems["rxnorm"], "target": systems["atc"], "element": list(elements.values())}
    return {
        "resourceType": "ConceptMap",
        "id": "np-medicines",
        "url": canonical("ConceptMap", "np-medicines"),
        "version": package()["version"],
        "name": "NpMedicines",
        "title": "Medicines for neuropathic pain, from RxNorm to ATC",
        "status": "draft",
        "date": file["version"],
        "publisher": "Dermatome",
        "description": "The RxNorm and ATC codes this service writes for one medicine.",
        "copyright": "RxNorm: courtesy of the U.S. National Library of Medicine. ATC: (c) WHO Collaborating Centre for "
        "Drug Statistics Methodology. The rest: Apache-2.0.",
        "group": [group],
    }


def _pairs(codings: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    by_system: dict[str, list[Mapping[str, Any]]] = {}
    for each in codings:
        by_system.setdefault(each["system"], []).append(each)
    yield from ((one, other) for one in by_system.get("rxnorm", ()) for other in by_system.get("atc", ()))
