"""Conflicts: what both sides had changed, what was decided, and what that means for the outbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.outbox import LONGEST_REASON, free
from app.store.repository import Key
from app.store.tables import Outbox, SyncConflict
from app.store.upserts import upsert

_CONFLICT: Any = SyncConflict.__table__  # type: ignore[attr-defined]
_OUTBOX: Any = Outbox.__table__  # type: ignore[attr-defined]
UNSETTLED = ("open", "closing")


@dataclass(frozen=True, slots=True)
class Conflict:
    """One conflict, as SyncConflict describes it."""

    cid: str
    target: str
    type: str
    id: str
    version: int
    base_version: int
    base: bytes | None
    remote_id: str
    remote_version: str
    remote_etag: str
    remote_updated: int
    content: bytes | None
    differences: str
    issues: str
    state: str
    resolution: str
    decided_by: str
    result: int
    created_at: int
    settled_at: int
    sid: int = 0

    @property
    def key(self) -> Key:
        return self.type, self.id


_COLUMNS = [_CONFLICT.c[each.name] for each in fields(Conflict)]


async def read(connection: AsyncConnection, cid: str) -> Conflict | None:
    """One conflict by its id."""
    row = (await connection.execute(select(*_COLUMNS).where(_CONFLICT.c.cid == cid))).first()
    return Conflict(*row) if row else None


async def of_resource(connection: AsyncConnection, target: str, key: Key) -> list[Conflict]:
    """Those about one resource and one target, newest first."""
    return [Conflict(*row) for row in await connection.execute(_newest(target, key))]


async def page(
    connection: AsyncConnection, states: Sequence[str], *, target: str = "", after: int = 0, limit: int = 100
) -> list[Conflict]:
    """Those in one of the states after a place in the list, oldest first."""
    chosen = [_CONFLICT.c.state.in_(states), _CONFLICT.c.sid > after]
    if target:
        chosen.append(_CONFLICT.c.target == target)
    rows = select(*_COLUMNS).where(*chosen).order_by(_CONFLICT.c.sid).limit(limit)
    return [Conflict(*row) for row in await connection.execute(rows)]


async def note(connection: AsyncConnection, conflict: Conflict) -> None:
    """Write down a conflict that was just found; one that is known already stays as it is.

    Of one resource only the last keeps its contents: they are the base of what comes next.
    """
    if await read(connection, conflict.cid):
        return
    own = (_CONFLICT.c.target == conflict.target, _CONFLICT.c.type == conflict.type, _CONFLICT.c.id == conflict.id)
    settled = (*own, _CONFLICT.c.state == "settled")
    await connection.execute(update(_CONFLICT).where(*settled).values(base=None, content=None))
    values = {each.name: getattr(conflict, each.name) for each in fields(Conflict) if each.name != "sid"}
    # Two workers may find the same at once: what is there already is set to what it is.
    await connection.execute(upsert(connection, SyncConflict, [values], ["cid"], changed=lambda new: {"cid": new.cid}))


async def decided(
    connection: AsyncConnection, cid: str, resolution: str, decided_by: str, *, result: int, now: int
) -> bool:
    """Note how an open conflict was decided; its Task is still to tell it. False if somebody else has decided it."""
    values = {"state": "closing", "resolution": resolution, "decided_by": decided_by, "result": result}
    open_ = (_CONFLICT.c.cid == cid, _CONFLICT.c.state == "open")
    changed = await connection.execute(update(_CONFLICT).where(*open_).values(**values, settled_at=now))
    return bool(changed.rowcount)


async def closed(connection: AsyncConnection, cid: str) -> None:
    """Its Task tells what was decided, so nothing is left to do."""
    chosen = (_CONFLICT.c.cid == cid, _CONFLICT.c.state == "closing")
    await connection.execute(update(_CONFLICT).where(*chosen).values(state="settled"))


async def supersede(connection: AsyncConnection, target: str, key: Key, resolution: str, *, but: str, now: int) -> None:
    """What was open about a resource is decided otherwise: by another conflict, or because both sides agree now."""
    for one in await of_resource(connection, target, key):
        if one.state == "open" and one.cid != but:
            await decided(connection, one.cid, resolution, "rule", result=0, now=now)


async def hold(connection: AsyncConnection, target: str, key: Key, reason: str) -> None:
    """What the target has still to be told of a resource waits for a person."""
    values = {"state": "conflict", "reason": reason[:LONGEST_REASON], "blocked_by": ""}
    await connection.execute(update(Outbox).where(*_row(target, key)).values(**values))


async def strike(connection: AsyncConnection, target: str, key: Key, version: int) -> None:
    """The target need not be told of a version or any before it; a newer one stays, and is sent."""
    own = _row(target, key)
    await connection.execute(delete(Outbox).where(*own, _OUTBOX.c.version <= version))
    await release(connection, target, key)
    await free(connection, target, [key])


async def release(connection: AsyncConnection, target: str, key: Key) -> None:
    """What waited for a person is sent."""
    values = {"state": "pending", "not_before": 0, "attempts": 0, "reason": ""}
    held = (*_row(target, key), _OUTBOX.c.state == "conflict")
    await connection.execute(update(Outbox).where(*held).values(**values))


def _row(target: str, key: Key) -> tuple[Any, ...]:
    return _OUTBOX.c.target == target, _OUTBOX.c.type == key[0], _OUTBOX.c.id == key[1]


def _newest(target: str, key: Key) -> Any:
    own: Mapping[str, str] = {"target": target, "type": key[0], "id": key[1]}
    chosen = (_CONFLICT.c[name] == value for name, value in own.items())
    return select(*_COLUMNS).where(*chosen).order_by(_CONFLICT.c.sid.desc())
