"""ConceptMap/$translate: by our maps, the stored ones, or one that is posted (R4 conceptmap-operations.html)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.fhir.outcomes import Issue, NotFound, Refused
from app.routers.operations import coding, found, held
from app.routers.operations.call import Call, parameters, part, parts
from app.routers.operations.coding import Coded
from app.store.idempotency import Answer
from app.store.search import escaped
from app.terminology.concept_maps import (
    NO_TRANSLATION,
    Asked,
    Dependency,
    Match,
    covers,
    depending,
    elsewhere,
    translated,
)
from app.terminology.own_maps import own_maps

_TYPE = "ConceptMap"
_MOST_MAPS = 200
_MOST_LINKS = 5


async def translate(call: Call) -> Answer:
    """Every translation there is. Raises Unprocessable where no map here is about such codes."""
    codes = coding.read(call)
    coding.require_system(codes)
    maps = await _maps(call)
    questions = [_asked(call, each) for each in codes]
    about = [(asked, each) for asked in questions for each in maps if covers(each, asked)]
    if not about:
        systems = ", ".join(sorted({each.system for each in codes}))
        raise coding.unanswerable(f"no concept map here is about codes of {systems}, or not towards what is asked for")
    matches = dict.fromkeys([match for asked, each in about for match in await _all(call, each, asked, 0)])
    is_translated = any(match.equivalence not in NO_TRANSLATION for match in matches)
    missing = dict.fromkeys(one for asked, each in about for one in depending(each, asked))
    message = _message(bool(matches), list(missing))
    return parameters(
        part("result", "Boolean", is_translated), part("message", "String", message), *map(_shown, matches)
    )


def _asked(call: Call, coded: Coded) -> Asked:
    texts = {field: call.given.one(name, "") for field, name in _ENDS.items()}
    is_reverse, known = bool(call.given.one("reverse")), tuple(_dependencies(call))
    return Asked(coded.system, coded.code, coded.version, reverse=is_reverse, dependencies=known, **texts)


def _message(is_found: bool, missing: Sequence[Dependency]) -> str:
    told = [] if is_found else ["The concept maps here have no translation of this code."]
    if missing:
        facts = ", ".join(f"{one.element} = {one.system}|{one.code}" for one in missing)
        told.append(f"Further translations depend on facts that can be given as dependency: {facts}.")
    return " ".join(told)


def _dependencies(call: Call) -> Iterator[Dependency]:
    """What is known besides the code: parameters `dependency`, each with an element and a concept."""
    for given in call.given.values.get("dependency", ()):
        inner = {one.get("name"): one for one in given.value["part"] if isinstance(one, dict)}
        element, concept = (
            inner.get("element", {}).get("valueUri"),
            inner.get("concept", {}).get("valueCodeableConcept"),
        )
        if not element or not concept or set(inner) != {"element", "concept"}:
            told = "A dependency has the parts element (valueUri) and concept (valueCodeableConcept), and no other."
            raise Refused([Issue("value", told, given.place)])
        for one in concept.get("coding", ()):
            yield Dependency(element, one.get("system", ""), one.get("code", ""))


_ENDS = {"target": "targetsystem", "source_set": "source", "target_set": "target"}


async def _all(call: Call, concept_map: Mapping[str, Any], asked: Asked, depth: int) -> list[Match]:
    """What a map says, and what those say that it names for what it does not have."""
    made = translated(concept_map, asked)
    for url in elsewhere(concept_map, asked) if depth < _MOST_LINKS else ():
        for other in await _by_url(call, url):
            made += await _all(call, other, replace(asked, source_set="", target_set=""), depth + 1)
    return made


async def _maps(call: Call) -> Sequence[Mapping[str, Any]]:
    given = call.given
    if call.resource_id:
        held.require_one(call, "url", "conceptMap")
        return [await held.stored(call)]
    if given.values.get("conceptMap"):
        held.require_one(call, "url", "conceptMap")
        return [await held.posted(call, "conceptMap")]
    if url := given.one("url", ""):
        version = given.one("conceptMapVersion", "")
        maps = await _by_url(call, f"{url}|{version}" if version else url)
        if not maps:
            raise NotFound([Issue("not-found", "No concept map of this url is known here.", "url")])
        return maps
    return [*_own(call), *await _every(call)]


def _own(call: Call) -> Sequence[Mapping[str, Any]]:
    return own_maps(icd_11=call.service.content.icd_11)


async def _every(call: Call) -> list[dict[str, Any]]:
    maps = await found.resources(call, _TYPE, [], most=_MOST_MAPS + 1)
    if len(maps) > _MOST_MAPS:
        raise Refused([Issue("too-costly", f"There are more than {_MOST_MAPS} concept maps: name one by url.", "url")])
    return maps


async def _by_url(call: Call, canonical: str) -> list[Mapping[str, Any]]:
    url, _, version = canonical.partition("|")
    own = [each for each in _own(call) if each["url"] == url]
    maps = own or await found.resources(call, _TYPE, [("url", escaped(url))], most=_MOST_MAPS)
    return [each for each in maps if not version or each.get("version") == version]


def _shown(match: Match) -> dict[str, Any]:
    told = {"system": match.system, "code": match.code, "display": match.display}
    concept = {name: value for name, value in told.items() if value} if match.code else {}
    return parts(
        "match",
        part("equivalence", "Code", match.equivalence),
        part("concept", "Coding", concept or None),
        *(_product(one) for one in match.products),
        part("source", "Uri", match.source),
    )


def _product(one: Dependency) -> dict[str, Any]:
    told = {"system": one.system, "code": one.code, "display": one.display}
    concept = {name: value for name, value in told.items() if value}
    return {"name": "product", "part": [part("element", "Uri", one.element), part("concept", "Coding", concept)]}
