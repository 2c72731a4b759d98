"""The table of sync targets. A row that is changed gets another moment, so that a name and its moment name one
definition."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import clock
from app.store.tables import Outbox, SyncTarget
from app.store.upserts import upsert

_TARGET: Any = SyncTarget.__table__  # type: ignore[attr-defined]
_OUTBOX: Any = Outbox.__table__  # type: ignore[attr-defined]

Mark = tuple[tuple[str, int], ...]


async def mark(connection: AsyncConnection) -> Mark:
    """Which definitions there are: another one whenever any was changed."""
    rows = await connection.execute(select(_TARGET.c.name, _TARGET.c.updated_at).order_by(_TARGET.c.name))
    return tuple((row.name, row.updated_at) for row in rows)


async def read(connection: AsyncConnection) -> list[SyncTarget]:
    """All of them, by name."""
    rows = await connection.execute(select(_TARGET).order_by(_TARGET.c.name))
    return [SyncTarget(**row._mapping) for row in rows]


async def hold(connection: AsyncConnection) -> None:
    """Let every write that has read the targets end, and every later one wait until this transaction has.

    So a write is told to a new target, or was committed before and is met by whoever looks for what was. Every write
    reads the table, and keeps PostgreSQL's lock of a reader; on SQLite writes follow each other anyhow.
    """
    if connection.dialect.name != "sqlite":
        await connection.execute(text("LOCK TABLE sync_target IN ACCESS EXCLUSIVE MODE"))


async def put(connection: AsyncConnection, name: str, definition: str, origin: str) -> None:
    """Keep a definition under its name. The caller holds the table."""
    last = await connection.scalar(select(func.max(_TARGET.c.updated_at)))
    moment = max(await clock.now(connection), (last or 0) + 1)
    row = {"name": name, "definition": definition, "origin": origin, "revision": 1, "updated_at": moment}

    def changed(new: Any) -> dict[str, Any]:
        kept = {key: new[key] for key in ("definition", "origin", "updated_at")}
        return {**kept, "revision": _TARGET.c.revision + 1}

    await connection.execute(upsert(connection, SyncTarget, [row], ["name"], changed=changed))


async def remove(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Forget definitions; what waits for them, and what is known of them, stays. The caller holds the table."""
    await connection.execute(delete(_TARGET).where(_TARGET.c.name.in_(names)))


async def waiting(connection: AsyncConnection, name: str) -> int:
    """How many resources are noted for a target, whatever their state."""
    return int(await connection.scalar(select(func.count()).where(_OUTBOX.c.target == name)) or 0)


async def strike(connection: AsyncConnection, name: str) -> None:
    """Give up all that waits for a target."""
    await connection.execute(delete(_OUTBOX).where(_OUTBOX.c.target == name))
