"""What the workers know of a target together: whether it answers, what it can do, what was done so far."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import clock
from app.store.tables import NOT_FILLING, SyncState
from app.store.upserts import upsert

_STATE: Any = SyncState.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class State:
    """One target, as in the table sync_state; moments by the database's clock."""

    target: str
    failures: int = 0
    open_until: int = 0
    paused: bool = False
    backfill: int = NOT_FILLING
    capabilities: str = ""
    capabilities_at: int = 0
    batch_size: int = 0
    sent: int = 0
    refused: int = 0
    retried: int = 0
    conflicts: int = 0
    pulled: int = 0
    last_success_at: int = 0
    last_error_at: int = 0
    last_error: str = ""


_COLUMNS = [_STATE.c[name] for name in State.__dataclass_fields__]
_COUNTERS = frozenset(("sent", "refused", "retried", "conflicts", "pulled"))


async def read(connection: AsyncConnection, target: str) -> State:
    """What is known of a target; of one that was never served, nothing."""
    row = (await connection.execute(select(*_COLUMNS).where(_STATE.c.target == target))).first()
    return State(*row) if row else State(target)


async def read_all(connection: AsyncConnection) -> dict[str, State]:
    """What is known of each target that was ever served."""
    return {row.target: State(*row) for row in await connection.execute(select(*_COLUMNS))}


async def hold(connection: AsyncConnection, target: str) -> State:
    """What is known of a target, and nobody else changes it, or claims anything for it, until the transaction ends."""
    chosen = select(*_COLUMNS).where(_STATE.c.target == target).with_for_update()
    row = (await connection.execute(chosen)).first()
    if row is None:
        own = upsert(connection, SyncState, [_row(target)], ["target"], changed=lambda new: {"target": new.target})
        await connection.execute(own)
        row = (await connection.execute(chosen)).one()
    return State(*row)


async def change(connection: AsyncConnection, target: str, **values: Any) -> None:
    """Set some of what is known, such as paused=True or batch_size=25."""
    statement = update(SyncState).where(_STATE.c.target == target).values(**values)
    if not (await connection.execute(statement)).rowcount:
        await hold(connection, target)
        await connection.execute(statement)


async def conclude(connection: AsyncConnection, target: str, capabilities: str) -> None:
    """Keep what was read of a target's capabilities, and when."""
    now = await clock.now(connection)
    await change(connection, target, capabilities=capabilities, capabilities_at=now)


async def count(connection: AsyncConnection, target: str, **counts: int) -> None:
    """Add to the counters: sent, refused, retried, conflicts, pulled. At the end of a transaction, others wait."""
    if unknown := counts.keys() - _COUNTERS:
        raise ValueError(f"no such counter: {', '.join(sorted(unknown))}")
    if any(counts.values()):
        await change(connection, target, **{name: _STATE.c[name] + number for name, number in counts.items()})


async def forget(connection: AsyncConnection, target: str) -> None:
    """Nothing is known any more of a target that is gone."""
    await connection.execute(delete(SyncState).where(_STATE.c.target == target))


def _row(target: str) -> dict[str, Any]:
    return {name: getattr(State(target), name) for name in State.__dataclass_fields__}
