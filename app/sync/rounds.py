"""What an operator waits for: that a target was told of everything, or was read once; and when waiting has no end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.store import clock, letters, pulls, sync_state
from app.store.database import Connection, Database
from app.store.letters import Queue
from app.sync import health


@dataclass(frozen=True, slots=True)
class Left:
    """What a target is still to be told. trouble: why it is not told now, "" while it answers."""

    queue: Queue
    trouble: str

    @property
    def is_over(self) -> bool:
        """Whether nothing moves any more. What waits is freed with what it waits for, so that when all that is pending
        waits, it waits for dead letters and conflicts."""
        return self.queue.pending == self.queue.waiting


async def left(database: Database, target: str) -> Left:
    """How far telling a target has come."""
    async with database.reading() as connection:
        queue = (await letters.queues(connection)).get(target, Queue())
        state = await sync_state.read(connection, target)
    return Left(queue, state.last_error if state.failures else "")


@dataclass(frozen=True, slots=True)
class Reads:
    """What is read of a target in a round. failed: read -> why; trouble: why none of it can be read."""

    count: int = 0
    done: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""

    @property
    def is_over(self) -> bool:
        return bool(self.trouble) or (self.count > 0 and self.done + len(self.failed) >= self.count)


@dataclass(frozen=True, slots=True)
class Round:
    """One reading of a target that was asked for. before: read -> when it was finished last, and its failures then."""

    database: Database
    target: str
    began: int
    before: Mapping[str, tuple[int, int]]

    @classmethod
    async def begin(cls, database: Database, target: str) -> "Round":
        """Have it read at once, also what failed and waits to be tried again."""
        async with database.writing() as connection:
            rows = await pulls.rows(connection, target)
            await pulls.request(connection, target, waits=False)
            await sync_state.change(connection, target, open_until=0)
            began = await clock.now(connection)
        return cls(database, target, began, {row.type: (row.finished_at, row.failures) for row in rows})

    async def look(self) -> Reads:
        """How far it has come. What only looks for deletions, once an hour, is no part of it."""
        async with self.database.reading() as connection:
            rows = [row for row in await pulls.rows(connection, self.target) if row.mode != "ids"]
            trouble = await self._trouble(connection)
        before = {row.type: self.before.get(row.type, (0, 0)) for row in rows}
        done = {row.type for row in rows if row.finished_at > before[row.type][0] and not row.pages}
        failed = {row.type: row.error for row in rows if row.failures > before[row.type][1] and row.type not in done}
        return Reads(len(rows), len(done), failed, trouble)

    async def _trouble(self, connection: Connection) -> str:
        """Why the target cannot be read, once that was tried so often that it is left alone."""
        state, now = await sync_state.read(connection, self.target), await clock.now(connection)
        is_away = health.breaker(state, now) == "open" and state.last_error_at >= self.began
        return state.last_error if is_away else ""
