"""The clock that leases and waits go by: the database's, since the clocks of several workers may differ by minutes."""

import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

SECOND = 1_000_000
_NOW = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)")


async def now(connection: AsyncConnection) -> int:
    """Microseconds since 1970, as the database counts them. A SQLite file is on this machine, and has its clock."""
    if connection.dialect.name == "sqlite":
        return time.time_ns() // 1_000
    return int(await connection.scalar(_NOW) or 0)


def later(moment: int, seconds: float) -> int:
    """A moment so many seconds after another."""
    return moment + int(seconds * SECOND)
