"""Waking workers: whoever has written rings, and the workers of every process look what there is to do.

Within a process that is an event. Between processes of one PostgreSQL it is NOTIFY, on a connection of its own, after
the commit and once for all that was written since the last: in the write transaction it would hold every other
commit up, since those that notify commit one after the other. A SQLite file is looked at once a second for what other
processes have written. A ring may be lost with a connection, so whoever waits looks by himself now and then too.
"""

import asyncio
import math
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncpg
import structlog
from sqlalchemy.engine import make_url

from app.store.database import Database
from app.store.sqlite import connect

_CHANNEL = "dermatome_written"
# After a ring, the next one that comes is passed on after so long; those in between with it.
_BETWEEN_RINGS = 0.05
_LOOK_SECONDS, _FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 0.5, 15.0
# What was rung just before the end is told if that does not take longer.
_LAST_RING = 1.0
# A connection that is silent is asked whether it is still there.
_SILENCE, _ANSWER = 30.0, 10.0
_log = structlog.get_logger()


class Bell:
    """One per process. Open with `async with`; before that, and without others to hear it, it wakes this process only.

    listens: whether anybody here waits for what other processes write.
    """

    def __init__(self, database: Database, *, listens: bool) -> None:
        self._database, self._listens = database, listens
        self._rung = asyncio.Event()
        self._to_tell = asyncio.Event()
        # Nothing is left to tell others.
        self._told = asyncio.Event()
        self._told.set()
        self._own = uuid.uuid4().hex
        self._task: asyncio.Task[None] | None = None
        # When this process was woken last, and the time it is to be woken again for what has rung since.
        self._woken_at = -math.inf
        self._later: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> "Bell":
        if not self._database.is_sqlite:
            self._task = asyncio.create_task(self._again_and_again(self._notify_and_listen))
        elif self._listens:
            self._task = asyncio.create_task(self._again_and_again(self._watch))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._later:
            self._later.cancel()
        if self._task:
            # A command ends as soon as it has written: the others are to hear of that.
            if not self._database.is_sqlite:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_RING):
                        await self._told.wait()
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def ring(self) -> None:
        """Something was written, and committed."""
        self._told.clear()
        self._to_tell.set()
        self._wake()

    def mark(self) -> asyncio.Event:
        """What will be set by the next ring. Take it before looking what there is to do: then no ring is missed."""
        return self._rung

    def _wake(self) -> None:
        """At once, or with all that rings soon after it: whoever looks for each write takes more than the write."""
        if self._later is None:
            loop = asyncio.get_running_loop()
            left = self._woken_at + _BETWEEN_RINGS - loop.time()
            if left > 0:
                self._later = loop.call_later(left, self._wake_now)
            else:
                self._wake_now()

    def _wake_now(self) -> None:
        self._later, self._woken_at = None, asyncio.get_running_loop().time()
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

    async def _again_and_again(self, attend: Callable[[], Awaitable[None]]) -> None:
        """However often the connection is lost; what was rung meanwhile is heard, and told, by the next one."""
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await attend()
            except Exception as error:
                _log.warning("workers are not woken by other processes for now", reason=type(error).__name__)
            await asyncio.sleep(pause)
            pause = _FIRST_PAUSE if loop.time() - began > 2 * _LONGEST_PAUSE else min(_LONGEST_PAUSE, pause * 2)

    async def _notify_and_listen(self) -> None:
        """Until the connection ends."""
        address = make_url(self._database.url).set(drivername="postgresql").render_as_string(hide_password=False)
        connect_to: Any = asyncpg.connect
        connection = await connect_to(address, timeout=_ANSWER)
        try:
            if self._listens:
                await connection.add_listener(_CHANNEL, self._heard)
                self._wake()
            await self._notify(connection)
        finally:
            connection.terminate()

    async def _notify(self, connection: Any) -> None:
        ended = asyncio.Event()

        def end(_: object) -> None:
            ended.set()
            self._to_tell.set()

        connection.add_termination_listener(end)
        while not ended.is_set():
            try:
                # Not wait_for: cancelled just after a ring, that of Python 3.11 goes on for ever.
                async with asyncio.timeout(_SILENCE):
                    await self._to_tell.wait()
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=_ANSWER)
                continue
            if ended.is_set():
                return
            self._to_tell.clear()
            try:
                await connection.execute("SELECT pg_notify($1, $2)", _CHANNEL, self._own, timeout=_ANSWER)
            except BaseException:
                self._to_tell.set()
                raise
            if not self._to_tell.is_set():
                self._told.set()
            await asyncio.sleep(_BETWEEN_RINGS)

    def _heard(self, _connection: object, _process: int, _channel: str, who: object) -> None:
        if who != self._own:
            self._wake()

    async def _watch(self) -> None:
        """Ask SQLite whether another connection has written; that reads no table and waits for nobody."""
        connection = await connect(str(make_url(self._database.url).database), isolation_level=None)
        try:
            before = None
            while True:
                row = await (await connection.execute("PRAGMA data_version")).fetchall()
                if row != before:
                    before = row
                    self._wake()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await connection.close()
