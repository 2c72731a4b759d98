"""What becomes of Subscriptions: the events that subscribers are told of, numbered without gaps, and how far they are.

The rows of `subscription_state` follow the Subscription resources: the reader of the feed takes each version of them up
at its place in the feed, so that what was written after a Subscription was accepted is an event of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import and_, case, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.feed import Written
from app.store.keys import chunks
from app.store.tables import SubscriptionEvent, SubscriptionState
from app.store.upserts import upsert

_STATE: Any = SubscriptionState.__table__  # type: ignore[attr-defined]
_EVENT: Any = SubscriptionEvent.__table__  # type: ignore[attr-defined]
# What happens is counted as an event in these: for one in error, so that its subscriber sees what was missed.
COUNTED = ("requested", "active", "error")
LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class State:
    """A row of subscription_state."""

    id: str
    version: int
    status: str
    last_event: int = 0
    delivered: int = 0
    failures: int = 0
    not_before: int = 0
    sent_at: int = 0
    heartbeat_at: int = 0
    ends_at: int = 0
    owner: str = ""
    leased_until: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: which version of which resource, and when it was written."""

    number: int
    type: str
    id: str
    version: int
    created_at: int


_COLUMNS = [_STATE.c[name] for name in State.__dataclass_fields__]
_EVENT_COLUMNS = [_EVENT.c[name] for name in Event.__dataclass_fields__]


async def counted(connection: AsyncConnection) -> list[State]:
    """Those for which events are numbered."""
    rows = await connection.execute(select(*_COLUMNS).where(_STATE.c.status.in_(COUNTED)).order_by(_STATE.c.id))
    return [State(*row) for row in rows]


async def states(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, State]:
    """Those of the Subscriptions that were taken up."""
    found: dict[str, State] = {}
    for chunk in chunks(sorted(set(ids))):
        rows = await connection.execute(select(*_COLUMNS).where(_STATE.c.id.in_(chunk)))
        found |= {row.id: State(*row) for row in rows}
    return found


async def take_up(connection: AsyncConnection, subscription: str, version: int, status: str, ends_at: int) -> None:
    """A version of a Subscription, at its place in the feed. What was numbered stays, and is sent if it was not."""
    values = {"version": version, "status": status, "ends_at": ends_at}
    begun = {"failures": 0, "not_before": 0, "heartbeat_at": 0, "error": ""}
    row = {name: getattr(State(subscription, version, status), name) for name in State.__dataclass_fields__} | values
    is_newer = _STATE.c.version < version
    statement = upsert(
        connection, SubscriptionState, [row], ["id"], changed=lambda _: values | begun, where=lambda _: is_newer
    )
    await connection.execute(statement)


async def forget(connection: AsyncConnection, subscription: str) -> None:
    """A Subscription was deleted."""
    await connection.execute(delete(SubscriptionEvent).where(_EVENT.c.subscription == subscription))
    await connection.execute(delete(SubscriptionState).where(_STATE.c.id == subscription))


async def figures(connection: AsyncConnection) -> dict[str, tuple[int, int]]:
    """Per status: how many Subscriptions, and how many events their subscribers have not answered."""
    behind = func.sum(_STATE.c.last_event - _STATE.c.delivered)
    rows = await connection.execute(select(_STATE.c.status, func.count(), behind).group_by(_STATE.c.status))
    return {status: (int(count), int(left)) for status, count, left in rows}


async def append(connection: AsyncConnection, subscription: str, rows: Sequence[Written]) -> None:
    """Number what happened, after the last event; nothing for one that is not there or not counted any more."""
    own = (_STATE.c.id == subscription, _STATE.c.status.in_(COUNTED))
    moved = update(SubscriptionState).where(*own).values(last_event=_STATE.c.last_event + len(rows))
    last = await connection.scalar(moved.returning(_STATE.c.last_event))
    if last is None:
        return
    first = int(last) - len(rows) + 1
    events = [
        {
            "subscription": subscription,
            "number": number,
            "type": row.type,
            "id": row.id,
            "version": row.version,
            "created_at": row.last_updated,
        }
        for number, row in enumerate(rows, first)
    ]
    await connection.execute(insert(SubscriptionEvent), events)


async def claim(connection: AsyncConnection, owner: str, *, now: int, until: int) -> State | None:
    """One Subscription that is due, for this worker alone until then: the one that waited longest."""
    chosen = _claimable(now).order_by(_STATE.c.sent_at, _STATE.c.id).limit(1).with_for_update(skip_locked=True)
    found = await connection.scalar(chosen)
    if found is None:
        return None
    mine = update(SubscriptionState).where(_STATE.c.id == found).values(owner=owner, leased_until=until)
    return State(*(await connection.execute(mine.returning(*_COLUMNS))).one())


async def is_due(connection: AsyncConnection, now: int) -> bool:
    """Whether there is something to do that nobody does."""
    return bool((await connection.execute(_claimable(now).limit(1))).first())


