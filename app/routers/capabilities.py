"""What the CapabilityStatement says of resource types and of the whole: read off the routes, tables and settings that
run, so that nothing is claimed that is not there."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI
from starlette.routing import Match

from app.fhir.canonicals import STRUCTURE
from app.fhir.compartments import compartments
from app.fhir.patch import MEDIA_TYPES
from app.routers import audit
from app.routers.operations import table
from app.routers.operations.table import Operation
from app.service import Service
from app.store.search.offered import OfferedParameter
from app.sync.subscriptions.topics import topics

_COMPARTMENT = "http://hl7.org/fhir/CompartmentDefinition/"
# Interaction -> a request of that kind; all resource types share their routes.
_OF_A_TYPE = {
    "read": ("GET", "/Patient/1"),
    "vread": ("GET", "/Patient/1/_history/1"),
    "update": ("PUT", "/Patient/1"),
    "patch": ("PATCH", "/Patient/1"),
    "delete": ("DELETE", "/Patient/1"),
    "history-instance": ("GET", "/Patient/1/_history"),
    "history-type": ("GET", "/Patient/_history"),
    "create": ("POST", "/Patient"),
    "search-type": ("GET", "/Patient"),
}
_OF_THE_SYSTEM = {
    "transaction": ("POST", ""),
    "batch": ("POST", ""),
    "search-system": ("GET", ""),
    "history-system": ("GET", "/_history"),
}
# Subscriptions R5 Backport 1.1.0, conformance.html: topics cannot be read in R4, so they are named here.
_GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/"
_TOPIC = f"{_GUIDE}StructureDefinition/capabilitystatement-subscriptiontopic-canonical"
_SUPPORTED = {"Subscription": (f"{_GUIDE}StructureDefinition/backport-subscription",)}
INSTANTIATES = (
    f"{_GUIDE}CapabilityStatement/backport-subscription-server-r4",
    "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data",
)
_OWN = tuple(audit.PARAMETERS.items())
_CONDITIONAL_UPDATE, _CONDITIONAL_DELETE = ("PUT", "/Patient"), ("DELETE", "/Patient")


def rest(app: FastAPI, parts: Service) -> dict[str, Any]:
    """CapabilityStatement.rest of this server."""
    dangling = parts.settings.dangling_references
    # A reference may also be an identifier; whether what is referred to must be here is for the operator to say.
    policy = ["literal", "logical", *(["enforced"] if dangling == "strict" else [])]
    shared = {
        "interaction": list(_offered(app, _OF_A_TYPE)),
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": parts.settings.update_as_create,
        "conditionalCreate": _is_routed(app, _OF_A_TYPE["create"]),
        "conditionalRead": "full-support",
        "conditionalUpdate": _is_routed(app, _CONDITIONAL_UPDATE),
        "conditionalDelete": _conditional_delete(app, parts),
        "referencePolicy": policy,
    }
    told = (
        f"PATCH takes {', '.join(MEDIA_TYPES)}, by id and by condition. References to what is not here: {dangling}. "
        f"Deleting what is referred to: {parts.settings.delete_referred}."
    )
    return {
        "mode": "server",
        "documentation": told,
        "resource": [_resource(parts, name, shared) for name in sorted(parts.validator.resource_types)],
        "interaction": list(_offered(app, _OF_THE_SYSTEM)),
        "searchParam": [_parameter(each) for each in parts.searcher.of("").parameters],
        "operation": [_operation(each) for each in table.at("system")],
        "compartment": [_COMPARTMENT + name.lower() for name in compartments()],
    }


def _resource(parts: Service, name: str, shared: dict[str, Any]) -> dict[str, Any]:
    if name == audit.AUDIT:
        return _of_audit()
    searched = parts.searcher.of(name)
    supported = [*parts.supported_profiles.get(name, ()), *_SUPPORTED.get(name, ())]
    told = [{"url": _TOPIC, "valueCanonical": url} for url in topics()] if name == "Subscription" else []
    made = {
        "extension": told,
        "type": name,
        "profile": STRUCTURE + name,
        "supportedProfile": supported,
        **shared,
        "searchInclude": list(searched.includes),
        "searchRevInclude": list(searched.reverse_includes),
        "searchParam": [_parameter(each) for each in searched.parameters],
        "operation": [_operation(each) for each in _of_type(name)],
    }
    return {key: value for key, value in made.items() if value != []}


def _of_audit() -> dict[str, Any]:
    return {
        "type": audit.AUDIT,
        "profile": STRUCTURE + audit.AUDIT,
        "documentation": "Made by this server, of what is done here; it takes a scope that names the type.",
        "interaction": [{"code": code} for code in ("read", "vread", "search-type")],
        "versioning": "versioned",
        "readHistory": True,
        "searchParam": [{"name": name, "type": kind, "documentation": told} for name, (kind, told) in _OWN],
        "operation": [_operation(each) for each in table.operations() if each.is_at("type", audit.AUDIT)],
    }


def _of_type(name: str) -> Iterator[Operation]:
    return (each for each in table.operations() if each.is_at("type", name) or each.is_at("instance", name))


def _operation(operation: Operation) -> dict[str, Any]:
    """The parameters are named, since a definition of R4 may have more than are served."""
    names = [*operation.parameters, *(["the search parameters of the type"] if operation.takes_search else [])]
    told = (
        f"{' and '.join(operation.methods)} on {', '.join(operation.levels)}; parameters: {', '.join(names) or 'none'}."
    )
    return {"name": operation.code, "definition": operation.definition, "documentation": told}


def _parameter(offered: OfferedParameter) -> dict[str, Any]:
    made = {
        "name": offered.name,
        "definition": offered.definition,
        "type": offered.kind,
        "documentation": _told(offered),
    }
    return {key: value for key, value in made.items() if value}


def _told(offered: OfferedParameter) -> str:
    """The modifiers and prefixes; those that are types of targets are all named by one word."""
    modifiers = [each for each in offered.modifiers if not each[:1].isupper()]
    named = [*modifiers, *(["[type]"] if len(modifiers) < len(offered.modifiers) else [])]
    told = [f"Modifiers: {', '.join(named)}."] if named else []
    return " ".join([*told, *([f"Prefixes: {', '.join(offered.comparators)}."] if offered.comparators else [])])


def _conditional_delete(app: FastAPI, parts: Service) -> str:
    return parts.settings.conditional_delete if _is_routed(app, _CONDITIONAL_DELETE) else "not-supported"


def _offered(app: FastAPI, requests: dict[str, tuple[str, str]]) -> Iterable[dict[str, str]]:
    return ({"code": code} for code, request in requests.items() if _is_routed(app, request))


def _is_routed(app: FastAPI, request: tuple[str, str]) -> bool:
    method, path = request
    scope = {"type": "http", "method": method, "path": f"/fhir{path}", "root_path": "", "headers": []}
    return any(route.matches(scope)[0] is Match.FULL for route in app.routes)
