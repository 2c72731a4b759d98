"""What this server can do: the CapabilityStatement, made from what runs."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from app import profiles
from app.fhir.instants import instant
from app.fhir.json import dumps
from app.fhir.outcomes import Issue, Refused
from app.fhir.patch import MEDIA_TYPES
from app.routers import capabilities, documented, exchange
from app.routers.exchange import fhir_base, service
from app.routers.negotiation import FORMATS
from app.security.smart import security
from app.store.idempotency import Answer

router = APIRouter()
_DOCUMENTED = documented.parameters(mode="full, which is also what is given without it.")


@router.get("/fhir/metadata", tags=["FHIR"], summary="The CapabilityStatement", openapi_extra=_DOCUMENTED)
async def metadata(request: Request) -> Response:
    exchange.require_acceptable(request)
    exchange.require_known(request, "mode")
    if request.query_params.get("mode", "full") != "full":
        raise Refused([Issue("not-supported", "Only the mode full is served.", "mode")])
    return exchange.respond(request, Answer(200, dumps(await _statement(request))))


async def _statement(request: Request) -> dict[str, Any]:
    parts, package = service(request), profiles.package()
    return {
        "resourceType": "CapabilityStatement",
        "name": "Dermatome",
        "title": package["title"],
        "status": "active",
        "date": instant(parts.started_at),
        "publisher": "Dermatome",
        "kind": "instance",
        "instantiates": list(capabilities.INSTANTIATES),
        "software": {"name": "Dermatome", "version": package["version"]},
        # The address is the one the client used; all else is the same for everyone.
        "implementation": {"description": package["title"], "url": fhir_base(request)},
        "fhirVersion": package["fhirVersions"][0],
        "format": list(FORMATS),
        "patchFormat": list(MEDIA_TYPES),
        "rest": [await _rest(request)],
    }


async def _rest(request: Request) -> msgspec.Raw:
    """The large part, made anew only when an identity server has come to say something else of itself: nothing else in
    it changes while the process runs."""
    state = request.app.state
    access = await security(state.authority)
    known: tuple[object, msgspec.Raw] | None = getattr(state, "capabilities", None)
    if known is None or known[0] != access:
        rest = capabilities.rest(request.app, service(request))
        known = access, msgspec.Raw(dumps({"mode": rest.pop("mode"), "security": access, **rest}))
        state.capabilities = known
    return known[1]
