"""The FHIR door: search of a type, of everything and of compartments, by GET and by POST (R4 3.1.0.9, 3.1.1)."""

from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes, urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.bundles import Entry, bundle
from app.fhir.outcomes import Issue, Refused, operation_outcome
from app.fhir.subset import Subset, asked, subset
from app.routers import bodies, documented, exchange
from app.routers.addresses import TYPE
from app.routers.exchange import fhir_base, service
from app.routers.noting import asks, saw
from app.store.cursors import CURSOR
from app.store.idempotency import Answer
from app.store.repository import Stored
from app.store.search import Page, Query, asks_terms, search

Pairs = tuple[tuple[str, str], ...]

router = APIRouter(prefix="/fhir", tags=["FHIR"])
_PARAMETERS = documented.parameters(
    _id="Logical ids, separated by commas.",
    _lastUpdated="When this server last changed it, e.g. ge2026-05-01.",
    identifier="A business identifier: system|value, or value.",
    patient="The patient concerned: Patient/id, or id.",
    subject="The subject concerned: Type/id.",
    code="What was measured, diagnosed or ordered: system|code, or code.",
    _sort="Parameters to sort by, separated by commas; - before one for the other direction.",
    _include="What matches refer to: Type:parameter.",
    _revinclude="What refers to matches: Type:parameter.",
    _summary="true, text, data, count or false: only these elements.",
    _elements="Names of elements, separated by commas: only these.",
    _total="none, estimate or accurate: whether all matches are counted.",
    _count="Matches per page.",
)
_FORM = documented.bodies(bodies.FORM)
_COMPARTMENT = "/{compartment:type}/{resource_id:id}"
_MEMBER = f"{_COMPARTMENT}/{{resource_type:type}}"


@router.get("", summary="Search resources of all types", openapi_extra=_PARAMETERS)
async def search_everything(request: Request) -> Response:
    return await _answer(request)


@router.get(TYPE, summary="Search resources of a type", openapi_extra=_PARAMETERS)
async def search_type(request: Request, resource_type: str) -> Response:
    return await _answer(request, resource_type)


@router.get(
    _MEMBER,
    summary="Search in a compartment: resources of a type, or * for all",
    openapi_extra=_PARAMETERS,
)
async def search_compartment(request: Request, compartment: str, resource_id: str, resource_type: str) -> Response:
    return await _answer(request, resource_type, (compartment, resource_id))


@router.post("/_search", summary="Search resources of all types", openapi_extra=_FORM)
async def post_search_everything(request: Request) -> Response:
    return await _answer(await _with_form(request))


@router.post(f"{TYPE}/_search", summary="Search resources of a type", openapi_extra=_FORM)
async def post_search_type(request: Request, resource_type: str) -> Response:
    return await _answer(await _with_form(request), resource_type)


@router.post(f"{_COMPARTMENT}/_search", summary="Search in a compartment", openapi_extra=_FORM)
async def post_search_compartment(request: Request, compartment: str, resource_id: str) -> Response:
    return await _answer(await _with_form(request), "*", (compartment, resource_id))


@router.post(
    f"{_MEMBER}/_search",
    summary="Search in a compartment: resources of a type, or * for all",
    openapi_extra=_FORM,
)
async def post_search_member(request: Request, compartment: str, resource_id: str, resource_type: str) -> Response:
    return await _answer(await _with_form(request), resource_type, (compartment, resource_id))


async def _with_form(request: Request) -> Request:
    """The request with the parameters of the form behind those of the address: together they are the search."""
    form = await bodies.read_form(request)
    together = urlencode([*request.query_params.multi_items(), *form])
    return Request({**request.scope, "query_string": together.encode()})


async def _answer(request: Request, resource_type: str = "", compartment: tuple[str, str] | None = None) -> Response:
    """One page. resource_type "*": all that a compartment has; "": all there are."""
    if compartment:
        exchange.require_type(request, *compartment)
    wanted = "" if compartment and resource_type == "*" else resource_type
    if wanted:
        exchange.require_type(request, wanted)
    exchange.require_acceptable(request)
    _require_text(request)
    parts, base = service(request), fhir_base(request)
    given = request.query_params.multi_items()
    strict = exchange.is_strict(request)
    if asks_terms(name for name, _ in given):
        await parts.intake.definitions.refresh()
    query = parts.searcher.parse(wanted, given, strict=strict, base=base, compartment=compartment)
    asks(request, query.address, query.used, parts.parameters.of(wanted))
    part = _part(query, parts.parameters.types)
    async with parts.database.reading() as connection:
        page = await search(connection, query)
    saw(request, [*page.matches, *page.included])
    response = exchange.respond(request, Answer(200, _searchset(base, query, page, part, exchange.shape(request))))
    exchange.mark_handling(request, response)
    return response


def _require_text(request: Request) -> None:
    """Refuse an address in another encoding than UTF-8: what is no text would be searched for as another one."""
    try:
        unquote_to_bytes(request.url.query).decode()
    except UnicodeDecodeError:
        raise Refused([Issue("structure", "The parameters of the address are not in UTF-8.")]) from None


def _part(query: Query, every_type: Iterable[str]) -> Subset | None:
    """What is wanted of each resource; None: all. Raises Refused for elements there are not."""
    wanted = asked(query.summary, ",".join(query.elements), every_type if query.includes else query.types)
    if query.includes and query.summary == "text":
        told = "_summary=text cannot be given together with _include or _revinclude."
        raise Refused([Issue("value", told, "_summary")])
    return wanted


def _searchset(base: str, query: Query, page: Page, part: Subset | None, shape: Pairs) -> bytes:
    links = [*_links(base, query, page, shape)]
    return bundle("searchset", _entries(base, query, page, part), total=page.total, links=links)


def _links(base: str, query: Query, page: Page, shape: Pairs) -> Iterator[tuple[str, str]]:
    """Self says what was executed; the others carry the moment in which the first page was read."""
    address = f"{base}/{query.address}".rstrip("/")
    yield "self", exchange.link(address, [*query.used, *shape])
    for relation, cursor in (("first", page.first), ("next", page.next)):
        if cursor:
            yield relation, exchange.link(address, [*query.paged, *shape, (CURSOR, cursor)])


def _entries(base: str, query: Query, page: Page, part: Subset | None) -> Iterator[Entry]:
    for mode, found in (("match", page.matches), ("include", page.included)):
        yield from (_entry(base, stored, mode, part) for stored in found)
    if query.ignored:
        outcome = lossless.dumps(operation_outcome(query.ignored))
        yield Entry(resource=outcome, fields={"search": {"mode": "outcome"}})


def _entry(base: str, stored: Stored, mode: str, part: Subset | None) -> Entry:
    text = stored.content or b""
    shown = subset(text, part) if part and text else text
    return Entry(f"{base}/{stored.type}/{stored.id}", shown, {"search": {"mode": mode}})
