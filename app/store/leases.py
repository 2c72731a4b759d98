"""What one worker does at a time: who does it, and until when another may not take over."""

from typing import Any

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.store.tables import Lease
from app.store.upserts import upsert

_LEASE: Any = Lease.__table__  # type: ignore[attr-defined]


async def claim(connection: AsyncConnection, name: str, owner: str, *, now: int, until: int) -> bool:
    """Take or keep the lease of something, such as "$reindex"; False while another worker holds it."""
    row = {"target": name, "owner": owner, "until": until}
    free = (_LEASE.c.owner == owner) | (_LEASE.c.until < now)
    statement = upsert(connection, Lease, [row], ["target"], where=lambda _: free).returning(_LEASE.c.target)
    return bool((await connection.execute(statement)).first())


async def release(connection: AsyncConnection, name: str, owner: str) -> None:
    """Give the lease back, so that another worker need not wait for its end."""
    await connection.execute(delete(Lease).where(col(Lease.target) == name, col(Lease.owner) == owner))
