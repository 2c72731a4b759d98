"""The FHIR door: resources, their history, search, batches and transactions."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.bundles import Entry, bundle
from app.fhir.instants import instant
from app.fhir.outcomes import Issue, Refused, operation_outcome
from app.intake.transaction import Asked, Item, Read, read_bundle
from app.intake.writes import Caller, Write, Written
from app.routers import documented, errors, exchange
from app.routers.errors import told
from app.routers.exchange import Body, fhir_base, gone_or_missing, service
from app.store import repository
from app.store.database import Unavailable
from app.store.idempotency import Answer
from app.store.repository import Stored
from app.store.search import Page, Query, search

router = APIRouter(prefix="/fhir", tags=["FHIR"])
_SEARCH = {
    "_id": "Logical ids, separated by commas.",
    "_lastUpdated": "When this server last changed it, e.g. ge2026-05-01.",
    "identifier": "A business identifier: system|value, or value.",
    "patient": "The patient concerned: Patient/id, or id.",
    "subject": "The subject concerned: Type/id.",
    "code": "What was measured, diagnosed or ordered: system|code, or code.",
    "_count": "Matches per page.",
}


@router.post("", summary="Process a batch or transaction Bundle", openapi_extra=documented.body("transaction"))
async def process_bundle(request: Request) -> Response:
    exchange.require_acceptable(request)
    exchange.require_known(request)
    body = await exchange.read_fhir(request)
    if body.tree.get("resourceType") != "Bundle":
        told = "POST to this address takes a Bundle."
        raise Refused([Issue("structure", told, "resourceType", rule="dmt-bundle-kind", member="resourceType")])
    parts = service(request)
    asked = read_bundle(body.text, body.tree, parts.validator, parts.validator.resource_types)
    caller = exchange.caller(request, body.text)
    if asked.kind == "transaction":
        return exchange.respond(request, await _transaction(request, asked, caller))
    return exchange.respond(request, await _batch(request, asked, caller))


@router.post("/{resource_type}", summary="Create a resource", openapi_extra=documented.body("patient"))
async def create(request: Request, resource_type: str) -> Response:
    exchange.require_type(request, resource_type)
    exchange.require_acceptable(request)
    exchange.require_known(request)
    exchange.refuse_headers(request, "if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
    body = await exchange.read_fhir(request)
    condition = exchange.condition(request)
    write = Write("POST", resource_type, text=body.text, tree=body.tree, if_none_exist=condition)
    return await _one(request, write, body)


@router.put(
    "/{resource_type}/{resource_id}",
    summary="Update a resource, or create it with this id",
    openapi_extra=documented.body("patient"),
)
async def update(request: Request, resource_type: str, resource_id: str) -> Response:
    exchange.require_type(request, resource_type, resource_id)
    exchange.require_acceptable(request)
    body = await exchange.read_fhir(request)
    exchange.require_known(request)
    exchange.refuse_headers(request, "if-none-match", "if-modified-since", "if-unmodified-since", "if-none-exist")
    match = exchange.if_match(request)
    write = Write("PUT", resource_type, resource_id, body.text, body.tree, if_match=match)
    return await _one(request, write, body)


@router.delete("/{resource_type}/{resource_id}", summary="Delete a resource; its history is kept")
async def delete(request: Request, resource_type: str, resource_id: str) -> Response:
    exchange.require_type(request, resource_type, resource_id)
    exchange.require_known(request)
    exchange.refuse_headers(request, "if-none-match", "if-modified-since", "if-unmodified-since", "if-none-exist")
    write = Write("DELETE", resource_type, resource_id, if_match=exchange.if_match(request))
    return await _one(request, write, Body(b"", {}))


@router.get(
    "/{resource_type}",
    summary="Search resources of a type",
    openapi_extra=documented.parameters(**_SEARCH),
)
async def search_type(request: Request, resource_type: str) -> Response:
    exchange.require_type(request, resource_type)
    exchange.require_acceptable(request)
    parts = service(request)
    base = fhir_base(request)
    wanted = exchange.preference(request, "handling")
    handling = wanted if wanted in ("strict", "lenient") else parts.settings.search_handling
    given = request.query_params.multi_items()
    query = parts.searcher.parse(resource_type, given, strict=handling == "strict", base=base)
    async with parts.database.reading() as connection:
        page = await search(connection, query)
    return exchange.respond(request, Answer(200, _searchset(base, query, page)))


@router.get("/{resource_type}/{resource_id}", summary="Read a resource")
async def read(request: Request, resource_type: str, resource_id: str) -> Response:
    exchange.require_type(request, resource_type, resource_id)
    exchange.require_acceptable(request)
    exchange.require_known(request)
    async with service(request).database.reading() as connection:
        stored = await repository.read(connection, resource_type, resource_id)
    return _show(request, resource_type, resource_id, stored)


@router.get("/{resource_type}/{resource_id}/_history", summary="The history of a resource")
async def history(request: Request, resource_type: str, resource_id: str) -> Response:
    exchange.require_type(request, resource_type, resource_id)
    exchange.require_acceptable(request)
    exchange.require_known(request, "_count", "_below")
    count, below = _history_page(request)
    async with service(request).database.reading() as connection:
        total, versions = await repository.history(connection, resource_type, resource_id, count=count, below=below)
    if not total:
        raise gone_or_missing(resource_type, resource_id, None)
    return exchange.respond(request, Answer(200, _history_bundle(fhir_base(request), versions, total, count)))


@router.get("/{resource_type}/{resource_id}/_history/{version}", summary="Read one version of a resource")
async def vread(request: Request, resource_type: str, resource_id: str, version: str) -> Response:
    exchange.require_type(request, resource_type, resource_id)
    exchange.require_acceptable(request)
    exchange.require_known(request)
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
    async with service(request).database.reading() as connection:
        stored = await repository.read_version(connection, resource_type, resource_id, number)
    return _show(request, resource_type, resource_id, stored)


def _show(request: Request, resource_type: str, resource_id: str, stored: Stored | None) -> Response:
    if stored is None or stored.content is None:
        raise gone_or_missing(resource_type, resource_id, stored)
    if exchange.is_current(request, stored):
        return exchange.respond(request, exchange.version_answer(304, stored, body=b""))
    return exchange.respond(request, exchange.version_answer(200, stored, body=stored.content))


async def _one(request: Request, write: Write, body: Body) -> Response:
    """A single write, answered as the client prefers."""
    wanted, base = exchange.returned(request, "representation"), fhir_base(request)

    def answer(written: list[Written]) -> Answer:
        done = written[0]
        shown = _shown(request, done, wanted)
        address = base if done.outcome in ("created", "existing") else ""
        return exchange.version_answer(exchange.status_after(done), done.stored, body=shown, base=address)

    caller = exchange.caller(request, body.text)
    return exchange.respond(request, await service(request).intake.accept([write], caller, answer))


def _shown(request: Request, written: Written, wanted: str) -> bytes:
    if wanted == "minimal" or written.stored.content is None:
        return b""
    if wanted == "OperationOutcome":
        return lossless.dumps(operation_outcome(errors.placed_now(request, written.warnings)))
    return written.stored.content


async def _transaction(request: Request, asked: Asked, caller: Caller) -> Answer:
    wanted = exchange.returned(request, "minimal")

    def answer(written: list[Written]) -> Answer:
        entries = [_response_entry(request, done, wanted) for done in written]
        return Answer(200, bundle("transaction-response", entries))

    writes = [entry for entry in asked.entries if isinstance(entry, Write)]
    return await service(request).intake.accept(writes, caller, answer)


async def _batch(request: Request, asked: Asked, caller: Caller) -> Answer:
    """Each entry by itself; with an Idempotency-Key each entry's outcome is remembered with its write."""
    wanted = exchange.returned(request, "minimal")
    entries = []
    for index, entry in enumerate(asked.entries):
        key = f"{caller.idempotency_key}\x1f{index}" if caller.idempotency_key else ""
        entries.append(await _batch_entry(request, entry, replace(caller, idempotency_key=key), wanted))
    return Answer(200, bundle("batch-response", entries))


