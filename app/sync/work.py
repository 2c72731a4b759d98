"""The worker of a process: does all that outlives a request, for as long as it runs, and wakes when there is some.

What there is to do is told as a table of duties, one for each target and kind of work; it is read anew when something
was written, so that a target that is added, changed or taken away is picked up. Several workers share every duty: what
each of them does at a time is settled in the database.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from app.logs import of_error
from app.store.database import Unavailable
from app.store.listening import Bell
from app.sync.health import jittered

# A ring may be lost with a connection: everybody looks by himself after so long.
LOOK_SECONDS = 60.0
# What is going on when the worker is to stop may end within this time.
GRACE_SECONDS = 10.0
_BETWEEN_READINGS = 1.0
_LONGEST_WAIT = 30.0
_log = structlog.get_logger()


class Job(Protocol):
    """Something that is done piece by piece. Several steps of one job may be going on at once, as many as its duty
    allows."""

    async def step(self) -> float:
        """Do one bounded piece. Answers the seconds after which there may be more to do, unless it is woken before: 0
        where it did something, math.inf where there is nothing to wait for."""


@dataclass(frozen=True, slots=True)
class Duty:
    """A job, as it is opened and closed, and how many steps of it may be going on at once."""

    open: Callable[[], AbstractAsyncContextManager[Job]]
    concurrency: int = 1


Duties = Mapping[Hashable, Duty]


class Worker:
    """Does the duties until cancelled.

    duties: those of now; one whose key is not there any more is stopped. The key of what was changed, such as a target
    with another revision, must be another one.
    """

    def __init__(self, bell: Bell, duties: Callable[[], Awaitable[Duties]]) -> None:
        self._bell, self._duties = bell, duties
        self._running: dict[Hashable, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Work for ever. When cancelled, end what is going on as far as that does not take long."""
        failures = 0
        try:
            while True:
                mark = self._bell.mark()
                try:
                    await self._take_up(await self._duties())
                    failures = 0
                except Exception as error:
                    _tell("targets cannot be read", error)
                    failures += 1
                await asyncio.sleep(max(_BETWEEN_READINGS, jittered(failures, _LONGEST_WAIT)))
                await _rung(mark, LOOK_SECONDS)
        finally:
            await _stop(self._running.values())

    async def _take_up(self, duties: Duties) -> None:
        """Stop what is no duty any more, and begin what is new."""
        for task in self._running.values():
            if task.done() and (error := task.exception()):
                _tell("a duty cannot be done", error)
        gone = {key: task for key, task in self._running.items() if key not in duties or task.done()}
        await _stop(gone.values())
        self._running = {key: task for key, task in self._running.items() if key not in gone}
        for key, duty in duties.items():
            if key not in self._running:
                self._running[key] = asyncio.create_task(_Doing(self._bell, duty).run())


class _Doing:
    """One duty being done: begins steps when there may be something to do, and more of them while there is."""

    def __init__(self, bell: Bell, duty: Duty) -> None:
        self._bell, self._duty = bell, duty
        self._steps: set[asyncio.Task[float]] = set()
        self._failures = 0
        # How many steps are worth beginning, and when one is in any case.
        self._wanted, self._due = 1, math.inf

    async def run(self) -> None:
        async with self._duty.open() as job:
            try:
                while True:
                    await self._turn(job)
            finally:
                await self._end()

    async def _turn(self, job: Job) -> None:
        mark = self._bell.mark()
        while self._wanted and len(self._steps) < self._duty.concurrency:
            self._steps.add(asyncio.create_task(self._step(job)))
            self._wanted -= 1
        now = asyncio.get_running_loop().time()
        rung = asyncio.create_task(mark.wait())
        try:
            timeout = max(0.0, min(self._due - now, LOOK_SECONDS))
            done, _ = await asyncio.wait({*self._steps, rung}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            rung.cancel()
        if rung in done or not done:
            self._wanted, self._due = max(self._wanted, 1), math.inf
        for step in self._steps & done:
            self._note(step.result())
        self._steps -= done

    def _note(self, wait: float) -> None:
        """One that did something is followed by itself and another one; so what is idle costs one look at a ring."""
        if wait <= 0:
            self._wanted = min(self._wanted + 2, self._duty.concurrency)
        else:
            self._due = min(self._due, asyncio.get_running_loop().time() + wait)

    async def _step(self, job: Job) -> float:
        try:
            wait = await job.step()
        except Exception as error:
            _tell("a step failed", error)
            self._failures += 1
            return max(0.1, jittered(self._failures, _LONGEST_WAIT))
        self._failures = 0
        return wait

    async def _end(self) -> None:
        """What does not end in time is cut: what it was sending keeps its lease, since it may still arrive."""
        if self._steps:
            await asyncio.wait(self._steps, timeout=GRACE_SECONDS)
            await _stop(self._steps)


async def _stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel, and wait until all have ended."""
    every = list(tasks)
    for task in every:
        task.cancel()
    await asyncio.gather(*every, return_exceptions=True)


async def _rung(mark: asyncio.Event, seconds: float) -> None:
    # Not wait_for: cancelled while the mark is set, that of Python 3.11 goes on as if nothing had been said.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await mark.wait()


def _tell(what: str, error: BaseException) -> None:
    """What the database or a target cannot do now is expected; anything else is ours."""
    if isinstance(error, Unavailable):
        _log.warning(what, reason=str(error))
    else:
        _log.error(what, **of_error(error))
