"""The name of this instance among all that write to one target."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.tables import Instance


async def name(connection: AsyncConnection) -> str:
    """The name, as the migration drew it."""
    return str(await connection.scalar(select(Instance.name)) or "")  # type: ignore[call-overload]
