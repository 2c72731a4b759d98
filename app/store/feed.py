"""All writes in the order of the feed, for readers who must meet each of them once: versions of every resource.

A reader keeps a cursor, under a name, and moves it in the transaction in which it writes down what it made of what it
has read. So nothing is met twice or left out, whoever is killed when. A piece that is read is the same for everybody
who has that cursor; of two who read it at the same time, one moves.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import and_, false, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import exports, snapshot
from app.store.snapshot import Snapshot, current
from app.store.tables import Feed, Version
from app.store.upserts import upsert

_FEED: Any = Feed.__table__  # type: ignore[attr-defined]
_VERSION: Any = Version.__table__.c  # type: ignore[attr-defined]
_COLUMNS = ("vid", "type", "id", "version", "deleted", "last_updated")
# A cursor is moved over so many transactions without anything to read; before, looking over them again costs little.
_FAR = 500


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has come: all that `before` holds was read, and of what `through` holds, the versions to vid."""

    before: Snapshot
    through: Snapshot | None = None
    vid: int = 0

    @property
    def text(self) -> str:
        return f"{self.before.text}|{self.through.text}|{self.vid}" if self.through else self.before.text

    @classmethod
    def parse(cls, value: str) -> "Cursor":
        """The cursor of such a text. Raises ValueError for anything else."""
        before, _, rest = value.partition("|")
        through, _, vid = rest.partition("|")
        return cls(Snapshot.parse(before), Snapshot.parse(through), int(vid)) if rest else cls(Snapshot.parse(before))


START = Cursor(Snapshot(0, 0))


@dataclass(frozen=True, slots=True)
class Written:
    """A version as the feed tells it."""

    vid: int
    type: str
    id: str
    version: int
    deleted: bool
    last_updated: int


@dataclass(frozen=True, slots=True)
class Piece:
    """What comes after a cursor, in order. end: the cursor after all of it; is_far: it is worth moving there."""

    rows: tuple[Written, ...]
    start: Cursor
    end: Cursor
    is_far: bool

    def upto(self, count: int) -> "Piece":
        """The first rows of it only."""
        if count >= len(self.rows):
            return self
        through = self.end.through or self.end.before
        end = replace(self.start, through=through, vid=self.rows[count - 1].vid)
        return Piece(self.rows[:count], self.start, end, is_far=True)


async def read(connection: AsyncConnection, name: str) -> Cursor:
    """The cursor of a reader; of a new one, the beginning of everything."""
    found = await connection.scalar(select(_FEED.c.snapshot).where(_FEED.c.name == name))
    return Cursor.parse(found) if found else START


async def piece(connection: AsyncConnection, cursor: Cursor, *, types: Collection[str] = (), limit: int) -> Piece:
    """The next versions, those of some types only if these are given. connection: of a read transaction."""
    through = cursor.through or await current(connection)
    chosen = [
        through.holds(_VERSION.since),
        ~cursor.before.holds(_VERSION.since),
        _VERSION.since >= cursor.before.lowest,
        _VERSION.vid > cursor.vid,
        *([_VERSION.type.in_(sorted(types))] if types else []),
    ]
    statement = select(*(_VERSION[name] for name in _COLUMNS)).where(*chosen).order_by(_VERSION.vid).limit(limit)
    rows = tuple(Written(*row) for row in await connection.execute(statement))
    is_whole = len(rows) < limit
    end = Cursor(through) if is_whole else replace(cursor, through=through, vid=rows[-1].vid)
    is_far = bool(rows) or cursor.through is not None or through.lowest - cursor.before.lowest > _FAR
    return Piece(rows, cursor, end, is_far)


async def move(connection: AsyncConnection, name: str, start: Cursor, end: Cursor) -> bool:
    """Move a cursor; False, and it stays, if it is not at the start any more. The row is held until the end."""
    if start == START:
        row = {"name": name, "snapshot": START.text}
        await connection.execute(upsert(connection, Feed, [row], ["name"], changed=lambda new: {"name": new.name}))
    own = (_FEED.c.name == name, _FEED.c.snapshot == start.text)
    return bool((await connection.execute(update(Feed).where(*own).values(snapshot=end.text))).rowcount)


async def passed(connection: AsyncConnection, moment: Any) -> list[Any]:
    """Conditions: every reader is past the transaction of that number, so that nobody looks at what it ended."""
    cursors = [Cursor.parse(text) for text in (await connection.execute(select(_FEED.c.snapshot))).scalars()]
    return [cursor.before.holds(moment) for cursor in cursors]


async def rebase(connection: AsyncConnection, *, is_restored: bool = False) -> None:
    """Where the order of writes begins anew (snapshot.rebase), readers go on with what they had not read.

    is_restored: it begins anew in any case, as in a database that was filled from a backup.
    """
    if not is_restored and not await snapshot.is_copied(connection):
        return
    await exports.rebase(connection)
    cursors = [Cursor.parse(text) for text in (await connection.execute(select(_FEED.c.snapshot))).scalars()]
    unread = or_(false(), *(and_(~each.before.holds(_VERSION.since), _is_after(each)) for each in cursors))
    if connection.dialect.name == "sqlite":
        # There the newest row has the last number: what came after the first unread one is met again.
        first = await connection.scalar(select(func.min(_VERSION.vid)).where(unread))
        unread = _VERSION.vid >= first if first else false()
    await snapshot.rebase(connection, unread, is_restored=is_restored)
    await connection.execute(update(Feed).values(snapshot=Cursor(Snapshot(1, 1)).text))


def _is_after(cursor: Cursor) -> Any:
    """Whether the piece that is being read had not come to a version."""
    return or_(~cursor.through.holds(_VERSION.since), _VERSION.vid > cursor.vid) if cursor.through else ~false()