async def _read_entry(request: Request, read: Read) -> Entry:
    answer = await exchange.get_inside(request, read.url)
    response: dict[str, object] = {"status": str(answer.status_code)}
    if "etag" in answer.headers:
        response["etag"] = answer.headers["etag"]
    if answer.status_code >= 400:
        return Entry(fields={"response": {**response, "outcome": lossless.parse(bytes(answer.body))}})
    return Entry(resource=bytes(answer.body), fields={"response": response})


async def _batch_entry(request: Request, entry: Item, caller: Caller, wanted: str) -> Entry:
    def answer(written: list[Written]) -> Answer:
        return Answer(exchange.status_after(written[0]), _response_entry(request, written[0], wanted).text())

    if isinstance(entry, Read):
        return await _read_entry(request, entry)
    try:
        if isinstance(entry, Refused):
            raise entry
        done = await service(request).intake.accept([entry], caller, answer)
        return Entry.ready(done.body)
    except (Refused, Unavailable) as error:
        status, issues = told(error)
        outcome = operation_outcome(await errors.placed(request, issues))
        return Entry(fields={"response": {"status": str(status), "outcome": outcome}})


def _response_entry(request: Request, written: Written, wanted: str) -> Entry:
    stored = written.stored
    response: dict[str, object] = {"status": str(exchange.status_after(written))}
    if stored.version:
        response["location"] = exchange.location(fhir_base(request), stored)
        response["etag"] = f'W/"{stored.version}"'
        response["lastModified"] = instant(stored.last_updated)
    if wanted == "OperationOutcome":
        response["outcome"] = operation_outcome(errors.placed_now(request, written.warnings))
    resource = stored.content if wanted == "representation" and stored.content else b""
    return Entry(resource=resource, fields={"response": response})


