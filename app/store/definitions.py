"""Which resources of a few types there are, and a number that tells whether any of them changed."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.store.repository import Key
from app.store.tables import Resource


async def state(connection: AsyncConnection, types: Sequence[str]) -> int:
    """A number that grows with every write to a resource of these types, deletions too: the sum of their versions.

    The greatest row number would not do: on PostgreSQL a smaller one may be committed later.
    """
    total = await connection.scalar(select(func.sum(Resource.version)).where(col(Resource.type).in_(types)))
    return int(total or 0)


async def versions(connection: AsyncConnection, types: Sequence[str]) -> dict[Key, int]:
    """The current version numbers, those of deleted resources left out, in the order of first creation."""
    statement = (
        select(Resource.type, Resource.id, Resource.version)  # type: ignore[call-overload]
        .where(col(Resource.type).in_(types), col(Resource.deleted).is_(False))
        .order_by(col(Resource.rid))
    )
    return {(row.type, row.id): row.version for row in await connection.execute(statement)}
