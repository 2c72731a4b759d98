"""Finding what was noted, newest first or oldest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.tables import Audit

_AUDIT: Any = Audit.__table__  # type: ignore[attr-defined]
_C = _AUDIT.c


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; None: whatever it is. All of it must hold.

    ids: row numbers. since, until: microseconds, the half-open range. patients, agents (actors or clients), addresses,
    interactions ("$" for every operation): one of these. entities: (type, id), one of these, or the same patient.
    statuses: half-open ranges, one of these.
    """

    ids: Sequence[int] | None = None
    since: int | None = None
    until: int | None = None
    patients: Sequence[str] | None = None
    agents: Sequence[str] | None = None
    addresses: Sequence[str] | None = None
    interactions: Sequence[str] | None = None
    entities: Sequence[tuple[str, str]] | None = None
    statuses: Sequence[tuple[int, int]] | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.ids is not None:
            found.append(_C.aid.in_(self.ids))
        if self.since is not None:
            found.append(_C.at >= self.since)
        if self.until is not None:
            found.append(_C.at < self.until)
        if self.patients is not None:
            found.append(_C.patient.in_(self.patients))
            found.append(_C.patient != "")
        if self.agents is not None:
            found.append(or_(_C.actor.in_(self.agents), _C.client.in_(self.agents)))
        if self.addresses is not None:
            found.append(_C.address.in_(self.addresses))
        if self.interactions is not None:
            operations = [_C.interaction.startswith("$")] if "operation" in self.interactions else []
            found.append(or_(_C.interaction.in_(self.interactions), *operations))
        if self.entities is not None:
            found.append(or_(*map(_about, self.entities)))
        if self.statuses is not None:
            found.append(or_(*(and_(_C.status >= low, _C.status < high) for low, high in self.statuses)))
        return found


def _about(entity: tuple[str, str]) -> ColumnElement[bool]:
    type_, id_ = entity
    own = and_(_C.type == type_, _C.id == id_, _C.id != "")
    return or_(own, and_(_C.patient == id_, _C.patient != "")) if type_ == "Patient" else own


async def find(
    connection: AsyncConnection, wanted: Sequence[Wanted], *, after: int | None, count: int, is_ascending: bool
) -> list[Any]:
    """Up to count rows behind a row number, None: from the beginning. wanted: all of these."""
    conditions = [each for one in wanted for each in one.conditions]
    if after is not None:
        conditions.append(_C.aid > after if is_ascending else _C.aid < after)
    order = _C.aid if is_ascending else _C.aid.desc()
    return list((await connection.execute(select(_AUDIT).where(*conditions).order_by(order).limit(count))).all())


async def count_all(connection: AsyncConnection, wanted: Sequence[Wanted]) -> int:
    """How many there are."""
    conditions = [each for one in wanted for each in one.conditions]
    return int(await connection.scalar(select(func.count()).select_from(_AUDIT).where(*conditions)) or 0)
