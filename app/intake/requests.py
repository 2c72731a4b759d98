"""Entries of a Bundle that write: create, update, patch and delete, by id or by condition."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.fhir.outcomes import Issue, NotFound, NotSupported, Refused
from app.intake.brought import Patches
from app.intake.conditions import pairs
from app.intake.entries import Place, wrong
from app.intake.writes import ANY_VERSION, Write

_ADDRESS = re.compile(r"(?P<type>[A-Z][A-Za-z]+)(/(?P<id>[A-Za-z0-9.-]{1,64}))?(\?(?P<condition>.*))?", re.DOTALL)
_WEAK_ETAG = re.compile(r'(W/)?"(?P<version>\d{1,9})"')
_METHODS = ("DELETE", "POST", "PUT", "PATCH")
# The conditions of HTTP that each method goes with.
_GOES_WITH: Mapping[str, tuple[str, ...]] = {"ifMatch": ("PUT", "PATCH", "DELETE"), "ifNoneExist": ("POST",)}


def write_of(place: Place, types: frozenset[str], patches: Patches) -> Write:
    """The write an entry asks for. Raises Refused with all that is wrong with its request."""
    path, request, method = place.path, place.request, place.method
    issues = [
        wrong("not-supported", f"{name} does not go with {method[:10]} in a Bundle here.", f"{path}.request.{name}")
        for name in ("ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist")
        if name in request and method not in _GOES_WITH.get(name, ())
    ]
    if method not in _METHODS:
        told = f"The method {method[:10]} is not supported here; offered: GET, HEAD, {', '.join(_METHODS)}."
        raise NotSupported([*issues, wrong("not-supported", told, f"{path}.request.method")])
    address = _ADDRESS.fullmatch(place.url)
    if not address or not _fits(method, address["id"], address["condition"]):
        form = "Type" if method == "POST" else "Type/id, or Type?condition"
        raise Refused([*issues, wrong("value", f"For {method} the url must be {form}.", f"{path}.request.url")])
    if address["type"] not in types:
        told = f"{address['type'][:64]} is no R4 resource type."
        raise NotFound([*issues, wrong("not-found", told, f"{path}.request.url")])
    issues += _of_resource(place)
    if "ifNoneExist" in request and not str(request["ifNoneExist"]).strip():
        issues.append(wrong("value", "The condition is empty.", f"{path}.request.ifNoneExist"))
    if issues:
        raise Refused(issues)
    match = request.get("ifMatch")
    asked = Write(
        method=method,  # type: ignore[arg-type]
        type=address["type"],
        id=address["id"] or "",
        condition=(address["condition"] or "") if method != "POST" else "",
        if_match=weak_etag(str(match), f"{path}.request.ifMatch") if match else None,
        if_none_exist=_none_exist(place, address["condition"] or ""),
        path=path,
        full_url=str(place.entry.get("fullUrl", "")),
    )
    return replace(asked, **_content(place, patches))


def weak_etag(value: str, expression: str) -> int:
    """The version number of an If-Match header such as W/"3"."""
    if value.strip() == "*":
        return ANY_VERSION
    found = _WEAK_ETAG.fullmatch(value.strip())
    if not found:
        told = 'If-Match must be a version such as W/"3", or *.'
        raise Refused([Issue("value", told, expression, rule="dmt-bundle-entry" if expression else "")])
    return int(found["version"])


def _fits(method: str, resource_id: str | None, condition: str | None) -> bool:
    """Whether an address names one resource, by id or by condition; for POST, a type."""
    return not resource_id if method == "POST" else bool(resource_id) != bool(condition)


def _of_resource(place: Place) -> list[Issue]:
    resource = place.entry.get("resource")
    if place.method == "DELETE":
        told = "DELETE takes no resource."
        return [wrong("value", told, f"{place.path}.resource")] if resource is not None else []
    told = f"{place.method} needs a resource."
    return [] if isinstance(resource, dict) else [wrong("required", told, f"{place.path}.resource")]


def _none_exist(place: Place, criteria: str) -> str:
    """The condition of a create; some clients put it into the address, as for an update."""
    named = str(place.request.get("ifNoneExist", "")).removeprefix(f"{place.base}/").removeprefix("?")
    if place.method != "POST" or not criteria:
        return named
    if named and sorted(pairs(named)) != sorted(pairs(criteria)):
        told = "ifNoneExist and the url hold two searches; which one decides?"
        raise Refused([wrong("value", told, f"{place.path}.request.ifNoneExist")])
    return named or criteria


def _content(place: Place, patches: Patches) -> dict[str, Any]:
    if place.method == "DELETE":
        return {}
    if place.method == "PATCH":
        return {"patch": patches.read(place.entry["resource"], f"{place.path}.resource")}
    return {"text": place.text, "tree": place.entry["resource"]}
