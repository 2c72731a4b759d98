"""What a limited client may see and change, as one criterion: searches carry it, and stored versions are held to it.

The rules are told in docs/access.md, section "What a scope lets one do".
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.fhir import json as lossless
from app.fhir.compartments import compartments
from app.fhir.outcomes import Forbidden, Issue, Refused
from app.store.index.state import require_indexed
from app.store.keys import among, chunks
from app.store.repository import Stored
from app.store.search.compiling.criteria import Compiler
from app.store.search.needs import needs_of
from app.store.search.query import Searcher
from app.store.search.results import CONTROL
from app.store.search.scratch import fitting
from app.store.search.tree import All, Belongs, Criterion, Elsewhere, Ids, Kinds, No, Some, Target
from app.store.sight import VersionKey
from app.store.tables import Content, Version

_PATIENT = "Patient"
_READING = "rs"
# Its members are the others: who may see one patient may see a group of nobody else only.
_LISTS_OTHERS = frozenset({"Group"})
# A grant says what a resource itself is like. What others it is linked to is for no grant to ask.
_NOT_IN_GRANTS = (*CONTROL, "_list", "_filter", "_has", "_text", "_content", "_type")
_VERSION: Any = Version.__table__.c  # type: ignore[attr-defined]
_CONTENT: Any = Content.__table__.c  # type: ignore[attr-defined]
_KEY = (_VERSION.type, _VERSION.id, _VERSION.version)
_NOTHING = Some(())


class Limit(Protocol):
    """In the compartment of this patient, if named, and found by this search, if given."""

    @property
    def patient(self) -> str: ...

    @property
    def query(self) -> str: ...


class Limits(Protocol):
    """What grants say: None for all, else what a resource must meet one of; () for nothing."""

    def limits(self, right: str, resource_type: str) -> Sequence[Limit] | None: ...


class Sighted:
    """A sight (app/store/sight.py) by limits. base: the address of this server's FHIR endpoint; text: the limits, as
    what acts for them later keeps them."""

    def __init__(self, limits: Limits, searcher: Searcher, base: str, text: str) -> None:
        self._limits, self._searcher, self._base = limits, searcher, base
        self.text = text
        self._made: dict[tuple[str, tuple[str, ...]], Criterion | None] = {}

    @property
    def types(self) -> Sequence[str]:
        return tuple(self._searcher.parameters.types)

    def may(self, rights: str, resource_type: str) -> bool:
        return any(self._limits.limits(right, resource_type) != () for right in rights)

    def is_whole(self, rights: str, resource_type: str) -> bool:
        return any(self._limits.limits(right, resource_type) is None for right in rights)

    def is_cut(self, rights: str, resource_type: str) -> bool:
        limits = [self._limits.limits(right, resource_type) for right in rights]
        return not any(found is None or any(not one.query for one in found) for found in limits)

    def require(self, right: str, types: Sequence[str], path: str = "") -> None:
        if not any(self.may(right, each) for each in types):
            which = types[0] if len(types) == 1 else "any of these types"
            told = f"The scopes of this token give no right to {_DOING[right]} {which} (.{right})."
            raise Forbidden([Issue("forbidden", told, path, rule="dmt-scope")])

    def criterion(self, right: str, types: Sequence[str]) -> Criterion | None:
        key = (right, tuple(types))
        if key not in self._made:
            self._made[key] = self._criterion(right, types)
        return self._made[key]

    def _criterion(self, right: str, types: Sequence[str]) -> Criterion | None:
        """The types with the same limits stand together."""
        together: dict[tuple[tuple[str, str], ...] | None, list[str]] = {}
        for each in types:
            found = self._limits.limits(right, each)
            together.setdefault(None if found is None else tuple((one.patient, one.query) for one in found), []).append(
                each
            )
        if set(together) <= {None}:
            return None
        ways = [
            All((Kinds(tuple(kinds)), *([] if limits is None else [self._one_of(limits, kinds, right)])))
            for limits, kinds in together.items()
            if limits != ()
        ]
        return Some(tuple(ways))

    def _one_of(self, limits: Sequence[tuple[str, str]], types: Sequence[str], right: str) -> Criterion:
        return Some(tuple(self._within(patient, query, types, right) for patient, query in limits))

    def _within(self, patient: str, query: str, types: Sequence[str], right: str) -> Criterion:
        own = [_of_patient(patient, types, right)] if patient else []
        asked = [Some(tuple(self._asked(query, each) for each in types))] if query else []
        return All((*own, *asked))

    def _asked(self, query: str, resource_type: str) -> Criterion:
        """What the search of a grant asks; one that cannot be understood of the type gives nothing of it."""
        given = parse_qsl(query, keep_blank_values=True)
        names = [name.partition(":")[0] for name, _ in given]
        if not given or any(name in _NOT_IN_GRANTS or "." in name for name in names):
            return _NOTHING
        try:
            found = self._searcher.parse(resource_type, given, strict=True, base=self._base)
        except Refused:
            return _NOTHING
        return All((Kinds((resource_type,)), *found.criteria))

    async def seen(self, connection: AsyncConnection, rights: str, versions: Iterable[Stored]) -> frozenset[VersionKey]:
        asked = list(versions)
        found = {_key(each) for each in asked if self.is_whole(rights, each.type)}
        rest = [each for each in asked if _key(each) not in found and self.may(rights, each.type)]
        for part in chunks(rest):
            found |= await self._looked_up(connection, rights, part)
        return frozenset(found)

    async def _looked_up(self, connection: AsyncConnection, rights: str, versions: Sequence[Stored]) -> set[VersionKey]:
        """A deletion says nothing of what it was: what it deleted does."""
        meant: dict[VersionKey, list[VersionKey]] = {}
        for each in versions:
            meant.setdefault((each.type, each.id, each.version - each.deleted), []).append(_key(each))
        rows = [row for row in await _rows(connection, meant) if tuple(row[1:4]) in meant]
        if not rows:
            return set()
        types = sorted({row.type for row in rows})
        ways = [way for right in rights if (way := self.criterion(right, types)) is not None]
        fit = await self._fitting(connection, Some(tuple(ways)), types, rows)
        return {key for row in rows if row.vid in fit for key in meant[row.type, row.id, row.version]}

    async def _fitting(
        self, connection: AsyncConnection, criterion: Criterion, types: Sequence[str], rows: Sequence[Any]
    ) -> set[int]:
        """The row numbers of versions that fit. Where search values were forgotten, they are made anew."""
        await require_indexed(connection, needs_of(criterion, types))
        compiler = Compiler(is_sqlite=connection.dialect.name == "sqlite")
        conditions = compiler.fits(_VERSION, types, criterion)
        vids = [row.vid for row in rows if row.indexed]
        found: set[int] = set()
        if vids:
            statement = select(_VERSION.vid).where(_VERSION.vid.in_(vids), *conditions)
            found |= set((await connection.execute(statement)).scalars())
        for row in rows:
            if not row.indexed:
                text = await connection.scalar(select(_CONTENT.text).where(_CONTENT.vid == row.vid))
                tree = lossless.parse_object(text or b"{}")
                if fitting(tree, criterion, self._searcher.parameters, self._base):
                    found.add(row.vid)
        return found


_DOING = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}


def _of_patient(patient: str, types: Sequence[str], right: str) -> Criterion:
    """In the patient's compartment: what is written, in nobody else's.

    A patient who is linked to another one is another record: for whoever serves one, it is not there.
    """
    target = Target(patient, _PATIENT)
    members = compartments()[_PATIENT]
    params = tuple((each, tuple(members[each])) for each in types if each != _PATIENT and members.get(each))
    itself = [All((Kinds((_PATIENT,)), Ids((patient,))))] if _PATIENT in types else []
    alone = tuple(each for each in params if right not in _READING or each[0] in _LISTS_OTHERS)
    belongs = [All((Kinds(tuple(each for each, _ in params)), Belongs(target, params)))] if params else []
    inside = Some((*itself, *belongs))
    return All((inside, No(Elsewhere(target, alone)))) if alone else inside


def _key(stored: Stored) -> VersionKey:
    return stored.type, stored.id, stored.version


async def _rows(connection: AsyncConnection, meant: Iterable[VersionKey]) -> Sequence[Any]:
    """(vid, type, id, version, indexed, deleted) of the versions, and of some more."""
    keys = list(meant)
    chosen = among(_VERSION.type, _VERSION.id, {key[:2] for key in keys})
    numbers = _VERSION.version.in_(sorted({key[2] for key in keys}))
    columns = (_VERSION.vid, *_KEY, _VERSION.indexed)
    statement = select(*columns).where(chosen, numbers, ~_VERSION.deleted)
    return (await connection.execute(statement)).all()
