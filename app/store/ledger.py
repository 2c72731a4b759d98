"""The ledger: which version of a resource a target is known to hold, since when, and how that is known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.store import clock
from app.store.keys import among, chunks
from app.store.repository import Key
from app.store.tables import Ledger
from app.store.upserts import upserting

_LEDGER: Any = Ledger.__table__  # type: ignore[attr-defined]
_KEY = ("target", "type", "id")


@dataclass(frozen=True, slots=True)
class Held:
    """What a target holds of a resource. version: the local one with that content, the last common one.

    deleted: it holds none, that version being a deletion. remote_*: its own id, version, ETag and lastUpdated there.
    delivered_at: since when it is known, 0 for now by the database's clock; verified: answer, read, verify or pull.
    """

    type: str
    id: str
    version: int
    deleted: bool = False
    remote_id: str = ""
    remote_version: str = ""
    remote_etag: str = ""
    remote_updated: int = 0
    delivered_at: int = 0
    verified: str = "answer"

    @property
    def key(self) -> Key:
        return self.type, self.id


_COLUMNS = [_LEDGER.c[name] for name in Held.__dataclass_fields__]


async def read(connection: AsyncConnection, target: str, keys: Iterable[Key]) -> dict[Key, Held]:
    """What the target holds of those of the resources it was ever known to hold; deletions too."""
    found: dict[Key, Held] = {}
    for chunk in chunks(sorted(set(keys))):
        chosen = among(_LEDGER.c.type, _LEDGER.c.id, chunk)
        rows = await connection.execute(select(*_COLUMNS).where(_LEDGER.c.target == target, chosen))
        found |= {(row.type, row.id): Held(*row) for row in rows}
    return found


async def by_remote(connection: AsyncConnection, target: str, remote: Iterable[Key]) -> dict[Key, Held]:
    """The same by the target's own ids: (type, remote id) -> what it is here."""
    found: dict[Key, Held] = {}
    for chunk in chunks(sorted(set(remote))):
        chosen = among(_LEDGER.c.type, _LEDGER.c.remote_id, chunk)
        rows = await connection.execute(select(*_COLUMNS).where(_LEDGER.c.target == target, chosen))
        found |= {(row.type, row.remote_id): Held(*row) for row in rows}
    return found


async def write(connection: AsyncConnection, target: str, held: Iterable[Held], *, anew: bool = False) -> None:
    """Note what the target holds. A worker that was overtaken may come late: what is known to be newer stays.

    anew: it is what the target was found to hold just now, older or not. Rows are written in one order everywhere.
    """
    by_key = {each.key: each for each in held}
    now = await clock.now(connection) if any(not each.delivered_at for each in by_key.values()) else 0
    rows = [_row(target, replace(one, delivered_at=one.delivered_at or now)) for _, one in sorted(by_key.items())]
    newer = None if anew else (lambda new: _LEDGER.c.version <= new.version)
    if rows:
        await connection.execute(upserting(connection, Ledger, _KEY, where=newer), rows)


async def forget(connection: AsyncConnection, target: str, keys: Iterable[Key]) -> None:
    """The target does not hold them any more, and nothing is known of where they were."""
    for chunk in chunks(sorted(set(keys))):
        chosen = among(_LEDGER.c.type, _LEDGER.c.id, chunk)
        await connection.execute(delete(Ledger).where(_LEDGER.c.target == target, chosen))


async def of_reference(connection: AsyncConnection, resource_type: str, resource_id: str) -> list[tuple[str, Held]]:
    """Which targets hold which version of a resource, by the name of the target."""
    chosen = (_LEDGER.c.type == resource_type, _LEDGER.c.id == resource_id)
    rows = await connection.execute(select(_LEDGER.c.target, *_COLUMNS).where(*chosen).order_by(_LEDGER.c.target))
    return [(row.target, Held(*row[1:])) for row in rows]


async def page(
    connection: AsyncConnection, target: str, resource_type: str, *, after: str = "", limit: int = 1_000
) -> Sequence[Held]:
    """What a target holds of a type, by id, after an id."""
    chosen = (_LEDGER.c.target == target, _LEDGER.c.type == resource_type, _LEDGER.c.id > after)
    rows = await connection.execute(select(*_COLUMNS).where(*chosen).order_by(_LEDGER.c.id).limit(limit))
    return [Held(*row) for row in rows]


async def of_target(
    connection: AsyncConnection, target: str, *, after: tuple[str, str] = ("", ""), limit: int = 100
) -> list[Held]:
    """What a target holds, by type and id, after one of these; deletions too."""
    place = tuple_(_LEDGER.c.type, _LEDGER.c.id)
    chosen = (_LEDGER.c.target == target, place > after)
    rows = await connection.execute(
        select(*_COLUMNS).where(*chosen).order_by(_LEDGER.c.type, _LEDGER.c.id).limit(limit)
    )
    return [Held(*row) for row in rows]


async def counts(connection: AsyncConnection) -> dict[str, tuple[int, int]]:
    """Per target: how many resources it is known to hold, and since when the last of them."""
    held = (_LEDGER.c.target, func.count(), func.max(_LEDGER.c.delivered_at))
    rows = await connection.execute(select(*held).where(~col(Ledger.deleted)).group_by(_LEDGER.c.target))
    return {target: (count, latest) for target, count, latest in rows}


def _row(target: str, held: Held) -> dict[str, Any]:
    return {"target": target, **{name: getattr(held, name) for name in Held.__dataclass_fields__}}
