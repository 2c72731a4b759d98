"""Small resources for tests: valid, and as short as they can be."""

from typing import Any

Json = dict[str, Any]

MEDICAL_RECORD = "urn:oid:1.2.3"


def patient(value: str = "", **fields: Any) -> Json:
    """A Patient, with a business identifier if value is given."""
    identifier = {"identifier": [{"system": MEDICAL_RECORD, "value": value}]} if value else {}
    return {"resourceType": "Patient", **identifier, **fields}


def observation(subject: str = "", **fields: Any) -> Json:
    """An Observation, about a patient if subject is given."""
    about = {"subject": {"reference": subject}} if subject else {}
    code = {"coding": [{"system": "https://example.org/codes", "code": "a"}]}
    return {"resourceType": "Observation", "status": "final", "code": code, **about, **fields}


def entry(resource: Json | None, *, method: str = "POST", url: str = "", full_url: str = "", **request: Any) -> Json:
    """An entry of a batch or transaction."""
    made: Json = {"request": {"method": method, "url": url or (resource or {}).get("resourceType", ""), **request}}
    if resource is not None:
        made["resource"] = resource
    if full_url:
        made["fullUrl"] = full_url
    return made


def bundle(*entries: Json, kind: str = "transaction") -> Json:
    """A batch or transaction."""
    return {"resourceType": "Bundle", "type": kind, **({"entry": list(entries)} if entries else {})}
