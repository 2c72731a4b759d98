"""Reads the feed and numbers what concerns each Subscription: a piece at a time, once, in the order of the feed.

What happens between the acceptance of a Subscription and its activation is an event of it, too, sent after the
handshake. While a Subscription is in error, events go on being numbered (backport, errors.html), and wait.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.fhir import json as lossless
from app.store import clock, events, feed, repository
from app.store.database import Connection, Database
from app.store.events import State
from app.store.feed import Piece, Written
from app.store.search import Searcher
from app.sync.subscriptions.matching import concerned
from app.sync.subscriptions.reading import Wanted, read
from app.sync.subscriptions.seeing import sights

NAME, TYPE = "subscriptions", "Subscription"
_PIECE = 200
# A ring tells of what was written; one that is lost is made up for after so long.
_IDLE = 2.0
_CLEAR_SECONDS, _CLEARED = 600.0, 1_000


@dataclass(slots=True)
class Numbering:
    """The job of numbering. keep_days: how long delivered events can be asked for; ring: wakes the deliveries."""

    database: Database
    searcher: Searcher
    base: str
    keep_days: float
    ring: Callable[[], None]
    _read: dict[tuple[str, int], Wanted | None] = field(default_factory=dict)
    _clear_at: float = 0.0

    async def step(self) -> float:
        """Number one piece."""
        await self._clear()
        async with self.database.reading() as connection:
            found, matched = await self._look(connection)
        if not found.is_far:
            return _IDLE
        async with self.database.writing() as connection:
            if await feed.move(connection, NAME, found.start, found.end):
                await self._note(connection, found, matched)
        self.ring()
        return 0

    async def _look(self, connection: Connection) -> tuple[Piece, dict[str, list[Written]]]:
        """What comes next, up to where a Subscription was written: from there on others may be concerned."""
        wanted = await self._wanted(connection)
        types = {TYPE, *(name for one in wanted.values() for name in one.types)}
        cursor = await feed.read(connection, NAME)
        piece = await feed.piece(connection, cursor, types=types, limit=_PIECE)
        ends = [place for place, row in enumerate(piece.rows, 1) if row.type == TYPE]
        piece = piece.upto(ends[0]) if ends else piece
        limited = await sights(connection, self.searcher, self.base, wanted)
        return piece, await concerned(connection, self.searcher, wanted, piece.rows, limited)

    async def _wanted(self, connection: Connection) -> dict[str, Wanted]:
        """What each Subscription asks for whose events are numbered; those that cannot be read have none."""
        states = await events.counted(connection)
        found = {state.id: await self._of(connection, state) for state in states}
        known = {(state.id, state.version) for state in states}
        self._read = {key: one for key, one in self._read.items() if key in known}
        return {name: one for name, one in found.items() if one}

    async def _of(self, connection: Connection, state: State) -> Wanted | None:
        key = state.id, state.version
        if key not in self._read:
            stored = await repository.read_version(connection, TYPE, *key)
            tree = lossless.parse_object(stored.content) if stored and stored.content else {}
            self._read[key] = read(tree, self.searcher, self.base)[0]
        return self._read[key]

    async def _note(self, connection: Connection, piece: Piece, matched: Mapping[str, Sequence[Written]]) -> None:
        for subscription, rows in sorted(matched.items()):
            await events.append(connection, subscription, rows)
        for row in piece.rows:
            if row.type == TYPE:
                await self._take_up(connection, row)

    async def _take_up(self, connection: Connection, row: Written) -> None:
        stored = await repository.read_version(connection, TYPE, row.id, row.version)
        if stored is None or stored.content is None:
            await events.forget(connection, row.id)
            return
        tree = lossless.parse_object(stored.content)
        wanted = read(tree, self.searcher, self.base)[0]
        ends_at = wanted.ends_at if wanted else 0
        await events.take_up(connection, row.id, row.version, str(tree.get("status")), ends_at)

    async def _clear(self) -> None:
        """Forget, now and then, what was delivered long ago."""
        now = asyncio.get_running_loop().time()
        if now < self._clear_at:
            return
        self._clear_at = now + _CLEAR_SECONDS
        async with self.database.writing() as connection:
            before = clock.later(await clock.now(connection), -self.keep_days * 86_400)
            while await events.clear(connection, before, _CLEARED) == _CLEARED:
                continue
