"""Statistics of PostgreSQL's planner, in time. Its own come up to a minute late, and until then a search that follows
references compares every row with every other: 300 resources keep it busy for half a minute."""

import asyncio
from collections.abc import Iterable

import structlog
from sqlalchemy import text
from sqlmodel import SQLModel

from app.logs import of_error
from app.store.database import Database, Unavailable
from app.store.listening import Bell

_REST_SECONDS = 1.0
# Tables that have at least doubled since they were looked at, or never were; what is larger is autovacuum's.
_GROWN = text(
    """SELECT relname, pages FROM (
         SELECT relname, reltuples, relpages, pg_relation_size(oid) / current_setting('block_size')::int AS pages
         FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
       ) AS one
       WHERE pages BETWEEN 1 AND 20000 AND (reltuples < 0 OR pages >= 2 * greatest(relpages, 4))"""
)
_log = structlog.get_logger()


class Statistics:
    """Every process of PostgreSQL does it; what one has looked at the others find done."""

    def __init__(self, database: Database, bell: Bell) -> None:
        self._database, self._bell = database, bell
        # Table -> its pages when this process looked at it: where it may not, it must not try again and again.
        self._done: dict[str, int] = {}

    async def run(self) -> None:
        """Work for ever."""
        while True:
            mark = self._bell.mark()
            try:
                await self.work()
            except Unavailable as error:
                _log.warning("statistics wait for the database", reason=str(error))
            except Exception as error:
                _log.error("statistics could not be made", **of_error(error))
            await asyncio.sleep(_REST_SECONDS)
            await mark.wait()

    async def work(self) -> list[str]:
        """Have the tables looked at that have grown; answers their names."""
        async with self._database.reading() as connection:
            pages = {str(name): int(count) for name, count in await connection.execute(_GROWN)}
        grown = [each for each in self._own(pages) if pages[each] >= 2 * self._done.get(each, 0)]
        for name in grown:
            # One at a time, since each is locked against autovacuum. The names are those of our own tables.
            async with self._database.writing() as connection:
                await connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {name}")
            self._done[name] = pages[name]
        return grown

    def _own(self, names: Iterable[str]) -> list[str]:
        return sorted(SQLModel.metadata.tables.keys() & set(names))
