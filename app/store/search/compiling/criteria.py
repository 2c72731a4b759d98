"""Criteria as conditions on versions, as they stood in a snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select, tuple_

from app.store import sight
from app.store.index.fulltext import matches as has_words
from app.store.search.compiling.ranges import moment
from app.store.search.compiling.rows import columns_of, has_match, has_value, listed, one_of
from app.store.search.tree import (
    All,
    Belongs,
    Chain,
    Criterion,
    Elsewhere,
    Exists,
    Ids,
    Kinds,
    Listed,
    Match,
    No,
    Reverse,
    Some,
    Updated,
    Words,
)
from app.store.snapshot import Snapshot, visible
from app.store.tables import SearchReference, SearchUri, Version

_LIST, _ITEM, _URL = "List", "item", "url"
# Which criterion of several most likely matches least; what is not named here comes last.
_SELECTIVE = ("reference", "uri", "string", "token", "composite", "quantity", "number", "date")


@dataclass(frozen=True, slots=True)
class Compiler:
    """Compiles criteria for one moment. What the one who looks may not see matches nothing (app/store/sight.py), at
    either end of a chain.

    snapshot None: now. is_sqlite: of several criteria only one becomes a list of versions, and the others are looked
    up for those: SQLite would make all the lists. PostgreSQL is told the sets, and joins them by its statistics.
    """

    snapshot: Snapshot | None = None
    is_sqlite: bool = False

    def among(self, version: Any, types: Sequence[str], criteria: Sequence[Criterion]) -> list[ColumnElement[bool]]:
        """Conditions on the columns of a version: there then, of one of the types, and as asked."""
        there = [one_of(version.type, types), visible(version, self.snapshot), not_(version.deleted)]
        return [*there, *self.seen(version, types), *self._every(criteria, types, version, leads=True)]

    def asked(self, version: Any, types: Sequence[str], criteria: Sequence[Criterion]) -> list[ColumnElement[bool]]:
        """Conditions on the columns of a version that is known, whether it is the current one or not: as asked."""
        there = [one_of(version.type, types), *self.seen(version, types)]
        return [*there, *self._every(criteria, types, version, leads=False)]

    def seen(self, version: Any, types: Sequence[str], right: str = "s") -> list[ColumnElement[bool]]:
        """Conditions on the columns of a version of one of the types: what the one who looks has the right to."""
        looking = sight.current()
        kept = looking.criterion(right, types) if looking else None
        return [] if kept is None else [self._condition(kept, types, version, leads=False)]

    def fits(self, version: Any, types: Sequence[str], criterion: Criterion) -> list[ColumnElement[bool]]:
        """Conditions on the columns of a version that is known: of one of the types, and as that, whoever looks."""
        return [one_of(version.type, types), self._condition(criterion, types, version, leads=False)]

    def _every(
        self, criteria: Sequence[Criterion], types: Sequence[str], version: Any, *, leads: bool
    ) -> list[ColumnElement[bool]]:
        first = min(criteria, key=_rank, default=None) if leads else None
        return [self._condition(each, types, version, leads=each is first) for each in criteria]

    def _condition(
        self, criterion: Criterion, types: Sequence[str], version: Any, *, leads: bool
    ) -> ColumnElement[bool]:
        match criterion:
            case All(parts=parts):
                return and_(True, *self._every(parts, types, version, leads=leads))
            case Some(parts=parts):
                return or_(False, *(self._condition(each, types, version, leads=leads) for each in parts))
            case No(part=inner):
                return not_(self._condition(inner, types, version, leads=False))
            case Match():
                one_by_one = self.is_sqlite and not leads
                return has_match(criterion, version.vid) if one_by_one else listed(criterion, types, version.vid)
            case Exists(fields=fields):
                return or_(*(has_value(each, version.vid) for each in fields))
            case Ids(ids=ids):
                return one_of(version.id, ids)
            case Updated(ranges=ranges):
                return or_(*(moment(version.last_updated, each) for each in ranges))
            case Kinds(types=kinds):
                return one_of(version.type, kinds)
        return self._linked(criterion, types, version)

    def _linked(self, criterion: Criterion, types: Sequence[str], version: Any) -> ColumnElement[bool]:
        found: ColumnElement[bool]
        match criterion:
            case Chain():
                found = version.vid.in_(self._chain(criterion, types))
            case Reverse():
                found = _is_target(version, types, self._referring(criterion.type, criterion.param, [criterion.inner]))
            case Listed(list_id=list_id):
                found = _is_target(version, types, self._referring(_LIST, _ITEM, [Ids((list_id,))]))
            case Belongs():
                found = version.vid.in_(self._members(criterion))
            case Elsewhere(target=target, params=params):
                link = columns_of(SearchReference)
                other = [link.target_type == target.type, link.target_id != target.id, _by_one_of(link, params)]
                found = exists(select(1).where(link.vid == version.vid, *other))
            case Words(where=where, text=text):
                found = has_words(where, text, version.vid)
            case _:
                raise TypeError(type(criterion).__name__)
        return found

    def _chain(self, chain: Chain, types: Sequence[str]) -> Any:
        link, target = columns_of(SearchReference), columns_of(Version)
        there = self.among(target, chain.types, [chain.inner])
        own = [one_of(link.type, types), link.param == chain.param]
        if len(chain.types) == 1:
            ids = _set(select(target.id).where(*there))
            by_id = select(link.vid).where(*own, link.target_type == chain.types[0], link.target_id.in_(ids))
        else:
            keys = _set(select(target.id, target.type).where(*there))
            by_id = select(link.vid).where(*own, tuple_(link.target_id, link.target_type).in_(keys))
        return by_id.union_all(self._chain_by_url(chain, types)) if chain.by_url else by_id

    def _chain_by_url(self, chain: Chain, types: Sequence[str]) -> Any:
        """Canonical resources are referred to by their url."""
        link, target, url = columns_of(SearchReference), columns_of(Version), columns_of(SearchUri)
        there = _set(select(target.vid).where(*self.among(target, chain.types, [chain.inner])))
        urls = select(url.value).where(one_of(url.type, chain.types), url.param == _URL, url.vid.in_(there))
        own = [one_of(link.type, types), link.param == chain.param, link.target_type == ""]
        return select(link.vid).where(*own, link.target_id.in_(urls))

    def _referring(self, source: str, param: str, criteria: Sequence[Criterion]) -> Any:
        """All that resources of a type refer to, if they are as asked."""
        link, version = columns_of(SearchReference), columns_of(Version)
        there = select(version.vid).where(*self.among(version, (source,), criteria))
        own = [link.type == source, link.param == param, link.vid.in_(_set(there))]
        return select(link.target_type, link.target_id).where(*own).cte()

    def _members(self, belongs: Belongs) -> Any:
        link, own, target = columns_of(SearchReference), columns_of(Version), belongs.target
        itself = [own.type == target.type, own.id == target.id, visible(own, self.snapshot)]
        to_target = [link.target_id == target.id, link.target_type == target.type]
        of_target = select(link.vid).where(*to_target, _by_one_of(link, belongs.params))
        return select(own.vid).where(*itself).union_all(of_target)


def _rank(criterion: Criterion) -> int:
    match criterion:
        case Ids():
            return -2
        case Belongs() | Listed() | Words():
            return -1
        case Match(field=field):
            return _SELECTIVE.index(field.kind)
        case Chain() | Reverse():
            return _SELECTIVE.index("token")
    return len(_SELECTIVE)


def _by_one_of(link: Any, params: Sequence[tuple[str, Sequence[str]]]) -> ColumnElement[bool]:
    """Whether a row of references stands under one of the params of its type; by (type, params)."""
    return or_(False, *(and_(link.type == each, one_of(link.param, names)) for each, names in params))


def _is_target(version: Any, types: Sequence[str], targets: Any) -> ColumnElement[bool]:
    found: ColumnElement[bool]
    if len(types) == 1:
        found = version.id.in_(select(targets.c.target_id).where(targets.c.target_type == types[0]))
    else:
        found = tuple_(version.type, version.id).in_(select(targets.c.target_type, targets.c.target_id))
    return found


def _set(statement: Any) -> Any:
    """The statement to be named before the whole: SQLite takes chains of three links at most inside each other."""
    named = statement.cte()
    return select(*named.c)
