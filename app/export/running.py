"""Doing exports: each step takes up the job that has waited longest and writes one file of it.

What a job shows is settled when it begins: a snapshot. A file is put in its place as a whole, and noted together with
the place where the next one begins; so whoever takes a job up again goes on from the last finished file, and what was
being written when a worker ended is written again, the same, under the same name.
"""

import asyncio
import math
import time
import uuid
from contextlib import suppress

import structlog

from app.export.asked import Asked
from app.export.choosing import meaning, needed, parameter_names, patients, searches, what_is_chosen
from app.export.files import FilesUnavailable, NoRoom
from app.export.filing import Filing
from app.export.means import Means
from app.export.shapes import Pseudonyms
from app.fhir.outcomes import Issue, NotReady, Refused
from app.logs import of_error
from app.store import exported, exporting
from app.store.clock import later
from app.store.database import Unavailable
from app.store.exported import Chosen
from app.store.exporting import Lost
from app.store.index.state import require_indexed
from app.store.search import asks_terms
from app.store.snapshot import current
from app.store.tables import ExportJob

# A job that fails so often in a row, whatever the reason, is given up.
_ATTEMPTS = 8
_FIRST_PAUSE, _LONGEST_PAUSE, _INDEX_PAUSE = 1.0, 300.0, 5.0
# While others are at all the jobs there are; and while there are none, since every write rings.
_BETWEEN_LOOKS, _IDLE = 1.0, 0.25
# A job is kept after this part of its lease.
_KEEP = 1 / 3
_CHANGED = (
    "A value set or code system of its searches, or the key for pseudonyms, has changed since it began. "
    "Kick it off anew."
)
_ENDED = "It was given up: the workers that were at it ended again and again before a file was finished."
_UNEXPECTED = "It could not be done, for a reason that the log of the server tells."
_log = structlog.get_logger()


class Exporting:
    """The work on exports of one process. Several steps may be going on, each with a job of its own."""

    def __init__(self, means: Means) -> None:
        self._means, self._idle_until = means, 0.0

    async def step(self) -> float:
        """Write a file of the job that has waited longest."""
        means = self._means
        if (left := self._idle_until - time.monotonic()) > 0:
            return left
        async with means.database.reading() as connection:
            waiting = await exporting.waiting(connection)
        if waiting.seconds is None:
            self._idle_until = time.monotonic() + _IDLE
            return math.inf
        if not waiting.is_due:
            return max(waiting.seconds, _BETWEEN_LOOKS)
        async with means.database.writing() as connection:
            job = await exporting.claim(connection, f"{means.owner}/{uuid.uuid4().hex}", means.lease_seconds)
        if job is None:
            return _BETWEEN_LOOKS
        await _Doing(means, job).do()
        return 0.0


