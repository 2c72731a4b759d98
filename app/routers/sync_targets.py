"""The servers that are synced with: which there are, what was concluded about each, and changing them."""

from typing import Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from app.fhir.instants import instant
from app.fhir.outcomes import Issue, Unprocessable
from app.routers import documented, exchange
from app.routers.exchange import service
from app.routers.numbers import RowName
from app.store import sync_state
from app.store.sync_state import State
from app.sync.admission import problems_here
from app.sync.planning import shown
from app.sync.push.wanting import problem_of
from app.sync.registry import Registered
from app.sync.targets import Target, problems, told_of

router = APIRouter(prefix="/sync/targets", tags=["Sync"])
_Backfill = Query(True, description="Whether it is told of what is here already, too.")
_Force = Query(False, description="Give up what still waits for it.")
# A definition has no versions to hold them to.
_CONDITIONS = ("if-match", "if-none-match", "if-none-exist", "if-modified-since", "if-unmodified-since")
_SCHEMA = documented.inlined(Target.model_json_schema())
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}}


@router.get("", summary="The servers that are told of writes, or asked for them")
async def targets(request: Request) -> Response:
    exchange.require_known(request)
    registered = await service(request).registry.registered()
    async with service(request).database.reading() as connection:
        states = await sync_state.read_all(connection)
    return JSONResponse({"targets": [_told(one, states.get(one.target.name)) for one in registered]})


@router.get("/{name}", summary="One of them, and what was concluded from its CapabilityStatement")
async def target(request: Request, name: RowName) -> Response:
    exchange.require_known(request)
    return JSONResponse(await _shown(request, name))


@router.post("", summary="Sync with another server", status_code=201, openapi_extra=_BODY)
async def create(request: Request, backfill: bool = _Backfill) -> Response:
    exchange.require_known(request, "backfill")
    exchange.refuse_headers(request, *_CONDITIONS)
    made = _read(request, await request.body())
    await service(request).registry.create(made, backfill=backfill)
    where = f"{exchange.public_base(request)}/sync/targets/{made.name}"
    return JSONResponse(await _shown(request, made.name), 201, {"Location": where})


@router.put("/{name}", summary="Change how a server is synced with", openapi_extra=_BODY)
async def change(request: Request, name: RowName) -> Response:
    exchange.require_known(request)
    exchange.refuse_headers(request, *_CONDITIONS)
    made = _read(request, await request.body())
    if made.name != name:
        told = "The name stands in the ledger and does not change: it must be that of the address."
        raise Unprocessable([Issue("value", told, "name")])
    await service(request).registry.change(made)
    return JSONResponse(await _shown(request, name))


@router.delete("/{name}", summary="Sync with a server no longer", status_code=204)
async def remove(request: Request, name: RowName, force: bool = _Force) -> Response:
    exchange.require_known(request, "force")
    exchange.refuse_headers(request, *_CONDITIONS)
    await service(request).registry.remove(name, force=force)
    return Response(status_code=204)


def _read(request: Request, body: bytes) -> Target:
    """The definition in a body. Raises Unprocessable with all that is wrong with it."""
    try:
        made = Target.model_validate_json(body)
    except ValidationError as error:
        raise Unprocessable(Issue("value", why, where) for where, why in told_of(error)) from None
    parts = service(request)
    found = problems(made, parts.validator.resource_types, lambda each: problem_of(parts.searcher, each))
    found += problems_here(made, parts.secrets, parts.guard, is_operators=False)
    if found:
        raise Unprocessable(Issue("value", why, where) for where, why in found)
    return made


async def _shown(request: Request, name: str) -> dict[str, Any]:
    found = await service(request).registry.find(name)
    async with service(request).database.reading() as connection:
        return _told(found, await sync_state.read(connection, name))


def _told(one: Registered, state: State | None) -> dict[str, Any]:
    """A definition, with where it stands and what was found out; secrets are in it by their names only."""
    said = {"origin": one.origin, "changed_at": instant(one.updated_at), "concluded": shown(state) if state else {}}
    return {**one.target.model_dump(mode="json"), **said}
