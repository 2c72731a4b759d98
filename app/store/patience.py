"""How long the database may take for one statement: what a request asks for ends, what works in the background goes on.

A request sets it once (app/routers/limits.py), and every statement of its task keeps to it. SQLite is looked at while
it works; PostgreSQL keeps to the time its connections were opened with, so that no transaction of a request says it.
"""

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

# So many steps of SQLite's machine, some milliseconds, between two looks at the clock: most statements have fewer.
_STEPS = 50_000
_seconds: ContextVar[float] = ContextVar("seconds", default=0.0)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Within the block, no statement takes longer. 0: as long as it takes."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)


def patience() -> float:
    """The seconds that a statement of this task may take; 0 for as long as it takes."""
    return _seconds.get()


def is_given_up(error: Any) -> bool:
    """Whether a driver's error says that a statement took too long."""
    return getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT" or getattr(error, "sqlstate", "") == "57014"


class Watched(sqlite3.Connection):
    """A connection whose statements end when their time is over. For its own thread."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._until = math.inf
        self.set_progress_handler(lambda: time.monotonic() > self._until, _STEPS)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Within the block, statements are given up after so long; 0: never."""
        self._until = time.monotonic() + seconds if seconds else math.inf
        try:
            yield
        finally:
            self._until = math.inf
