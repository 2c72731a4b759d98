"""Filling an empty database from a backup, in one transaction: all of it, or nothing.

Before it a mark is set that is removed in that transaction. A process killed meanwhile leaves an empty database with
the mark, and no service starts on that: it would look as if there had never been anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import feed
from app.store.database import Connection, Database, Lock
from app.store.inserting import insert_all
from app.store.kept.rows import tables
from app.store.tables import Instance, Restoring, Version

_VERSION: Any = Version.__table__  # type: ignore[attr-defined]
_LOCK = Lock("restoring")
_NAME = "restore"
# Drawn with the schema; what is restored keeps its own.
_OWN = Instance.__tablename__


class NotEmpty(Exception):
    """The database holds something. The message names the tables."""


async def begin(database: Database, now: int) -> None:
    """Set the mark. Raises NotEmpty; a restore that was killed may be begun anew."""
    async with database.writing() as connection:
        await _require_empty(database, connection)
        await connection.execute(delete(Restoring))
        await connection.execute(insert(Restoring).values(name=_NAME, begun_at=now))


async def prepare(database: Database, connection: Connection) -> None:
    """In the transaction of the filling, before the first row. Raises NotEmpty: somebody was faster."""
    await _require_empty(database, connection)
    await connection.execute(delete(Instance))
    await connection.execute(delete(Restoring))


async def _require_empty(database: Database, connection: Connection) -> None:
    await database.lock(connection, [_LOCK])
    found = [
        name
        for name, table in tables().items()
        if name != _OWN and (await connection.execute(select(table.c[0]).limit(1))).first()
    ]
    if found:
        raise NotEmpty(", ".join(found))


async def fill(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows as they were."""
    if len(table.c) == 1:
        # The driver takes rows of several values.
        await connection.execute(insert(table), list(rows))
        return
    made: Any = {table: rows}
    await insert_all(connection, made)


async def finish(connection: AsyncConnection) -> None:
    """After the last row: numbers go on behind those given, and the order of writes begins anew.

    Clients that follow it, and page links, are told so: what they know may be of writes that are not in the backup.
    """
    if connection.dialect.name != "sqlite":
        for name, table in tables().items():
            await _number_on(connection, name, table)
    # Of replaced versions no search values are made; nobody has a page link that asks for them.
    await connection.execute(update(_VERSION).values(indexed=_VERSION.c.until.is_(None)))
    await feed.rebase(connection, is_restored=True)


async def _number_on(connection: AsyncConnection, name: str, table: Table) -> None:
    column = table.autoincrement_column
    if column is None or len(list(table.primary_key)) != 1:
        return
    sequence = await connection.scalar(
        text("SELECT pg_get_serial_sequence(:name, :column)"), {"name": name, "column": column.name}
    )
    last = await connection.scalar(select(func.max(column)))
    if sequence and last:
        given = {"sequence": sequence, "last": last}
        await connection.execute(text("SELECT setval(CAST(:sequence AS regclass), :last)"), given)
