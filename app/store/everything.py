"""What is held about a patient, or about all: the resources of the Patient compartment (R4 CompartmentDefinition)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, false, func, not_, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.store.repository import Stored
from app.store.search.compiling.criteria import Compiler
from app.store.search.includes import WITH_CONTENT
from app.store.snapshot import Snapshot, visible
from app.store.tables import SearchDate, SearchReference, Version

Parameters = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. Times in microseconds.

    patient: the id, "" for all patients. compartment: resource type -> parameters that refer to the patient. types: ()
    for all. care: the range of care, compared with the date parameters of `care_dates`, by resource type.
    """

    patient: str
    compartment: Parameters
    types: tuple[str, ...] = ()
    since: int | None = None
    care: tuple[int, int] | None = None
    care_dates: Parameters = field(default_factory=dict)

    @property
    def needs(self) -> list[tuple[str, str]]:
        """The search parameters, as (type, code), that the answer depends on."""
        tables = [self.compartment, *([self.care_dates] if self.care else [])]
        return [(type_, code) for table in tables for type_, codes in table.items() for code in codes]


async def page(
    connection: AsyncConnection, wanted: Wanted, snapshot: Snapshot, *, after: int, count: int
) -> list[tuple[int, Stored]]:
    """Up to count resources with their row numbers, in the order of their last change, after a row number."""
    statement = (
        WITH_CONTENT.where(_held(wanted, snapshot), col(Version.vid) > after).order_by(col(Version.vid)).limit(count)
    )
    return [(row[0], Stored(*row[1:])) for row in await connection.execute(statement)]


async def count_all(connection: AsyncConnection, wanted: Wanted, snapshot: Snapshot) -> int:
    """How many resources there are."""
    return int(await connection.scalar(select(func.count()).select_from(Version).where(_held(wanted, snapshot))) or 0)


def _held(wanted: Wanted, snapshot: Snapshot) -> ColumnElement[bool]:
    own = [visible(Version, snapshot), not_(col(Version.deleted)), _of_patient(wanted)]
    if wanted.types:
        own.append(col(Version.type).in_(wanted.types))
    if wanted.since is not None:
        own.append(col(Version.last_updated) >= wanted.since)
    if wanted.care is not None:
        own.append(_of_care(*wanted.care, wanted.care_dates))
    own += Compiler(snapshot).seen(Version, wanted.types or sorted({*wanted.compartment, "Patient"}))
    return and_(*own)


def _of_patient(wanted: Wanted) -> ColumnElement[bool]:
    # type and param by themselves are what the index is sought by; which belong together is said besides.
    target: list[ColumnElement[bool]] = [
        col(SearchReference.type).in_(sorted(wanted.compartment)),
        col(SearchReference.param).in_(sorted({each for names in wanted.compartment.values() for each in names})),
        col(SearchReference.target_type) == "Patient",
        _pairs(SearchReference, wanted.compartment),
    ]
    own = aliased(Version)
    patients = [col(own.type) == "Patient"]
    if wanted.patient:
        patients.append(col(own.id) == wanted.patient)
        target.append(col(SearchReference.target_id) == wanted.patient)
    # Row numbers, so that neither half is sought among all versions.
    vids = select(own.vid).where(*patients), select(SearchReference.vid).where(*target)  # type: ignore[call-overload]
    return col(Version.vid).in_(union_all(*vids))


def _of_care(low: int, high: int, dates: Parameters) -> ColumnElement[bool]:
    """Whether one of the dates of care overlaps the range, or there is none."""
    own = and_(col(SearchDate.vid) == col(Version.vid), _pairs(SearchDate, dates))
    overlaps = and_(own, col(SearchDate.high) > low, col(SearchDate.low) < high)
    return or_(exists().where(overlaps), not_(exists().where(own)))


def _pairs(table: Any, parameters: Parameters) -> ColumnElement[bool]:
    """Whether a row is of one of the parameters of its type."""
    types: dict[str, list[str]] = {}
    for resource_type, names in parameters.items():
        for name in names:
            types.setdefault(name, []).append(resource_type)
    found = [and_(col(table.param) == name, col(table.type).in_(held)) for name, held in types.items()]
    return or_(false(), *found)
