"""What was refused, tried again: what it lacked may have come, or a rule may have changed."""

from app.store import quarantine
from app.store.database import Connection, Database
from app.store.tables import Quarantine
from app.sync.pull.pages import Incoming
from app.sync.pull.taking import Taker

# What was refused so often is not helped by what came in between; it waits for its time.
_MOST_HASTENED = 5


async def hasten(database: Database, target: str) -> None:
    """Something came: what waits for it need not wait for its time."""
    async with database.writing() as connection:
        await quarantine.hasten(connection, target, most_attempts=_MOST_HASTENED)


async def again(database: Database, taker: Taker, *, now: int, limit: int) -> bool:
    """Try again what is due; answers whether any of it could be kept. Raises NotRead and KeepsChanging."""
    async with database.reading() as connection:
        due = await quarantine.due(connection, taker.target, now=now, limit=limit)
    if not due:
        return False
    counts = await taker.take([_incoming(one) for one in due], _nothing, is_retry=True)
    return bool(counts["written"] + counts["deleted"])


def _incoming(row: Quarantine) -> Incoming:
    return Incoming(row.type, row.remote_id, row.remote_version, row.remote_updated, row.content)


async def _nothing(_: Connection) -> None:
    """There is no place in a window to be noted."""
