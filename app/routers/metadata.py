"""What this server can do: the CapabilityStatement, made from what runs."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app import profiles
from app.fhir.instants import instant
from app.fhir.json import dumps
from app.routers import exchange
from app.routers.exchange import fhir_base, service
from app.store.idempotency import Answer

router = APIRouter()
_INTERACTIONS = ("read", "vread", "update", "delete", "history-instance", "create", "search-type")
_OPERATIONS = "http://hl7.org/fhir/OperationDefinition/"
# R4 defines $validate on types and resources; here it is also there without a type.
_VALIDATE = {"name": "validate", "definition": _OPERATIONS + "Resource-validate"}
_SNAPSHOT = {"name": "snapshot", "definition": _OPERATIONS + "StructureDefinition-snapshot"}


@router.get("/fhir/metadata", tags=["FHIR"], summary="The CapabilityStatement")
async def metadata(request: Request) -> Response:
    exchange.require_acceptable(request)
    exchange.require_known(request)
    return exchange.respond(request, Answer(200, dumps(_capability_statement(request))))


def _capability_statement(request: Request) -> dict[str, Any]:
    parts = service(request)
    package = profiles.package()
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(parts.started_at),
        "kind": "instance",
        "software": {"name": "Dermatome", "version": package["version"]},
        "implementation": {"description": package["title"], "url": fhir_base(request)},
        "fhirVersion": package["fhirVersions"][0],
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "resource": [_resource(request, name) for name in sorted(parts.validator.resource_types)],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
                "operation": [_VALIDATE],
            }
        ],
    }


def _resource(request: Request, resource_type: str) -> dict[str, Any]:
    parts = service(request)
    served = parts.parameters.of(resource_type)
    supported = parts.supported_profiles.get(resource_type, ())
    return {
        "type": resource_type,
        **({"supportedProfile": list(supported)} if supported else {}),
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalDelete": "not-supported",
        "searchParam": [
            {"name": "_id", "type": "token"},
            {"name": "_lastUpdated", "type": "date"},
            *({"name": p.name, "type": p.kind} for p in served.values()),
        ],
        "operation": [_VALIDATE, *([_SNAPSHOT] if resource_type == "StructureDefinition" else [])],
    }
