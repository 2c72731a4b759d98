"""ViewDefinitions (SQL on FHIR) that are kept here: stored ones, and the ready ones, which are read only.

A ViewDefinition is no type of R4, so it has a door of its own and is not in the resources of the CapabilityStatement.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.instants import http_date, instant
from app.fhir.outcomes import Conflict, Forbidden, Issue, NotFound, PreconditionFailed, Refused, operation_outcome
from app.intake.writes import ANY_VERSION
from app.routers import bodies, exchange, rights
from app.routers.exchange import service
from app.routers.operations import table
from app.routers.operations.handlers import HANDLERS
from app.routers.operations.routes import called
from app.routers.operations.viewed import require_meant
from app.store import idempotency, views
from app.store.database import Connection, Lock
from app.store.idempotency import Answer, Key
from app.store.tables import ViewDefinition
from app.views import compile_view
from app.views.ready import ready_tables

_TYPE = "ViewDefinition"
_READY = "This ViewDefinition comes with the server and cannot be changed: store yours under another id."
_CHANGED = "The ViewDefinition was changed by somebody else meanwhile: read it again."
router = APIRouter(prefix=f"/fhir/{_TYPE}", tags=["ViewDefinitions"])


def ready_views() -> Mapping[str, Mapping[str, Any]]:
    """The ready ViewDefinitions by id."""
    found = (one.definition for one in ready_tables().values())
    return {each["id"]: each for each in found if each["resourceType"] == _TYPE}


@router.get("", summary="The ViewDefinitions there are: ready ones, then those that are stored, by id")
async def listed(request: Request) -> Response:
    """By _after (an id) and _count; name and url select."""
    exchange.require_known(request, "name", "url", "_count", "_after")
    rights.require("s", _TYPE)
    exchange.require_acceptable(request)
    asked, settings = request.query_params, service(request).settings
    size = _count(asked.get("_count", str(settings.page_size)), settings.max_page_size)
    name, url, after = asked.get("name", ""), asked.get("url", ""), asked.get("_after", "")
    ready = [each for each in ready_views().values() if name in ("", each["name"]) and url in ("", each["url"])]
    async with service(request).database.reading() as connection:
        found = await views.page(connection, after=after, count=size, name=name, url=url)
        total = await views.count(connection, name=name, url=url)
    base = exchange.fhir_base(request)
    shown = [] if after else [lossless.dumps(each) for each in ready]
    shown += [each.content for each in found]
    links = [{"relation": "self", "url": exchange.public_address(request)}]
    if len(found) == size:
        kept = [(key, value) for key, value in asked.multi_items() if key != "_after"]
        links.append({"relation": "next", "url": exchange.link(f"{base}/{_TYPE}", [*kept, ("_after", found[-1].id)])})
    entries = [_entry(base, lossless.parse_object(text)) for text in shown]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": total + len(ready), "link": links}
    return _answer(request, Answer(200, lossless.dumps(bundle | ({"entry": entries} if entries else {}))))


@router.get("/{view_id:id}", summary="A ViewDefinition")
async def read(request: Request, view_id: str) -> Response:
    exchange.require_known(request)
    exchange.require_acceptable(request)
    if view_id in ready_views():
        return _answer(request, Answer(200, lossless.dumps(ready_views()[view_id])))
    exchange.require_id(view_id)
    rights.require("r", _TYPE)
    async with service(request).database.reading() as connection:
        found = await views.read(connection, view_id)
    if found is None:
        raise _absent(view_id)
    return _answer(request, _told(200, found))


@router.post("", status_code=201, summary="Store a ViewDefinition")
async def create(request: Request) -> Response:
    exchange.require_known(request)
    exchange.refuse_headers(request, "if-none-exist")
    rights.require("c", _TYPE)
    return await _write(request, service(request).new_id(), is_new=True)


@router.put("/{view_id:id}", summary="Store a ViewDefinition under this id, in place of the one there")
async def update(request: Request, view_id: str) -> Response:
    exchange.require_known(request)
    exchange.require_id(view_id)
    rights.require("u", _TYPE)
    return await _write(request, view_id, is_new=False)


@router.delete("/{view_id:id}", summary="Remove a ViewDefinition")
async def delete(request: Request, view_id: str) -> Response:
    exchange.require_known(request)
    exchange.require_id(view_id)
    rights.require("d", _TYPE)
    _require_own(view_id)
    wanted = exchange.if_match(request)
    async with service(request).database.writing() as connection:
        there = await views.read(connection, view_id)
        if there is None:
            raise _absent(view_id)
        if wanted not in (None, ANY_VERSION, there.version):
            raise PreconditionFailed([Issue("conflict", _CHANGED)])
        if not await views.remove(connection, view_id, version=there.version):
            raise Conflict([Issue("conflict", _CHANGED)])
    return Response(status_code=204)


async def _write(request: Request, view_id: str, *, is_new: bool) -> Response:
    exchange.require_acceptable(request)
    _require_own(view_id)
    tree = dict((await bodies.read_body(request)).tree)
    if not is_new and tree.get("id") != view_id:
        raise Refused([Issue("value", "The id in the body must be the id in the address.", f"{_TYPE}.id")])
    view = compile_view(tree)
    require_meant(request, [view])
    exchange.refuse_headers(request, "x-provenance")
    wanted, key = exchange.if_match(request), exchange.caller(request, lossless.dumps(tree)).key
    async with service(request).database.writing() as connection:
        if key and (replay := await _recalled(request, connection, key)):
            return _answer(request, replay)
        there = await views.read(connection, view_id)
        version = there.version if there else 0
        if wanted is not None and (wanted != version if wanted != ANY_VERSION else not version):
            raise PreconditionFailed([Issue("conflict", _CHANGED)])
        stored = _stored(view_id, tree, version + 1, service(request).clock())
        if not await views.write(connection, stored, after=version):
            raise Conflict([Issue("conflict", _CHANGED)])
        answer = _told(200 if version else 201, stored)
        if view.warnings and exchange.preference(request, "return") == "OperationOutcome":
            answer = replace(answer, body=lossless.dumps(operation_outcome(view.warnings)), last_modified="")
        if not version:
            answer = replace(answer, location=f"{exchange.fhir_base(request)}/{_TYPE}/{view_id}")
        if key:
            await idempotency.remember(connection, key, answer, service(request).clock())
    return _answer(request, answer)


async def _recalled(request: Request, connection: Connection, key: Key) -> Answer | None:
    """Whoever sends the same key meanwhile waits here until the first is answered."""
    await service(request).database.lock(connection, [Lock(f"idempotency {key.client} {key.key}")])
    return await idempotency.recall(connection, key)


def _stored(view_id: str, tree: dict[str, Any], version: int, at: int) -> ViewDefinition:
    meta = tree.get("meta")
    meta = {**(meta if isinstance(meta, dict) else {}), "versionId": str(version), "lastUpdated": instant(at)}
    content = {"resourceType": _TYPE, "id": view_id, "meta": meta}
    content |= {name: value for name, value in tree.items() if name not in content}
    return ViewDefinition(
        id=view_id,
        version=version,
        url=str(tree.get("url", "")),
        name=str(tree.get("name", "")),
        content=lossless.dumps(content),
        updated_at=at,
    )


def _told(status: int, view: ViewDefinition) -> Answer:
    return Answer(status, view.content, "", f'W/"{view.version}"', http_date(view.updated_at))


def _entry(base: str, tree: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": f"{base}/{_TYPE}/{tree['id']}", "resource": tree, "search": {"mode": "match"}}


def _answer(request: Request, answer: Answer) -> Response:
    return exchange.respond(request, answer)


def _require_own(view_id: str) -> None:
    if view_id in ready_views():
        raise Forbidden([Issue("forbidden", _READY)])


def _absent(view_id: str) -> NotFound:
    return NotFound([Issue("not-found", f"ViewDefinition/{view_id[:64]} is not here.")])


def _count(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not int(text):
        raise Refused([Issue("value", "_count must be a whole number above 0.", "_count")])
    return min(int(text), most)


async def _operation(request: Request, view_id: str, code: str) -> Response:
    exchange.require_id(view_id)
    operation = next(each for each in table.at("system") if each.code == code)
    return await called(request, operation, HANDLERS[operation.id], _TYPE, view_id)


@router.get("/{view_id:id}/$viewdefinition-run", summary="Make the rows of a ViewDefinition")
@router.post("/{view_id:id}/$viewdefinition-run", summary="Make the rows of a ViewDefinition")
async def run(request: Request, view_id: str) -> Response:
    return await _operation(request, view_id, "viewdefinition-run")


@router.get("/{view_id:id}/$viewdefinition-export", summary="Write the rows of a ViewDefinition to files")
@router.post("/{view_id:id}/$viewdefinition-export", summary="Write the rows of a ViewDefinition to files")
async def export(request: Request, view_id: str) -> Response:
    return await _operation(request, view_id, "viewdefinition-export")
