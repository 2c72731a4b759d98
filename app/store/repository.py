"""Resources and their versions: reading them, and saving a set of changes with all that belongs to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Insert, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col

from app.store.parameters import SearchParameters
from app.store.tables import Audit, Outbox, Resource, SearchReference, SearchToken, Version

Key = tuple[str, str]  # ("Patient", "12")
# The most rows one statement names: SQLite takes 32,766 variables, PostgreSQL 32,767.
_CHUNK = 1_000


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


_STORED = (Version.type, Version.id, Version.version, Version.method, Version.last_updated, Version.content)


async def read(connection: AsyncConnection, resource_type: str, resource_id: str) -> Stored | None:
    """The current version, or None if there never was one."""
    return (await read_all(connection, [(resource_type, resource_id)])).get((resource_type, resource_id))


async def read_all(connection: AsyncConnection, keys: Iterable[Key]) -> dict[Key, Stored]:
    """The current versions of those of the keys that exist, deletions included."""
    found: dict[Key, Stored] = {}
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _CHUNK):
        chosen = tuple_(col(Resource.type), col(Resource.id)).in_(wanted[start : start + _CHUNK])
        statement = select(*_STORED).join(Resource, col(Resource.vid) == col(Version.vid)).where(chosen)  # type: ignore[call-overload]
        found |= {(row.type, row.id): Stored(*row) for row in await connection.execute(statement)}
    return found


async def read_version(
    connection: AsyncConnection, resource_type: str, resource_id: str, version: int
) -> Stored | None:
    """One version, or None if there is none of that number."""
    statement = _versions(resource_type, resource_id).where(col(Version.version) == version)
    row = (await connection.execute(statement)).first()
    return Stored(*row) if row else None


async def history(
    connection: AsyncConnection, resource_type: str, resource_id: str, *, count: int, below: int | None = None
) -> tuple[int, list[Stored]]:
    """How many versions there are, and up to count of them, newest first, below a version number if given."""
    every = _versions(resource_type, resource_id)
    total = await connection.scalar(select(func.count()).select_from(every.subquery()))
    page = every if below is None else every.where(col(Version.version) < below)
    rows = await connection.execute(page.order_by(col(Version.version).desc()).limit(count))
    return total or 0, [Stored(*row) for row in rows]


def _versions(resource_type: str, resource_id: str) -> Any:
    return select(*_STORED).where(col(Version.type) == resource_type, col(Version.id) == resource_id)  # type: ignore[call-overload]


async def save(
    connection: AsyncConnection,
    changes: Sequence[Change],
    *,
    parameters: SearchParameters,
    actor: str,
    request_id: str,
    base: str,
) -> None:
    """Save versions, current state, search values, outbox items and audit rows, all in the caller's transaction.

    No two changes may concern the same resource, and each must be the next version of its resource.
    """
    if not changes:
        return
    vids = await _insert_versions(connection, changes)
    rids = await _point_at(connection, changes, vids)
    await _index(connection, changes, rids, parameters, base)
    await _insert(connection, Outbox, _outbox_rows(changes, vids))
    await _insert(connection, Audit, [_audit_row(change.stored, actor, request_id) for change in changes])


async def _insert_versions(connection: AsyncConnection, changes: Sequence[Change]) -> list[int]:
    rows = [
        {
            "type": c.stored.type,
            "id": c.stored.id,
            "version": c.stored.version,
            "method": c.stored.method,
            "last_updated": c.stored.last_updated,
            "content": c.stored.content,
        }
        for c in changes
    ]
    statement = _into(Version).returning(col(Version.vid), sort_by_parameter_order=True)
    return [int(vid or 0) for vid in (await connection.execute(statement, rows)).scalars()]


async def _point_at(connection: AsyncConnection, changes: Sequence[Change], vids: Sequence[int]) -> dict[Key, int]:
    """Make each resource point at its new version; answers the row number of each."""
    states = {
        (c.stored.type, c.stored.id): {
            "version": c.stored.version,
            "vid": vid,
            "deleted": c.stored.deleted,
            "last_updated": c.stored.last_updated,
        }
        for c, vid in zip(changes, vids, strict=True)
    }
    rids: dict[Key, int] = await _rids(connection, [key for key, state in states.items() if state["version"] != 1])
    new = [{"type": key[0], "id": key[1], **state} for key, state in states.items() if key not in rids]
    for key, rid in rids.items():
        await connection.execute(update(Resource).where(col(Resource.rid) == rid).values(**states[key]))
    if new:
        statement = _into(Resource).returning(col(Resource.rid), sort_by_parameter_order=True)
        made = (await connection.execute(statement, new)).scalars().all()
        rids |= {(str(row["type"]), str(row["id"])): int(rid or 0) for row, rid in zip(new, made, strict=True)}
    return rids


async def _rids(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, int]:
    found: dict[Key, int] = {}
    for start in range(0, len(keys), _CHUNK):
        chosen = tuple_(col(Resource.type), col(Resource.id)).in_(keys[start : start + _CHUNK])
        rows = await connection.execute(select(Resource.type, Resource.id, Resource.rid).where(chosen))  # type: ignore[call-overload]
        found |= {(row.type, row.id): row.rid for row in rows}
    return found


async def _index(
    connection: AsyncConnection,
    changes: Sequence[Change],
    rids: Mapping[Key, int],
    parameters: SearchParameters,
    base: str,
) -> None:
    old = [rids[c.stored.type, c.stored.id] for c in changes if c.stored.version != 1]
    for table in (SearchToken, SearchReference):
        for start in range(0, len(old), _CHUNK):
            await connection.execute(delete(table).where(col(table.rid).in_(old[start : start + _CHUNK])))
    tokens: list[dict[str, Any]] = []
    references: list[dict[str, Any]] = []
    for change in changes:
        if change.tree is None:
            continue
        rid = rids[change.stored.type, change.stored.id]
        values = parameters.values(change.tree, base=base)
        tokens += [{"type": change.stored.type, "rid": rid, **token} for token in values.tokens]
        references += [{"type": change.stored.type, "rid": rid, **reference} for reference in values.references]
    await _insert(connection, SearchToken, tokens)
    await _insert(connection, SearchReference, references)


def _outbox_rows(changes: Sequence[Change], vids: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {
            "target": target,
            "type": c.stored.type,
            "id": c.stored.id,
            "version": c.stored.version,
            "vid": vid,
            "not_before": 0,
            "created_at": c.stored.last_updated,
        }
        for c, vid in zip(changes, vids, strict=True)
        for target in c.targets
    ]


def _audit_row(stored: Stored, actor: str, request_id: str) -> dict[str, Any]:
    return {
        "at": stored.last_updated,
        "actor": actor,
        "request_id": request_id,
        "method": stored.method,
        "type": stored.type,
        "id": stored.id,
        "version": stored.version,
    }


def _into(table: type[SQLModel]) -> Insert:
    return insert(table)


async def _insert(connection: AsyncConnection, table: type[SQLModel], rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(insert(table), rows)