class _Doing:
    """A job that was taken up, until it is given back."""

    def __init__(self, means: Means, job: ExportJob) -> None:
        self._means, self._job, self._kept_at = means, job, time.monotonic()

    async def do(self) -> None:
        """One file, or the end of the job. Raises Unavailable while the database is away."""
        try:
            await self._carry_on()
        except Lost:
            _log.info("an export was called off, or went to another worker", job=self._job.id)
            await self._leave_nothing()
        except (Unavailable, asyncio.CancelledError):
            # Whoever takes it up next need not wait for the end of the lease, if this can be told.
            with suppress(Unavailable, Lost):
                await self._give_back(0, counts=False)
            raise
        except Exception as error:
            with suppress(Lost):
                await self._failed(error)

    async def _failed(self, error: Exception) -> None:
        """What can be done about an error: end the job where trying again would not help, else try again later."""
        match error:
            case NoRoom():
                await self._end(str(error))
            case FilesUnavailable():
                await self._again(str(error))
            case NotReady():
                await self._give_back(_INDEX_PAUSE, counts=False)
            case Refused():
                await self._end(" ".join(issue.diagnostics for issue in error.issues))
            case _:
                _log.error("an export failed", job=self._job.id, **of_error(error))
                await self._again(_UNEXPECTED)

    async def _carry_on(self) -> None:
        if self._job.failures > _ATTEMPTS:
            raise Refused([Issue("processing", _ENDED)])
        asked = Asked.parse(self._job.asked)
        if asks_terms(parameter_names(asked)):
            await self._means.refresh()
        if self._job.state == "accepted":
            await self._begin(asked)
        pseudonyms = self._pseudonyms(asked, self._job.transaction_time)
        chosen = await self._chosen(asked, pseudonyms)
        if not self._job.total:
            await self._count(chosen)
        filed = await Filing(self._means, self._job, asked, chosen, pseudonyms, self._keep).next()
        async with self._means.database.writing() as connection:
            ended = self._ended("complete") if filed.is_last else {}
            await exporting.advance(connection, self._job, filed.noted | ended, filed.file)

    async def _begin(self, asked: Asked) -> None:
        """Take the snapshot. Its time is read before it: all that was done by then is in it."""
        async with self._means.database.reading() as connection:
            at = self._means.clock()
            snapshot = await current(connection)
            whose = await patients(connection, asked, snapshot)
        async with self._means.database.writing() as connection:
            moment = await exporting.mark(connection, snapshot, at=at)
            found = searches(self._means.searcher, asked, moment)
            told = {"transaction_time": moment, "meaning": meaning(found, self._pseudonyms(asked, moment))}
            self._job = await exporting.begin(connection, self._job, snapshot, told, whose)

    def _pseudonyms(self, asked: Asked, at: int) -> Pseudonyms | None:
        return self._means.pseudonyms(at) if asked.pseudonymised else None

    async def _chosen(self, asked: Asked, pseudonyms: Pseudonyms | None) -> Chosen:
        found = searches(self._means.searcher, asked, self._job.transaction_time)
        if meaning(found, pseudonyms) != self._job.meaning:
            raise Refused([Issue("expired", _CHANGED)])
        async with self._means.database.reading() as connection:
            await require_indexed(connection, needed(asked, found))
            return await what_is_chosen(connection, self._job, asked, found)

    async def _count(self, chosen: Chosen) -> None:
        """Of how many resources the progress is told."""
        async with self._means.database.reading() as connection:
            total = await exported.count(connection, chosen)
        async with self._means.database.writing() as connection:
            await exporting.note(connection, self._job, total=total)

    async def _keep(self) -> None:
        """Keep the job while a file takes long. Raises Lost."""
        if time.monotonic() - self._kept_at < self._means.lease_seconds * _KEEP:
            return
        async with self._means.database.writing() as connection:
            await exporting.renew(connection, self._job, self._means.lease_seconds)
        self._kept_at = time.monotonic()

    async def _again(self, reason: str) -> None:
        """Try again, later each time, unless that was tried often enough."""
        if self._job.failures >= _ATTEMPTS:
            await self._end(reason)
        else:
            await self._give_back(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**self._job.failures), counts=True)

    async def _give_back(self, seconds: float, *, counts: bool) -> None:
        async with self._means.database.writing() as connection:
            await exporting.give_back(connection, self._job, seconds, counts=counts)

    async def _end(self, reason: str) -> None:
        """The job cannot be done. Its files go: nobody is told of them."""
        _log.warning("an export failed", job=self._job.id, reason=reason)
        async with self._means.database.writing() as connection:
            await exporting.fail(connection, self._job, reason, self._ended("failed"))
        self._means.ring()

    def _ended(self, state: str) -> dict[str, object]:
        now = self._means.clock()
        return {"state": state, "finished_at": now, "expires_at": later(now, self._means.keep_seconds)}

    async def _leave_nothing(self) -> None:
        """What came into its place after the job had been cleared away goes too."""
        async with self._means.database.reading() as connection:
            is_wanted = await exporting.is_wanted(connection, self._job.id)
        if not is_wanted:
            await self._means.files.remove(self._job.id)
        async with self._means.database.writing() as connection:
            await exporting.let_go(connection, self._job)
        self._means.ring()
