"""$validate: what would be said of a resource, or of what is to be done with it; stores nothing.

The modes are those of R4 (OperationDefinition Resource-validate). The answer is 200 whatever the verdict; 4xx says
that there is no verdict.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused, operation_outcome
from app.fhir.places import Posted
from app.fhir.scan import Steps
from app.intake.accept import LARGE
from app.intake.writes import ANY_VERSION, Write, misaddressed
from app.routers import documented, errors, exchange
from app.routers.exchange import Body, service
from app.store import repository
from app.store.idempotency import Answer
from app.validation.remote import settle
from app.validation.telling.nominated import not_checked

router = APIRouter(prefix="/fhir", tags=["FHIR"])
_MODES = ("create", "update", "delete", "profile")
_OF_A_RESOURCE = ("update", "delete", "profile")
_PARAMETERS = "Parameters.parameter"
_QUERY = documented.parameters(
    profile="Canonical URL of a profile to check besides those the resource claims.",
    mode="create; or, of one resource, update, delete or profile (the stored resource, against a profile).",
)
_DOCUMENTED = documented.body("patient") | _QUERY


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be validated. below: where in the posted text the resource is."""

    resource: dict[str, Any] | None
    profiles: Sequence[str]
    mode: str
    below: Steps = ()


@router.post("/$validate", summary="Validate a resource of any type", openapi_extra=_DOCUMENTED)
async def validate(request: Request) -> Response:
    return await _validate(request)


@router.post("/{resource_type}/$validate", summary="Validate a resource of one type", openapi_extra=_DOCUMENTED)
async def validate_type(request: Request, resource_type: str) -> Response:
    return await _validate(request, resource_type)


@router.get(
    "/{resource_type}/{resource_id}/$validate",
    summary="Validate the stored resource, or its deletion",
    openapi_extra=_QUERY,
)
@router.post(
    "/{resource_type}/{resource_id}/$validate",
    summary="Validate an update or deletion of a resource, or the stored resource",
    openapi_extra=_DOCUMENTED,
)
async def validate_resource(request: Request, resource_type: str, resource_id: str) -> Response:
    return await _validate(request, resource_type, resource_id)


async def _validate(request: Request, resource_type: str = "", resource_id: str = "") -> Response:
    if resource_type:
        exchange.require_type(request, resource_type, resource_id)
    exchange.require_acceptable(request)
    exchange.require_known(request, "profile", "mode")
    asked = _asked(await _body(request, is_optional=bool(resource_id)), request)
    _require_sense(asked, resource_id)
    issues = await _of_the_stored(request, asked, resource_type, resource_id)
    if asked.resource is not None and asked.mode != "delete":
        told = misaddressed(asked.resource, resource_type, resource_id if asked.mode == "update" else "")
        found = [*told, *await _content(request, asked.resource, asked)]
        if not any(issue.is_error for issue in found):
            found += await _as_definition(request, asked, resource_id)
        issues += await errors.placed(request, found, asked.below)
    return exchange.respond(request, Answer(200, lossless.dumps(operation_outcome(issues))))


async def _body(request: Request, *, is_optional: bool) -> Body:
    is_empty = request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers
    return Body(b"", {}) if is_optional and is_empty else await exchange.read_fhir(request)


def _asked(body: Body, request: Request) -> Asked:
    """The resource and the parameters, from the address and from Parameters alike."""
    modes, profiles = request.query_params.getlist("mode"), request.query_params.getlist("profile")
    tree: dict[str, Any] = body.tree
    if tree.get("resourceType") != "Parameters":
        return Asked(tree if body.text else None, profiles, "".join(modes))
    parameters = _parameters(tree)
    resources = [place for place, each in parameters.items() if each["name"] == "resource"]
    if len(resources) > 1:
        raise _unreadable("value", "Parameters has more than one parameter named resource.")
    profiles += [_text(place, each, "valueUri", "valueCanonical") for place, each in _named(parameters, "profile")]
    modes += [_text(place, each, "valueCode") for place, each in _named(parameters, "mode")]
    if len(set(modes)) > 1:
        raise _unreadable("value", "The parameter mode is given more than once.")
    below: Steps = ("parameter", resources[0], "resource") if resources else ()
    return Asked(parameters[resources[0]].get("resource") if resources else None, profiles, "".join(modes[:1]), below)