async def extend(connection: AsyncConnection, state: State, until: int) -> State:
    """Keep a Subscription longer than leases are here, because its subscriber may take longer."""
    mine = (_STATE.c.id == state.id, _STATE.c.owner == state.owner, _STATE.c.leased_until == state.leased_until)
    await connection.execute(update(SubscriptionState).where(*mine).values(leased_until=until))
    return replace(state, leased_until=until)


async def next_due(connection: AsyncConnection, now: int) -> int | None:
    """When something becomes due by time alone: one that waits to be tried again, a heartbeat, an end, a lease."""
    moments = (_STATE.c.not_before, _STATE.c.heartbeat_at, _STATE.c.ends_at, _STATE.c.leased_until)
    soonest = [func.min(case((moment > now, moment))) for moment in moments]
    found = (await connection.execute(select(*soonest).where(_STATE.c.status.in_(COUNTED)))).one()
    return min((int(each) for each in found if each is not None), default=None)


async def between(connection: AsyncConnection, subscription: str, first: int, last: int, limit: int) -> list[Event]:
    """Events by number, both ends included, in order."""
    own = (_EVENT.c.subscription == subscription, _EVENT.c.number >= first, _EVENT.c.number <= last)
    rows = await connection.execute(select(*_EVENT_COLUMNS).where(*own).order_by(_EVENT.c.number).limit(limit))
    return [Event(*row) for row in rows]


async def sent(connection: AsyncConnection, state: State, *, delivered: int, now: int, heartbeat_at: int) -> None:
    """The subscriber has answered; the lease is given back."""
    values = {"delivered": delivered, "failures": 0, "not_before": 0, "sent_at": now, "heartbeat_at": heartbeat_at}
    await _settle(connection, state, **values)


async def failed(connection: AsyncConnection, state: State, reason: str, *, not_before: int) -> None:
    """The subscriber has not taken it; it is tried again then."""
    values = {"failures": _STATE.c.failures + 1, "not_before": not_before, "error": reason[:LONGEST_ERROR]}
    await _settle(connection, state, **values)


async def became(connection: AsyncConnection, state: State, *, version: int, status: str, error: str) -> None:
    """The service has changed the status: in the transaction that writes the version of the Subscription."""
    values = {"version": version, "status": status, "error": error[:LONGEST_ERROR], "failures": 0, "not_before": 0}
    own = (_STATE.c.id == state.id, _STATE.c.version <= version)
    await connection.execute(update(SubscriptionState).where(*own).values(**values, owner="", leased_until=0))


async def beats(connection: AsyncConnection, subscription: str, heartbeat_at: int) -> None:
    """When the first heartbeat is due."""
    await connection.execute(
        update(SubscriptionState).where(_STATE.c.id == subscription).values(heartbeat_at=heartbeat_at)
    )


async def release(connection: AsyncConnection, state: State) -> None:
    """Give the lease back without a word."""
    await _settle(connection, state)


async def clear(connection: AsyncConnection, before: int, limit: int) -> int:
    """Forget events that were delivered and are older; answers of how many."""
    told = _EVENT.join(_STATE, and_(_STATE.c.id == _EVENT.c.subscription, _EVENT.c.number <= _STATE.c.delivered))
    old = select(_EVENT.c.subscription, _EVENT.c.number).select_from(told).where(_EVENT.c.created_at < before)
    rows = (await connection.execute(old.limit(limit))).all()
    for subscription in {row.subscription for row in rows}:
        numbers = [row.number for row in rows if row.subscription == subscription]
        for chunk in chunks(numbers):
            own = (_EVENT.c.subscription == subscription, _EVENT.c.number.in_(chunk))
            await connection.execute(delete(SubscriptionEvent).where(*own))
    return len(rows)


async def _settle(connection: AsyncConnection, state: State, **values: Any) -> None:
    """What was done under a lease is noted even where the lease ran out or a newer version came: it was done."""
    if "delivered" in values:
        further = values.pop("delivered")
        own = (_STATE.c.id == state.id, _STATE.c.delivered < further)
        await connection.execute(update(SubscriptionState).where(*own).values(delivered=further))
    mine = (_STATE.c.id == state.id, _STATE.c.owner == state.owner, _STATE.c.leased_until == state.leased_until)
    await connection.execute(update(SubscriptionState).where(*mine, _STATE.c.version == state.version).values(**values))
    await connection.execute(update(SubscriptionState).where(*mine).values(owner="", leased_until=0))


def _claimable(now: int) -> Any:
    behind = _STATE.c.delivered < _STATE.c.last_event
    beats = and_(_STATE.c.heartbeat_at > 0, _STATE.c.heartbeat_at <= now)
    ended = and_(_STATE.c.ends_at > 0, _STATE.c.ends_at <= now, _STATE.c.status.in_(COUNTED))
    active = and_(_STATE.c.status == "active", or_(behind, beats))
    due = or_(_STATE.c.status == "requested", active, ended)
    return select(_STATE.c.id).where(due, _STATE.c.leased_until < now, _STATE.c.not_before <= now)
