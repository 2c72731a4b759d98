"""What came from targets and could not be kept, with the reasons, until it can be or nobody wants it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.store.keys import among, chunks
from app.store.repository import Key
from app.store.tables import Quarantine
from app.store.upserts import upsert

_TABLE = Quarantine.__table__  # type: ignore[attr-defined]
_KEY = ("target", "type", "remote_id")
_SET = ("remote_version", "remote_updated", "content", "issues", "attempts", "not_before", "discarded")


@dataclass(frozen=True, slots=True)
class Kept:
    """A version that is in quarantine, without its content."""

    version: str
    updated: int
    attempts: int
    discarded: bool


async def held(connection: AsyncConnection, target: str, keys: Iterable[Key]) -> dict[Key, Kept]:
    """Which of the target's resources are in quarantine, and in which version."""
    found: dict[Key, Kept] = {}
    columns = ("type", "remote_id", "remote_version", "remote_updated", "attempts", "discarded")
    for chunk in chunks(sorted(set(keys))):
        chosen = among(col(Quarantine.type), col(Quarantine.remote_id), chunk)
        rows = select(*(_TABLE.c[name] for name in columns)).where(col(Quarantine.target) == target, chosen)
        found |= {(row[0], row[1]): Kept(*row[2:]) for row in await connection.execute(rows)}
    return found


async def put(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what was refused; a resource is there once, in the version that came last."""
    by_key = {(row["type"], row["remote_id"]): row for row in rows}
    for _, row in sorted(by_key.items()):
        statement = upsert(connection, Quarantine, [row], _KEY, changed=_later)
        await connection.execute(statement)


def _later(new: Any) -> Mapping[str, Any]:
    return {name: new[name] for name in _SET}


async def release(connection: AsyncConnection, target: str, keys: Iterable[Key]) -> None:
    """These resources were kept, in this version or a newer one."""
    for chunk in chunks(sorted(set(keys))):
        chosen = among(col(Quarantine.type), col(Quarantine.remote_id), chunk)
        await connection.execute(delete(Quarantine).where(col(Quarantine.target) == target, chosen))


async def due(connection: AsyncConnection, target: str, *, now: int, limit: int) -> list[Quarantine]:
    """What is to be tried again, what waits longest first."""
    waiting = (col(Quarantine.target) == target, ~col(Quarantine.discarded), col(Quarantine.not_before) <= now)
    statement = select(_TABLE).where(*waiting).order_by(col(Quarantine.not_before), col(Quarantine.qid)).limit(limit)
    return [Quarantine(**row._mapping) for row in await connection.execute(statement)]


async def next_at(connection: AsyncConnection, target: str) -> int | None:
    """When the next is to be tried again, None if nothing waits."""
    waiting = (col(Quarantine.target) == target, ~col(Quarantine.discarded))
    found = await connection.scalar(select(func.min(col(Quarantine.not_before))).where(*waiting))
    return None if found is None else int(found)


async def hasten(connection: AsyncConnection, target: str, *, most_attempts: int) -> int:
    """Try all of a target that were not tried more often, again at once; answers how many."""
    chosen = (~col(Quarantine.discarded), col(Quarantine.target) == target, col(Quarantine.attempts) <= most_attempts)
    return int((await connection.execute(update(Quarantine).where(*chosen).values(not_before=0))).rowcount)


async def retry(connection: AsyncConnection, qid: int) -> bool:
    """Try one again at once; False if it is not there, or discarded, so that there is no content left of it."""
    chosen = (~col(Quarantine.discarded), col(Quarantine.qid) == qid)
    return bool((await connection.execute(update(Quarantine).where(*chosen).values(not_before=0))).rowcount)


async def discard(connection: AsyncConnection, qid: int) -> bool:
    """Want a version no longer: its content goes, and that it was not wanted stays until a newer one comes."""
    values = {"discarded": True, "content": None}
    done = await connection.execute(update(Quarantine).where(col(Quarantine.qid) == qid).values(**values))
    return bool(done.rowcount)


async def read(connection: AsyncConnection, qid: int) -> Quarantine | None:
    """One by its number, with its content."""
    row = (await connection.execute(select(_TABLE).where(col(Quarantine.qid) == qid))).first()
    return Quarantine(**row._mapping) if row else None


async def listed(
    connection: AsyncConnection, *, target: str = "", after: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """What is in quarantine, oldest first, without its content."""
    columns = [one for one in _TABLE.c if one.name != "content"]
    statement = select(*columns).where(col(Quarantine.qid) > after).order_by(col(Quarantine.qid)).limit(limit)
    if target:
        statement = statement.where(col(Quarantine.target) == target)
    return [dict(row._mapping) for row in await connection.execute(statement)]


async def counted(connection: AsyncConnection) -> dict[str, int]:
    """How many wait per target."""
    statement = select(_TABLE.c.target, func.count()).where(~col(Quarantine.discarded)).group_by(_TABLE.c.target)
    return {str(target): int(count) for target, count in await connection.execute(statement)}
