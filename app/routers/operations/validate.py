"""$validate: what would be said of a resource, or of what is to be done with it; stores nothing.

The modes are those of R4 (OperationDefinition Resource-validate). The answer is 200 whatever the verdict; 4xx says
that there is no verdict.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import Request

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused, operation_outcome
from app.fhir.places import Posted
from app.fhir.scan import Steps
from app.intake.accept import LARGE
from app.intake.writes import ANY_VERSION, Write, misaddressed
from app.routers import errors, exchange
from app.routers.exchange import service
from app.routers.operations.call import Call, answer
from app.store import repository
from app.store.idempotency import Answer
from app.validation.remote import settle
from app.validation.telling.nominated import not_checked

_MODES = ("create", "update", "delete", "profile")
_OF_A_RESOURCE = ("update", "delete", "profile")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be validated. below: where in the posted text the resource is."""

    resource: dict[str, Any] | None
    profiles: Sequence[str]
    mode: str
    below: Steps = ()


async def validate(call: Call) -> Answer:
    """The verdict, as an OperationOutcome."""
    request, resource_type, resource_id = call.request, call.resource_type, call.resource_id
    place = call.given.place("resource")
    asked = Asked(call.given.one("resource"), call.given.all("profile"), call.given.one("mode", ""), place.steps)
    _require_sense(asked, resource_id)
    issues = await _of_the_stored(request, asked, resource_type, resource_id)
    if asked.resource is not None and asked.mode != "delete":
        told = misaddressed(asked.resource, resource_type, resource_id if asked.mode == "update" else "")
        found = [*told, *await _content(request, asked.resource, asked)]
        if not any(issue.is_error for issue in found):
            found += await _as_definition(request, asked, resource_id)
        issues += await errors.placed(request, found, asked.below)
    return answer(operation_outcome(issues))


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
