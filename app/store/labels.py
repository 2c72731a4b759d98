"""The profiles, tags and security labels in use, found in the index."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.store import sight
from app.store.repository import Stored
from app.store.search.compiling.criteria import Compiler
from app.store.search.run import contents
from app.store.snapshot import visible
from app.store.tables import SearchToken, SearchUri, Version


async def labelled(connection: AsyncConnection, resource_type: str = "") -> list[Stored]:
    """For every label in use, one current resource that has it. resource_type: "" for all.

    The index holds long labels as hashes and no displays, so the resources themselves are read.
    """
    vids: set[int] = set()
    for table, params, columns in _WHERE:
        statement = (
            select(func.max(table.vid))
            .join(Version, col(Version.vid) == col(table.vid))
            .where(col(table.param).in_(params), visible(Version, None))
            .group_by(col(table.param), *columns)
        )
        if looking := sight.current():
            types = [resource_type] if resource_type else looking.types
            looking.require("s", types)
            statement = statement.where(*Compiler(is_sqlite=connection.dialect.name == "sqlite").seen(Version, types))
        if resource_type:
            statement = statement.where(col(table.type) == resource_type)
        vids |= set((await connection.execute(statement)).scalars())
    return [stored for _, stored in await contents(connection, sorted(vids))]


PARAMETERS = ("_tag", "_security", "_profile")
_WHERE: tuple[tuple[Any, tuple[str, ...], tuple[Any, ...]], ...] = (
    (SearchToken, ("_tag", "_security"), (col(SearchToken.value), col(SearchToken.system))),
    (SearchUri, ("_profile",), (col(SearchUri.value),)),
)
