"""Following the feed from outside: a client keeps its place itself, for as long as it likes.

A place names the newest version there was when it was taken, its anchor. A database that was put back to an earlier
state, or whose order of writes began anew (feed.rebase), has no such version, or has another one in its place: numbers
that the place compares with are then of a past that never was, and to go on by them would leave something out. So the
place is refused, and that is told.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import feed, instance, repository
from app.store.cursors import seal, unseal
from app.store.feed import START, Cursor
from app.store.repository import Stored
from app.store.snapshot import Snapshot
from app.store.tables import Version

_VERSION: Any = Version.__table__.c  # type: ignore[attr-defined]
# What is compared of the anchor: all of a version that never changes.
_LASTING = ("vid", "type", "id", "version", "since", "last_updated")
# Contents are read so many at a time, so that a page of large ones ends before it is too large.
_CHUNK = 50


class Strange(Exception):
    """A place that is none, or is one of another database, or for other types."""


class Lost(Exception):
    """A place of this database as it was before it was put back, or before its order of writes began anew."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a client has come. anchor: row number and digest of the newest version there was; (0, "") for none."""

    cursor: Cursor = START
    anchor: tuple[int, str] = (0, "")


BEGINNING = Place()


@dataclass(frozen=True, slots=True)
class Page:
    """The next versions, in their order, and the place after them."""

    versions: Sequence[Stored]
    end: Place


async def name(connection: AsyncConnection, types: Iterable[str]) -> str:
    """What a place is bound to: this database, and the types that are followed. What others wrote was passed over."""
    return f"feed {await instance.name(connection)} {','.join(sorted(set(types)))}"


def sealed(place: Place, bound_to: str) -> str:
    """The place as a text that nobody need understand."""
    through = place.cursor.through.text if place.cursor.through else ""
    return seal(bound_to, place.cursor.before, [through, place.cursor.vid, *place.anchor])


def unsealed(text: str, bound_to: str) -> Place:
    """The place of such a text. Raises Strange."""
    try:
        before, (through, vid, at, digest) = unseal(text, bound_to)
        cursor = Cursor(before, Snapshot.parse(through) if through else None, vid)
    except (ValueError, TypeError):
        raise Strange from None
    if any(type(each) is not int or not 0 <= each < 2**63 for each in (vid, at)) or not isinstance(digest, str):
        raise Strange
    return Place(cursor, (at, digest))


async def page(connection: AsyncConnection, place: Place, *, types: Sequence[str], count: int, most_bytes: int) -> Page:
    """What comes after a place: so many versions, fewer where they would be larger; none only where there is none.

    connection: of a read transaction that has written nothing. Raises Lost.
    """
    if place.anchor[0] and await _anchor(connection, place.anchor[0]) != place.anchor:
        raise Lost
    found = await feed.piece(connection, place.cursor, types=types, limit=count)
    if not found.rows and place.cursor.through:
        # The page before ended with the last of what was there then: what came since is another piece.
        there = Place(found.end, place.anchor)
        return await page(connection, there, types=types, count=count, most_bytes=most_bytes)
    versions = await _contents(connection, [row.vid for row in found.rows], most_bytes)
    # What a piece is read through was taken with the place, and so was its newest version.
    anchor = place.anchor if place.cursor.through else await _anchor(connection)
    if not anchor[0]:
        return Page([], BEGINNING)
    return Page(versions, Place(found.upto(len(versions)).end, anchor))


async def _contents(connection: AsyncConnection, vids: Sequence[int], most_bytes: int) -> list[Stored]:
    """The versions of these rows, as many of the first as are not too large together."""
    found: list[Stored] = []
    size = 0
    for start in range(0, len(vids), _CHUNK):
        for stored in await repository.read_rows(connection, vids[start : start + _CHUNK]):
            size += len(stored.content or b"")
            if found and size > most_bytes:
                return found
            found.append(stored)
    return found


async def _anchor(connection: AsyncConnection, vid: int = 0) -> tuple[int, str]:
    """A version as an anchor, else the newest there is; (0, "") where there is none."""
    chosen = select(*(_VERSION[each] for each in _LASTING))
    chosen = chosen.where(_VERSION.vid == vid) if vid else chosen.order_by(_VERSION.vid.desc()).limit(1)
    row = (await connection.execute(chosen)).first()
    if row is None:
        return 0, ""
    told = "|".join(map(str, row)).encode()
    return row.vid, hashlib.blake2s(told, digest_size=8, person=b"feed").hexdigest()
