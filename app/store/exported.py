"""What an export reads: which versions there were in its snapshot, in an order in which it can go on anywhere.

Which ones is asked once for a file, with their sizes, so that a condition is worked out a few times for millions of
resources, whatever plan the database has for it; their text is then read by row number, piece by piece.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from app.fhir.compartments import compartments
from app.store.database import Database
from app.store.search.compiling.criteria import Compiler
from app.store.search.compiling.rows import columns_of
from app.store.search.tree import All, Criterion, Some
from app.store.snapshot import Snapshot, visible
from app.store.tables import Content, ExportPatient, SearchReference, Version

_PATIENT, _PROVENANCE, _TARGET = "Patient", "Provenance", "target"
_VERSION: Any = Version.__table__.c  # type: ignore[attr-defined]
_CONTENT: Any = Content.__table__.c  # type: ignore[attr-defined]
_MEMBER: Any = ExportPatient.__table__.c  # type: ignore[attr-defined]
_TEXTS = select(_CONTENT.vid, _CONTENT.text).where(_CONTENT.vid.in_(bindparam("vids", expanding=True)))
# Of one piece of text that is read at a time; a single resource may be larger.
_PIECE_ROWS, _PIECE_BYTES = 1_000, 4_194_304
# Patients whose blocks are asked for at once, fewer where these hold more lines.
_PATIENTS, _BLOCK_LINES = 100, 20_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is exported. whose: "everybody", "patients" for what is in some patient's compartment, or "named" for those
    that are noted with the job. since, until: microseconds, both exclusive; before: all that was told by then, so that
    what came later has changed since then whatever its clock says. filters: of each type, searches of which one must
    match, each all of its criteria. patients: those that are named, where no job is. provenance: only what is about
    what is exported, "latest" or "relevant"."""

    job: str
    snapshot: Snapshot
    types: tuple[str, ...]
    whose: Literal["everybody", "patients", "named"] = "everybody"
    since: int | None = None
    until: int | None = None
    before: Snapshot | None = None
    filters: Mapping[str, Sequence[Sequence[Criterion]]] = field(default_factory=dict)
    patients: tuple[str, ...] = ()
    provenance: Literal["", "latest", "relevant"] = ""


class Line(NamedTuple):
    """A version that makes a line of a file. after: the place behind it, where a next file may begin. head: the
    patient whose block it is in, "" where there are no blocks."""

    vid: int
    size: int
    after: int
    head: str = ""


async def count(connection: AsyncConnection, chosen: Chosen) -> int:
    """How many resources there are of all types."""
    others = tuple(each for each in chosen.types if not (chosen.provenance and each == _PROVENANCE))
    kinds = [others, (_PROVENANCE,)] if len(others) < len(chosen.types) else [others]
    found = 0
    for types in kinds:
        statement = select(func.count()).select_from(Version).where(*_conditions(connection, chosen, types))
        found += int(await connection.scalar(statement) or 0)
    return found


async def lines(
    connection: AsyncConnection, chosen: Chosen, types: Sequence[str], *, after: int, limit: int
) -> list[Line]:
    """The next lines after a place, in the order of their last change."""
    vid, size = _VERSION.vid, func.length(_CONTENT.text).label("size")
    own = (_CONTENT.vid == vid, vid > after, *_conditions(connection, chosen, types))
    rows = await connection.execute(select(vid, size).where(*own).order_by(vid).limit(limit))
    return [Line(vid, size, vid) for vid, size in rows.all()]


