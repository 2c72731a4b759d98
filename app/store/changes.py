"""Versions with what was before them, for those who look at what has changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.feed import Written
from app.store.keys import chunks
from app.store.tables import Content, Version

_NOW: Any = Version.__table__.alias()  # type: ignore[attr-defined]
_BEFORE: Any = Version.__table__.alias()  # type: ignore[attr-defined]
_CONTENT: Any = Content.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Changed:
    """A version, and the one before: its row number, 0 for none. Contents are None for none and for deletions."""

    row: Written
    content: bytes | None
    before_vid: int
    before: bytes | None

    @property
    def interaction(self) -> str:
        if self.row.deleted:
            return "delete"
        return "create" if self.before is None else "update"


async def changed(connection: AsyncConnection, rows: Sequence[Written]) -> list[Changed]:
    """The versions in their order."""
    own, previous = _CONTENT.alias(), _CONTENT.alias()
    follows = and_(_BEFORE.c.type == _NOW.c.type, _BEFORE.c.id == _NOW.c.id, _BEFORE.c.version == _NOW.c.version - 1)
    whole = _NOW.outerjoin(own, own.c.vid == _NOW.c.vid).outerjoin(_BEFORE, follows)
    whole = whole.outerjoin(previous, previous.c.vid == _BEFORE.c.vid)
    found: dict[int, tuple[Any, ...]] = {}
    for chunk in chunks([row.vid for row in rows]):
        columns = (_NOW.c.vid, own.c.text, _BEFORE.c.vid, previous.c.text)
        statement = select(*columns).select_from(whole).where(_NOW.c.vid.in_(chunk))
        found |= {each[0]: tuple(each[1:]) for each in await connection.execute(statement)}
    return [Changed(row, found[row.vid][0], found[row.vid][1] or 0, found[row.vid][2]) for row in rows]
