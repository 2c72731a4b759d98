"""How sync does, target by target, as operators see it: from the shared tables, so that any process tells the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.fhir.instants import instant
from app.store import clock, ledger, letters, pulls, quarantine, sync_state
from app.store.database import Connection, Database
from app.store.letters import Queue
from app.store.pulls import Position
from app.store.sync_state import State
from app.store.tables import NOT_FILLING
from app.sync.health import breaker
from app.sync.registry import Registered


async def overview(
    database: Database, registered: Sequence[Registered], *, counts_ledger: bool = True
) -> list[dict[str, Any]]:
    """One record per target, by name; of those that are no longer configured, too, while anything is known of them.

    lag_seconds: since when the oldest waits; alarm: as many dead letters as the target's definition calls too many.
    counts_ledger: whether it is counted what each target holds, which takes half a second for a million resources.
    """
    async with database.reading() as connection:
        held = await ledger.counts(connection) if counts_ledger else {}
        return await _overview(connection, {one.target.name: one for one in registered}, held)


async def _overview(
    connection: Connection, registered: Mapping[str, Registered], held: Mapping[str, tuple[int, int]]
) -> list[dict[str, Any]]:
    queues = await letters.queues(connection)
    states, put_aside = await sync_state.read_all(connection), await quarantine.counted(connection)
    read = await pulls.positions(connection)
    now = await clock.now(connection)
    found = []
    for name in sorted({*registered, *queues, *held, *put_aside, *read}):
        queue, state, one = queues.get(name, Queue()), states.get(name, State(name)), registered.get(name)
        delivered, latest = held.get(name, (0, 0))
        most = one.target.dead_letter_alarm if one else 1
        found.append(
            {
                "target": name,
                "configured": one is not None,
                "direction": one.target.direction if one else None,
                "pending": queue.pending,
                "waiting": queue.waiting,
                "dead": queue.dead,
                "conflict": queue.conflict,
                "quarantine": put_aside.get(name, 0),
                "delivered": delivered,
                "oldest_pending_since": instant(queue.oldest) if queue.oldest else None,
                "last_delivered_at": instant(latest) if latest else None,
                "lag_seconds": max(0, (now - queue.oldest) // clock.SECOND) if queue.oldest else 0,
                **_doing(state, now),
                "pull": _read(read[name]) if name in read else None,
                "alarm": queue.dead >= most,
            }
        )
    return found


def _read(position: Position) -> dict[str, Any]:
    """read_to: by the target's clock; finished_at: when the read that is longest ago came to its end."""
    return {
        "reads": position.reads,
        "failing": position.failing,
        "read_to": instant(position.watermark) if position.watermark else None,
        "finished_at": instant(position.finished_at) if position.finished_at else None,
    }


def _doing(state: State, now: int) -> dict[str, Any]:
    counters = ("sent", "refused", "retried", "conflicts", "pulled")
    return {
        "breaker": breaker(state, now),
        "open_until": instant(state.open_until) if state.open_until > now else None,
        "failures": state.failures,
        "paused": state.paused,
        "backfilling": state.backfill != NOT_FILLING,
        "totals": {name: getattr(state, name) for name in counters},
        "last_success_at": instant(state.last_success_at) if state.last_success_at else None,
        "last_error_at": instant(state.last_error_at) if state.last_error_at else None,
        "last_error": state.last_error or None,
    }
