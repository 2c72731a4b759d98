"""What an export tells to be deleted: resources that are gone in its snapshot, and were there when it was last told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.fhir import json as lossless
from app.fhir.compartments import compartments
from app.fhir.outcomes import Refused
from app.store.exported import Chosen, changed
from app.store.keys import among, chunks
from app.store.parameters import SearchParameters
from app.store.search.compiling.rows import one_of
from app.store.snapshot import visible
from app.store.tables import Content, ExportPatient, SearchReference, Version

_PATIENT = "Patient"
_VERSION: Any = Version.__table__.c  # type: ignore[attr-defined]
_CONTENT: Any = Content.__table__.c  # type: ignore[attr-defined]
_MEMBER: Any = ExportPatient.__table__.c  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Departed:
    """A deletion, by its row number."""

    vid: int
    type: str
    id: str

    @property
    def key(self) -> tuple[str, str]:
        return self.type, self.id


async def departed(connection: AsyncConnection, chosen: Chosen, *, after: int, limit: int) -> list[Departed]:
    """The next deletions after a place, of everybody's resources."""
    there = [one_of(_VERSION.type, chosen.types), visible(_VERSION, chosen.snapshot), _VERSION.deleted]
    wanted = [*there, *changed(_VERSION, chosen), _VERSION.vid > after]
    columns = (_VERSION.vid, _VERSION.type, _VERSION.id)
    rows = await connection.execute(select(*columns).where(*wanted).order_by(_VERSION.vid).limit(limit))
    return [Departed(*row) for row in rows]


async def of_patients(
    connection: AsyncConnection, chosen: Chosen, found: Sequence[Departed], parameters: SearchParameters, base: str
) -> list[Departed]:
    """Those that ever belonged to one of the patients whose data is exported, by any of their versions.

    Their search values may be forgotten, so they are made anew from what is kept of each version.
    """
    if chosen.whose == "everybody":
        return list(found)
    owners = await _owners(connection, found, parameters, base)
    if chosen.whose == "patients":
        return [each for each in found if owners[each.key]]
    known = await _named(connection, chosen, {id_ for ids in owners.values() for id_ in ids})
    return [each for each in found if owners[each.key] & known]


async def _owners(
    connection: AsyncConnection, found: Sequence[Departed], parameters: SearchParameters, base: str
) -> dict[tuple[str, str], set[str]]:
    """Whose each was: the ids of patients."""
    owners: dict[tuple[str, str], set[str]] = {
        each.key: {each.id} if each.type == _PATIENT else set() for each in found
    }
    others = sorted(each.key for each in found if each.type != _PATIENT)
    for part in chunks(others):
        chosen = (among(_VERSION.type, _VERSION.id, part), _CONTENT.vid == _VERSION.vid)
        vids = (await connection.execute(select(_VERSION.vid).where(*chosen))).scalars().all()
        # One by one: there is no telling how many versions there were, and how large they are.
        for vid in vids:
            row = (await connection.execute(_WITH_TEXT.where(_VERSION.vid == vid))).one()
            owners[row.type, row.id] |= _patients(row.type, row.text, parameters, base)
    return owners


_WITH_TEXT: Any = select(_VERSION.type, _VERSION.id, _CONTENT.text).where(_CONTENT.vid == _VERSION.vid)


def _patients(type_: str, text: bytes, parameters: SearchParameters, base: str) -> set[str]:
    params = compartments()[_PATIENT].get(type_, ())
    try:
        rows = parameters.rows(lossless.parse(text), base=base).get(SearchReference, [])
    except Refused:
        # Stored under other rules; what cannot be indexed belongs to nobody.
        return set()
    return {row["target_id"] for row in rows if row["target_type"] == _PATIENT and row["param"] in params}


async def _named(connection: AsyncConnection, chosen: Chosen, ids: Iterable[str]) -> set[str]:
    known: set[str] = set()
    for part in chunks(sorted(ids)):
        rows = await connection.execute(select(_MEMBER.id).where(_MEMBER.job == chosen.job, _MEMBER.id.in_(part)))
        known |= set(rows.scalars())
    return known
