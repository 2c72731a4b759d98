"""Moments in the order of commits, so that a search can be answered as things stood when its first page was read.

SQLite has one writer at a time: every write transaction gets the next number, and a snapshot is the last one.
PostgreSQL commits in another order than it numbers: a snapshot is what the database itself calls one, the
transactions that were finished.
"""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.store.tables import Version

_LAST = text("SELECT since FROM version ORDER BY vid DESC LIMIT 1")
_OWN = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
_SNAPSHOT = text(
    "SELECT CAST(pg_current_snapshot() AS text), CAST(CAST(pg_current_xact_id_if_assigned() AS text) AS bigint)"
)
_TEXT = re.compile(r"(\d{1,18}):(\d{1,18}):((\d{1,18},)*\d{1,18})?", re.ASCII)
# Of transactions that started before this one; more would make a page link too long.
_MOST_OPEN = 1_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything committed by then: the transactions before `lowest`, and those before `next` that are not `open`."""

    lowest: int
    next: int
    open: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """For a page link."""
        return f"{self.lowest}:{self.next}:{','.join(map(str, self.open))}"

    @classmethod
    def parse(cls, value: str) -> "Snapshot":
        """The snapshot of such a text. Raises ValueError for anything else."""
        found = _TEXT.fullmatch(value)
        if not found:
            raise ValueError("this is no snapshot")
        unfinished = tuple(map(int, found[3].split(","))) if found[3] else ()
        if len(unfinished) > _MOST_OPEN:
            raise ValueError("this is no snapshot of this server")
        return cls(int(found[1]), int(found[2]), unfinished)

    def holds(self, moment: Any) -> ColumnElement[bool]:
        """Whether the transaction of that number is among them."""
        if self.lowest == self.next:
            return and_(moment < self.next)
        finished = and_(moment < self.next, moment.not_in(self.open)) if self.open else moment < self.next
        return or_(moment < self.lowest, finished)


async def stamp(connection: AsyncConnection) -> int:
    """The number of this write transaction in the order of the database."""
    if connection.dialect.name == "sqlite":
        return int(await connection.scalar(_LAST) or 0) + 1
    return int(await connection.scalar(_OWN) or 0)


async def current(connection: AsyncConnection) -> Snapshot:
    """What this transaction sees, its own changes too."""
    if connection.dialect.name == "sqlite":
        following = int(await connection.scalar(_LAST) or 0) + 1
        return Snapshot(following, following)
    seen, own = (await connection.execute(_SNAPSHOT)).one()
    found = Snapshot.parse(seen)
    return _with_own(found, own) if own else found


def visible(version: Any, snapshot: Snapshot | None) -> ColumnElement[bool]:
    """Whether a version (the table, or an alias of it) was the current one then; None: is now."""
    if snapshot is None:
        return col(version.until).is_(None)
    ended = and_(col(version.until).is_not(None), snapshot.holds(col(version.until)))
    return and_(snapshot.holds(col(version.since)), ~ended)


async def is_copied(connection: AsyncConnection) -> bool:
    """Whether the numbers of a database that this one was copied from are ahead of its own."""
    if connection.dialect.name == "sqlite":
        return False
    return int(await connection.scalar(_LAST) or 0) > await stamp(connection)


async def rebase(
    connection: AsyncConnection, unread: ColumnElement[bool] | None = None, *, is_restored: bool = False
) -> bool:
    """Where the numbers of a database that this one was copied from are ahead of its own, begin anew.

    A dump of PostgreSQL carries our numbers, not the counter they come from. Page links from before are worthless then.
    unread: versions that get the number 1 and not 0, so that they can be told from the others. is_restored: it is done
    in any case. Answers if it was done.
    """
    if not is_restored and not await is_copied(connection):
        return False
    table = Version.__table__  # type: ignore[attr-defined]
    await connection.execute(table.update().values(since=0 if unread is None else case((unread, 1), else_=0)))
    await connection.execute(table.update().where(table.c.until.is_not(None)).values(until=0))
    return True


def _with_own(snapshot: Snapshot, own: int) -> Snapshot:
    unfinished = {*snapshot.open, *range(snapshot.next, own)} - {own}
    return Snapshot(min(snapshot.lowest, own), max(snapshot.next, own + 1), tuple(sorted(unfinished)))
