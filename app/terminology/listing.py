"""A value set written out: the codes of its expansion in a steady order, with their names."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.terminology.expansion import CodeSystem, ValueSet

_MAX_DEPTH = 20
SystemOf = Callable[[str], CodeSystem | None]
ComposeOf = Callable[[str], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Listed:
    """One code of an expansion. display: "" where nobody told it."""

    system: str
    code: str
    display: str


def listing(found: ValueSet, compose: Mapping[str, Any], system_of: SystemOf, compose_of: ComposeOf) -> list[Listed]:
    """The codes of an expanded value set, system by system as its definition names them, in the order of the code
    system or else of the definition."""
    told = dict(_told(compose, compose_of, 0))
    named = {system: None for system, _ in told} | dict.fromkeys(_systems(compose, compose_of, 0))
    systems = [*(each for each in named if each in found.codes), *sorted(set(found.codes) - set(named))]
    listed = []
    for system in systems:
        known = system_of(system)
        displays = known.codes if known else {}
        order = {code: place for place, code in enumerate([*displays, *(c for s, c in told if s == system)])}
        for code in sorted(found.codes[system], key=lambda each: (order.get(each, len(order)), each)):
            listed.append(Listed(system, code, told.get((system, code)) or displays.get(code, "")))
    return listed


def chosen(listed: list[Listed], text: str) -> list[Listed]:
    """Those whose code or name holds every word of a text, whatever the case."""
    words = text.casefold().split()
    return [each for each in listed if all(word in f"{each.code} {each.display}".casefold() for word in words)]


def _told(compose: Mapping[str, Any], compose_of: ComposeOf, depth: int) -> Iterator[tuple[tuple[str, str], str]]:
    """The codes that definitions list themselves, with the names they give them; those of imports first, so that the
    name of the outermost definition counts."""
    for include in compose.get("include", ()):
        for other in _imported(include, compose_of, depth):
            yield from _told(other, compose_of, depth + 1)
        for each in include.get("concept", ()):
            is_bare = isinstance(each, str)
            yield (include.get("system", ""), each if is_bare else each["code"]), "" if is_bare else _name(each)


def _systems(compose: Mapping[str, Any], compose_of: ComposeOf, depth: int) -> Iterator[str]:
    for include in compose.get("include", ()):
        if "system" in include:
            yield include["system"]
        for other in _imported(include, compose_of, depth):
            yield from _systems(other, compose_of, depth + 1)


def _imported(include: Mapping[str, Any], compose_of: ComposeOf, depth: int) -> list[Mapping[str, Any]]:
    if depth >= _MAX_DEPTH:
        return []
    found = (compose_of(canonical.partition("|")[0]) for canonical in include.get("valueSet", ()))
    return [each for each in found if each is not None]


def _name(concept: Mapping[str, Any]) -> str:
    return str(concept.get("display", ""))
