"""The outbox as operators see it: what waits and since when, what was refused, and what they decide about that."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.keys import among, chunks
from app.store.outbox import LONGEST_REASON, free
from app.store.repository import Key
from app.store.tables import Outbox

_OUTBOX: Any = Outbox.__table__  # type: ignore[attr-defined]
# Rows of one transaction: writers of the same resources wait for its end.
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Queue:
    """How much waits for a target. waiting: of what is pending, what waits for what it refers to. oldest: when the
    first that is pending was written, 0 if none is."""

    pending: int = 0
    waiting: int = 0
    dead: int = 0
    conflict: int = 0
    oldest: int = 0


async def queues(connection: AsyncConnection) -> dict[str, Queue]:
    """Per target: how many wait, are dead letters, or wait for a person."""
    by = (_OUTBOX.c.target, _OUTBOX.c.state)
    blocked = func.sum(case((_OUTBOX.c.blocked_by != "", 1), else_=0))
    rows = await connection.execute(select(*by, func.count(), func.min(_OUTBOX.c.created_at), blocked).group_by(*by))
    found: dict[str, dict[str, int]] = {}
    for target, state, count, oldest, waiting in rows:
        found.setdefault(target, {})[state] = count
        if state == "pending":
            found[target] |= {"oldest": oldest, "waiting": int(waiting)}
    return {target: Queue(**values) for target, values in found.items()}


async def letters(
    connection: AsyncConnection, state: str, *, target: str = "", after: int = 0, limit: int = 100
) -> list[Outbox]:
    """Rows in a state ("pending", "dead", "conflict") after a place in the list, oldest first."""
    chosen = [_OUTBOX.c.state == state, _OUTBOX.c.oid > after]
    if target:
        chosen.append(_OUTBOX.c.target == target)
    rows = await connection.execute(select(_OUTBOX).where(*chosen).order_by(_OUTBOX.c.oid).limit(limit))
    return [Outbox(**row._mapping) for row in rows]


async def target_of(connection: AsyncConnection, oid: int) -> str | None:
    """Whose a row is, None if there is none of that number."""
    found: str | None = await connection.scalar(select(_OUTBOX.c.target).where(_OUTBOX.c.oid == oid))
    return found


async def replay(connection: AsyncConnection, target: str, *, oids: Collection[int] | None = None) -> int:
    """Send dead letters again, at once: these, or up to 500 of a target. Answers how many; the caller repeats."""
    rows = await _dead(connection, target, oids)
    values = {"state": "pending", "not_before": 0, "blocked_by": ""}
    await connection.execute(update(Outbox).where(_OUTBOX.c.oid.in_([row.oid for row in rows])).values(**values))
    return len(rows)


async def discard(connection: AsyncConnection, target: str, *, oids: Collection[int] | None = None) -> int:
    """Strike dead letters out: these, or up to 500 of a target. Answers how many; the caller repeats.

    What waits for them becomes a dead letter itself, and says for what it waited.
    """
    rows = await _dead(connection, target, oids)
    await connection.execute(delete(Outbox).where(_OUTBOX.c.oid.in_([row.oid for row in rows])))
    for row in rows:
        await _bury(connection, target, (row.type, row.id))
    return len(rows)


async def strike(connection: AsyncConnection, target: str, keys: Iterable[Key]) -> None:
    """Take resources off the list whatever their state, as when a person decided that the target keeps what it has."""
    for type_, id_ in sorted(set(keys)):
        own = (_OUTBOX.c.target == target, _OUTBOX.c.type == type_, _OUTBOX.c.id == id_)
        await connection.execute(delete(Outbox).where(*own))
    await free(connection, target, keys)


async def resume(connection: AsyncConnection, target: str, keys: Iterable[Key]) -> None:
    """A person has decided: what waited for that is sent."""
    for type_, id_ in sorted(set(keys)):
        own = (_OUTBOX.c.target == target, _OUTBOX.c.type == type_, _OUTBOX.c.id == id_)
        values = {"state": "pending", "not_before": 0, "attempts": 0}
        await connection.execute(update(Outbox).where(*own, _OUTBOX.c.state == "conflict").values(**values))


async def strike_all(connection: AsyncConnection, target: str) -> int:
    """Take up to 500 of what a target that goes away was to be told off the list. Answers how many."""
    rows = await _locked(connection, [_OUTBOX.c.target == target])
    await connection.execute(delete(Outbox).where(_OUTBOX.c.oid.in_([row.oid for row in rows])))
    return len(rows)


async def _bury(connection: AsyncConnection, target: str, key: Key) -> None:
    reference = "/".join(key)
    reason = f"It refers to {reference}, which the target refused and which was then discarded."
    blocked = [_OUTBOX.c.target == target, _OUTBOX.c.blocked_by == reference, _OUTBOX.c.state == "pending"]
    values = {"state": "dead", "reason": reason[:LONGEST_REASON], "status": 0}
    while rows := await _locked(connection, blocked):
        await connection.execute(update(Outbox).where(_OUTBOX.c.oid.in_([row.oid for row in rows])).values(**values))


async def _dead(connection: AsyncConnection, target: str, oids: Collection[int] | None) -> list[Any]:
    chosen = [_OUTBOX.c.target == target, _OUTBOX.c.state == "dead"]
    if oids is None:
        return await _locked(connection, chosen)
    found: list[Any] = []
    for part in chunks(sorted(oids)):
        found += await _locked(connection, [*chosen, _OUTBOX.c.oid.in_(part)])
    return found


async def _locked(connection: AsyncConnection, chosen: list[ColumnElement[bool]]) -> list[Any]:
    """Some rows, locked in the order in which everybody locks them."""
    order = (_OUTBOX.c.target, _OUTBOX.c.type, _OUTBOX.c.id)
    rows = select(_OUTBOX).where(*chosen).order_by(*order).limit(_CHUNK).with_for_update()
    return list(await connection.execute(rows))


async def letters_of(connection: AsyncConnection, target: str, keys: Iterable[Key]) -> set[Key]:
    """Those of the resources that are noted for a target, whatever their state."""
    found: set[Key] = set()
    for chunk in chunks(sorted(set(keys))):
        rows = select(_OUTBOX.c.type, _OUTBOX.c.id).where(
            _OUTBOX.c.target == target, among(_OUTBOX.c.type, _OUTBOX.c.id, chunk)
        )
        found |= {(row.type, row.id) for row in await connection.execute(rows)}
    return found
