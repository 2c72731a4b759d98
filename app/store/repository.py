"""Resources and their versions: reading them, and saving a set of changes with all that belongs to it."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    bindparam,
    case,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col

from app.fhir.outcomes import Forbidden, Issue
from app.store import sight
from app.store.audit.rows import Agent, noted, patients_in, patients_of, row
from app.store.enqueue import Told, enqueue
from app.store.inserting import insert_all
from app.store.keys import among, chunks
from app.store.parameters import SearchParameters
from app.store.snapshot import Snapshot, stamp, visible
from app.store.tables import Audit, Content, Version

Key = tuple[str, str]  # ("Patient", "12")
_LARGE = 100_000  # bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored version. content is the resource's JSON text, None for a deletion; times in microseconds."""

    type: str
    id: str
    version: int
    method: str
    last_updated: int
    content: bytes | None

    @property
    def deleted(self) -> bool:
        return self.content is None


@dataclass(frozen=True, slots=True)
class Change:
    """A version to be saved. tree is the parsed content, None for a deletion; targets are told of it."""

    stored: Stored
    tree: dict[str, Any] | None
    targets: Sequence[str] = ()


_STORED: tuple[Any, ...] = (
    Version.type,
    Version.id,
    Version.version,
    Version.method,
    Version.last_updated,
    Content.text,
)
_WITH_CONTENT = (Content, col(Content.vid) == col(Version.vid))


@dataclass(frozen=True, slots=True)
class Past:
    """Which versions a history is about, in the words of R4 3.1.0.12; times in microseconds.

    type, id: "" for any. since: changed then or later. at: current at some time within [low, high).
    """

    type: str = ""
    id: str = ""
    since: int | None = None
    at: tuple[int, int] | None = None

    def conditions(self, snapshot: Snapshot | None) -> list[ColumnElement[bool]]:
        """What it asks of a version, among those there were at the time of the snapshot."""
        found = [col(column) == value for column, value in ((Version.type, self.type), (Version.id, self.id)) if value]
        if self.since is not None:
            found.append(col(Version.last_updated) >= self.since)
        if self.at is not None:
            low, high = self.at
            lasted = or_(col(Version.ended_at).is_(None), col(Version.ended_at) > low)
            found += [col(Version.last_updated) < high, lasted]
        if snapshot is not None:
            found.append(snapshot.holds(col(Version.since)))
        return found

    @property
    def order(self) -> tuple[Any, ...]:
        """What it is sorted by, each by an index: one resource by its versions, whatever the clocks of several servers
        say; else by time."""
        return (col(Version.version),) if self.id else (col(Version.last_updated), col(Version.vid))


async def read(connection: AsyncConnection, resource_type: str, resource_id: str) -> Stored | None:
    """The current version, or None if there never was one. Raises Forbidden for a type of which nothing may be read."""
    _require(resource_type)
    return (await read_all(connection, [(resource_type, resource_id)])).get((resource_type, resource_id))


async def read_all(
    connection: AsyncConnection, keys: Iterable[Key], snapshot: Snapshot | None = None
) -> dict[Key, Stored]:
    """The versions that are current now, or were in the snapshot, of those of the keys that exist; deletions too."""
    found: dict[Key, Stored] = {}
    for chunk in chunks(sorted(set(keys))):
        chosen = among(col(Version.type), col(Version.id), chunk)
        rows = await connection.execute(_select().where(chosen, visible(Version, snapshot)))
        found |= {(row.type, row.id): Stored(*row) for row in rows}
    return {(each.type, each.id): each for each in await seen(connection, list(found.values()))}


async def read_version(
    connection: AsyncConnection, resource_type: str, resource_id: str, version: int
) -> Stored | None:
    """One version, or None if there is none of that number. Raises Forbidden like `read`.

    Of what may not be seen as it is now, what it was may not be seen either.
    """
    _require(resource_type)
    if sight.current() and await read(connection, resource_type, resource_id) is None:
        return None
    own = (col(Version.type) == resource_type, col(Version.id) == resource_id, col(Version.version) == version)
    row = (await connection.execute(_select().where(*own))).first()
    return next(iter(await seen(connection, [Stored(*row)] if row else [])), None)


