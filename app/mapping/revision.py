"""What happens to resources after they were written: amended, stopped, or entered in error. Nothing is deleted, and
what others have added through FHIR stays."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.mapping.elements import ERROR, Resource, codeable, etiology_id, fixed, is_error
from app.mapping.three_way import three_way, with_theirs
from app.profiles import package

# R4 has the status "amended" for these only; the others keep the status they are written with.
_AMENDED = ("Observation", "QuestionnaireResponse", "DiagnosticReport")
# Where a part names the record it belongs to.
_BACK = {
    "Observation": ("derivedFrom", "focus"),
    "MedicationRequest": ("basedOn",),
    "ServiceRequest": ("basedOn",),
    "DeviceRequest": ("basedOn",),
    "Appointment": ("supportingInformation",),
    "Procedure": ("report", "basedOn"),
    "Device": ("extension",),
    "DetectedIssue": ("implicated",),
}
_SERVER = ("resourceType", "id", "meta")
# Elements that follow from the rest of the record.
_DERIVED = {"Observation": ("value", "dataAbsentReason", "interpretation", "component", "hasMember")}
# States in which a treatment or goal is still open.
_OPEN = ("active", "draft", "on-hold", "proposed", "planned", "accepted", "booked")


def amended(previous: Sequence[Resource], fresh: Sequence[Resource]) -> list[Resource]:
    """The fresh resources, then those of the previous that are no longer part of the record, told as such."""
    now = {_name(one) for one in fresh}
    dropped = [one for one in previous if _name(one) not in now and not is_error(one)]
    return [*fresh, *(_DROPPED.get(one["resourceType"], _by_status)(one) for one in dropped)]


def merged(previous: Sequence[Resource], base: Sequence[Resource], fresh: Sequence[Resource]) -> list[Resource]:
    """The fresh resources with what others have changed since they were written.

    base: the record as it stands, mapped anew: where a stored element differs from it, somebody else wrote that.
    An element the amendment changes is the amendment's; any other stays as it is stored.
    """
    stored = {_name(one): one for one in previous}
    mapped = {_name(one): one for one in base}
    return [_merged(stored[_name(one)], mapped.get(_name(one)), one) if _name(one) in stored else one for one in fresh]


def changed_elsewhere(previous: Sequence[Resource], base: Sequence[Resource]) -> list[str]:
    """What others have changed, as "Observation/1.valueBoolean": there the clinic's view and FHIR differ."""
    mapped = {_name(one): one for one in base}
    return [
        f"{one['resourceType']}/{one['id']}.{key}"
        for one in previous
        if (own := mapped.get(_name(one)))
        for key in dict.fromkeys([*own, *one])
        if key not in _SERVER and one.get(key) != own.get(key) and not _is_same_status(one, key)
    ]


def belongs(anchor: Resource, part: Resource) -> bool:
    """Whether a resource the anchor is linked with was written as a part of its record, and not by others."""
    claims = any(url.startswith(package()["canonical"]) for url in part.get("meta", {}).get("profile", ()))
    names = _BACK.get(part["resourceType"], ())
    back = [one.get("valueReference", one).get("reference") for name in names for one in part.get(name, ())]
    if anchor["resourceType"] == "DiagnosticReport" and part["resourceType"] == "Observation":
        # In R4 a result does not name its report; one that names another record is a part of that.
        return claims and not back
    if part["resourceType"] == "Condition":
        return claims and part["id"] == etiology_id(anchor)
    return claims and (not names or f"{anchor['resourceType']}/{anchor['id']}" in back)


def withdraw(resources: Sequence[Resource]) -> list[Resource]:
    """All resources as entered in error; content kept, so that history can still be read."""
    return [_WITHDRAWN.get(one["resourceType"], _by_status)(one) for one in resources]


def _name(resource: Resource) -> tuple[str, str]:
    return resource["resourceType"], resource["id"]


def _merged(stored: Resource, base: Resource | None, fresh: Resource) -> Resource:
    if is_error(stored) and base is not None:
        return stored  # the record holds this part, and somebody else said it is in error
    ours = base or (stored if is_error(stored) else {})
    kept = {key: stored[key] for key in _SERVER}
    for key in dict.fromkeys([*fresh, *stored]):
        value = _element(key, stored, ours, fresh)
        if key not in _SERVER and value not in (None, []):
            kept[key] = value
    is_ours = is_error(stored) or _is_same_status(stored, "status")
    if kept == stored or fresh["resourceType"] not in _AMENDED or not is_ours:
        return kept
    return kept | {"status": fresh["status"] if is_error(fresh) else "amended"}


def _element(key: str, stored: Resource, base: Mapping[str, Any], fresh: Resource) -> Any:
    if key == "status" and _is_same_status(stored, key):
        return fresh[key] if is_error(fresh) else stored[key]
    if key.startswith(_DERIVED.get(fresh["resourceType"], ())):
        # Follows from the answers or the evidence: what the record says now is right, whatever stands there.
        theirs, new = stored.get(key), fresh.get(key)
        return with_theirs(theirs, base.get(key) or [], new or []) if isinstance(theirs, list) else new
    return three_way(stored.get(key), base.get(key), fresh.get(key))


def _is_same_status(resource: Resource, key: str) -> bool:
    """Whether this is the status of a resource that was amended: other words for what it was written with."""
    status = resource.get("status")
    return key == "status" and resource["resourceType"] in _AMENDED and status in ("final", "completed", "amended")


def _by_status(resource: Resource, status: str = ERROR) -> dict[str, Any]:
    return resource | {"status": status}


def _condition(resource: Resource) -> dict[str, Any]:
    # con-5: a condition entered in error has no clinical status.
    kept = {key: value for key, value in resource.items() if key != "clinicalStatus"}
    return kept | {"verificationStatus": codeable(fixed(ERROR))}


def _goal(resource: Resource, status: str = ERROR) -> dict[str, Any]:
    return resource | {"lifecycleStatus": status}


_WITHDRAWN: dict[str, Callable[[Resource], dict[str, Any]]] = {"Condition": _condition, "Goal": _goal}
# A treatment that is no longer planned was planned, and perhaps given: it is stopped, not an error. An answer that
# is taken back was never given.
_DROPPED: dict[str, Callable[[Resource], dict[str, Any]]] = {
    "Condition": _condition,
    "MedicationRequest": lambda one: _by_status(one, "stopped") if one.get("status") in _OPEN else one,
    "ServiceRequest": lambda one: _by_status(one, "revoked") if one.get("status") in _OPEN else one,
    "DeviceRequest": lambda one: _by_status(one, "revoked") if one.get("status") in _OPEN else one,
    "Appointment": lambda one: _by_status(one, "cancelled") if one.get("status") in _OPEN else one,
    "Goal": lambda one: _goal(one, "cancelled") if one.get("lifecycleStatus") in _OPEN else one,
}
