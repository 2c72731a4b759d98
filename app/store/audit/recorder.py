"""Noting accesses: those that come while one lot is being written are written together, in the next one."""

import asyncio
from collections.abc import Sequence
from contextvars import Context

import structlog

from app.store.audit.rows import Access, patients_of, write
from app.store.database import Database, Unavailable

# Accesses that wait to be noted: with more, the database does not keep up, and no further one is allowed.
MOST_WAITING = 10_000
_AT_ONCE = 500
_log = structlog.get_logger()


class Recorder:
    """Of one process. What was handed over is noted even if whoever asked has left."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Access, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._last: asyncio.Future[None] | None = None

    def take(self, accesses: Sequence[Access]) -> asyncio.Future[None]:
        """Take over accesses; the answer is done once all of them are committed, and fails with Unavailable.

        Raises Unavailable where too many wait already.
        """
        if len(self._waiting) + len(accesses) > MOST_WAITING:
            raise Unavailable("too many accesses wait to be noted")
        loop = asyncio.get_running_loop()
        last = self._last = loop.create_future()
        # Whoever does not wait for it is not told.
        last.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._waiting += [(access, last) for access in accesses]
        if self._task is None or self._task.done():
            # It is nobody's in particular: what one request may see or how long it may take is not for it.
            self._task = loop.create_task(self._work(), context=Context())
        return last

    async def settled(self) -> None:
        """Wait until what was handed over so far is noted, or could not be."""
        if self._last is not None and not self._last.done():
            await asyncio.wait([self._last])

    async def end(self) -> None:
        """Wait until all that was handed over is noted."""
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        while self._waiting:
            lot, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            left = {id(future) for _, future in self._waiting}
            problem: Exception | None = None
            try:
                await self._write([access for access, _ in lot])
            except Exception as error:
                problem = error if isinstance(error, Unavailable) else Unavailable(type(error).__name__)
                _log.error("accesses could not be noted", count=len(lot), reason=str(problem))
            for future in {id(future): future for _, future in lot}.values():
                if problem and not future.done():
                    future.set_exception(problem)
                elif not future.done() and id(future) not in left:
                    future.set_result(None)

    async def _write(self, accesses: Sequence[Access]) -> None:
        async with self._database.writing() as connection:
            shown = {key for each in accesses for key in each.seen}
            asked = {(each.type, each.id) for each in accesses if each.id and not each.seen}
            patients = await patients_of(connection, shown | asked)
            await write(connection, [row for each in accesses for row in each.rows(patients)])
