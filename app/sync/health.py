"""Whether a target is asked at all: waits that grow, and a breaker that all workers share and anybody can look at.

No library is used for the breaker: those that are kept hold their state in one process or in Redis, and ours has to
stand in the database, where several workers obey it and the status page shows it. The waits of single items stand in
the outbox, so that they outlive every process, which a retrying decorator's do not.
"""

import math
import random
from dataclasses import dataclass
from typing import Any, Literal

from app.store import clock, sync_state
from app.store.database import Connection
from app.store.sync_state import State

# So many failures in a row open the breaker: nothing is sent but one probe after each pause.
OPEN_AFTER = 5
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 300.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0

Breaker = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a worker may send now. wait: seconds until it may ask again, 0 for now, infinite while it is paused.

    is_probe: it is the one that finds out whether the target is back.
    """

    wait: float = 0
    is_probe: bool = False


def backoff_seconds(attempts: int, part: float, longest: float = LONGEST_WAIT) -> float:
    """Exponential backoff with full jitter: up to 1 s, 2 s, 4 s … part: a random number between 0 and 1."""
    return min(longest, FIRST_WAIT * 2.0 ** min(attempts, 30)) * part


def jittered(attempts: int, longest: float = LONGEST_WAIT) -> float:
    """The same with chance drawn here."""
    # Not about secrecy: workers that failed together must not come back together.
    return backoff_seconds(attempts, random.random(), longest)  # noqa: S311


def breaker(state: State, now: int) -> Breaker:
    """What the breaker of a target is called now."""
    if state.failures < OPEN_AFTER:
        return "closed"
    return "open" if state.open_until > now else "half-open"


def gate(state: State, now: int) -> Gate:
    """Whether one may send."""
    if state.paused:
        return Gate(math.inf)
    if state.open_until > now:
        return Gate((state.open_until - now) / clock.SECOND)
    return Gate(is_probe=state.failures >= OPEN_AFTER)


def after_failure(state: State, now: int, *, asked: float, part: float, is_probe: bool) -> dict[str, int]:
    """What to write down of a target that did not answer, or not with an answer to rely on.

    asked: seconds that it asked to be left alone. What was sent before the pause began says nothing new, so that a
    target that hangs for a moment is not left alone for minutes because several were sending.
    """
    if state.open_until > now and not is_probe:
        return {"open_until": max(state.open_until, clock.later(now, asked))}
    failures = state.failures + 1
    if failures < OPEN_AFTER:
        pause = backoff_seconds(failures - 1, part)
    else:
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (failures - OPEN_AFTER))
    return {"failures": failures, "open_until": clock.later(now, max(pause, asked))}


async def enter(connection: Connection, target: str, *, probe_seconds: float) -> Gate:
    """Whether this worker may send now. Holds the target (sync_state.hold) until the transaction ends.

    probe_seconds: how long the others wait for the answer to the probe, if this is to be one.
    """
    state = await sync_state.hold(connection, target)
    now = await clock.now(connection)
    found = gate(state, now)
    if found.is_probe:
        await sync_state.change(connection, target, open_until=clock.later(now, probe_seconds))
    return found


async def answered(connection: Connection, target: str, **counts: int) -> None:
    """The target gave an answer to rely on, whatever it says. counts: as sync_state.count. Last in a transaction."""
    state = await sync_state.hold(connection, target)
    values: dict[str, Any] = {"failures": 0, "open_until": 0, "last_success_at": await clock.now(connection)}
    added = {name: getattr(state, name) + number for name, number in counts.items()}
    await sync_state.change(connection, target, **values, **added)


async def failed(
    connection: Connection, target: str, reason: str, *, asked: float = 0, gate: Gate | None = None, **counts: int
) -> float:
    """The target gave none; answers the seconds for which it is left alone. Last in a transaction.

    reason: a status or the name of an error, never text of the target's, which may hold what is nobody's business.
    """
    state = await sync_state.hold(connection, target)
    now = await clock.now(connection)
    is_probe = bool(gate and gate.is_probe)
    values = after_failure(state, now, asked=asked, part=random.random(), is_probe=is_probe)  # noqa: S311
    added = {name: getattr(state, name) + number for name, number in counts.items()}
    told = {"last_error": reason, "last_error_at": now}
    await sync_state.change(connection, target, **values, **told, **added)
    return max(0.0, (values["open_until"] - now) / clock.SECOND)
