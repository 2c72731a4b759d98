"""The worker of a process: what wakes it, what it does at once and what one after the other, how it ends."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import event, text

from app.store.database import Database
from app.store.listening import Bell
from app.store.sync_state import State
from app.sync import health
from app.sync.health import OPEN_AFTER, Gate, after_failure, backoff_seconds, breaker, gate
from app.sync.work import Duty, Worker

SECOND = 1_000_000


class Steps:
    """A job that does so many pieces of work, each of which takes some time."""

    def __init__(self, pieces: int = 0, seconds: float = 0.02) -> None:
        self.pieces, self.seconds = pieces, seconds
        self.looked = self.done = self.now = self.most = self.closed = 0
        self.fails = 0

    async def step(self) -> float:
        self.looked += 1
        if self.fails:
            self.fails -= 1
            raise RuntimeError("of this step only")
        if not self.pieces:
            return math.inf
        self.pieces -= 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds)
        self.now -= 1
        self.done += 1
        return 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Steps"]:
        try:
            yield self
        finally:
            self.closed += 1


@pytest.fixture
async def database(bare_database_url: str) -> AsyncIterator[Database]:
    async with Database(bare_database_url) as database:
        yield database


def own_bell() -> Bell:
    """One that is heard in this process only."""
    return Bell(Database("sqlite+aiosqlite:///unused"), listens=False)


@asynccontextmanager
async def working(bell: Bell, duties: dict[str, Duty]) -> AsyncIterator[None]:
    async def now() -> dict[str, Duty]:
        return duties

    task = asyncio.create_task(Worker(bell, now).run())  # type: ignore[arg-type]
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(is_so: Callable[[], bool], seconds: float = 5) -> float:
    """The seconds it took."""
    start = time.monotonic()
    while not is_so():
        assert time.monotonic() - start < seconds, "this did not happen in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - start


async def test_what_waits_is_done_side_by_side_but_by_no_more_than_allowed() -> None:
    bell, job = own_bell(), Steps(pieces=20)

    async with working(bell, {"one": Duty(job.open, concurrency=4)}):
        await until(lambda: job.done == 20)

    assert job.most == 4


async def test_a_ring_wakes_even_while_a_step_hangs_and_idle_it_looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sync.work.GRACE_SECONDS", 0.0)  # for what hangs when all is over
    bell, job = own_bell(), Steps()
    async with working(bell, {"one": Duty(job.open, concurrency=3)}):
        await until(lambda: job.looked == 1)
        job.pieces, job.seconds = 1, 60
        bell.ring()
        await until(lambda: job.now == 1)
        before = job.looked

        job.pieces, job.seconds = 1, 0.01
        bell.ring()
        await until(lambda: job.done == 1)
        idle = job.looked - before

        await asyncio.sleep(0.3)
        looked = job.looked
        for _ in range(5):
            bell.ring()
            await asyncio.sleep(0.02)

    # The one that did something is followed by itself and by one beside it.
    assert idle <= 3
    assert job.looked - looked <= 5


async def test_a_step_that_fails_is_tried_again() -> None:
    bell, job = own_bell(), Steps(pieces=1)
    job.fails = 2

    async with working(bell, {"one": Duty(job.open)}):
        await until(lambda: job.done == 1, 10)


async def test_duties_are_taken_up_and_given_up_and_what_is_going_on_ends_first() -> None:
    bell, old, new = own_bell(), Steps(pieces=1, seconds=1), Steps()
    duties = {"old": Duty(old.open)}
    async with working(bell, duties):
        await until(lambda: old.now == 1)

        del duties["old"]
        duties["new"] = Duty(new.open)
        bell.ring()
        await until(lambda: new.looked == 1)

    assert (old.done, old.closed, new.closed) == (1, 1, 1)


async def test_what_one_process_writes_wakes_the_workers_of_another(database: Database, bare_database_url: str) -> None:
    async with _two_bells(database, bare_database_url) as (other, teller, listener):
        took = [await _told(other, teller, listener) for _ in range(3)]

    # NOTIFY is heard at once; a SQLite file is looked at every second.
    assert max(took) < (2.0 if database.is_sqlite else 0.5)


async def test_a_listener_that_was_cut_off_listens_again(database: Database, bare_database_url: str) -> None:
    if database.is_sqlite:
        pytest.skip("a file has no connection to cut")
    async with _two_bells(database, bare_database_url) as (other, teller, listener):
        cut = listener.mark()
        async with other.writing() as connection:
            listeners = "query LIKE '%dermatome_written%' AND pid <> pg_backend_pid()"
            await connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listeners}"))
        await asyncio.wait_for(cut.wait(), 5)  # it looks itself after it was away
        await _settle(listener)

        assert await _told(other, teller, listener) < 5


@asynccontextmanager
async def _two_bells(database: Database, url: str) -> AsyncIterator[tuple[Database, Bell, Bell]]:
    """Another process, its bell, and the bell here, which listens."""
    async with (
        Database(url) as other,
        Bell(other, listens=False) as teller,
        Bell(database, listens=True) as listener,
    ):
        await _settle(listener)
        yield other, teller, listener


async def test_what_is_rung_just_before_the_end_is_heard(database: Database, bare_database_url: str) -> None:
    async with Bell(database, listens=True) as listener, Database(bare_database_url) as other:
        await _settle(listener)
        mark = listener.mark()
        async with other.writing() as connection:
            await connection.execute(text("INSERT INTO lease (target, owner, until) VALUES ('a', 'b', 0)"))

        async with asyncio.timeout(5), Bell(other, listens=False) as teller:
            teller.ring()

        await until(mark.is_set)


async def test_who_rings_again_and_again_is_heard_at_once_and_once_more() -> None:
    bell = own_bell()
    first = bell.mark()

    bell.ring()
    second = bell.mark()
    for _ in range(10):
        bell.ring()

    assert first.is_set()
    assert not second.is_set()
    await asyncio.wait_for(second.wait(), 5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bell.mark().wait(), 0.2)


async def test_a_worker_that_is_woken_while_it_is_stopped_stops(bare_database_url: str) -> None:
    bell = own_bell()
    async with asyncio.timeout(5), working(bell, {}):
        await asyncio.sleep(1.2)  # it has looked, and waits to be rung
        bell.ring()


async def test_an_idle_worker_asks_the_database_nothing(database: Database) -> None:
    asked: list[str] = []
    for engine in (database._reader, database._writer):
        event.listen(engine.sync_engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    job = Steps()

    async with Bell(database, listens=True) as bell, working(bell, {"one": Duty(job.open, concurrency=4)}):
        await _settle(bell)
        looked = job.looked
        await asyncio.sleep(3)

    assert job.looked == looked
    assert asked == []


async def _settle(bell: Bell) -> None:
    """Until it listens, and has not been woken for a moment."""
    mark = bell.mark()
    while True:
        try:
            await asyncio.wait_for(mark.wait(), 1.2)
        except TimeoutError:
            return
        mark = bell.mark()


async def _told(other: Database, teller: Bell, listener: Bell) -> float:
    """Write in the other process, ring there; the seconds until it is heard here."""
    mark, start = listener.mark(), time.monotonic()
    async with other.writing() as connection:
        await connection.execute(text("INSERT INTO feed (name, snapshot) VALUES (:name, '')"), {"name": str(start)})
    teller.ring()
    await asyncio.wait_for(mark.wait(), 10)
    return time.monotonic() - start


@pytest.mark.parametrize(
    ("attempts", "part", "seconds"), [(0, 1, 1), (0, 0.5, 0.5), (3, 1, 8), (3, 0, 0), (9, 1, 300), (5_000, 0.1, 30)]
)
def test_waits_double_and_are_full_of_chance(attempts: int, part: float, seconds: float) -> None:
    assert backoff_seconds(attempts, part) == seconds


@pytest.mark.parametrize(
    ("state", "expected", "called"),
    [
        (State("t"), Gate(), "closed"),
        (State("t", failures=2, open_until=100 * SECOND), Gate(90), "closed"),
        (State("t", failures=5, open_until=100 * SECOND), Gate(90), "open"),
        (State("t", failures=5, open_until=9 * SECOND), Gate(is_probe=True), "half-open"),
        (State("t", failures=4, open_until=9 * SECOND), Gate(), "closed"),
        (State("t", paused=True), Gate(math.inf), "closed"),
    ],
)
def test_who_may_send(state: State, expected: Gate, called: str) -> None:
    assert (gate(state, 10 * SECOND), breaker(state, 10 * SECOND)) == (expected, called)


@pytest.mark.parametrize(
    ("failures", "open_until", "asked", "is_probe", "expected"),
    [
        (0, 0, 0, False, (1, 1)),
        (3, 0, 0, False, (4, 8)),
        (4, 0, 0, False, (5, 30)),
        (5, 0, 0, True, (6, 60)),
        (20, 0, 0, True, (21, 300)),
        (0, 0, 120, False, (1, 120)),  # Retry-After wins
        (5, 40, 0, True, (6, 60)),  # the probe failed while the others wait for it
        (1, 40, 0, False, (None, 30)),  # sent before the pause began: nothing new
        (1, 40, 60, False, (None, 60)),
    ],
)
def test_what_a_failure_does(
    failures: int, open_until: int, asked: float, is_probe: bool, expected: tuple[int | None, int]
) -> None:
    state = State("t", failures=failures, open_until=open_until * SECOND)

    values = after_failure(state, 10 * SECOND, asked=asked, part=1, is_probe=is_probe)

    assert (values.get("failures"), values["open_until"] // SECOND - 10) == expected


async def test_workers_share_the_breaker_and_one_of_them_probes(database: Database) -> None:
    async def write(did: Callable[..., Awaitable[object]], **more: object) -> object:
        async with database.writing() as connection:
            return await did(connection, "partner", **more)

    for _ in range(OPEN_AFTER):
        await write(health.failed, reason="503")
        async with database.writing() as connection:
            await connection.execute(text("UPDATE sync_state SET open_until = 0"))

    gates = [await write(health.enter, probe_seconds=30) for _ in range(2)]
    failed = await write(health.failed, reason="503", gate=gates[0])
    later = await write(health.enter, probe_seconds=30)
    await write(health.answered, sent=3)
    back = await write(health.enter, probe_seconds=30)

    assert gates[0] == Gate(is_probe=True)
    assert isinstance(gates[1], Gate)
    assert gates[1].wait == pytest.approx(30, abs=2)
    assert failed == pytest.approx(60, abs=2)
    assert isinstance(later, Gate)
    assert later.wait == pytest.approx(60, abs=2)
    assert back == Gate()
