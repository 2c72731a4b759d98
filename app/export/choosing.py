"""From what was asked for to what is read: its searches, whose data it is, and since when it counts as changed."""

import hashlib
from collections.abc import Sequence
from urllib.parse import parse_qsl

from app.export.asked import LATEST_PROVENANCE, Asked
from app.export.members import members
from app.export.shapes import Pseudonyms
from app.fhir import json as lossless
from app.fhir.compartments import compartments
from app.fhir.outcomes import Issue, NotFound
from app.store import exporting, repository
from app.store.database import Connection
from app.store.exported import Chosen
from app.store.index.state import Need
from app.store.search import Query, Searcher
from app.store.search.needs import needs
from app.store.snapshot import Snapshot
from app.store.tables import ExportJob

_PATIENT, _GROUP, _SOMEBODY = "Patient", "Group", "Patient/somebody"
Searches = dict[str, tuple[Query, ...]]


def base_of(asked: Asked) -> str:
    """The address of the FHIR endpoint that was asked: what starts with it refers to this server."""
    return asked.request.partition("?")[0].rpartition("/fhir/")[0] + "/fhir"


def searches(searcher: Searcher, asked: Asked, at: int) -> Searches:
    """The searches of each type, as they are understood at a time. Raises Refused where one cannot be any more."""
    return {
        type_: tuple(
            searcher.parse(type_, parse_qsl(query, keep_blank_values=True), strict=True, base=base_of(asked), at=at)
            for query in queries
        )
        for type_, queries in asked.filters.items()
    }


def parameter_names(asked: Asked) -> list[str]:
    """The names of all parameters of its searches."""
    return [name for queries in asked.filters.values() for query in queries for name, _ in parse_qsl(query)]


def meaning(found: Searches, pseudonyms: Pseudonyms | None) -> str:
    """Changes when value sets or code systems make something else of the searches, and with the key of pseudonyms."""
    read = {type_: [query.meaning for query in queries] for type_, queries in sorted(found.items())}
    text = f"{read} {pseudonyms.reference(_SOMEBODY) if pseudonyms else ''}"
    return hashlib.blake2s(text.encode(), digest_size=6).hexdigest()


def needed(asked: Asked, found: Searches) -> set[Need]:
    """The search parameters that the answer depends on."""
    wanted = {need for queries in found.values() for query in queries for need in needs(query)}
    if asked.associated:
        wanted.add(("Provenance", "target"))
    if asked.level != "system":
        ways = compartments()[_PATIENT]
        wanted |= {(type_, code) for type_ in asked.types for code in ways.get(type_, ()) if type_ != _PATIENT}
    return wanted


async def what_is_chosen(connection: Connection, job: ExportJob, asked: Asked, found: Searches) -> Chosen:
    """What the job reads."""
    return Chosen(
        job=job.id,
        snapshot=Snapshot.parse(job.snapshot),
        types=asked.types,
        whose="named" if asked.group or asked.patients else "patients" if asked.level == "patient" else "everybody",
        since=asked.since,
        until=asked.until,
        before=None if asked.since is None else await exporting.moment_after(connection, asked.since),
        filters={type_: [query.criteria for query in queries] for type_, queries in found.items()},
        provenance="" if not asked.associated else "latest" if LATEST_PROVENANCE in asked.associated else "relevant",
    )


async def patients(connection: Connection, asked: Asked, snapshot: Snapshot) -> Sequence[str]:
    """The ids of those whose data is asked for, none where that is everybody's. Raises NotFound without the Group."""
    if not asked.group:
        return asked.patients
    found, seen, left = set[str](), set[str](), {asked.group}
    while left:
        keys = [(_GROUP, each) for each in left]
        groups = [each for each in (await repository.read_all(connection, keys, snapshot)).values() if each.content]
        if not groups and not seen:
            raise NotFound([Issue("not-found", f"Group/{asked.group} was deleted before the export began.")])
        seen, left = seen | left, set()
        for stored in groups:
            own, inner = members(lossless.parse_object(stored.content or b"{}"), base_of(asked))
            found, left = found | own, (left | inner) - seen
    return sorted(found & set(asked.patients) if asked.patients else found)
