"""AuditEvents, made of what was noted when they are read. The pattern is IHE BALP's; app/profiles/audit says the codes.

The query of a search is there without the values that could name people: what is noted is kept for ever.
"""

import base64
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from app.fhir.instants import instant
from app.profiles import toml_files

_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_IP_ADDRESS, _URI = "2", "5"
Json = dict[str, Any]


class Row(Protocol):
    """What was noted: see app/store/tables/audit.py."""

    aid: int
    at: int
    actor: str
    request_id: str
    client: str
    issuer: str
    address: str
    method: str
    interaction: str
    query: str
    patient: str
    type: str
    id: str
    version: int
    status: int


def interactions(action: str) -> list[str]:
    """The interactions that are noted under an action, one of C R U D E."""
    return [name for name, one in _codes()["interactions"].items() if one["action"] == action]


def subtyped(code: str) -> list[str]:
    """The interactions that have a code of restful-interaction as a subtype."""
    return [name for name, one in _codes()["interactions"].items() if code in one["subtypes"]]


def outcome_of(status: int) -> str:
    """AuditEvent.outcome of an HTTP status; 0 of what was done and has none."""
    return "0" if status < 400 else "4" if status < 500 else "8"


def audit_event(row: Row, base: str, device: str) -> Json:
    """The resource. base: the FHIR endpoint as clients see it; device: the name of this service."""
    codes = _codes()
    name = "operation" if row.interaction.startswith("$") else row.interaction
    known = codes["interactions"].get(name)
    made: Json = {
        "resourceType": "AuditEvent",
        "id": str(row.aid),
        "meta": {"versionId": "1", "lastUpdated": instant(row.at)},
        "type": codes["type" if known else "type_of_logins" if name == "login" else "type_of_others"],
        "subtype": [{"system": _INTERACTION, "code": code} for code in known["subtypes"]] if known else [],
        "action": known["action"] if known else "E",
        "recorded": instant(row.at),
        "outcome": outcome_of(row.status),
        "outcomeDesc": f"HTTP {row.status}" if row.status >= 400 else "",
        "agent": _agents(row, base, device),
        "source": {"observer": {"display": device}, "type": [codes["source_type"]]},
        "entity": list(_entities(row)),
    }
    return {key: value for key, value in made.items() if value not in ("", [])}


@cache
def _codes() -> Mapping[str, Any]:
    return toml_files("audit")["events"]


def _agents(row: Row, base: str, device: str) -> list[Json]:
    """The client, this server, and who is behind the client, if somebody else is."""
    roles = _codes()["roles"]
    sides = ("destination", "source") if row.interaction in roles["from_server"] else ("source", "destination")
    client, server = ({"coding": [roles[side]]} for side in sides)
    asking: Json = {"type": client, "who": {"display": row.client or row.actor}, "requestor": True}
    if row.client:
        asking["who"] = {"identifier": {"value": row.client}}
    if row.address:
        asking["network"] = {"address": row.address, "type": _IP_ADDRESS}
    answering = {
        "type": server,
        "who": {"display": device},
        "requestor": False,
        "network": {"address": base, "type": _URI},
    }
    user: Json = {}
    if row.actor not in (row.client, "") and row.client:
        system = {"system": row.issuer} if row.issuer else {}
        user = {"who": {"identifier": {**system, "value": row.actor}}, "requestor": True}
        asking["requestor"] = False
    return [asking, answering, *([user] if user else [])]


def _entities(row: Row) -> list[Json]:
    kinds = _codes()["entities"]
    found: list[Json] = []
    if row.id:
        version = f"/_history/{row.version}" if row.version else ""
        found.append({"what": {"reference": f"{row.type}/{row.id}{version}"}, **kinds["resource"]})
    if row.patient:
        found.append({"what": {"reference": f"Patient/{row.patient}"}, **kinds["patient"]})
    if row.query:
        found.append({**kinds["query"], "query": base64.b64encode(row.query.encode()).decode()})
    elif row.interaction.startswith("$") or not row.id:
        asked = f"{row.method} {row.interaction}" if row.interaction.startswith("$") else row.interaction
        found.append({**kinds["resource"], "name": f"{asked} {row.type}".strip()})
    if row.request_id:
        found.append({"what": {"identifier": {"value": row.request_id}}, **kinds["request"]})
    return found
