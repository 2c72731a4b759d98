"""What targets have still to be told, who tells them, and what they are known to hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col

from app.store.tables import Content, Lease, Ledger, Outbox

# A refusal of a target is kept up to this length: enough for its OperationOutcome.
_LONGEST_REASON = 4_000


@dataclass(frozen=True, slots=True)
class Item:
    """One version a target has still to be told. content is None for a deletion."""

    oid: int
    type: str
    id: str
    version: int
    attempts: int
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A version a target has: etag is the target's own; verified says how it is known ("answer")."""

    type: str
    id: str
    version: int
    etag: str
    verified: str = "answer"


async def due(connection: AsyncConnection, target: str, *, now: int, limit: int) -> list[Item]:
    """The oldest pending items of a target that need not wait, in the order they were written."""
    columns = (Outbox.oid, Outbox.type, Outbox.id, Outbox.version, Outbox.attempts, Content.text)
    statement = (
        select(*columns)  # type: ignore[call-overload]
        .outerjoin(Content, col(Content.vid) == col(Outbox.vid))
        .where(col(Outbox.target) == target, col(Outbox.state) == "pending", col(Outbox.not_before) <= now)
        .order_by(col(Outbox.oid))
        .limit(limit)
    )
    return [Item(*row) for row in await connection.execute(statement)]


async def claim(connection: AsyncConnection, target: str, owner: str, *, now: int, until: int) -> bool:
    """Take or keep the lease of a target; False while another worker holds it."""
    table = Lease.__table__  # type: ignore[attr-defined]
    free = (table.c.owner == owner) | (table.c.until < now)
    statement = _upsert(connection, Lease, {"target": target, "owner": owner, "until": until}, ["target"], free)
    return bool((await connection.execute(statement.returning(table.c.target))).first())


async def release(connection: AsyncConnection, target: str, owner: str) -> None:
    """Give the lease back, so that another worker need not wait for its end."""
    await connection.execute(delete(Lease).where(col(Lease.target) == target, col(Lease.owner) == owner))


async def delivered(connection: AsyncConnection, target: str, deliveries: Iterable[Delivery], *, now: int) -> None:
    """Note what the target now holds, and strike those versions and older ones off the list."""
    for done in deliveries:
        row = {
            "target": target,
            "type": done.type,
            "id": done.id,
            "version": done.version,
            "remote_etag": done.etag,
            "delivered_at": now,
            "verified": done.verified,
        }
        # A worker that lost its lease may come late: what is known to be newer stays.
        newer = col(Ledger.version) <= done.version
        await connection.execute(_upsert(connection, Ledger, row, ["target", "type", "id"], newer))
        await _strike(connection, target, done.type, done.id, done.version)


async def refused(connection: AsyncConnection, target: str, item: Item, reason: str) -> None:
    """Put an item among the dead letters, with what the target said; older versions of it are not sent either."""
    values = {"state": "dead", "reason": reason[:_LONGEST_REASON], "attempts": col(Outbox.attempts) + 1}
    await connection.execute(update(Outbox).where(col(Outbox.oid) == item.oid).values(**values))
    await _strike(connection, target, item.type, item.id, item.version)


async def tried(connection: AsyncConnection, oids: Sequence[int], reason: str) -> None:
    """Count an attempt that brought no answer to rely on; the items stay pending."""
    values = {"attempts": col(Outbox.attempts) + 1, "reason": reason[:_LONGEST_REASON]}
    await connection.execute(update(Outbox).where(col(Outbox.oid).in_(oids)).values(**values))


async def postponed(connection: AsyncConnection, oid: int, reason: str, *, not_before: int) -> None:
    """Let one item wait while the others go on."""
    await tried(connection, [oid], reason)
    await connection.execute(update(Outbox).where(col(Outbox.oid) == oid).values(not_before=not_before))


async def waiting(connection: AsyncConnection, target: str, *, now: int) -> set[tuple[str, str]]:
    """The resources (type, id) that a target could not take so far and that are sent to it again later."""
    chosen = (col(Outbox.target) == target, col(Outbox.state) == "pending", col(Outbox.not_before) > now)
    rows = await connection.execute(select(Outbox.type, Outbox.id).where(*chosen))  # type: ignore[call-overload]
    return {(row.type, row.id) for row in rows}


async def status(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Per target: how many are pending and dead, since when the oldest waits, when last something arrived."""
    waiting = await connection.execute(
        select(Outbox.target, Outbox.state, func.count(), func.min(Outbox.created_at)).group_by(  # type: ignore[call-overload]
            Outbox.target, Outbox.state
        )
    )
    found: dict[str, dict[str, Any]] = {}
    for target, state, count, oldest in waiting:
        found.setdefault(target, {})[state] = count
        if state == "pending":
            found[target]["oldest"] = oldest
    held = await connection.execute(
        select(Ledger.target, func.count(), func.max(Ledger.delivered_at)).group_by(Ledger.target)  # type: ignore[call-overload]
    )
    for target, count, latest in held:
        found.setdefault(target, {}).update(delivered=count, latest=latest)
    return [{"target": target, **values} for target, values in sorted(found.items())]


async def letters(
    connection: AsyncConnection, state: str, *, target: str = "", after: int = 0, limit: int = 100
) -> list[Outbox]:
    """Pending items or dead letters after a place in the list, oldest first."""
    chosen = [col(Outbox.state) == state, col(Outbox.oid) > after]
    if target:
        chosen.append(col(Outbox.target) == target)
    rows = await connection.execute(select(Outbox.__table__).where(*chosen).order_by(col(Outbox.oid)).limit(limit))  # type: ignore[attr-defined]
    return [Outbox(**row._mapping) for row in rows]


async def ledger(connection: AsyncConnection, resource_type: str, resource_id: str) -> list[Ledger]:
    """Which targets hold which version of a resource."""
    chosen = (col(Ledger.type) == resource_type, col(Ledger.id) == resource_id)
    rows = await connection.execute(select(Ledger.__table__).where(*chosen).order_by(col(Ledger.target)))  # type: ignore[attr-defined]
    return [Ledger(**row._mapping) for row in rows]


async def _strike(connection: AsyncConnection, target: str, resource_type: str, resource_id: str, version: int) -> None:
    """Take a version and all older ones off the list of what is pending."""
    chosen = (col(Outbox.target) == target, col(Outbox.type) == resource_type, col(Outbox.id) == resource_id)
    await connection.execute(
        delete(Outbox).where(*chosen, col(Outbox.version) <= version, col(Outbox.state) == "pending")
    )


def _upsert(
    connection: AsyncConnection, table: type[SQLModel], row: dict[str, Any], key: list[str], where: Any = None
) -> Any:
    """INSERT, or UPDATE of the row with the same key if it meets the condition; both databases spell it alike."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = {name: value for name, value in row.items() if name not in key}
    return dialect.insert(table).values(row).on_conflict_do_update(index_elements=key, set_=values, where=where)
