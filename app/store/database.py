"""Connections to SQLite or PostgreSQL, and the write transaction that everything durable goes through.

SQLite: one writer at a time (BEGIN IMMEDIATE, and a lock inside the process so that writers queue fairly),
readers beside it in WAL mode. PostgreSQL: many writers; `lock` serialises those that touch the same thing.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from app.store import schema
from app.store.feed import rebase
from app.store.patience import is_given_up, patience
from app.store.sqlite import connect

Connection: TypeAlias = AsyncConnection

BUSY_SECONDS = 30
# Names share this many locks: PostgreSQL has room for about 6,400 by default, and one transaction may name
# thousands of resources. Two names that meet only wait for each other.
LOCKS = 512
_LOCK = text(
    """SELECT CASE WHEN shared THEN pg_advisory_xact_lock_shared(number) ELSE pg_advisory_xact_lock(number) END
    FROM (SELECT unnest(CAST(:numbers AS bigint[])) AS number, unnest(CAST(:shared AS boolean[])) AS shared
    ORDER BY number) AS wanted"""
)
_NO_TIMEOUT = text("SET LOCAL statement_timeout = 0")
_MIGRATION_LOCK = 0x6465726D  # one advisory lock for all processes that start at once


# SQLSTATE classes, and states, that are about the database, not about what was asked: connection, a standby that only
# reads, time limits of the operator, sign-in, no such database, rollback by the server, out of resources, operator
# intervention, its disk.
_NOT_OURS = ("08", "25006", "25P03", "25P04", "28", "3D", "40", "53", "57", "58")


@dataclass(frozen=True, slots=True, order=True)
class Lock:
    """A name to hold until the transaction ends; shared: together with others who share it."""

    name: str
    shared: bool = False


class Unavailable(Exception):
    """The database cannot do this now; nothing was changed, and the same may work later."""


class Contended(Unavailable):
    """Another transaction was in the way; nothing was changed, and the same may work at once."""


class TooSlow(Unavailable):
    """A statement took longer than this server gives it; nothing was changed."""


class Unsure(Unavailable):
    """The database was lost while it committed: nobody knows whether anything was changed."""


class Interrupted(Exception):
    """A restore was begun in this database and has not ended; the message tells the operator."""


_RESTORING = (
    "a restore was begun in it and has not ended: it is empty or not whole. Run `dermatome restore` again, "
    "or set another database"
)
_CONTENDED = ("40001", "40P01", "55P03")  # serialization failure, deadlock, a lock waited for too long
# Two made the same version: only processes of another release, with other locks, can do that beside us.
_SAME_VERSION = re.compile("constraint \"version_|UNIQUE constraint failed: (index ')?version[._]")
# The write transaction whose state readers of the same task are to see.
_bound: ContextVar[AsyncConnection | None] = ContextVar("bound", default=None)


@contextmanager
def seen_from(connection: AsyncConnection) -> Iterator[None]:
    """Within the block, `reading` reads what this write transaction sees, its own changes too."""
    token = _bound.set(connection)
    try:
        yield
    finally:
        _bound.reset(token)


class Database:
    """One database. Open with `async with Database(url) as database`."""

    def __init__(
        self, url: str, *, synchronous: str = "FULL", query_seconds: float = 0, is_durable: bool = True
    ) -> None:
        """query_seconds: what a statement of a request may take on PostgreSQL (app/store/patience.py); 0: any time.

        synchronous: of SQLite. is_durable: on PostgreSQL a commit is answered only once it is on disk.
        """
        self.is_sqlite = url.startswith("sqlite")
        self.url = url
        self._synchronous = synchronous
        self._query_seconds = query_seconds
        self._is_durable = is_durable
        self._writer: AsyncEngine
        self._reader: AsyncEngine
        self._one_writer: asyncio.Lock | nullcontext[None] = asyncio.Lock() if self.is_sqlite else nullcontext()

    async def __aenter__(self) -> "Database":
        if self.is_sqlite:
            Path(str(make_url(self.url).database)).parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._sqlite_engine("BEGIN IMMEDIATE", pool_size=1)
            self._reader = self._sqlite_engine("BEGIN", pool_size=4)
        else:
            # Readers have connections of their own: writers that wait for each other must not keep them out.
            self._writer = self._postgresql_engine("READ COMMITTED")
            self._reader = self._postgresql_engine("REPEATABLE READ")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.dispose()
        await self._writer.dispose()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction: committed at the end of the block, rolled back whole if it raises.

        Raises RuntimeError inside `seen_from`: it would wait for itself.
        """
        if _bound.get() is not None:
            raise RuntimeError("a write transaction within another")
        async with self._one_writer, _translated(), self._writer.connect() as connection, connection.begin() as own:
            await self._let_work(connection)
            yield connection
            with _committing():
                await own.commit()

    @asynccontextmanager
    async def reading(self, *, committed: bool = False) -> AsyncIterator[AsyncConnection]:
        """A read transaction that sees one state of the database throughout.

        committed: never what a write transaction of the same task has done so far (`seen_from`).
        """
        if not committed and (bound := _bound.get()) is not None:
            yield bound
            return
        async with _translated(), self._reader.begin() as connection:
            await self._let_work(connection)
            yield connection

    async def lock(self, connection: AsyncConnection, locks: Iterable[Lock]) -> None:
        """Hold each lock until the transaction ends; another transaction that wants one waits.

        Locks are taken in one order everywhere, so two transactions cannot wait for each other.
        SQLite needs nothing: its write transactions already follow one another.
        """
        if self.is_sqlite:
            return
        wanted: dict[int, bool] = {}
        for lock in locks:
            number = int.from_bytes(hashlib.sha256(lock.name.encode()).digest()[:8]) % LOCKS
            wanted[number] = wanted.get(number, True) and lock.shared
        if wanted:
            numbers = sorted(wanted)
            await connection.execute(_LOCK, {"numbers": numbers, "shared": [wanted[n] for n in numbers]})

    async def _let_work(self, connection: AsyncConnection) -> None:
        """Give the transaction the time it needs, unless it is of a request."""
        if self._query_seconds and not self.is_sqlite and not patience():
            await connection.execute(_NO_TIMEOUT)

    async def migrate(self, *, is_restored: bool = False) -> None:
        """Bring the schema to the newest version; processes that start together do it once.

        Raises Interrupted where a restore has not ended, schema.Newer where it is beyond this version. is_restored: it
        is about to be filled from a backup.
        """
        async with self.writing() as connection:
            if not self.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
            await connection.run_sync(schema.upgrade)
            if not is_restored and await connection.scalar(text("SELECT count(*) FROM restoring")):
                raise Interrupted(_RESTORING)
            await rebase(connection)

    async def scrub(self) -> bool:
        """Leave nothing removed in the files of SQLite: in the unused parts of its pages, where it moves what it sorts,
        and in its log. Whoever reads just now is waited for, a while; whether that was done. Not of large files, which
        VACUUM takes minutes to write anew."""
        if not self.is_sqlite:
            return True
        async with self._one_writer, _translated(), self._writer.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            async with driver.execute(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
            ) as sizes:
                (size,) = await sizes.fetchone()
            if is_small := bool(size <= _MOST_SCRUBBED):
                await driver.execute("VACUUM")
        for _ in range(_SCRUBS):
            async with self._one_writer, _translated(), self._writer.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                async with driver.execute("PRAGMA wal_checkpoint(TRUNCATE)") as answer:
                    is_busy, *_ = await answer.fetchone()
            if not is_busy:
                return is_small
            await asyncio.sleep(_BETWEEN_SCRUBS)
        return False

    async def is_ready(self) -> bool:
        """Whether the database answers and its schema is the newest version."""
        async with self.reading() as connection:
            return await connection.run_sync(schema.current) == schema.newest()

    async def unsafe(self) -> list[str]:
        """What of the server or the settings lets a power loss take away what was acknowledged, or more."""
        if self.is_sqlite:
            return [] if self._synchronous == "FULL" else [f"synchronous={self._synchronous}"]
        async with self.writing() as connection:
            found = [(name, await connection.scalar(text(f"SHOW {name}"))) for name in _DURABLE]
        return [f"{name}={value}" for name, value in found if value == "off"]

    async def revision(self, connection: AsyncConnection) -> str:
        """The version of its schema."""
        return str(await connection.run_sync(schema.current))

    def _postgresql_engine(self, isolation_level: Any) -> AsyncEngine:
        # Without a limit of ours, one that the operator gave to the role or the database counts.
        own = {"statement_timeout": str(int(self._query_seconds * 1_000))} if self._query_seconds else {}
        if not self._is_durable:
            own["synchronous_commit"] = "off"
        engine = create_async_engine(
            self.url,
            isolation_level=isolation_level,
            pool_size=8,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"server_settings": own},
        )
        if self._is_durable:
            event.listen(engine.sync_engine, "connect", _wait_for_disk)
        return engine

    def _sqlite_engine(self, begin: str, *, pool_size: int) -> AsyncEngine:
        engine = create_async_engine(
            self.url,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=pool_size,
            max_overflow=0,
            hide_parameters=True,
            connect_args={"timeout": BUSY_SECONDS, "isolation_level": None, "async_creator_fn": connect},
        )
        event.listen(engine.sync_engine, "connect", self._set_pragmas)
        event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    def _set_pragmas(self, connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        # What is deleted is overwritten: erased is not to mean hidden.
        for pragma in ("journal_mode=WAL", f"synchronous={self._synchronous}", "foreign_keys=ON", "secure_delete=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


# Reads end soon; the longest there are, of exports and views, take their rows in parts.
_SCRUBS, _BETWEEN_SCRUBS, _MOST_SCRUBBED = 50, 0.1, 536_870_912
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
# What is stronger than on, as remote_apply, stays.
_ON_DISK = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
)


def _wait_for_disk(connection: Any, _record: object) -> None:
    """A commit is answered when it is on disk, whatever the server has by itself."""
    cursor = connection.cursor()
    cursor.execute(_ON_DISK)
    cursor.close()
    connection.commit()


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (PoolTimeout, OSError) as error:
        raise Unavailable(type(error).__name__) from error
    except DBAPIError as error:
        if is_given_up(error.orig) and patience():
            raise TooSlow(_named(error)) from error
        if _is_contended(error):
            raise Contended(_named(error)) from error
        is_ours = not str(getattr(error.orig, "sqlstate", "")).startswith(_NOT_OURS)
        if is_ours and not isinstance(error, OperationalError | InterfaceError) and not _is_out_of_step(error):
            raise
        raise Unavailable(_named(error)) from error


@contextmanager
def _committing() -> Iterator[None]:
    """Where a commit got no answer, it may have been done all the same."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        if _named(error) == "SQLITE_FULL" or (isinstance(error, DBAPIError) and _is_contended(error)):
            raise
        raise Unsure(_named(error)) from error


def _named(error: DBAPIError | OSError) -> str:
    """What the database calls an error, such as SQLITE_FULL or 57P01: operators look for it."""
    cause = getattr(error, "orig", error)
    return str(getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or type(cause).__name__)


def _is_contended(error: DBAPIError) -> bool:
    is_busy = str(getattr(error.orig, "sqlite_errorname", "")).startswith("SQLITE_BUSY")
    has_lost = str(getattr(error.orig, "sqlstate", "")) in _CONTENDED
    return is_busy or has_lost or bool(_SAME_VERSION.search(str(error.orig)))


def _is_out_of_step(error: DBAPIError) -> bool:
    """Whether it is the driver that has lost its place in a connection, as where the server cut it; no state of SQL."""
    return isinstance(error, InternalError) and not getattr(error.orig, "sqlstate", None)
