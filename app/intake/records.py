"""Clinic records in the store: which resources are a record's, in which versions, and about which patient."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote

from app.fhir import json as lossless
from app.fhir.outcomes import Forbidden, Gone, Issue, NotFound
from app.fhir.references import is_id, local, references
from app.intake.accept import Intake
from app.intake.patient_facts import PatientFacts
from app.intake.writes import Write
from app.mapping.clinic import Kind
from app.mapping.detected_issue import TYPE as ISSUE
from app.mapping.elements import Resource, Unrecognised, former_parts, is_error, parts_of, results_of
from app.mapping.judging import Bench
from app.mapping.revision import belongs
from app.pain.concepts import Identifier
from app.pain.content import Content
from app.pain.errors import Problem, Rejected
from app.store import repository, sight
from app.store.database import Connection
from app.store.repository import Stored
from app.store.search import escaped, matching_ids, search
from app.store.sight import wholly

_MOST_PARTS = 1_000
# A part that has parts of its own: what a procedure left in the patient.
_HAS_PARTS = "Procedure"
# What must be here already, and where a problem with it is told; other references may point elsewhere.
_MUST_EXIST = ("patient", "diagnosis")


@dataclass(frozen=True, slots=True)
class Record:
    """A clinic record as stored: its resources, anchor first, parsed and as they are kept.

    issues: what the rules say of it, beside it; stored holds them too.
    """

    kind: Kind
    stored: Sequence[Stored]
    resources: Sequence[Resource]
    issues: Sequence[Resource] = ()

    @property
    def everything(self) -> list[Resource]:
        return [*self.resources, *self.issues]

    @property
    def tag(self) -> str:
        return tag(self.kind, self.stored)

    @property
    def unshown(self) -> list[str]:
        """What the anchor refers to that is no part of the record: deleted, or linked by others."""
        own = {name(resource) for resource in self.resources}
        # A result is shown by its reference, whoever wrote it.
        own |= {str(one.get("reference")) for each in self.resources[0].get("activity", ()) for one in results_of(each)}
        return [link for link in parts_of(self.resources[0]) if link not in own]


@dataclass(frozen=True, slots=True)
class Records:
    """Finds clinic records, and checks what they refer to, before they are written through the door."""

    intake: Intake
    content: Content

    async def load(self, kind: Kind, record_id: str) -> Record:
        """A record by its id. Raises NotFound, or Gone if it was withdrawn or deleted."""
        where = f"{kind.name}/{record_id}" if is_id(record_id) else kind.name
        async with self.intake.database.reading() as connection:
            anchor = await repository.read(connection, kind.anchor, record_id) if is_id(record_id) else None
            if anchor is None:
                raise NotFound([Issue("not-found", f"There is no such record in {where}.")])
            resource = _parsed(anchor)
            if anchor.deleted or is_error(resource):
                kept = f"/fhir/{kind.anchor}/{record_id}/_history"
                raise Gone([Issue("deleted", f"{where} was withdrawn or deleted; its history is at {kept}.")])
            # A record is shown and amended whole or not at all: half of one says something else.
            with wholly():
                parts = await self._parts(connection, kind, resource)
            await _require_seen(connection, kind, [one for one, _ in parts])
        own = [resource, *(part for one, part in parts if one.type != ISSUE)]
        issues = [part for one, part in parts if one.type == ISSUE]
        return Record(kind, [anchor, *(one for one, _ in parts)], own, issues)

    async def _parts(self, connection: Connection, kind: Kind, resource: Resource) -> list[tuple[Stored, Resource]]:
        """What belongs to the anchor of a record."""
        others = await _linked(connection, resource)
        for part_type, parameter in kind.points_back:
            given = [(parameter, name(resource))]
            query = self.intake.searcher.parse(part_type, given, strict=True)
            others += (await search(connection, replace(query, count=_MOST_PARTS))).matches
        parts = [(one, part) for one in others if belongs(resource, part := _parsed(one))]
        for made in [part for one, part in parts if one.type == _HAS_PARTS]:
            left = await _linked(connection, made)
            parts += [(one, part) for one in left if belongs(made, part := _parsed(one))]
        return parts

    def clinical(self, record: Record) -> Any:
        """What the record says, in the clinic's terms. Raises Rejected if others wrote it in another form."""
        try:
            return record.kind.from_fhir(record.resources, self.content)
        except Unrecognised as error:
            told = f"This {record.kind.anchor} was not written by the clinic API: {error}. Read it at /fhir."
            raise Rejected([Problem("not-supported", told, "")]) from None

    def patient(self, who: str | Identifier) -> tuple[str, list[Write]]:
        """How the resources refer to the patient and, for a business identifier, the Patient made if there is none."""
        if isinstance(who, str):
            return who, []
        urn = f"urn:uuid:{self.intake.new_id()}"
        tree = {"resourceType": "Patient", "identifier": [{"system": who.system, "value": who.value}]}
        condition = f"identifier={quote(_searched(who), safe='')}"
        text = lossless.dumps(tree)
        return urn, [Write("POST", "Patient", text=text, tree=tree, if_none_exist=condition, full_url=urn)]

    async def bench(self, kind: Kind, clinical: Any, base: Bench, record: Record | None = None) -> Bench:
        """What a record is judged by: the patient's resources but those it is itself, where the rules need them."""
        if kind.judging is None or not kind.judging.reads_record:
            return base
        who = clinical.patient
        patients = [who] if isinstance(who, str) else await self._patients(who)
        # Several patients by one identifier: the write is refused for that. None: nothing is known of a new one.
        if len(patients) != 1:
            return base
        also = [link for link in (clinical.diagnosis,) if link]
        found = await PatientFacts(self.intake.database, self.intake.searcher, self.content).load(patients[0], also)
        own = frozenset(name(one) for one in (record.everything if record else ()))
        return replace(base, held=found.held, notes=found.notes, leave=own)

    async def require_same_patient(self, before: str, who: str | Identifier) -> None:
        """Refuse to move a record to another patient: what was said of one is not true of another."""
        found = [who] if isinstance(who, str) else await self._patients(who)
        if found != [before]:
            told = "A record stays with its patient: withdraw it, and record it for the other patient."
            raise Rejected([Problem("business-rule", told, "patient")])

    async def unheld(self, view: Mapping[str, Any], resources: Sequence[Resource]) -> list[str]:
        """Notes about references to what is not here. Raises Rejected where the patient or diagnosis is not."""
        own = {name(resource) for resource in resources}
        links = {link for resource in resources for link in references(resource)} - own
        keys = {key[:2]: link for link in links if (key := local(link, ""))}
        async with self.intake.database.reading() as connection:
            held = await repository.read_all(connection, keys)
        missing = {link for key, link in keys.items() if key not in held or held[key].deleted}
        problems = [
            Problem("not-found", f"{key}: {view[key]} is not held here.", key)
            for key in _MUST_EXIST
            if isinstance(view.get(key), str) and view[key] in missing
        ]
        if problems:
            raise Rejected(problems)
        return [f"{link} is not held here; the reference was kept." for link in sorted(missing)]

    async def _patients(self, who: Identifier) -> list[str]:
        query = self.intake.searcher.parse("Patient", [("identifier", _searched(who))], strict=True)
        async with self.intake.database.reading() as connection:
            return [f"Patient/{found}" for found in await matching_ids(connection, query)]


