"""ViewDefinitions that are stored: no resources of R4, so without its history and search."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.tables import ViewDefinition

_VIEW: Any = ViewDefinition.__table__  # type: ignore[attr-defined]


async def read(connection: AsyncConnection, id_: str) -> ViewDefinition | None:
    row = (await connection.execute(select(_VIEW).where(_VIEW.c.id == id_))).first()
    return ViewDefinition(**row._mapping) if row else None


async def by_url(connection: AsyncConnection, url: str) -> ViewDefinition | None:
    """The view of a canonical URL, the newest where there are several."""
    chosen = select(_VIEW).where(_VIEW.c.url == url).order_by(_VIEW.c.updated_at.desc(), _VIEW.c.id).limit(1)
    row = (await connection.execute(chosen)).first()
    return ViewDefinition(**row._mapping) if row else None


async def write(connection: AsyncConnection, view: ViewDefinition, *, after: int) -> bool:
    """Store a view as the version after a given one, 0 for a new one. False if that is not the one there is."""
    values = view.model_dump() | {"version": after + 1}
    if not after:
        if await read(connection, view.id):
            return False
        await connection.execute(insert(_VIEW).values(**values))
        return True
    own = (_VIEW.c.id == view.id, _VIEW.c.version == after)
    return bool((await connection.execute(update(_VIEW).where(*own).values(**values))).rowcount)


async def remove(connection: AsyncConnection, id_: str, *, version: int) -> bool:
    """False if there is none of that id, or of another version."""
    own = (_VIEW.c.id == id_, _VIEW.c.version == version)
    return bool((await connection.execute(delete(_VIEW).where(*own))).rowcount)


async def page(
    connection: AsyncConnection, *, after: str, count: int, name: str = "", url: str = ""
) -> Sequence[ViewDefinition]:
    """Views by id, those behind an id."""
    chosen = [_VIEW.c.id > after, *([_VIEW.c.name == name] if name else []), *([_VIEW.c.url == url] if url else [])]
    rows = await connection.execute(select(_VIEW).where(*chosen).order_by(_VIEW.c.id).limit(count))
    return [ViewDefinition(**row._mapping) for row in rows]


async def count(connection: AsyncConnection, *, name: str = "", url: str = "") -> int:
    chosen = [*([_VIEW.c.name == name] if name else []), *([_VIEW.c.url == url] if url else [])]
    return int(await connection.scalar(select(func.count()).select_from(_VIEW).where(*chosen)) or 0)
