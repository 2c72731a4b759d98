"""Clients that wait for something to be written: so many at a time, and none that keeps the service from ending.

Who waits holds no connection to the database. A ring (app/store/listening.py) may be lost, so he looks by himself now
and then too.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.store.listening import Bell

# What is written within this time after a ring is found with it: a transaction seldom comes alone.
_GATHERING = 0.05
_LOOK_SECONDS = 3.0


class NoRoom(Exception):
    """As many wait as may."""


class Waiters:
    """Those of one process. most: how many there may be; count: how many there are."""

    def __init__(self, bell: Bell, most: int) -> None:
        self._bell, self._most = bell, most
        self.count = 0
        self._is_over = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """To be one of them within the block. Raises NoRoom."""
        if self.count >= self._most:
            raise NoRoom
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1

    def mark(self) -> asyncio.Event:
        """To be taken before looking: then no ring is missed."""
        return self._bell.mark()

    async def wait(self, mark: asyncio.Event, seconds: float) -> bool:
        """Until there may be something to find, so long at most; False if it is not worth looking again."""
        if self._is_over or seconds <= 0:
            return False
        # Not wait_for: cancelled just after a ring, that of Python 3.11 goes on for ever.
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, _LOOK_SECONDS)):
                await mark.wait()
                await asyncio.sleep(_GATHERING)
        return not self._is_over

    def end(self) -> None:
        """Let everybody go, and nobody wait any more: the service ends."""
        self._is_over = True
        self._bell.ring()
