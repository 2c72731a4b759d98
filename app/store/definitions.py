"""Which resources of a few types there are, and a number that tells whether any of them changed."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, and_, func, not_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.store.keys import among
from app.store.repository import Key
from app.store.tables import Version


async def state(connection: AsyncConnection, types: Sequence[str], apart: Collection[Key] = ()) -> int:
    """A number that grows with every write to a resource of these types, deletions too: the sum of their versions.

    apart: resources that are left out. The greatest row number would not do: on PostgreSQL a smaller one may be
    committed later.
    """
    current = (col(Version.type).in_(types), col(Version.until).is_(None), *_others(apart))
    total = await connection.scalar(select(func.sum(Version.version)).where(*current))
    return int(total or 0)


async def versions(connection: AsyncConnection, types: Sequence[str], apart: Collection[Key] = ()) -> dict[Key, int]:
    """The current version numbers, those of deleted resources left out, in the order of first creation."""
    first = aliased(Version)
    statement = (
        select(Version.type, Version.id, Version.version)  # type: ignore[call-overload]
        .join(first, and_(col(first.type) == Version.type, col(first.id) == Version.id, col(first.version) == 1))
        .where(col(Version.type).in_(types), col(Version.until).is_(None), col(Version.deleted).is_(False))
        .where(*_others(apart))
        .order_by(col(first.vid))
    )
    return {(row.type, row.id): row.version for row in await connection.execute(statement)}


def _others(apart: Collection[Key]) -> list[ColumnElement[bool]]:
    return [not_(among(col(Version.type), col(Version.id), apart))] if apart else []
