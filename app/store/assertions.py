"""Assertions that were used, so that none is used twice, by whichever process it is taken."""

import hashlib
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite

from app.store.database import Connection
from app.store.tables import Assertion

_TABLE: Any = Assertion.__table__  # type: ignore[attr-defined]


async def use(connection: Connection, client_id: str, token_id: str, *, until: int, now: int) -> bool:
    """Note that an assertion is used; False where it was before. until, now: seconds since 1970."""
    await connection.execute(delete(_TABLE).where(_TABLE.c.until < now))
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = {"mark": _mark(client_id, token_id), "until": until}
    done = await connection.execute(dialect.insert(_TABLE).values(**row).on_conflict_do_nothing())
    return bool(done.rowcount)


def _mark(client_id: str, token_id: str) -> str:
    """Of a fixed length, and nothing can be read off it."""
    return hashlib.sha256(f"{client_id}\0{token_id}".encode()).hexdigest()
