"""Patient/$everything: the patient's compartment, and what is referred to from there (R4 patient-operations.html).

A page holds so many resources of the compartment, and all they refer to; like what a search includes, a resource that
several refer to may be on several pages. What is in the compartment of another patient only is left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app import profiles
from app.fhir import json as lossless
from app.fhir.bundles import Entry, bundle
from app.fhir.compartments import compartments
from app.fhir.instants import period
from app.fhir.outcomes import Issue, Refused
from app.fhir.references import local, references
from app.routers import exchange
from app.routers.exchange import fhir_base, link
from app.routers.noting import saw
from app.routers.operations import held
from app.routers.operations.call import Call
from app.store import everything as store
from app.store import repository
from app.store.cursors import CURSOR, no_link, require_kept, seal, unseal_numbers
from app.store.everything import Wanted
from app.store.idempotency import Answer
from app.store.index.state import require_indexed
from app.store.repository import Key, Stored
from app.store.snapshot import Snapshot, current
from app.store.tables import SearchReference

_EVER = (-(2**62), 2**62)


@dataclass(frozen=True, slots=True)
class _Page:
    """One page: the snapshot it shows and when that was taken, its place, and how the next one is found."""

    snapshot: Snapshot
    at: int
    after: int
    count: int
    address: str
    asked: tuple[tuple[str, str], ...]


async def everything(call: Call) -> Answer:
    """The Bundle of one page."""
    wanted = _wanted(call)
    if call.resource_id:
        # A patient that is not here is a 404 or 410, not an empty Bundle.
        await held.current(call)
    async with call.service.database.reading() as connection:
        page = _page(call, await current(connection))
        await require_indexed(connection, wanted.needs)
        total = await store.count_all(connection, wanted, page.snapshot)
        rows = await store.page(connection, wanted, page.snapshot, after=page.after, count=page.count + 1)
        shown = [stored for _, stored in rows[: page.count]]
        keys = _targets(shown, fhir_base(call.request))
        referred = await repository.read_all(connection, keys, page.snapshot)
    shape = exchange.shape(call.request)
    links = [("self", link(page.address, (*page.asked, *shape)))]
    if len(rows) > page.count > 0:
        cursor = seal(_sealed(page.address, page.asked), page.snapshot, [page.at, rows[page.count - 1][0]])
        links.append(("next", link(page.address, (*page.asked, *shape, (CURSOR, cursor)))))
    more = [each for key in keys if (each := referred.get(key)) and _belongs(call, wanted, each)]
    saw(call.request, [*shown, *more])
    entries = [*_entries(call, shown, "match"), *_entries(call, more, "include")]
    return Answer(200, bundle("searchset", entries, total=total, links=links))


def _wanted(call: Call) -> Wanted:
    """Raises Refused naming all that is wrong."""
    given, types = call.given, call.service.parameters.types
    issues = [
        Issue("value", f"{each[:64]} is no R4 resource type that is stored here.", "_type")
        for each in given.all("_type")
        if each not in types
    ]
    if given.one("_count", 0) < 0:
        issues.append(Issue("value", "_count must be a number of 0 or more.", "_count"))
    if issues:
        raise Refused(issues)
    since, start, end = (_span(call, name) for name in ("_since", "start", "end"))
    return Wanted(
        patient=call.resource_id,
        compartment=compartments()["Patient"],
        types=tuple(sorted(set(given.all("_type")))),
        since=since[0] if since else None,
        care=(start[0] if start else _EVER[0], end[1] if end else _EVER[1]) if start or end else None,
        care_dates=profiles.toml_files("operations")["care-dates"]["dates"],
    )


def _span(call: Call, name: str) -> tuple[int, int] | None:
    """The range a date stands for, in microseconds."""
    text = call.given.one(name)
    try:
        return period(text) if text else None
    except (ValueError, OverflowError):
        raise Refused([Issue("value", f"{name} is a time that cannot be reckoned with.", name)]) from None


def _page(call: Call, now: Snapshot) -> _Page:
    settings, given = call.service.settings, call.given
    asked = tuple(
        (name, text)
        for name in call.operation.parameters
        for text in ([",".join(given.all(name))] if name == "_type" else given.all(name))
        if text not in ("", None)
    )
    asked = tuple((name, str(text)) for name, text in asked)
    count = min(given.one("_count", settings.page_size), settings.max_page_size)
    instance = f"/{call.resource_id}" if call.resource_id else ""
    address = f"{fhir_base(call.request)}/Patient{instance}/$everything"
    if not given.cursor:
        return _Page(now, call.service.clock(), 0, count, address, asked)
    try:
        snapshot, (at, after) = unseal_numbers(given.cursor, _sealed(address, asked), 2)
    except ValueError:
        raise no_link() from None
    require_kept(at, call.service.clock(), settings.page_link_minutes)
    return _Page(snapshot, at, after, count, address, asked)


def _sealed(address: str, asked: Sequence[tuple[str, str]]) -> str:
    # Behind another host name it is the same listing.
    return link(address.partition("/fhir/")[2], asked)


def _targets(shown: Sequence[Stored], base: str) -> list[Key]:
    """What resources refer to on this server and what is not shown already, each once."""
    own = {(each.type, each.id) for each in shown}
    found: dict[Key, None] = {}
    for each in shown:
        for reference in references(lossless.parse_object(each.content or b"{}")):
            target = local(reference, base)
            if target and target[:2] not in own:
                found[target[:2]] = None
    return list(found)


def _belongs(call: Call, wanted: Wanted, stored: Stored) -> bool:
    """Whether a resource that is referred to is asked for, and not another patient's."""
    if stored.content is None or (wanted.types and stored.type not in wanted.types):
        return False
    if wanted.since is not None and stored.last_updated < wanted.since:
        return False
    names = wanted.compartment.get(stored.type, ())
    if stored.type == "Patient" or not names:
        return stored.type != "Patient"
    rows = call.service.parameters.rows(lossless.parse_object(stored.content), base=fhir_base(call.request))
    patients = {
        row["target_id"]
        for row in rows.get(SearchReference, ())
        if row["param"] in names and row["target_type"] == "Patient"
    }
    return not patients or wanted.patient in patients


def _entries(call: Call, found: Iterable[Stored], mode: str) -> list[Entry]:
    base = fhir_base(call.request)
    fields: dict[str, Any] = {"search": {"mode": mode}}
    return [Entry(f"{base}/{each.type}/{each.id}", each.content or b"", fields) for each in found]
