"""What a target has not been told of yet, as far as the ledger knows: for a target that is new, or that fell behind."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.references import SYNC_RECORD
from app.store.repository import Key
from app.store.tables import Ledger, SearchToken, Version

_VERSION: Any = Version.__table__  # type: ignore[attr-defined]
_LEDGER: Any = Ledger.__table__  # type: ignore[attr-defined]
_TOKEN: Any = SearchToken.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Current:
    """The current version of a resource. vid: its place in the order of writing."""

    vid: int
    type: str
    id: str
    version: int
    deleted: bool

    @property
    def key(self) -> Key:
        return self.type, self.id


async def untold(
    connection: AsyncConnection, target: str, *, without: Collection[str], after: int, limit: int
) -> list[Current]:
    """Current versions that a target does not hold as far as is known, in the order of writing, after a place in it.

    without: types that no target is told of. What is deleted counts where the target held it.
    """
    held = and_(_LEDGER.c.target == target, _LEDGER.c.type == _VERSION.c.type, _LEDGER.c.id == _VERSION.c.id)
    is_known = _LEDGER.c.version.is_not(None)
    behind = or_(~is_known, _LEDGER.c.version != _VERSION.c.version, _LEDGER.c.deleted)
    gone = and_(is_known, ~_LEDGER.c.deleted)
    wanted = or_(and_(~_VERSION.c.deleted, behind), and_(_VERSION.c.deleted, gone))
    return await _page(connection, _VERSION.outerjoin(_LEDGER, held), wanted, without, after, limit)


async def current(connection: AsyncConnection, *, without: Collection[str], after: int, limit: int) -> list[Current]:
    """All current versions, deletions too, in the same order and of the same types."""
    return await _page(connection, _VERSION, True, without, after, limit)


async def last(connection: AsyncConnection) -> int:
    """The place of the newest version."""
    return int(await connection.scalar(select(func.max(_VERSION.c.vid))) or 0)


async def _page(
    connection: AsyncConnection, source: Any, wanted: Any, without: Collection[str], after: int, limit: int
) -> list[Current]:
    # What sync notes about its own doing is for nobody else.
    own = and_(_TOKEN.c.vid == _VERSION.c.vid, _TOKEN.c.param == "_tag", _TOKEN.c.system == SYNC_RECORD)
    columns = [_VERSION.c[name] for name in Current.__dataclass_fields__]
    chosen = (_VERSION.c.until.is_(None), _VERSION.c.vid > after, _VERSION.c.type.not_in(without))
    page = select(*columns).select_from(source).where(*chosen, wanted, ~exists().where(own))
    return [Current(*row) for row in await connection.execute(page.order_by(_VERSION.c.vid).limit(limit))]