async def _require_seen(connection: Connection, kind: Kind, parts: Sequence[Stored]) -> None:
    """Raises Forbidden where the one who looks may not read all parts of a record, whether it has such parts or not."""
    looking = sight.current()
    if looking is None:
        return
    seen = await repository.seen(connection, list(parts))
    hidden = {one.type for one in parts} - {one.type for one in seen} if len(seen) < len(parts) else set()
    needed = {part_type for part_type, _ in kind.points_back if not looking.may("r", part_type)}
    if len(seen) < len(parts) or needed:
        types = ", ".join(sorted(hidden | needed)) or "its parts"
        told = f"The scopes of this token do not let it read all of this record: {types}."
        raise Forbidden([Issue("forbidden", told, rule="dmt-scope")])


async def _linked(connection: Connection, resource: Resource) -> list[Stored]:
    """The resources that one refers to as parts of a record, as far as they are here."""
    keys = [key[:2] for link in [*parts_of(resource), *former_parts(resource)] if (key := local(link, ""))]
    found = await repository.read_all(connection, keys)
    return [found[key] for key in keys if key in found and not found[key].deleted]


def creations(resources: Sequence[Resource]) -> list[Write]:
    """The writes of a new record."""
    return [_write("POST", resource) for resource in resources]


def next_versions(resources: Sequence[Resource], record: Record) -> list[Write]:
    """Updates of what was read, on condition that nobody changed it since; creations of the rest."""
    versions = {f"{one.type}/{one.id}": one.version for one in record.stored}
    return [_write("PUT" if name(r) in versions else "POST", r, if_match=versions.get(name(r))) for r in resources]


def tag(kind: Kind, stored: Sequence[Stored]) -> str:
    """The ETag of a record: another one whenever any of its resources has another version.

    Of a plan, only what the plan or a procedure of it still refers to counts; what is in error never does.
    """
    anchor = next(one for one in stored if one.type == kind.anchor)
    parts = {link for one in stored if one is anchor or one.type == _HAS_PARTS for link in parts_of(_parsed(one))}
    back = [part_type for part_type, _ in kind.points_back]
    counted = [one for one in stored if one is anchor or one.type in back or f"{one.type}/{one.id}" in parts]
    live = [one for one in counted if one.type != "Patient" and not is_error(_parsed(one))]
    names = sorted(f"{one.type}/{one.id}/{one.version}" for one in live)
    return f'W/"{anchor.version}-{hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]}"'


def name(resource: Resource) -> str:
    """Type/id."""
    return f"{resource['resourceType']}/{resource['id']}"


def _searched(who: Identifier) -> str:
    """The identifier as a search value that means just this one."""
    return f"{escaped(who.system)}|{escaped(who.value)}"


def _write(method: Literal["POST", "PUT"], resource: Resource, *, if_match: int | None = None) -> Write:
    return Write(
        method, resource["resourceType"], resource["id"], lossless.dumps(resource), resource, if_match=if_match
    )


def _parsed(stored: Stored) -> Resource:
    return lossless.parse_object(stored.content or b"{}")
