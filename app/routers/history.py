"""The FHIR door: what changed, of one resource, of a type or of everything (R4 3.1.0.12).

Pages follow the order of the changes inside the snapshot of the first page: whatever is written meanwhile, the same
link answers the same page, and nothing is skipped or seen twice.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir.bundles import Entry, bundle
from app.fhir.instants import instant
from app.fhir.outcomes import Issue, operation_outcome
from app.fhir.subset import Subset, subset
from app.routers import documented, exchange
from app.routers.addresses import INSTANCE, TYPE
from app.routers.exchange import fhir_base, gone_or_missing, service
from app.routers.noting import saw
from app.routers.past import SERVED, Asked, read_past
from app.store import repository
from app.store.cursors import no_link, seal, unseal_numbers
from app.store.database import Connection
from app.store.idempotency import Answer
from app.store.repository import Stored
from app.store.snapshot import Snapshot, current

router = APIRouter(prefix="/fhir", tags=["FHIR"])
_PARAMETERS = documented.parameters(**SERVED)
Id = tuple[str, str, int]  # ("Patient", "12", 3)


@dataclass(frozen=True, slots=True)
class Page:
    """Versions of one page, newest first, how many there are in all, and the cursor of the next page if any.

    created: (type, id, version) of those that made a resource, or brought it back to life.
    """

    versions: list[Stored]
    total: int
    next_cursor: str = ""
    created: frozenset[Id] = frozenset()


@dataclass(frozen=True, slots=True)
class _Start:
    """The snapshot to read in, the place before which the page begins, and the total, counted for the first page."""

    snapshot: Snapshot
    before: Sequence[int]
    total: int


@router.get("/_history", summary="The history of everything", openapi_extra=_PARAMETERS)
async def of_everything(request: Request) -> Response:
    return await _history(request)


@router.get(f"{TYPE}/_history", summary="The history of a type", openapi_extra=_PARAMETERS)
async def of_type(request: Request, resource_type: str) -> Response:
    exchange.require_type(request, resource_type)
    return await _history(request, resource_type)


@router.get(f"{INSTANCE}/_history", summary="The history of a resource", openapi_extra=_PARAMETERS)
async def of_resource(request: Request, resource_type: str, resource_id: str) -> Response:
    exchange.require_type(request, resource_type, resource_id)
    return await _history(request, resource_type, resource_id)


async def _history(request: Request, resource_type: str = "", resource_id: str = "") -> Response:
    exchange.require_acceptable(request)
    asked = read_past(request, resource_type, resource_id)
    async with service(request).database.reading() as connection:
        if resource_id and await repository.read(connection, resource_type, resource_id) is None:
            raise gone_or_missing(resource_type, resource_id, None)
        page = await _page(connection, asked)
    saw(request, page.versions)
    response = exchange.respond(request, Answer(200, _bundle(fhir_base(request), asked, page)))
    exchange.mark_handling(request, response)
    return response


async def _page(connection: Connection, asked: Asked) -> Page:
    start = await _start(connection, asked)
    if asked.count == 0:
        return Page([], start.total)
    rows = await repository.history(
        connection, asked.past, count=asked.count + 1, before=start.before, snapshot=start.snapshot
    )
    shown = rows[: asked.count]
    more = len(rows) > asked.count
    following = seal(asked.link, start.snapshot, [start.total, *shown[-1][0]]) if more else ""
    versions = [stored for _, stored in shown]
    return Page(versions, start.total, following, await created(connection, versions))


async def _start(connection: Connection, asked: Asked) -> _Start:
    """Where the page begins. Raises Refused for a cursor that is not of this history."""
    if not asked.cursor:
        snapshot = await current(connection)
        return _Start(snapshot, (), await repository.count_history(connection, asked.past, snapshot=snapshot))
    try:
        snapshot, (total, *before) = unseal_numbers(asked.cursor, asked.link, 1 + len(asked.past.order))
    except ValueError:
        raise no_link() from None
    return _Start(snapshot, before, total)


async def created(connection: Connection, versions: Sequence[Stored]) -> frozenset[Id]:
    """Those before which there was nothing, or a deletion."""
    before = {(one.type, one.id, one.version - 1) for one in versions if not one.deleted}
    nothing = {each for each in before if each[2] == 0} | await repository.deletions(connection, before)
    return frozenset((type_, id_, version + 1) for type_, id_, version in nothing)


def _bundle(base: str, asked: Asked, page: Page) -> bytes:
    links = [("self", asked.page_link(asked.cursor))]
    if page.next_cursor:
        links.append(("next", asked.page_link(page.next_cursor)))
    entries = [entry(base, stored, page.created, asked.part) for stored in page.versions]
    if asked.ignored:
        entries.append(told(asked.link, asked.ignored))
    return bundle("history", entries, total=page.total, links=links)


def entry(base: str, stored: Stored, new: Collection[Id], part: Subset | None = None) -> Entry:
    """A version as a history tells it. new: those that created something; part: what is shown of it."""
    own = f"{stored.type}/{stored.id}"
    is_new = (stored.type, stored.id, stored.version) in new
    status = "204" if stored.deleted else "201" if is_new else "200"
    response = {"status": status, "etag": f'W/"{stored.version}"', "lastModified": instant(stored.last_updated)}
    request = {"method": stored.method, "url": stored.type if stored.method == "POST" else own}
    text = stored.content or b""
    shown = subset(text, part) if text and part else text
    return Entry(f"{base}/{own}", shown, {"request": request, "response": response})


def told(address: str, ignored: Sequence[Issue]) -> Entry:
    """What was ignored. Every entry of a history has a request (bdl-3), so this one names the history itself."""
    outcome = operation_outcome(ignored)
    return Entry(
        fields={"request": {"method": "GET", "url": address}, "response": {"status": "200", "outcome": outcome}}
    )
