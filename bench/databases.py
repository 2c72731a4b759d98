"""The database of a measurement, read and filled by its driver alone, with nothing of the service in between."""

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import asyncpg
from sqlalchemy.engine import make_url

_AT_ONCE = 500
Rows = Sequence[Sequence[Any]]


class Driver(Protocol):
    """An open connection."""

    def run(self, statements: Iterable[str]) -> None:
        """All of them in one transaction."""

    def rows(self, statement: str) -> Iterator[Rows]:
        """What it answers, some hundred rows at a time."""

    def tables(self) -> Iterator[tuple[str, list[str]]]:
        """The tables with their columns, but those the database keeps for its own full text index."""

    def renamed(self, prefix: str) -> str:
        """SQL of the content in the column text, with the prefix before its id."""

    def settle(self) -> None:
        """After many rows: what a database does by itself in a while."""

    def close(self) -> None: ...


def opened(url: str) -> Driver:
    """By the address of the service's settings."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        return Sqlite(str(address.database))
    return Postgres(address.set(drivername="postgresql").render_as_string(hide_password=False))


class Sqlite:
    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-200000")

    def run(self, statements: Iterable[str]) -> None:
        self._connection.execute("BEGIN")
        for each in statements:
            self._connection.execute(each)
        self._connection.execute("COMMIT")

    def rows(self, statement: str) -> Iterator[Rows]:
        found = self._connection.execute(statement)
        while some := found.fetchmany(_AT_ONCE):
            yield some

    def tables(self) -> Iterator[tuple[str, list[str]]]:
        named = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        for (name,) in named.fetchall():
            if not name.startswith("search_text"):
                yield name, [row[1] for row in self._connection.execute(f'PRAGMA table_info("{name}")')]

    def renamed(self, prefix: str) -> str:
        return f"""CAST(replace(CAST(text AS TEXT), '"id":"', '"id":"{prefix}') AS BLOB)"""

    def settle(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._connection.close()


class Postgres:
    def __init__(self, address: str) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(address, command_timeout=3_600))  # type: ignore[no-untyped-call]

    def run(self, statements: Iterable[str]) -> None:
        self._runner.run(self._run(statements))

    async def _run(self, statements: Iterable[str]) -> None:
        async with self._connection.transaction():
            for each in statements:
                await self._connection.execute(each)

    def rows(self, statement: str) -> Iterator[Rows]:
        transaction = self._connection.transaction()
        self._runner.run(transaction.start())
        cursor = self._runner.run(self._cursor(statement))
        while some := self._runner.run(cursor.fetch(_AT_ONCE)):
            yield some
        self._runner.run(transaction.rollback())

    async def _cursor(self, statement: str) -> Any:
        return await self._connection.cursor(statement)

    def tables(self) -> Iterator[tuple[str, list[str]]]:
        named = (
            "SELECT table_name, array_agg(column_name ORDER BY ordinal_position) FROM information_schema.columns"
            " WHERE table_schema = 'public' GROUP BY table_name ORDER BY table_name"
        )
        for some in self.rows(named):
            yield from ((name, list(columns)) for name, columns in some)

    def renamed(self, prefix: str) -> str:
        return f"""convert_to(replace(convert_from(text, 'UTF8'), '"id":"', '"id":"{prefix}'), 'UTF8')"""

    def settle(self) -> None:
        self._runner.run(self._connection.execute("VACUUM ANALYZE"))

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()
