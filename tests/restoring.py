"""Puts a database that a running application uses back to what it was, for the next test.

A start on a fresh database costs several times what most tests do with it. What is put back are rows and sequences,
all of them whatever the tables are called; schema changes are not.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from sqlalchemy.engine import make_url

_TIMES = 5
# Rows written since have a younger transaction, so finding them needs no comparing; those changed or deleted since come
# back from the copy. The lock keeps out what runs in the background.
_RESTORE = """
CREATE FUNCTION saved.restore() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  one record;
  held bigint;
BEGIN
  FOR one IN SELECT * FROM saved.counted LOOP
    EXECUTE format('LOCK TABLE public.%1$I IN SHARE ROW EXCLUSIVE MODE', one.name);
    EXECUTE format('DELETE FROM public.%1$I WHERE xmin::text::bigint >= $1', one.name) USING one.since;
    EXECUTE format('SELECT count(*) FROM public.%1$I', one.name) INTO held;
    IF held <> one.held THEN
      EXECUTE format('INSERT INTO public.%1$I SELECT * FROM saved.%1$I EXCEPT ALL SELECT * FROM public.%1$I', one.name);
    END IF;
  END LOOP;
  PERFORM setval(format('%I.%I', 'public', sequencename)::regclass, coalesce(last_value, 1), last_value IS NOT NULL)
    FROM saved.numbered;
END $$
"""
_SAVE = """
CREATE SCHEMA saved;
CREATE TABLE saved.counted (name text, held bigint, since bigint);
CREATE TABLE saved.numbered AS SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public';
DO $$
DECLARE
  one text;
BEGIN
  FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename LOOP
    EXECUTE format('CREATE TABLE saved.%1$I AS TABLE public.%1$I', one);
    EXECUTE format(
      'INSERT INTO saved.counted SELECT %1$L, count(*), pg_current_xact_id()::text::bigint FROM public.%1$I', one
    );
  END LOOP;
END $$;
"""


class Saved(Protocol):
    """What a database held at some moment."""

    async def restore(self) -> None:
        """Put it back."""

    async def close(self) -> None:
        """It is needed no more."""


class SavedPostgres:
    """The copy is in a schema of the same database."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def of(cls, url: str) -> "SavedPostgres":
        address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(address)  # type: ignore[no-untyped-call]
        # What was noted stays, says a trigger; here it goes.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(_SAVE + _RESTORE)
        return cls(connection)

    async def restore(self) -> None:
        for left in reversed(range(_TIMES)):
            try:
                await self._connection.execute("SELECT saved.restore()")
                return
            except asyncpg.DeadlockDetectedError:
                # Something in the background writes to the same tables in another order.
                if not left:
                    raise

    async def close(self) -> None:
        await self._connection.close()


class SavedSqlite:
    """The copy is a file beside the database."""

    def __init__(self, path: Path) -> None:
        self._path, self._copy = path, path.with_suffix(".saved")

    @classmethod
    async def of(cls, url: str) -> "SavedSqlite":
        made = cls(Path(str(make_url(url).database)))
        await asyncio.to_thread(_copy, made._path, made._copy)
        return made

    async def restore(self) -> None:
        # By SQLite's own way of copying, which connections that are open see as one transaction.
        await asyncio.to_thread(_copy, self._copy, self._path)

    async def close(self) -> None:
        """Its file goes with the folder."""


async def save(url: str) -> Saved:
    """Remember what a database holds now."""
    return await (SavedSqlite.of(url) if url.startswith("sqlite") else SavedPostgres.of(url))


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        other.execute("PRAGMA synchronous=OFF")
        one.backup(other)
