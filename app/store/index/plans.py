"""What is to be looked for in the resources of one type, so ordered that what a resource lacks costs nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.store.index.definitions import OF_VERSION, SearchParameter, follow
from app.store.index.ranges import dates, numbers, quantities
from app.store.index.references import references
from app.store.index.rows import Found, Given, Rows
from app.store.index.texts import strings, uris
from app.store.index.tokens import tokens
from app.store.index.ways import Asked, Way, ways_of

Json = Mapping[str, Any]
Ways = tuple[Way | Asked, ...]
_MAKERS: dict[str, Callable[[Given], Iterator[Found]]] = {
    "token": tokens,
    "string": strings,
    "uri": uris,
    "date": dates,
    "number": numbers,
    "quantity": quantities,
}


@dataclass(frozen=True, slots=True)
class _Group:
    """A composite parameter: where its groups are, and the kind and ways of each component from there."""

    name: str
    ways: Ways
    components: tuple[tuple[str, Mapping[str, Ways]], ...]


@dataclass(slots=True)
class Plan:
    """by_first: the first JSON name -> ways that begin with it, each with the parameters that want what is there;
    "": those that any resource may have values for."""

    by_first: dict[str, list[tuple[Way | Asked, list[SearchParameter]]]] = field(default_factory=dict)
    groups: list[_Group] = field(default_factory=list)

    def rows(self, resource: Json, base: str) -> Rows:
        """All rows of a resource. base: references that start with it are to this server."""
        found, make = Rows(), _Maker(base)
        for key in ("", *resource):
            for way, wanting in self.by_first.get(key, ()):
                for given in follow(way, resource, resource):
                    _add_plain(found, given, wanting, make)
        for group in self.groups:
            _add_groups(found, group, resource, make)
        found.note_present()
        return found


class _Maker:
    """Makes the rows of values; of a value that several parameters have, once."""

    def __init__(self, base: str) -> None:
        self._base = base
        # The values are parts of one resource, which lives longer than this.
        self._made: dict[tuple[str, int, str], list[Found]] = {}

    def __call__(self, kind: str, given: Given) -> list[Found]:
        if type(given.value) is not dict:
            return self._rows(kind, given)
        key = (kind, id(given.value), given.type)
        known = self._made.get(key)
        if known is None:
            known = self._made[key] = self._rows(kind, given)
        return known

    def _rows(self, kind: str, given: Given) -> list[Found]:
        return list(references(given, self._base) if kind == "reference" else _MAKERS[kind](given))


def plan_of(parameters: Iterable[SearchParameter]) -> Plan:
    """The plan of a type, from its parameters."""
    plan = Plan()
    wanted: dict[Way | Asked, list[SearchParameter]] = {}
    for parameter in parameters:
        if parameter.name in OF_VERSION:
            continue
        if parameter.components:
            plan.groups.append(_group(parameter))
        else:
            for way in parameter.ways:
                wanted.setdefault(way, []).append(parameter)
    for way, wanting in wanted.items():
        plan.by_first.setdefault(way.first, []).append((way, wanting))
    return plan


def _group(parameter: SearchParameter) -> _Group:
    starts = {way.type for way in parameter.ways if isinstance(way, Way)}
    components = tuple(
        (each.kind, {start: ways_of(each.expression, start) for start in starts}) for each in parameter.components
    )
    return _Group(parameter.name, parameter.ways, components)


def _add_plain(found: Rows, given: Given, wanting: Iterable[SearchParameter], make: _Maker) -> None:
    for parameter in wanting:
        if not _is_other_resource(given, parameter):
            rows = make(parameter.kind, given)
            for row in rows:
                found.add(parameter.name, row)
            if not rows:
                found.present.add(parameter.name)


def _is_other_resource(given: Given, parameter: SearchParameter) -> bool:
    """Bundle.composition and Bundle.message have one expression: the first entry, whatever it is."""
    type_ = given.value.get("resourceType") if isinstance(given.value, dict) else None
    return isinstance(type_, str) and bool(parameter.targets) and type_ not in parameter.targets


def _add_groups(found: Rows, group: _Group, resource: Json, make: _Maker) -> None:
    item = 0
    for way in group.ways:
        if way.first and way.first not in resource:
            continue
        for focus in (each for each in way.follow(resource, resource) if isinstance(each.value, dict)):
            components = _components(group, focus, resource, make)
            for n, rows in enumerate(components):
                for row in rows:
                    found.add_to_group(f"{group.name}.{n}", item, row)
            item += bool(components)


def _components(group: _Group, focus: Given, resource: Json, make: _Maker) -> list[list[Found]]:
    """The rows of each component; none at all where one of them has no value: nothing can match then."""
    made: list[list[Found]] = []
    for kind, ways in group.components:
        rows = [
            row
            for way in ways[focus.type]
            if not way.first or way.first in focus.value
            for given in follow(way, focus.value, resource)
            for row in make(kind, given)
        ]
        if not rows:
            return []
        made.append(rows)
    return made
