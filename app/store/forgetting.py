"""Forgets the answers to Idempotency-Keys that were kept long enough."""

import asyncio
from collections.abc import Callable

import structlog

from app.logs import of_error
from app.store import idempotency
from app.store.database import Database, Unavailable

_REST_SECONDS, _DAY = 600, 86_400_000_000
_log = structlog.get_logger()


class Forgetting:
    """Every process does it; what one has forgotten the others do not find."""

    def __init__(self, database: Database, clock: Callable[[], int], days: float) -> None:
        self._database, self._clock, self._keep = database, clock, int(days * _DAY)

    async def run(self) -> None:
        """Work for ever."""
        while True:
            try:
                await self.work()
            except Unavailable as error:
                _log.warning("forgetting answers waits for the database", reason=str(error))
            except Exception as error:
                _log.error("answers could not be forgotten", **of_error(error))
            await asyncio.sleep(_REST_SECONDS)

    async def work(self) -> int:
        """Forget all that is old, some at a time, so that writers do not wait; answers of how many."""
        before, count = self._clock() - self._keep, 0
        while await self._is_some(before):
            async with self._database.writing() as connection:
                count += await idempotency.forget(connection, before)
        return count

    async def _is_some(self, before: int) -> bool:
        async with self._database.reading() as connection:
            return await idempotency.has_older(connection, before)
