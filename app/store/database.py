"""Connections to SQLite or PostgreSQL, and the write transaction that everything durable goes through.

SQLite: one writer at a time (BEGIN IMMEDIATE, and a lock inside the process so that writers queue fairly),
readers beside it in WAL mode. PostgreSQL: many writers; `lock` serialises those that touch the same thing.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

Connection: TypeAlias = AsyncConnection

BUSY_SECONDS = 30
_MIGRATION_LOCK = 0x6465726D  # one advisory lock for all processes that start at once


# SQLSTATE classes that are about the database, not about what was asked: connection, sign-in, no such database,
# rollback by the server, out of resources, operator intervention.
_NOT_OURS = ("08", "28", "3D", "40", "53", "57")


class Unavailable(Exception):
    """The database cannot do this now; nothing was changed, and the same may work later."""


class Database:
    """One database. Open with `async with Database(url) as database`."""

    def __init__(self, url: str, *, synchronous: str = "FULL") -> None:
        self.is_sqlite = url.startswith("sqlite")
        self._url = url
        self._synchronous = synchronous
        self._writer: AsyncEngine
        self._reader: AsyncEngine
        self._one_writer: asyncio.Lock | nullcontext[None] = asyncio.Lock() if self.is_sqlite else nullcontext()

    async def __aenter__(self) -> "Database":
        if self.is_sqlite:
            Path(str(make_url(self._url).database)).parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._sqlite_engine("BEGIN IMMEDIATE", pool_size=1)
            self._reader = self._sqlite_engine("BEGIN", pool_size=4)
        else:
            self._writer = create_async_engine(self._url, pool_size=8, pool_pre_ping=True, hide_parameters=True)
            self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.dispose()
        await self._writer.dispose()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction: committed at the end of the block, rolled back whole if it raises."""
        async with self._one_writer, _translated(), self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A read transaction that sees one state of the database throughout."""
        async with _translated(), self._reader.begin() as connection:
            yield connection

    async def lock(self, connection: AsyncConnection, names: Iterable[str]) -> None:
        """Hold each name until the transaction ends; another transaction that wants one waits.

        Names are taken in one order everywhere, so two transactions cannot wait for each other.
        SQLite needs nothing: its write transactions already follow one another.
        """
        numbers = sorted({int.from_bytes(hashlib.sha256(n.encode()).digest()[:8], signed=True) for n in names})
        if numbers and not self.is_sqlite:
            statement = "SELECT pg_advisory_xact_lock(n) FROM (SELECT unnest(CAST(:n AS bigint[])) AS n ORDER BY 1) s"
            await connection.execute(text(statement), {"n": numbers})

    async def migrate(self) -> None:
        """Bring the schema to the newest version; processes that start together do it once."""
        async with self.writing() as connection:
            if not self.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
            await connection.run_sync(_upgrade)

    async def is_ready(self) -> bool:
        """Whether the database answers and its schema is the newest version."""
        async with self.reading() as connection:
            return bool(await connection.run_sync(_is_newest))

    def _sqlite_engine(self, begin: str, *, pool_size: int) -> AsyncEngine:
        engine = create_async_engine(
            self._url,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=pool_size,
            max_overflow=0,
            hide_parameters=True,
            connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
        )
        event.listen(engine.sync_engine, "connect", self._set_pragmas)
        event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    def _set_pragmas(self, connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", f"synchronous={self._synchronous}", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, OSError) as error:
        raise Unavailable(type(error).__name__) from error
    except DBAPIError as error:
        if str(getattr(error.orig, "sqlstate", "")).startswith(_NOT_OURS):
            raise Unavailable(type(error.orig).__name__) from error
        raise


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _upgrade(connection: SyncConnection) -> None:
    config = _alembic()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _is_newest(connection: SyncConnection) -> bool:
    head = ScriptDirectory.from_config(_alembic()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == head