def _searchset(base: str, query: Query, page: Page) -> bytes:
    address = f"{base}/{query.resource_type}"
    own = [*query.used]
    links = [("self", _link(address, own))]
    if page.next_cursor:
        counted = own if any(name == "_count" for name, _ in own) else [*own, ("_count", str(query.count))]
        links.append(("next", _link(address, [*counted, ("_cursor", page.next_cursor)])))
    entries = [Entry(f"{base}/{m.type}/{m.id}", m.content or b"", {"search": {"mode": "match"}}) for m in page.matches]
    if query.ignored:
        outcome = lossless.dumps(operation_outcome(query.ignored))
        entries.append(Entry(resource=outcome, fields={"search": {"mode": "outcome"}}))
    return bundle("searchset", entries, total=page.total, links=links)


def _link(address: str, parameters: Sequence[tuple[str, str]]) -> str:
    return f"{address}?{urlencode(parameters)}" if parameters else address


def _history_page(request: Request) -> tuple[int, int | None]:
    settings = service(request).settings
    numbers = {}
    for name, default in (("_count", settings.page_size), ("_below", None)):
        value = request.query_params.get(name)
        if value is not None and not (value.isascii() and value.isdigit() and len(value) < 10):
            raise Refused([Issue("value", f"{name} must be a number of 0 or more.", name)])
        numbers[name] = int(value) if value is not None else default
    return min(numbers["_count"] or 0, settings.max_page_size), numbers["_below"]


def _history_bundle(base: str, versions: Sequence[Stored], total: int, count: int) -> bytes:
    links = []
    if versions and versions[-1].version > 1:
        address = f"{base}/{versions[0].type}/{versions[0].id}/_history"
        links.append(("next", f"{address}?_count={count}&_below={versions[-1].version}"))
    return bundle("history", [_history_entry(base, stored) for stored in versions], total=total, links=links)


def _history_entry(base: str, stored: Stored) -> Entry:
    own = f"{stored.type}/{stored.id}"
    request = {"method": stored.method, "url": stored.type if stored.method == "POST" else own}
    status = "204" if stored.deleted else "201" if stored.version == 1 else "200"
    response = {
        "status": status,
        "etag": f'W/"{stored.version}"',
        "lastModified": instant(stored.last_updated),
    }
    return Entry(f"{base}/{own}", stored.content or b"", {"request": request, "response": response})
