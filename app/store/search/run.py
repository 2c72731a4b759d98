"""Running queries: one page of matches, what goes with them, and how many there are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import cursors, sight
from app.store.index.state import require_indexed
from app.store.keys import chunks
from app.store.repository import Stored
from app.store.search.compiling.criteria import Compiler
from app.store.search.compiling.order import after, ordering, sort_value
from app.store.search.includes import WITH_CONTENT, included
from app.store.search.needs import needs
from app.store.search.place import Place
from app.store.search.query import Query, Searcher
from app.store.snapshot import current
from app.store.tables import Version

# An estimate counts this far, and goes on from there by the numbers of the rows.
_COUNTED = 2_000
_VERSION: Any = Version.__table__.c  # type: ignore[attr-defined]
Conditions = Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Page:
    """Matches of one page and what is included with them. total: of all matches, None if that is not wanted.

    first, next: cursors of the first and the next page; "" where everything stands on this one.
    """

    matches: list[Stored]
    total: int | None
    included: list[Stored]
    first: str = ""
    next: str = ""


async def search(connection: AsyncConnection, query: Query) -> Page:
    """One page, as things stood when the first page was read. connection: of a read transaction.

    Raises Forbidden where the one who looks may search none of the types.
    """
    _require(query)
    await require_indexed(connection, needs(query))
    place = query.place or Place(await current(connection), query.at, None, None, query.meaning)
    # Of the first page, now and the snapshot are the same, and now has an index of its own.
    compiler = Compiler(place.snapshot if query.place else None, connection.dialect.name == "sqlite")
    conditions = compiler.among(_VERSION, query.types, query.criteria)
    total = await _total(connection, query, conditions, place)
    if query.count == 0:
        return Page([], total, [])
    rows = await _rows(connection, query, conditions, place)
    shown = rows[: query.count]
    matches = await contents(connection, [row[0] for row in shown])
    with_them = await included(connection, query, compiler, matches) if query.includes else []
    place = replace(place, total=total)
    following = _sealed(query, place, [*shown[-1][1:], shown[-1][0]]) if len(rows) > query.count else ""
    first = _sealed(query, place, None) if following or query.place else ""
    return Page([stored for _, stored in matches], total, [stored for _, stored in with_them], first, following)


async def matching_ids(connection: AsyncConnection, query: Query, *, limit: int = 2) -> list[str]:
    """The ids of the first matches as things stand in this transaction: enough to tell none, one and several apart."""
    _require(query)
    await require_indexed(connection, needs(query))
    compiler = Compiler(is_sqlite=connection.dialect.name == "sqlite")
    conditions = compiler.among(_VERSION, query.types, query.criteria)
    statement = select(_VERSION.id).where(*conditions).order_by(_VERSION.vid).limit(limit)
    return list((await connection.execute(statement)).scalars())


async def matching_versions(connection: AsyncConnection, query: Query, vids: Sequence[int]) -> set[int]:
    """Those of some versions that a query asks for, each as it was; what they refer to is seen as it is now."""
    await require_indexed(connection, needs(query))
    compiler = Compiler(is_sqlite=connection.dialect.name == "sqlite")
    conditions = compiler.asked(_VERSION, query.types, query.criteria)
    found: set[int] = set()
    for chunk in chunks(sorted(set(vids))):
        statement = select(_VERSION.vid).where(_VERSION.vid.in_(chunk), *conditions)
        found |= set((await connection.execute(statement)).scalars())
    return found


async def included_with(
    connection: AsyncConnection, searcher: Searcher, stored: Stored, includes: Sequence[str]
) -> list[Stored]:
    """What a version refers to by the includes named, such as Observation:subject, as it is now."""
    query = searcher.parse(stored.type, [("_include", each) for each in includes], strict=True)
    own = (_VERSION.type == stored.type, _VERSION.id == stored.id, _VERSION.version == stored.version)
    vid = await connection.scalar(select(_VERSION.vid).where(*own))
    compiler = Compiler(is_sqlite=connection.dialect.name == "sqlite")
    return [one for _, one in await included(connection, query, compiler, [(int(vid or 0), stored)])]


def _require(query: Query) -> None:
    if looking := sight.current():
        looking.require("s", query.types)


async def _rows(connection: AsyncConnection, query: Query, conditions: Conditions, place: Place) -> Sequence[Any]:
    """(vid, sort values) of the matches of the page, and of one more."""
    statement = page_of(query, conditions, place.after)
    rows: Sequence[Any] = (await connection.execute(statement)).all()
    return rows


def page_of(query: Query, conditions: Conditions, start: Sequence[Any] | None) -> Select[Any]:
    """The statement of a page. start: the last place before it.

    + 0: where matches are found through other resources, PostgreSQL takes them for more than they are, and would look
    at all versions in their order, until a page is full.
    """
    values = [sort_value(key, _VERSION).label(f"k{number}") for number, key in enumerate(query.order)]
    found = select(_VERSION.vid, *values).where(*conditions)
    if not query.order:
        found = found if start is None else found.where(_VERSION.vid > start[0])
        return found.order_by(_VERSION.vid + 0 if query.is_linked else _VERSION.vid).limit(query.count + 1)
    rows = found.subquery()
    columns = [rows.c[f"k{number}"] for number in range(len(values))]
    statement = select(rows.c.vid, *columns)
    if start is not None:
        statement = statement.where(after(query.order, columns, rows.c.vid, start))
    return statement.order_by(*ordering(query.order, columns, rows.c.vid)).limit(query.count + 1)


async def contents(connection: AsyncConnection, vids: Sequence[int]) -> list[tuple[int, Stored]]:
    """The versions of row numbers, in their order."""
    found: dict[int, Stored] = {}
    for chunk in chunks(vids):
        rows = await connection.execute(WITH_CONTENT.where(_VERSION.vid.in_(chunk)))
        found |= {row[0]: Stored(*row[1:]) for row in rows}
    return [(vid, found[vid]) for vid in vids]


async def _total(connection: AsyncConnection, query: Query, conditions: Conditions, place: Place) -> int | None:
    """The total, the same on every page. Asked for alone, it is counted whatever `_total` says."""
    if place.total is not None:
        return place.total
    wanted = "accurate" if query.count == 0 and query.total == "none" else query.total
    if wanted == "none":
        return None
    if wanted == "accurate":
        return int(await connection.scalar(select(func.count(_VERSION.vid)).where(*conditions)) or 0)
    return await _estimate(connection, conditions)


async def _estimate(connection: AsyncConnection, conditions: Conditions) -> int:
    """The number of matches if they are as dense among all rows as the first of them are."""
    vid = _VERSION.vid
    first = select(vid.label("vid")).where(*conditions).order_by(vid).limit(_COUNTED).subquery()
    counted = select(func.count(), func.min(first.c.vid), func.max(first.c.vid))
    count, low, high = (await connection.execute(counted)).one()
    if count < _COUNTED:
        return int(count)
    end = await connection.scalar(select(func.max(vid)))
    return int(count * (int(end or high) - low + 1) / (high - low + 1))


def _sealed(query: Query, place: Place, start: Sequence[Any] | None) -> str:
    content = [place.at, place.total, None if start is None else list(start), place.meaning]
    return cursors.seal(query.asked, place.snapshot, content)
