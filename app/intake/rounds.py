"""Doing a write again from clean state when others came in between; the client hears of the last time only."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from app.store.database import Lock

ROUNDS = 6
# After so many the types a condition is about are held whole, so that nothing of them can move any more.
PATIENT_ROUNDS = 2
# No new round is begun after this long: whoever waits for a locked SQLite file has waited enough.
SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25


class Moved(Exception):
    """What a write was decided by is no longer so, or is not held yet.

    locks: to be held from the start next time. is_stale: what was read before the transaction must be read again.
    """

    def __init__(self, locks: Iterable[Lock] = (), *, is_stale: bool = False) -> None:
        self.locks = frozenset(locks)
        self.is_stale = is_stale
        super().__init__("decided by what others have changed")


async def pause(done: int) -> None:
    """Wait before the next round, for a random time that grows with the rounds done."""
    # Not about secrecy: two that met must not meet again.
    await asyncio.sleep(random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**done)))  # noqa: S311


@dataclass(frozen=True, slots=True)
class Turns:
    """Lets those who change the same thing in this process follow one another, so that they need no second round."""

    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    @asynccontextmanager
    async def of(self, names: Iterable[str]) -> AsyncIterator[None]:
        """The turn of whoever wants these names; taken in one order."""
        async with AsyncExitStack() as stack:
            for name in sorted(set(names)):
                await stack.enter_async_context(self._locks.setdefault(name, asyncio.Lock()))
            yield