async def seen(connection: AsyncConnection, versions: list[Stored], rights: str = "r") -> list[Stored]:
    """Those of the versions that the one who looks has one of the rights to (app/store/sight.py)."""
    looking = sight.current()
    if looking is None or not versions:
        return versions
    covered = await looking.seen(connection, rights, versions)
    return [each for each in versions if _number(each) in covered]


def _require(resource_type: str) -> None:
    if looking := sight.current():
        looking.require("r", [resource_type])


async def read_rows(connection: AsyncConnection, vids: Sequence[int]) -> list[Stored]:
    """The versions of these rows, in the order of their numbers: no more than one statement may name."""
    rows = await connection.execute(_select().where(col(Version.vid).in_(vids)).order_by(col(Version.vid)))
    return [Stored(*row) for row in rows]


async def history(
    connection: AsyncConnection,
    past: Past,
    *,
    count: int,
    before: Sequence[int] = (),
    snapshot: Snapshot | None = None,
) -> list[tuple[Sequence[int], Stored]]:
    """Up to count versions with their places in the order, newest first, before a place if given.

    Raises Forbidden for a history of which nothing may be seen.
    """
    conditions, order = past.conditions(snapshot) + _seen_of(past), past.order
    found: list[tuple[Sequence[int], Stored]] = []
    while len(found) < count:
        later = [tuple_(*order) < tuple_(*before)] if before else []
        statement = _select(*order).where(*conditions, *later).order_by(*(each.desc() for each in order)).limit(count)
        rows = [(row[: len(order)], Stored(*row[len(order) :])) for row in await connection.execute(statement)]
        shown = await _seen_versions(connection, past, [stored for _, stored in rows])
        found += [(tuple(place), stored) for place, stored in rows if _number(stored) in shown]
        if len(rows) < count:
            break
        before = tuple(rows[-1][0])
    return found[:count]


async def count_history(connection: AsyncConnection, past: Past, *, snapshot: Snapshot | None = None) -> int:
    """How many versions a history has. Raises Forbidden like `history`."""
    conditions = past.conditions(snapshot) + _seen_of(past)
    if sight.current() and past.id:
        # Content does not matter here, but whether there is any.
        content = case((col(Version.deleted), null()), else_=literal(b""))
        statement: Any = select(*_STORED[:-1], content).where(*conditions)
        rows = await connection.execute(statement)
        versions = [Stored(*row) for row in rows]
        return len(await _seen_versions(connection, past, versions))
    return int(await connection.scalar(select(func.count()).where(*conditions)) or 0)


def _seen_of(past: Past) -> list[ColumnElement[bool]]:
    """Conditions: the types whose history the one who looks may see; that of one resource is looked at one by one."""
    looking = sight.current()
    if looking is None or past.id:
        return []
    types = [past.type] if past.type else looking.types
    looking.require("s", types)
    whole = [each for each in types if looking.is_whole("s", each)]
    if not whole:
        told = "This token is for part of these resources; their history can be read one by one: Type/id/_history."
        raise Forbidden([Issue("forbidden", told, rule="dmt-scope")])
    return [] if past.type else [col(Version.type).in_(whole)]


async def _seen_versions(connection: AsyncConnection, past: Past, versions: list[Stored]) -> set[tuple[str, str, int]]:
    return {_number(each) for each in (await seen(connection, versions) if past.id else versions)}


def _number(stored: Stored) -> tuple[str, str, int]:
    return stored.type, stored.id, stored.version


async def deletions(connection: AsyncConnection, versions: Iterable[tuple[str, str, int]]) -> set[tuple[str, str, int]]:
    """Those of the versions (type, id, number) that are deletions."""
    found: set[tuple[str, str, int]] = set()
    own = (col(Version.type), col(Version.id), col(Version.version))
    for chunk in chunks(sorted(set(versions))):
        chosen = among(*own[:2], {(type_, id_) for type_, id_, _ in chunk})
        rows = await connection.execute(select(*own).where(chosen, col(Version.deleted)))
        found |= {(row.type, row.id, row.version) for row in rows}.intersection(chunk)
    return found