async def blocks(
    connection: AsyncConnection, chosen: Chosen, types: Sequence[str], *, after: int
) -> tuple[list[Line], int | None]:
    """The lines of some patients after a place, block by block, and the place behind these patients; None at the end.

    A patient's block is what is exported of his compartment, himself first.
    """
    own = [_VERSION.type == _PATIENT, _VERSION.vid > after, visible(_VERSION, chosen.snapshot), ~_VERSION.deleted]
    if chosen.whose == "named":
        own.append(_VERSION.id.in_(_named(chosen)))
    found = await connection.execute(
        select(_VERSION.vid, _VERSION.id).where(*own).order_by(_VERSION.vid).limit(_PATIENTS)
    )
    patients = await _fitting(connection, [(vid, id_) for vid, id_ in found], types)
    if not patients:
        return [], None
    made = await _of_patients(connection, chosen, types, [id_ for _, id_ in patients])
    made_lines = [
        Line(line_vid, size, vid, id_) for vid, id_ in patients for line_vid, size in _headed(vid, made.get(id_, ()))
    ]
    return made_lines, patients[-1][0]


async def _fitting(
    connection: AsyncConnection, patients: Sequence[tuple[int, str]], types: Sequence[str]
) -> Sequence[tuple[int, str]]:
    """The first of the patients whose blocks are held together; one at least, whatever is known of him."""
    link = columns_of(SearchReference)
    linked = [link.target_type == _PATIENT, link.target_id.in_([id_ for _, id_ in patients]), _ways(link, types)]
    counted = select(link.target_id, func.count()).where(*linked).group_by(link.target_id)
    counts = {row[0]: row[1] for row in await connection.execute(counted)}
    totals = accumulate(counts.get(id_, 0) for _, id_ in patients)
    return patients[: max(1, sum(total <= _BLOCK_LINES for total in totals))]


