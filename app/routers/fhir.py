"""The FHIR door: one resource at a time."""

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir.outcomes import Refused
from app.fhir.patch import MEDIA_TYPES
from app.fhir.subset import Subset, subset
from app.intake.writes import Write
from app.routers import answers, bodies, documented, exchange, parts, preconditions
from app.routers.addresses import INSTANCE, TYPE
from app.routers.exchange import fhir_base, gone_or_missing, service
from app.routers.noting import saw
from app.store import repository
from app.store.repository import Stored

router = APIRouter(prefix="/fhir", tags=["FHIR"])
_PARTS = documented.parameters(**parts.DESCRIBED)
_PATCHES = documented.bodies(*MEDIA_TYPES)
_RESOURCE = ("application/fhir+json", "application/fhir+xml")
_CRITERIA = documented.parameters(identifier="system|value; any other search parameter of the type may stand here too.")


@router.post(TYPE, summary="Create a resource", openapi_extra=documented.body("patient"))
async def create(request: Request, resource_type: str) -> Response:
    """With a search in If-None-Exist or in the address: only if nothing matches it (R4 3.1.0.8.1)."""
    _require(request, resource_type)
    preconditions.refuse_other(request, "if-match")
    condition = preconditions.none_exist(request)
    body = await bodies.read_fhir(request)
    write = Write("POST", resource_type, text=body.text, tree=body.tree, if_none_exist=condition)
    return await answers.written(request, write, body.text)


@router.put(
    INSTANCE,
    summary="Update a resource, or create it with this id",
    openapi_extra=documented.body("patient"),
)
async def update(request: Request, resource_type: str, resource_id: str) -> Response:
    _require(request, resource_type, resource_id)
    return await _put(request, Write("PUT", resource_type, resource_id))


@router.put(
    TYPE,
    summary="Update the resource that matches a search, or create it",
    openapi_extra=_CRITERIA | documented.bodies(*_RESOURCE),
)
async def conditional_update(request: Request, resource_type: str) -> Response:
    _require(request, resource_type)
    return await _put(request, Write("PUT", resource_type, condition=preconditions.criteria(request)))


@router.patch(INSTANCE, summary="Change parts of a resource", openapi_extra=_PATCHES)
async def patch(request: Request, resource_type: str, resource_id: str) -> Response:
    _require(request, resource_type, resource_id)
    return await _patch(request, Write("PATCH", resource_type, resource_id))


@router.patch(
    TYPE,
    summary="Change parts of the resource that matches a search",
    openapi_extra=_CRITERIA | _PATCHES,
)
async def conditional_patch(request: Request, resource_type: str) -> Response:
    _require(request, resource_type)
    return await _patch(request, Write("PATCH", resource_type, condition=preconditions.criteria(request)))


@router.delete(INSTANCE, summary="Delete a resource; its history is kept")
async def delete(request: Request, resource_type: str, resource_id: str) -> Response:
    _require(request, resource_type, resource_id)
    return await _delete(request, Write("DELETE", resource_type, resource_id))


@router.delete(TYPE, summary="Delete what matches a search; the history is kept", openapi_extra=_CRITERIA)
async def conditional_delete(request: Request, resource_type: str) -> Response:
    _require(request, resource_type)
    return await _delete(request, Write("DELETE", resource_type, condition=preconditions.criteria(request)))


@router.get(INSTANCE, summary="Read a resource", openapi_extra=_PARTS)
async def read(request: Request, resource_type: str, resource_id: str) -> Response:
    wanted = _wanted(request, resource_type, resource_id)
    async with service(request).database.reading() as connection:
        stored = await repository.read(connection, resource_type, resource_id)
    return _show(request, stored, gone_or_missing(resource_type, resource_id, stored), wanted)


@router.get(
    f"{INSTANCE}/_history/{{version}}",
    summary="Read one version of a resource",
    openapi_extra=_PARTS,
)
async def vread(request: Request, resource_type: str, resource_id: str, version: str) -> Response:
    wanted = _wanted(request, resource_type, resource_id)
    number = exchange.version_number(version)
    async with service(request).database.reading() as connection:
        stored = await repository.read_version(connection, resource_type, resource_id, number)
    return _show(request, stored, gone_or_missing(resource_type, resource_id, stored, version=version), wanted)


def _require(request: Request, resource_type: str, resource_id: str = "") -> None:
    exchange.require_type(request, resource_type, resource_id)
    exchange.require_acceptable(request)


def _wanted(request: Request, resource_type: str, resource_id: str) -> Subset | None:
    """Which part of the resource is to be read, if there is such an address."""
    _require(request, resource_type, resource_id)
    exchange.require_known(request, *parts.DESCRIBED)
    exchange.refuse_headers(request, "if-none-exist", "if-unmodified-since")
    return parts.part(request, [resource_type])


def _show(request: Request, stored: Stored | None, missing: Refused, wanted: Subset | None) -> Response:
    """One version, whole or in part, or 304 for a client that has it (R4 3.1.0.1.7, conditional read).

    missing: what is raised if it is not there.
    """
    if stored is None or stored.content is None:
        raise missing
    saw(request, [stored])
    preconditions.require_version(request, stored)
    if exchange.is_current(request, stored):
        answer = exchange.version_answer(304, stored, body=b"")
    else:
        answer = exchange.version_answer(200, stored, body=subset(stored.content, wanted) if wanted else stored.content)
    response = exchange.respond(request, answer)
    response.headers["Content-Location"] = exchange.location(fhir_base(request), stored)
    return response


def _match(request: Request, write: Write) -> int | None:
    """If-Match of a change. Raises Refused for a parameter or a condition that does not go with it."""
    if write.id:
        exchange.require_known(request)
    preconditions.refuse_other(request, "if-none-exist")
    return exchange.if_match(request)


async def _put(request: Request, write: Write) -> Response:
    match = _match(request, write)
    body = await bodies.read_fhir(request)
    return await answers.written(request, replace(write, text=body.text, tree=body.tree, if_match=match), body.text)


async def _patch(request: Request, write: Write) -> Response:
    match = _match(request, write)
    body, asked = await bodies.read_patch(request)
    return await answers.written(request, replace(write, patch=asked, if_match=match), body)


async def _delete(request: Request, write: Write) -> Response:
    return await answers.written(request, replace(write, if_match=_match(request, write)))
