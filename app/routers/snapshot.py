"""$snapshot: the snapshot of a StructureDefinition (R4, OperationDefinition StructureDefinition-snapshot)."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, NotFound, Refused
from app.routers import documented, exchange
from app.routers.exchange import service
from app.store import repository
from app.store.idempotency import Answer
from app.validation.snapshots.broken import BrokenProfile

router = APIRouter(prefix="/fhir", tags=["FHIR"])
_TYPE = "StructureDefinition"
_PARAMETERS = "Parameters.parameter"
_DOCUMENTED = documented.parameters(url="Canonical URL of the StructureDefinition, instead of posting it.")
_SUMMARY = "The snapshot of a StructureDefinition"


@router.post("/StructureDefinition/$snapshot", summary=_SUMMARY, openapi_extra=documented.body("profile") | _DOCUMENTED)
async def snapshot(request: Request) -> Response:
    exchange.require_acceptable(request)
    exchange.require_known(request, "url")
    asked = request.query_params.get("url")
    definition = await _by_url(request, asked) if asked else await _posted(request)
    return await _answer(request, definition)


@router.get("/StructureDefinition/$snapshot", summary=_SUMMARY, openapi_extra=_DOCUMENTED)
async def snapshot_by_url(request: Request) -> Response:
    exchange.require_acceptable(request)
    exchange.require_known(request, "url")
    return await _answer(request, await _by_url(request, request.query_params.get("url", "")))


@router.post("/StructureDefinition/{resource_id}/$snapshot", summary=f"{_SUMMARY} stored here")
@router.get("/StructureDefinition/{resource_id}/$snapshot", summary=f"{_SUMMARY} stored here")
async def snapshot_of_stored(request: Request, resource_id: str) -> Response:
    exchange.require_acceptable(request)
    exchange.require_known(request)
    exchange.require_id(resource_id)
    async with service(request).database.reading() as connection:
        stored = await repository.read(connection, _TYPE, resource_id)
    if stored is None or stored.content is None:
        raise exchange.gone_or_missing(_TYPE, resource_id, stored)
    return await _answer(request, lossless.parse_object(stored.content))


async def _posted(request: Request) -> Mapping[str, Any]:
    """The definition in the body: by itself, or in Parameters as `definition` or `url`."""
    tree: dict[str, Any] = (await exchange.read_body(request)).tree
    if tree.get("resourceType") == "Parameters":
        return await _of_parameters(request, tree.get("parameter"))
    return await _checked(request, tree, "")


async def _of_parameters(request: Request, parameters: object) -> Mapping[str, Any]:
    parts = parameters if isinstance(parameters, list) else []
    if len(parts) != 1 or not isinstance(parts[0], dict):
        raise _unreadable("Give one of the parameters definition and url.")
    part = parts[0]
    url = part.get("valueString", part.get("valueUri", part.get("valueCanonical")))
    if part.get("name") == "url" and isinstance(url, str):
        return await _by_url(request, url)
    if part.get("name") == "definition" and isinstance(part.get("resource"), dict):
        return await _checked(request, part["resource"], f"{_PARAMETERS}[0].resource")
    raise _unreadable("Give a definition (a StructureDefinition) or a url (a valueString).")


async def _checked(request: Request, definition: dict[str, Any], where: str) -> Mapping[str, Any]:
    """The definition, if it is a sound StructureDefinition by base R4."""
    if definition.get("resourceType") != _TYPE:
        raise Refused([Issue("structure", "$snapshot takes a StructureDefinition.", where or "resourceType")])
    # Definitions are large: checking one must not keep the others waiting.
    issues = await asyncio.to_thread(service(request).validator.check, definition)
    errors = [issue for issue in issues if issue.is_error]
    if errors:
        raise Refused([issue.within(where) if where else issue for issue in errors])
    return definition


async def _by_url(request: Request, url: str) -> Mapping[str, Any]:
    await service(request).intake.definitions.refresh()
    found = service(request).validator.structure(url)
    if found is None:
        raise NotFound([Issue("not-found", "No StructureDefinition of this url is known here.", "url")])
    return found


async def _answer(request: Request, definition: Mapping[str, Any]) -> Response:
    try:
        made = await asyncio.to_thread(service(request).validator.snapshot, definition)
    except BrokenProfile as broken:
        raise Refused(
            Issue("business-rule", f"No snapshot can be made: {flaw}.", _TYPE, rule="dmt-definition")
            for flaw in broken.flaws
        ) from None
    return exchange.respond(request, Answer(200, lossless.dumps(made)))


def _unreadable(told: str) -> Refused:
    return Refused([Issue("value", told, _PARAMETERS)])