def _parameters(tree: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The parameters by their place. Raises Refused for what is none, or is none of $validate."""
    found = tree.get("parameter")
    parts = found if isinstance(found, list) else []
    named = {place: part for place, part in enumerate(parts) if isinstance(part, dict)}
    for place, part in named.items():
        if part.get("name") not in ("resource", "profile", "mode"):
            raise _unreadable("not-supported", "$validate takes resource, profile and mode.", f"[{place}]")
        if part["name"] == "resource" and not isinstance(part.get("resource"), dict):
            raise _unreadable("required", "The parameter resource needs a resource.", f"[{place}]")
    return named


def _named(parameters: dict[int, dict[str, Any]], name: str) -> list[tuple[int, dict[str, Any]]]:
    return [(place, each) for place, each in parameters.items() if each["name"] == name]


def _text(place: int, parameter: dict[str, Any], *names: str) -> str:
    value = next((parameter[name] for name in names if name in parameter), None)
    if not isinstance(value, str):
        told = f"The parameter {parameter['name']} takes a {names[0]}."
        raise _unreadable("value", told, f"[{place}]")
    return value


def _unreadable(code: str, told: str, place: str = "") -> Refused:
    return Refused([Issue(code, told, f"{_PARAMETERS}{place}", rule="dmt-validate", member="name")])


def _require_sense(asked: Asked, resource_id: str) -> None:
    """Refuse what R4 gives no meaning."""
    mode = asked.mode
    told = ""
    if mode and mode not in _MODES:
        told = f"mode must be one of {', '.join(_MODES)}."
    elif mode in _OF_A_RESOURCE and not resource_id:
        told = f"The mode {mode} needs the address of a resource: [type]/[id]/$validate."
    elif mode == "create" and resource_id:
        told = "The mode create is asked of a type: [type]/$validate."
    elif mode == "profile" and (asked.resource is not None or not asked.profiles):
        told = "The mode profile takes a profile and no resource: the stored one is checked."
    elif mode not in ("delete", "profile") and asked.resource is None:
        told = "There is no resource to validate: post it, or Parameters with a parameter named resource."
    if told:
        raise Refused([Issue("value", told, "mode" if mode else "", rule="dmt-validate")])


async def _of_the_stored(request: Request, asked: Asked, resource_type: str, resource_id: str) -> list[Issue]:
    """What the mode asks of the resource that is here."""
    if asked.mode not in _OF_A_RESOURCE:
        return []
    async with service(request).database.reading() as connection:
        stored = await repository.read(connection, resource_type, resource_id)
    match = exchange.if_match(request)
    if stored is None or stored.content is None:
        creates = asked.mode == "update" and match is None
        return [_absent(issue, creates=creates) for issue in exchange.gone_or_missing("", "", stored).issues]
    if asked.mode == "profile":
        return await _content(request, lossless.parse_object(stored.content), asked)
    if match not in (None, ANY_VERSION, stored.version):
        told = f"If-Match asks for version {match}, the current one is {stored.version}."
        return [Issue("conflict", told, rule="dmt-version", expected=str(stored.version), found=str(match))]
    return []


def _absent(issue: Issue, *, creates: bool) -> Issue:
    """What is to be said where nothing is stored: an update without If-Match would create it."""
    if creates:
        told = "The resource is not here: the update would create it."
        return replace(issue, diagnostics=told, severity="information", rule="dmt-exists")
    return replace(issue, diagnostics="The resource is not here.", rule="dmt-exists")


async def _content(request: Request, resource: dict[str, Any], asked: Asked) -> list[Issue]:
    """Every problem of the content, by the definitions of now. Raises Refused if a profile that was asked for is not
    known here."""
    await service(request).intake.definitions.refresh([resource], asked=asked.profiles)
    issues = await _checked(request, resource, asked.profiles)
    if unknown := not_checked(issues, resource, asked.profiles):
        raise Refused(unknown)
    return await settle(issues, service(request).terminology_server)


async def _checked(request: Request, resource: dict[str, Any], profiles: Sequence[str]) -> list[Issue]:
    check = partial(service(request).validator.check, resource, profiles=profiles)
    posted: Posted | None = getattr(request.state, "posted", None)
    # A stored resource has no posted text: how large it is, is not known.
    is_small = posted is not None and posted.size <= LARGE and not service(request).intake.definitions.has_profiles
    return check() if is_small else await asyncio.to_thread(check)


async def _as_definition(request: Request, asked: Asked, resource_id: str) -> list[Issue]:
    """What would be said of a definition that is to be stored."""
    type_ = (asked.resource or {}).get("resourceType")
    if asked.mode not in ("create", "update") or not isinstance(type_, str):
        return []
    write = Write("PUT" if resource_id else "POST", type_, resource_id, tree=asked.resource)
    (issues,) = await service(request).intake.definitions.judge([write])
    return issues
