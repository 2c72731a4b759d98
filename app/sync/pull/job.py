"""Pull: what was written at a target comes here, once, in order, whatever dies on the way.

One step reads one page of one type and takes it over (taking.py); where reading has come to is noted in the
transaction of the page. So a worker may be killed anywhere: the page is read again, and what is noted is known.
"""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from app.fhir.outcomes import Conflict
from app.store import clock, leases, pulls, quarantine, sync_state
from app.store.database import Connection, Database
from app.store.tables import Pull as Row
from app.sync import health
from app.sync.answers import Meaning
from app.sync.capabilities import Plan
from app.sync.planning import Unplanned
from app.sync.pull import quarantine as refused
from app.sync.pull import windows
from app.sync.pull.pages import CameAgain, UnusablePage
from app.sync.pull.reading import Reader
from app.sync.pull.remote import NotRead
from app.sync.pull.taking import KeepsChanging, Note, Taker

# A page that was refused is not asked for again at once; links that ran out are begun again soon.
_REFUSED_SECONDS = 300.0
_LEASE_SECONDS = 60.0
_log = structlog.get_logger()


@dataclass(slots=True)
class Pull:
    """The pulling of one target. plan: what the target can do; types: what is read of it then, in any order.

    owner: who this worker is; of several one pulls at a time, since one page follows from the other.
    """

    database: Database
    reader: Reader
    plan: Callable[[], Awaitable[Plan]]
    types: Callable[[Plan], Collection[str]]
    taker: Callable[[Plan, Collection[str]], Taker]
    owner: str
    _held_until: int = 0
    _wrote: bool = False
    # How often pages came again since a window came to its end. Not what is noted of the row: the first pages of a
    # circle can be read every time, which looks as if it got on.
    _circles: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return self.reader.target.name

    async def step(self) -> float:
        """Read one page, or try again what was refused; answers the seconds until there may be more to do."""
        async with self.database.reading() as connection:
            now = await clock.now(connection)
            gate = health.gate(await sync_state.read(connection, self.name), now)
            rows = await pulls.rows(connection, self.name)
            again = await quarantine.next_at(connection, self.name)
        if gate.wait:
            return gate.wait
        if rows and (wait := self._wait(rows, again, now)):
            return wait
        if not await self._claim(now):
            return _LEASE_SECONDS / 4
        try:
            return await self._work(rows, await self.plan(), now)
        except Unplanned as error:
            reason = f"What it can do cannot be found out: {error.reply.reason}"
            return await self._left_alone(NotRead(reason, error.reply.meaning, wait=error.reply.wait))
        except (pulls.Overtaken, Conflict):
            return 1.0

    async def close(self) -> None:
        """Let another worker go on."""
        if self._held_until:
            async with self.database.writing() as connection:
                await leases.release(connection, f"pull {self.name}", self.owner)

    def _wait(self, rows: Sequence[Row], again: int | None, now: int) -> float:
        """Seconds until something is due. Looking costs no write: everybody looks whenever anything was written."""
        if self._wrote or any(_is_due(row, now) for row in rows):
            return 0
        times = [*(row.not_before for row in rows), *([again] if again is not None else [])]
        return max(0, (min(times) - now) / clock.SECOND)

    async def _claim(self, now: int) -> bool:
        if self._held_until - now > _LEASE_SECONDS * clock.SECOND / 2:
            return True
        until = clock.later(now, _LEASE_SECONDS)
        async with self.database.writing() as connection:
            is_held = await leases.claim(connection, f"pull {self.name}", self.owner, now=now, until=until)
        self._held_until = until if is_held else 0
        return is_held

    async def _work(self, rows: Sequence[Row], plan: Plan, now: int) -> float:
        types = self.types(plan)
        reads = windows.reads(plan, types, self.reader.filters)
        if {row.type for row in rows} != reads.keys():
            async with self.database.writing() as connection:
                await pulls.begin(connection, self.name, reads)
            return 0 if reads else math.inf
        taker = self.taker(plan, types)
        if row := next_read(rows, reads, now):
            return await self._read(row, reads[row.type], plan, taker, now)
        return await self._refused_again(taker, now)

    async def _read(self, row: Row, wanted: str, plan: Plan, taker: Taker, now: int) -> float:
        """One page of what is due; what cannot be read waits, and the others go on."""
        try:
            if row.requested and not row.pages:
                async with self.database.writing() as connection:
                    await pulls.answer(connection, row)
            part = await self.reader.read(row, wanted, plan, now)
            note = _note(row, part.after)
            counts = await taker.take(part.entries, note, newest_first=part.newest_first)
            self._tell(counts)
            if not part.after.pages:
                self._circles.pop(row.type, None)
            await self._answered()
            return 0
        except NotRead as error:
            return await self._not_read(row, error, now)
        except CameAgain as error:
            wait = health.jittered(self._circles[row.type], _REFUSED_SECONDS)
            self._circles[row.type] += 1
            return await self._fail(row, str(error), now, wait, is_over=True)
        except UnusablePage as error:
            return await self._fail(row, str(error), now, _REFUSED_SECONDS, is_over=True)
        except KeepsChanging:
            return await self._fail(row, "Others keep changing here what comes.", now, 1.0, is_over=False)

    def _tell(self, counts: Mapping[str, int]) -> None:
        self._wrote = self._wrote or bool(counts["written"] + counts["deleted"])
        if told := {name: count for name, count in sorted(counts.items()) if count and name != "seen"}:
            _log.info("pulled", target=self.name, **told)

    async def _refused_again(self, taker: Taker, now: int) -> float:
        """Nothing is due to be read: what was refused is tried again, at once where anything came in this round."""
        if self._wrote:
            await refused.hasten(self.database, self.name)
        try:
            self._wrote = await refused.again(self.database, taker, now=now, limit=self.reader.target.page_size)
            return 0
        except NotRead as error:
            return await self._left_alone(error)
        except (UnusablePage, KeepsChanging):
            return 1.0

    async def _not_read(self, row: Row, error: NotRead, now: int) -> float:
        """The target did not answer, or not with a page."""
        if error.meaning in (Meaning.LATER, Meaning.LOST):
            wait = await self._left_alone(error)
            await self._fail(row, str(error), now, 0, is_over=False)
            return wait
        # A link to a further page that is refused has run out: R4 says nothing of how long one lasts.
        if row.pages:
            told = f"{error} The link to the next page is no longer known there; the window is read again."
            return await self._fail(row, told, now, health.jittered(row.failures), is_over=True)
        return await self._fail(row, str(error), now, _REFUSED_SECONDS, is_over=True)

    async def _left_alone(self, error: NotRead) -> float:
        async with self.database.writing() as connection:
            return await health.failed(connection, self.name, str(error), asked=error.wait)

    async def _answered(self) -> None:
        """The breaker closes; where it is closed nothing is to be written."""
        async with self.database.reading() as connection:
            state = await sync_state.read(connection, self.name)
        if state.failures or state.open_until:
            async with self.database.writing() as connection:
                await health.answered(connection, self.name)

    async def _fail(self, row: Row, reason: str, now: int, seconds: float, *, is_over: bool) -> float:
        """Leave this read for a while; the others go on."""
        _log.warning("page not read", target=self.name, read=row.type.partition("?")[0], reason=reason)
        with suppress(pulls.Overtaken):
            async with self.database.writing() as connection:
                after = windows.failed(row, reason, now=now, seconds=seconds, is_over=is_over)
                await pulls.move(connection, row, after)
        return 0


def next_read(rows: Sequence[Row], reads: Mapping[str, str], now: int) -> Row | None:
    """The read that is due: one that has begun before all others, then in their order, one round after the other.

    Were only their order to count, the last would never be read where a round takes longer than the wait for the next.
    """
    place = {name: number for number, name in enumerate(reads)}
    due = [row for row in rows if _is_due(row, now)]
    return min(due, key=lambda row: (not row.pages, row.finished_at, place[row.type]), default=None)


def _is_due(row: Row, now: int) -> bool:
    """Whether it may be read; what was asked for does not wait, unless it failed."""
    return row.not_before <= now or (row.requested and not row.failures)


def _note(before: Row, after: Row) -> Note:
    async def note(connection: Connection) -> None:
        await pulls.move(connection, before, after)

    return note
