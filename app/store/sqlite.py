"""SQLite with one turn of the connection's thread for each statement.

aiosqlite goes to its thread for a cursor, for the statement, for the rows and to close the cursor, and each time costs
as much as a small statement itself. Here rows are read along with the statement, and the rest needs no thread.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import aiosqlite
from aiosqlite.context import contextmanager

from app.store.patience import Watched, patience


class _Cursor(aiosqlite.Cursor):
    _rows: Sequence[Any] = ()

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> aiosqlite.Cursor:
        self._rows = await self._execute(self._run, sql, parameters or (), patience())  # type: ignore[no-untyped-call]
        return self

    def _run(self, sql: str, parameters: Any, seconds: float) -> Sequence[Any]:
        watched: Watched = self._cursor.connection  # type: ignore[assignment]
        with watched.within(seconds):
            return self._cursor.execute(sql, parameters).fetchall()

    async def fetchall(self) -> Sequence[Any]:
        found, self._rows = self._rows, ()
        return found

    async def close(self) -> None:
        """Nothing is open: all rows have been read."""


class SqliteConnection(aiosqlite.Connection):
    @contextmanager
    async def cursor(self) -> aiosqlite.Cursor:
        return _Cursor(self, self._conn.cursor())

    async def rollback(self) -> None:
        # The pool rolls back whatever it gets back.
        if self.in_transaction:
            await super().rollback()

    async def do_all(self, work: Sequence[tuple[str, Sequence[Sequence[Any]]]]) -> None:
        """Do each statement for all its rows of values, in one turn."""
        await self._execute(self._do_all, work)  # type: ignore[no-untyped-call]

    def _do_all(self, work: Sequence[tuple[str, Sequence[Sequence[Any]]]]) -> None:
        for sql, rows in work:
            self._conn.executemany(sql, rows)


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """A connection for SQLAlchemy (`async_creator_fn`), to be awaited; options: those of sqlite3.connect.

    Rows cannot be read one by one from it (AsyncConnection.stream).
    """
    made = SqliteConnection(partial(sqlite3.connect, database, factory=Watched, **options), iter_chunk_size=1)
    # A connection that nobody has closed must not keep the process alive.
    made._thread.daemon = True
    return made
