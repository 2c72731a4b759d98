"""Asking a server until it answers, for commands: what fails for a while is tried again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.outbound.bulk import Unanswered
from app.sync.health import jittered

_ATTEMPTS = 8
LONGEST_ASKED = 300.0
_LONGEST_WAIT = 30.0
T = TypeVar("T")


async def persistently(do: Callable[[], Awaitable[T]]) -> T:
    """Do it, again where it may help. Raises Unanswered."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await do()
        except Unanswered as error:
            if not error.is_passing or attempt == _ATTEMPTS:
                raise
            await asyncio.sleep(max(min(error.after, LONGEST_ASKED), jittered(attempt, _LONGEST_WAIT)))
    raise AssertionError("an attempt either answers or raises")
