"""Which search parameters a query relies on: what is not indexed yet cannot be answered."""

from collections.abc import Iterable, Iterator, Sequence

from app.store import sight
from app.store.index.state import Need
from app.store.search.query import Query
from app.store.search.tree import (
    All,
    Belongs,
    Chain,
    Criterion,
    Elsewhere,
    Exists,
    Listed,
    Match,
    No,
    Reverse,
    Some,
    Words,
)


def needs(query: Query) -> set[Need]:
    """(type, code) of every parameter that selects, sorts or includes; code "*": every reference of the type."""
    found = set(_of_all(query.criteria, query.types)) | needs_of_sight(query.types)
    found |= {(type_, key.code) for key in query.order if key.field for type_ in query.types}
    return found | {(each.source, each.param) for each in query.includes}


def needs_of_sight(types: Sequence[str], right: str = "s") -> set[Need]:
    """The same of what decides which resources may be seen."""
    looking = sight.current()
    kept = looking.criterion(right, types) if looking else None
    return set() if kept is None else set(_of(kept, types))


def needs_of(criterion: Criterion, types: Sequence[str]) -> set[Need]:
    """The same of one criterion on resources of the types."""
    return set(_of(criterion, types))


def leads_to(query: Query, resource_type: str) -> set[str]:
    """The types of the other resources that decide what a query finds."""
    return set(_targets(query.criteria)) - {resource_type}


def _targets(criteria: Iterable[Criterion]) -> Iterator[str]:
    for each in criteria:
        match each:
            case Chain(types=types, inner=inner):
                yield from types
                yield from _targets([inner])
            case Reverse(type=source, inner=inner):
                yield source
                yield from _targets([inner])
            case Listed():
                yield "List"
            case All(parts=parts) | Some(parts=parts):
                yield from _targets(parts)
            case No(part=inner):
                yield from _targets([inner])


def _of_all(criteria: Iterable[Criterion], types: Sequence[str]) -> Iterator[Need]:
    for each in criteria:
        yield from _of(each, types)


def _of(criterion: Criterion, types: Sequence[str]) -> Iterator[Need]:
    match criterion:
        case All(parts=parts) | Some(parts=parts):
            yield from _of_all(parts, types)
        case No(part=inner):
            yield from _of(inner, types)
        case Match(field=field):
            yield from _each(types, field.param)
        case Exists(fields=fields):
            for field in fields:
                yield from _each(types, field.param)
        case Words(where=where):
            yield from _each(types, where)
        case Listed():
            yield "List", "item"
            yield from needs_of_sight(("List",))
        case Belongs(params=params) | Elsewhere(params=params):
            yield from ((type_, name) for type_, names in params for name in names)
        case Chain(param=param, types=targets, inner=inner, by_url=by_url):
            yield from _each(types, param)
            yield from _each(targets, "url") if by_url else ()
            yield from _of(inner, targets)
            yield from needs_of_sight(targets)
        case Reverse(type=source, param=param, inner=inner):
            yield source, param
            yield from _of(inner, (source,))
            yield from needs_of_sight((source,))


def _each(types: Sequence[str], param: str) -> Iterator[Need]:
    # What stands behind : or . is a form of the same parameter's values.
    code = param.partition(":")[0].partition(".")[0]
    for type_ in types:
        yield type_, code
