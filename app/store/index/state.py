"""Whether the index holds what the running definitions ask for.

`search_index` notes the definitions the index was last made with. Where a definition is new or changed and there are
resources of its type, the parameter cannot be searched until they are indexed anew: `reindex` has a row per type.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from weakref import WeakSet

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.fhir.outcomes import Issue, NotReady
from app.store.database import Database, Lock
from app.store.parameters import SearchParameters
from app.store.tables import Reindex, SearchIndex, Version

Codes = Mapping[str, frozenset[str]]
Need = tuple[str, str]
# Issues of one refusal.
_MOST_TOLD = 10
_NAME = "parameters"
LOCK = Lock("search index")


# The engines on whose database nothing is waiting.
_settled: WeakSet[object] = WeakSet()


async def pending(connection: AsyncConnection) -> Codes:
    """The parameters of each type that cannot be searched yet; _text and _content among them.

    Only a start with other definitions can add some, so once there are none the database is not asked again.
    """
    engine = connection.sync_engine
    if engine in _settled:
        return {}
    rows = await connection.execute(
        select(Reindex.type, Reindex.unsearchable).where(col(Reindex.finished_at).is_(None))  # type: ignore[call-overload]
    )
    found = {row.type: frozenset(json.loads(row.unsearchable)) for row in rows if row.unsearchable != "[]"}
    if not found:
        _settled.add(engine)
    return found


async def unfinished(connection: AsyncConnection) -> tuple[str, ...]:
    """The types whose search values are being made anew; every type while that was never begun."""
    if not (await connection.execute(select(SearchIndex.__table__))).first():  # type: ignore[attr-defined]
        return tuple((await connection.execute(_TYPES_HELD)).scalars())
    rows = await connection.execute(select(col(Reindex.type)).where(col(Reindex.finished_at).is_(None)))
    return tuple(sorted(rows.scalars()))


async def require_indexed(connection: AsyncConnection, needs: Iterable[Need]) -> None:
    """Raises NotReady naming those of the parameters that cannot be searched yet.

    needs: (type, code); "*" stands for all types, and for all parameters.
    """
    waiting = await pending(connection)
    if not waiting:
        return
    lacking = sorted({found for need in needs for found in _lacking(need, waiting)})
    if lacking:
        told = "{} cannot be searched yet: what was stored before is being indexed. Try again later."
        raise NotReady([Issue("transient", told.format(name), name) for name in lacking[:_MOST_TOLD]])


def _lacking(need: Need, waiting: Codes) -> Iterator[str]:
    type_, code = need
    for each in waiting if type_ == "*" else (type_,):
        codes = waiting.get(each, frozenset())
        if code in codes or (code == "*" and codes):
            yield each if code == "*" else f"{each}:{code}"


async def adopt(database: Database, connection: AsyncConnection, parameters: SearchParameters, *, now: int) -> None:
    """Compare the running definitions with those the index was made with, and note what is to be indexed anew.

    Called at start-up, in a write transaction; of processes that start together the first one does it.
    """
    await database.lock(connection, [LOCK])
    _settled.clear()
    wanted = parameters.digests
    text = json.dumps(wanted, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    known = (await connection.execute(select(SearchIndex.__table__))).first()  # type: ignore[attr-defined]
    if known is not None and known.digest == digest:
        return
    changed = _changed(wanted, json.loads(known.parameters) if known else {})
    held = set((await connection.execute(_TYPES_HELD)).scalars()) if changed else set()
    for resource_type in sorted(held & changed.keys()):
        codes = changed[resource_type]
        await note(connection, resource_type, codes, unsearchable=codes, now=now)
    row = {"digest": digest, "parameters": text}
    if known is None:
        await connection.execute(insert(SearchIndex).values(name=_NAME, **row))
    else:
        await connection.execute(update(SearchIndex).values(**row))


_TYPES_HELD = select(col(Version.type)).where(col(Version.until).is_(None)).distinct()


def _changed(wanted: Mapping[str, Mapping[str, str]], known: Mapping[str, Mapping[str, str]]) -> dict[str, set[str]]:
    """Type -> the codes whose digest is another one or is new."""
    found = {
        type_: {code for code, digest in digests.items() if known.get(type_, {}).get(code) != digest}
        for type_, digests in wanted.items()
    }
    return {type_: codes for type_, codes in found.items() if codes}


async def note(
    connection: AsyncConnection,
    resource_type: str,
    codes: Iterable[str],
    *,
    unsearchable: Collection[str] = (),
    now: int,
) -> bool:
    """Have the resources of a type indexed anew for these parameters, from the beginning; False if there are none.

    What was still to be done for other parameters of the type is done along with it.
    """
    own = (col(Version.type) == resource_type, col(Version.until).is_(None), col(Version.deleted).is_(False))
    total = int(await connection.scalar(select(func.count()).where(*own)) or 0)
    table: Any = Reindex.__table__  # type: ignore[attr-defined]
    row = (await connection.execute(select(table).where(table.c.type == resource_type))).first()
    if not total and (row is None or row.finished_at is not None):
        return False
    both = {"parameters": set(codes), "unsearchable": set(unsearchable)}
    if row is not None and row.finished_at is None:
        both = {name: values | set(json.loads(getattr(row, name))) for name, values in both.items()}
    values = {name: json.dumps(sorted(found)) for name, found in both.items()}
    values_with_progress = {**values, "through": 0, "done": 0, "total": total, "started_at": now, "finished_at": None}
    if row is None:
        await connection.execute(insert(table).values(type=resource_type, **values_with_progress))
    else:
        await connection.execute(update(table).where(table.c.type == resource_type).values(**values_with_progress))
    return True