def _select(*before: Any) -> Any:
    return select(*before, *_STORED).outerjoin(*_WITH_CONTENT)


async def save(
    connection: AsyncConnection,
    changes: Sequence[Change],
    *,
    parameters: SearchParameters,
    agent: Agent,
    base: str,
) -> None:
    """Save versions, current state, search values, outbox items and audit rows, all in the caller's transaction.

    No two changes may concern the same resource, and each must be the next version of its resource.
    """
    if not changes:
        return
    moment = await stamp(connection)
    # What is deleted has no search values; before it is, it has.
    patients = await patients_of(connection, [(c.stored.type, c.stored.id) for c in changes if c.stored.deleted])
    await _end(connection, changes, moment)
    vids = await _insert_versions(connection, changes, moment)
    # What takes long to index must not keep the others waiting.
    is_large = sum(len(c.stored.content or b"") for c in changes) > _LARGE
    index = partial(_index_rows, changes, vids, parameters, base)
    rows, concerned = await asyncio.to_thread(index) if is_large else index()
    rows[Content] = [
        {"vid": vid, "text": c.stored.content, "digest": hashlib.sha256(c.stored.content).digest()}
        for c, vid in zip(changes, vids, strict=True)
        if c.stored.content is not None
    ]
    patients |= concerned
    rows[Audit] = [_audit_row(each.stored, agent, patients) for each in changes]
    await insert_all(connection, rows)
    if request := noted():
        request.changes += len(changes)
    if told := _told(changes, vids):
        await enqueue(connection, told, base)


async def _end(connection: AsyncConnection, changes: Sequence[Change], moment: int) -> None:
    """The versions that are replaced end here."""
    replaced = [
        {"own_type": c.stored.type, "own_id": c.stored.id, "ended_at": c.stored.last_updated}
        for c in changes
        if c.stored.version != 1
    ]
    if replaced:
        await connection.execute(_ENDED.values(until=moment), replaced)


async def _insert_versions(connection: AsyncConnection, changes: Sequence[Change], moment: int) -> list[int]:
    rows = [
        {
            "type": c.stored.type,
            "id": c.stored.id,
            "version": c.stored.version,
            "method": c.stored.method,
            "deleted": c.stored.deleted,
            "last_updated": c.stored.last_updated,
            "since": moment,
        }
        for c in changes
    ]
    return [int(vid or 0) for vid in (await connection.execute(_NEW, rows)).scalars()]


def _index_rows(
    changes: Sequence[Change], vids: Sequence[int], parameters: SearchParameters, base: str
) -> tuple[dict[type[SQLModel], list[dict[str, Any]]], dict[Key, list[str]]]:
    """The search values, and which patients each resource is about."""
    found: dict[type[SQLModel], list[dict[str, Any]]] = {}
    patients: dict[Key, list[str]] = {}
    for change, vid in zip(changes, vids, strict=True):
        if change.tree is None:
            continue
        key = change.stored.type, change.stored.id
        values = parameters.rows(change.tree, base=base)
        patients[key] = patients_in(*key, values)
        for table, rows in values.items():
            found.setdefault(table, []).extend({"type": key[0], "vid": vid, **row} for row in rows)
    return found, patients


def _told(changes: Sequence[Change], vids: Sequence[int]) -> list[Told]:
    return [
        Told(c.stored.type, c.stored.id, c.stored.version, vid, c.stored.last_updated, c.tree, c.targets)
        for c, vid in zip(changes, vids, strict=True)
        if c.targets
    ]


def _audit_row(stored: Stored, agent: Agent, patients: Mapping[Key, Sequence[str]]) -> dict[str, Any]:
    found = patients.get((stored.type, stored.id))
    made = row(stored.last_updated, agent, stored.method, stored.type, stored.id, stored.version)
    return made | {"patient": found[0] if found else ""}


_NEW = insert(Version).returning(col(Version.vid), sort_by_parameter_order=True)
# The column to be set and the one to be compared have other names than each other: values are given by name.
_ENDED = (
    update(Version)
    .where(
        col(Version.type) == bindparam("own_type"),
        col(Version.id) == bindparam("own_id"),
        col(Version.until).is_(None),
    )
    .values(ended_at=bindparam("ended_at"))
)
