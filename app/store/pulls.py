"""How far each target was read, and who asked for more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.store import clock, outbox
from app.store.keys import among, chunks
from app.store.repository import Key
from app.store.tables import Outbox, Pull

_OUTBOX: Any = Outbox.__table__  # type: ignore[attr-defined]
_PULL: Any = Pull.__table__  # type: ignore[attr-defined]
# Whoever asks for another round must not be overwritten by whoever reads meanwhile.
_ASKED = "requested"
# A page of the same number may be one of another window: watermark and end of the last tell them apart.
_PLACE = ("target", "type", "next_link", "pages", "watermark", "finished_at")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a target was read. reads: how many types or searches; failing: which of them cannot be read now;
    finished_at: when the one that waits longest was read to its end, 0 for never; watermark: the time there up to which
    everything was read, 0 for none."""

    reads: int
    failing: int
    finished_at: int
    watermark: int


class Overtaken(Exception):
    """Somebody else has read on from this place: what was read here is not noted a second time."""


async def rows(connection: AsyncConnection, target: str = "") -> list[Pull]:
    """How far a target was read, or every target."""
    statement = select(Pull.__table__).order_by(col(Pull.target), col(Pull.type))  # type: ignore[attr-defined]
    if target:
        statement = statement.where(col(Pull.target) == target)
    return [Pull(**row._mapping) for row in await connection.execute(statement)]


async def positions(connection: AsyncConnection) -> dict[str, Position]:
    """How far each target was read. What only looks for deletions, once an hour, does not count."""
    failing = func.sum(case((_PULL.c.failures > 0, 1), else_=0))
    columns = (_PULL.c.target, func.count(), failing, func.min(_PULL.c.finished_at), func.min(_PULL.c.watermark))
    rows = await connection.execute(select(*columns).where(_PULL.c.mode != "ids").group_by(_PULL.c.target))
    return {target: Position(*map(int, values)) for target, *values in rows}


async def begin(connection: AsyncConnection, target: str, reads: Mapping[str, str]) -> None:
    """Have a row for everything that is to be read (read -> mode), and none for what no longer is."""
    own = col(Pull.target) == target
    await connection.execute(delete(Pull).where(own, col(Pull.type).notin_(sorted(reads))))
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = [Pull(target=target, type=each, mode=mode).model_dump() for each, mode in sorted(reads.items())]
    if values:
        await connection.execute(dialect.insert(Pull).on_conflict_do_nothing(), values)


async def move(connection: AsyncConnection, before: Pull, after: Pull) -> None:
    """Note where reading has come to. Raises Overtaken unless it still stands where it was."""
    values = after.model_dump(exclude={"target", "type", _ASKED})
    here = [col(getattr(Pull, name)) == getattr(before, name) for name in _PLACE]
    moved = await connection.execute(update(Pull).where(*here).values(**values))
    if moved.rowcount != 1:
        raise Overtaken


async def answer(connection: AsyncConnection, row: Pull) -> None:
    """The round that was asked for begins now: who asks from now on asks for another one."""
    own = (col(Pull.target) == row.target, col(Pull.type) == row.type)
    await connection.execute(update(Pull).where(*own).values(**{_ASKED: False}))


async def request(connection: AsyncConnection, target: str, resource_type: str = "", *, waits: bool = True) -> int:
    """Ask for another round at once, of one type or of all; answers how many reads are concerned.

    waits: whether what could not be read before waits for its time all the same.
    """
    chosen = [col(Pull.target) == target, col(Pull.mode) != "ids"]
    if resource_type:
        own = col(Pull.type)
        chosen.append((own == resource_type) | own.startswith(f"{resource_type}?", autoescape=True))
    values = {_ASKED: True} | ({} if waits else {"not_before": 0})
    asked = await connection.execute(update(Pull).where(*chosen).values(**values))
    return int(asked.rowcount)


async def forget(connection: AsyncConnection, target: str) -> None:
    """A target that is no longer read begins anew, should it come back."""
    await connection.execute(delete(Pull).where(col(Pull.target) == target))


async def strike(connection: AsyncConnection, target: str, versions: Mapping[Key, int]) -> None:
    """The target has what it was to be told of these resources, up to these versions: it told us.

    What a worker is just sending is left to that one.
    """
    now = await clock.now(connection)
    for chunk in chunks(sorted(versions)):
        own = (_OUTBOX.c.target == target, among(_OUTBOX.c.type, _OUTBOX.c.id, chunk), _OUTBOX.c.state == "pending")
        order = (_OUTBOX.c.target, _OUTBOX.c.type, _OUTBOX.c.id)
        waiting = select(_OUTBOX).where(*own, _OUTBOX.c.leased_until < now).order_by(*order).with_for_update()
        rows = [row for row in await connection.execute(waiting) if row.version <= versions[row.type, row.id]]
        if rows:
            await connection.execute(delete(Outbox).where(_OUTBOX.c.oid.in_([row.oid for row in rows])))
    await outbox.free(connection, target, versions)
