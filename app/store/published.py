"""Which of our own definitions the database holds, as noted when they were stored."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.store.repository import Key
from app.store.tables import Published

_DEFINITIONS = "definitions"


@dataclass(frozen=True, slots=True)
class Noted:
    """digest: of the definitions as they were stored. keys: which they are."""

    digest: str
    keys: tuple[Key, ...]


async def noted(connection: AsyncConnection) -> Noted | None:
    """What was noted last, None in a new database."""
    chosen = select(Published.__table__).where(col(Published.name) == _DEFINITIONS)  # type: ignore[attr-defined]
    row = (await connection.execute(chosen)).first()
    return Noted(row.digest, tuple((type_, id_) for type_, id_ in json.loads(row.keys))) if row else None


async def note(connection: AsyncConnection, digest: str, keys: Iterable[Key]) -> None:
    """Keep what is stored now."""
    await connection.execute(delete(Published).where(col(Published.name) == _DEFINITIONS))
    row = {"name": _DEFINITIONS, "digest": digest, "keys": json.dumps(sorted(keys))}
    await connection.execute(insert(Published), [row])