def _headed(patient: int, found: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted(found, key=lambda each: (each[0] != patient, each[0]))


async def _of_patients(
    connection: AsyncConnection, chosen: Chosen, types: Sequence[str], ids: Sequence[str]
) -> dict[str, list[tuple[int, int]]]:
    """Patient -> row numbers and sizes of what is exported of his compartment."""
    link, size = columns_of(SearchReference), func.length(_CONTENT.text).label("size")
    there = [_CONTENT.vid == _VERSION.vid, *_conditions(connection, chosen, types)]
    linked = [link.vid == _VERSION.vid, link.target_type == _PATIENT, link.target_id.in_(ids), _ways(link, types)]
    others = select(link.target_id, _VERSION.vid, size).where(*linked, *there, _VERSION.type != _PATIENT)
    found: dict[str, set[tuple[int, int]]] = {}
    for id_, vid, bytes_ in await connection.execute(others):
        found.setdefault(id_, set()).add((vid, bytes_))
    if _PATIENT in types:
        themselves = select(_VERSION.id, _VERSION.vid, size).where(
            *there, _VERSION.type == _PATIENT, _VERSION.id.in_(ids)
        )
        for id_, vid, bytes_ in await connection.execute(themselves):
            found.setdefault(id_, set()).add((vid, bytes_))
    return {id_: list(lines) for id_, lines in found.items()}


async def texts(database: Database, lines: Sequence[Line]) -> AsyncIterator[list[tuple[Line, bytes]]]:
    """The stored text of the lines, in their order, in pieces that fit into memory."""
    for piece in _pieces(lines):
        async with database.reading() as connection:
            rows = await connection.execute(_TEXTS, {"vids": list({line.vid for line in piece})})
            found = {vid: text for vid, text in rows.all()}  # noqa: C416 (rows are no pairs to mypy)
        yield [(line, found[line.vid]) for line in piece]


def _pieces(lines: Sequence[Line]) -> list[Sequence[Line]]:
    found: list[list[Line]] = []
    size = 0
    for line in lines:
        if not found or len(found[-1]) == _PIECE_ROWS or size + line.size > _PIECE_BYTES:
            found.append([])
            size = 0
        found[-1].append(line)
        size += line.size
    return list(found)


def _conditions(connection: AsyncConnection, chosen: Chosen, types: Sequence[str]) -> list[ColumnElement[bool]]:
    compiler = Compiler(chosen.snapshot, connection.dialect.name == "sqlite")
    return _of(_VERSION, compiler, chosen, types)


def _of(version: Any, compiler: Compiler, chosen: Chosen, types: Sequence[str]) -> list[ColumnElement[bool]]:
    """What makes a version one that is exported."""
    if chosen.provenance and tuple(types) == (_PROVENANCE,):
        return _about(version, compiler, chosen)
    plain = tuple(each for each in types if not (chosen.provenance and each == _PROVENANCE))
    asked = {each: _any(chosen.filters[each]) for each in plain if each in chosen.filters}
    # Of one type the search is given as such: then it may be what the others are looked up for.
    own = tuple(asked.values()) if len(plain) == 1 else ()
    found = [*compiler.among(version, plain, own), *changed(version, chosen), *_in_compartment(version, chosen, plain)]
    if not own:
        for type_, search in asked.items():
            found.append(or_(version.type != type_, and_(*compiler.asked(version, (type_,), [search]))))
    return found


def _any(searches: Sequence[Sequence[Criterion]]) -> Criterion:
    return Some(tuple(All(tuple(each)) for each in searches))


def changed(version: Any, chosen: Chosen) -> list[ColumnElement[bool]]:
    """Whether a version came within the time that is asked for."""
    found: list[ColumnElement[bool]] = []
    if chosen.since is not None:
        came = version.last_updated > chosen.since
        found.append(came if chosen.before is None else or_(came, ~chosen.before.holds(version.since)))
    if chosen.until is not None:
        found.append(version.last_updated < chosen.until)
    return found


def _in_compartment(version: Any, chosen: Chosen, types: Sequence[str]) -> list[ColumnElement[bool]]:
    if chosen.whose == "everybody":
        return []
    link = columns_of(SearchReference)
    linked = [link.target_type == _PATIENT, _ways(link, types)]
    itself: ColumnElement[bool] = version.type == _PATIENT
    belongs: ColumnElement[bool] = exists().where(link.vid == version.vid, *linked)
    if chosen.whose == "named":
        # A few among many: theirs are found first, and not every resource is looked at.
        belongs = version.vid.in_(select(link.vid).where(*linked, link.target_id.in_(_named(chosen))))
        itself = and_(itself, version.id.in_(_named(chosen)))
    if tuple(types) == (_PATIENT,):
        return [itself]
    return [or_(itself, and_(version.type != _PATIENT, belongs)) if _PATIENT in types else belongs]


def _ways(link: Any, types: Sequence[str]) -> ColumnElement[bool]:
    """Whether a reference is one by which a resource belongs to a patient."""
    members = compartments()[_PATIENT]
    ways = [and_(link.type == each, link.param.in_(members[each])) for each in types if members.get(each)]
    return or_(~true(), *ways)


def _named(chosen: Chosen) -> Any:
    return chosen.patients or select(_MEMBER.id).where(_MEMBER.job == chosen.job)


def _about(version: Any, compiler: Compiler, chosen: Chosen) -> list[ColumnElement[bool]]:
    """Whether a Provenance is about what is exported; "latest": and none that came later is about the same."""
    others = [each for each in chosen.types if each != _PROVENANCE]
    link, target = columns_of(SearchReference), columns_of(Version)
    to = [link.vid == version.vid, link.type == _PROVENANCE, link.param == _TARGET]
    exported = [target.type == link.target_type, target.id == link.target_id, *_of(target, compiler, chosen, others)]
    about = [*to, exists().where(*exported)]
    if chosen.provenance == "latest":
        about.append(~_later(link, compiler))
    return [*compiler.among(version, (_PROVENANCE,), ()), exists().where(*about)]


def _later(link: Any, compiler: Compiler) -> ColumnElement[bool]:
    """Whether a Provenance of the same target came after the one that a link is of."""
    newer, to = columns_of(Version), columns_of(SearchReference)
    same = [to.target_type == link.target_type, to.target_id == link.target_id, to.type == _PROVENANCE]
    own = [to.param == _TARGET, to.vid == newer.vid, newer.vid > link.vid]
    return exists().where(*same, *own, *compiler.among(newer, (_PROVENANCE,), ()))
