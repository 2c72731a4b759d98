"""The outbox: which worker sends what of what a target has still to be told, and what became of it.

One row per target and resource, written with the version (app/store/enqueue.py). A worker claims rows for a while (a
lease), sends them outside of any transaction, and notes what became of each. A worker that dies in between delays its
rows until its lease ends; nothing else depends on it. Operators' side: app/store/letters.py.

Rows are locked in the order of (target, type, id) by whoever may wait for them; a claim waits for none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import clock, ledger
from app.store.keys import among, chunks
from app.store.ledger import Held
from app.store.repository import Key
from app.store.tables import Content, Outbox

# What a target said is kept up to this length: enough for its OperationOutcome.
LONGEST_REASON = 4_000
_OUTBOX: Any = Outbox.__table__  # type: ignore[attr-defined]
_CONTENT: Any = Content.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Item:
    """One resource to be told to a target, claimed by this worker. content: None for a deletion.

    attempts: how often it was sent, or may have been, without an answer to rely on.
    """

    oid: int
    type: str
    id: str
    version: int
    patient: str
    attempts: int
    created_at: int
    content: bytes | None

    @property
    def key(self) -> Key:
        return self.type, self.id


class Became(Enum):
    """What became of a claimed item."""

    DELIVERED = "the target has it"
    UNWANTED = "the target is not to be told of it"
    DEAD = "the target refused it for good: a dead letter"
    CONFLICT = "a person decides"
    LATER = "it is tried again after a wait; the attempt counts"
    BLOCKED = "it waits for what it refers to; it was not sent"


@dataclass(frozen=True, slots=True)
class Noted:
    """What became of an item. status, reason: what the target said. held: of one that was delivered.

    wait: seconds until a LATER or BLOCKED one is looked at again; blocked_by: what a BLOCKED one waits for.
    """

    item: Item
    became: Became
    held: Held | None = None
    status: int = 0
    reason: str = ""
    wait: float = 0
    blocked_by: Key | None = None


async def waiting(connection: AsyncConnection, target: str) -> float | None:
    """Seconds until something can be claimed for a target: 0 for now, None while nothing is pending. Locks nothing."""
    now = await clock.now(connection)
    if (await connection.execute(select(_OUTBOX.c.oid).where(*_free(target, now)).limit(1))).first():
        return 0
    moment = case((_OUTBOX.c.leased_until > _OUTBOX.c.not_before, _OUTBOX.c.leased_until), else_=_OUTBOX.c.not_before)
    # What is due and yet not free is kept back by another row of its patient, which is among these too.
    chosen = (_OUTBOX.c.target == target, _OUTBOX.c.state == "pending", moment >= now)
    first = await connection.scalar(select(func.min(moment)).where(*chosen))
    return None if first is None else max(0.001, (first - now + 1) / clock.SECOND)


async def claim(
    connection: AsyncConnection, target: str, owner: str, *, lease_seconds: float, limit: int
) -> list[Item]:
    """Take up to so many items, oldest first, of patients of whom nobody sends anything now.

    The caller holds the target's row of sync_state (sync_state.hold): claims of a target follow one another. What a
    writer is just changing is passed over, so nothing may come although `waiting` says 0.
    """
    now = await clock.now(connection)
    chosen = select(_OUTBOX.c.oid).where(*_free(target, now)).order_by(_OUTBOX.c.oid).limit(limit)
    return await _take(connection, chosen, owner, until=clock.later(now, lease_seconds))


async def claim_more(
    connection: AsyncConnection, target: str, owner: str, keys: Iterable[Key], *, lease_seconds: float
) -> tuple[list[Item], dict[Key, str]]:
    """Take these too, as far as they are free, and tell of the others why they are not: sending, waiting, dead or
    conflict. What is in neither is not in the outbox. Under the same hold as `claim`."""
    now = await clock.now(connection)
    until = clock.later(now, lease_seconds)
    items: list[Item] = []
    others: dict[Key, str] = {}
    for chunk in chunks(sorted(set(keys))):
        chosen = among(_OUTBOX.c.type, _OUTBOX.c.id, chunk)
        free = _free(target, now, owner=owner)
        items += await _take(connection, select(_OUTBOX.c.oid).where(chosen, *free), owner, until=until)
        taken = {item.key for item in items}
        rows = await connection.execute(select(_OUTBOX).where(_OUTBOX.c.target == target, chosen))
        others |= {(row.type, row.id): _why(row, now) for row in rows if (row.type, row.id) not in taken}
    return sorted(items, key=lambda item: item.oid), others


async def note(connection: AsyncConnection, target: str, owner: str, noted: Sequence[Noted]) -> None:
    """Write down what became of items, all in one, and let go of them.

    Where a newer version has come meanwhile, it stays pending; only a conflict keeps its row whatever comes. What was
    lost to another worker is left to that one, but that the target has something is true whoever says so.
    """
    rows = await _locked(connection, [each.item.oid for each in noted])
    now = await clock.now(connection)
    gone: list[int] = []
    changed: list[dict[str, Any]] = []
    for each in noted:
        row = rows.get(each.item.oid)
        if row is None:
            continue
        is_overtaken = row.version > each.item.version
        if each.became in _STRUCK and not is_overtaken:
            gone.append(row.oid)
        elif row.owner == owner:
            changed.append({"own_oid": row.oid, **_values(row, each, now, is_overtaken=is_overtaken)})
    for chunk in chunks(gone):
        await connection.execute(delete(Outbox).where(_OUTBOX.c.oid.in_(chunk)))
    if changed:
        await connection.execute(_CHANGE, changed)
    await ledger.write(connection, target, [each.held for each in noted if each.held])
    await free(connection, target, [each.item.key for each in noted if each.became in _STRUCK])
    await _free_what_need_not_wait(connection, target, noted)


async def free(connection: AsyncConnection, target: str, keys: Iterable[Key]) -> None:
    """What waited for these need not any more, nor is it dead for their sake.

    Rows that are just being changed are passed over: a new version need not wait anyway.
    """
    for chunk in chunks(sorted({f"{type_}/{id_}" for type_, id_ in keys})):
        blocked = (text("blocked_by <> ''"), _OUTBOX.c.target == target, _OUTBOX.c.blocked_by.in_(chunk))
        oids = select(_OUTBOX.c.oid).where(*blocked).with_for_update(skip_locked=True).scalar_subquery()
        values = {"blocked_by": "", "not_before": 0, "state": "pending"}
        await connection.execute(update(Outbox).where(_OUTBOX.c.oid.in_(oids)).values(**values))


async def renew(connection: AsyncConnection, owner: str, oids: Iterable[int], *, lease_seconds: float) -> None:
    """Keep what a worker has claimed and still works on; to be called before its lease is over."""
    until = clock.later(await clock.now(connection), lease_seconds)
    for chunk in chunks(sorted(oids)):
        own = (_OUTBOX.c.oid.in_(chunk), _OUTBOX.c.owner == owner)
        await connection.execute(update(Outbox).where(*own).values(leased_until=until))


async def release(connection: AsyncConnection, owner: str) -> None:
    """Let go of all that this worker has claimed and has not begun to send."""
    oids = await connection.scalars(select(_OUTBOX.c.oid).where(_OUTBOX.c.owner == owner))
    rows = await _locked(connection, list(oids))
    values = {"owner": "", "leased_until": 0}
    for chunk in chunks([oid for oid, row in rows.items() if row.owner == owner]):
        await connection.execute(update(Outbox).where(_OUTBOX.c.oid.in_(chunk)).values(**values))


_STRUCK = (Became.DELIVERED, Became.UNWANTED)
_SET = ("state", "attempts", "not_before", "owner", "leased_until", "blocked_by", "status", "reason")
# The column that is compared has another name than any that is set: values are given by name.
_CHANGE = update(_OUTBOX).where(_OUTBOX.c.oid == bindparam("own_oid")).values({name: bindparam(name) for name in _SET})


def _values(row: Any, noted: Noted, now: int, *, is_overtaken: bool) -> dict[str, Any]:
    """What a row becomes that stays."""
    let_go = {"owner": "", "leased_until": 0}
    if is_overtaken and noted.became is not Became.CONFLICT:
        return {**{name: getattr(row, name) for name in _SET}, **let_go}
    state = {Became.DEAD: "dead", Became.CONFLICT: "conflict"}.get(noted.became, "pending")
    return {
        **let_go,
        "state": state,
        "attempts": row.attempts + (noted.became is not Became.BLOCKED),
        "not_before": clock.later(now, noted.wait) if noted.wait else 0,
        "blocked_by": "/".join(noted.blocked_by) if noted.blocked_by else "",
        "status": noted.status,
        # Where a Task asks about a conflict, it stands there already which.
        "reason": row.reason if state == row.state == "conflict" else noted.reason[:LONGEST_REASON],
    }


async def _free_what_need_not_wait(connection: AsyncConnection, target: str, noted: Sequence[Noted]) -> None:
    """What an item waits for may have arrived just before this was written down."""
    wanted = {each.blocked_by for each in noted if each.blocked_by}
    held = await ledger.read(connection, target, wanted) if wanted else {}
    await free(connection, target, [key for key, one in held.items() if not one.deleted])


async def _take(connection: AsyncConnection, chosen: Any, owner: str, *, until: int) -> list[Item]:
    """Claim what is chosen, as far as nobody holds the rows."""
    oids = list(await connection.scalars(chosen.with_for_update(skip_locked=True)))
    found: list[Item] = []
    for chunk in chunks(oids):
        # Whoever had it and let the lease run out may have sent it.
        attempts = _OUTBOX.c.attempts + case((_OUTBOX.c.owner != "", 1), else_=0)
        values = {"owner": owner, "leased_until": until, "attempts": attempts}
        await connection.execute(update(Outbox).where(_OUTBOX.c.oid.in_(chunk)).values(**values))
        columns = [_OUTBOX.c[name] for name in Item.__dataclass_fields__ if name != "content"]
        whole = _OUTBOX.outerjoin(_CONTENT, _CONTENT.c.vid == _OUTBOX.c.vid)
        rows: Any = select(*columns, _CONTENT.c.text).select_from(whole).where(_OUTBOX.c.oid.in_(chunk))
        found += [Item(*tuple(row)) for row in await connection.execute(rows.order_by(_OUTBOX.c.oid))]
    return found


async def _locked(connection: AsyncConnection, oids: Sequence[int]) -> dict[int, Any]:
    """The rows, in the order in which everybody locks them."""
    order = (_OUTBOX.c.target, _OUTBOX.c.type, _OUTBOX.c.id)
    rows = select(_OUTBOX).where(_OUTBOX.c.oid.in_(oids)).order_by(*order).with_for_update()
    return {row.oid: row for row in await connection.execute(rows)} if oids else {}


def _free(target: str, now: int, *, owner: str = "") -> list[ColumnElement[bool]]:
    """The rows that may be claimed. owner: a worker to whom its own claims are no obstacle."""
    sent = _OUTBOX.alias("sent")
    # In the words of the partial index: a parameter would not tell the planner that it applies.
    leased = and_(text("sent.leased_until > 0"), sent.c.target == target, sent.c.leased_until >= now)
    if owner:
        leased = and_(leased, sent.c.owner != owner)
    busy = select(sent.c.patient).where(leased, sent.c.patient != "")
    return [
        _OUTBOX.c.target == target,
        _OUTBOX.c.state == "pending",
        _OUTBOX.c.not_before <= now,
        _OUTBOX.c.leased_until < now,
        or_(_OUTBOX.c.patient == "", _OUTBOX.c.patient.not_in(busy)),
    ]


def _why(row: Any, now: int) -> str:
    if row.state != "pending":
        return str(row.state)
    return "waiting" if row.not_before > now and row.leased_until < now else "sending"
