"""A CDS Hooks request: its hook, its patient, the orders it is about, and the resources that were sent along."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.fhir.outcomes import Issue, Refused
from app.fhir.references import is_id
from app.mapping.elements import Resource, target
from app.mapping.hooks.services import Service

# More of them help no rule, and each has to be checked.
MOST_RESOURCES = 5_000
_FOR_THE_PATIENT = ("subject", "patient", "beneficiary")
_PATIENT = re.compile(r"(?:.*/)?(Patient/[A-Za-z0-9\-.]{1,64})(?:/_history/.*)?")


@dataclass(frozen=True, slots=True)
class HookRequest:
    """patient: "Patient/12".  orders, sent: resources by name, or by where they stood.  keys: of prefetch that were
    sent, null among them: that says there is nothing.  server: the client's FHIR server, "" for unsaid.
    foreign: how many resources name another patient, and were left out."""

    instance: str
    patient: str
    orders: Mapping[str, Resource]
    sent: Mapping[str, Resource]
    keys: frozenset[str]
    server: str
    foreign: int = 0


@dataclass(slots=True)
class _Reading:
    issues: list[Issue] = field(default_factory=list)

    def refuse(self, code: str, told: str, path: str) -> None:
        self.issues.append(Issue(code, told, path))

    def text(self, tree: Mapping[str, Any], key: str, path: str, *, required: bool = True) -> str:
        value = tree.get(key)
        if isinstance(value, str) and value:
            return value
        if required or value is not None:
            self.refuse("required" if value is None else "value", f"{path} must be a text.", path)
        return ""


def read_request(tree: Mapping[str, Any], service: Service) -> HookRequest:
    """The request, as CDS Hooks 2.0 writes it. Raises Refused with everything that is wrong in it."""
    reading = _Reading()
    if reading.text(tree, "hook", "hook") not in ("", service.hook):
        reading.refuse("value", f"This service answers the hook {service.hook}.", "hook")
    instance = reading.text(tree, "hookInstance", "hookInstance")
    if instance and not _is_uuid(instance):
        reading.refuse("value", "hookInstance must be a UUID.", "hookInstance")
    server = reading.text(tree, "fhirServer", "fhirServer", required=False)
    context = tree.get("context")
    if not isinstance(context, Mapping):
        reading.refuse("required", "context must be an object.", "context")
        context = {"patientId": "unknown", "draftOrders": {"resourceType": "Bundle"}, "selections": []}
    patient_id = reading.text(context, "patientId", "context.patientId")
    if patient_id and not is_id(patient_id):
        reading.refuse("value", "context.patientId must be the id of a Patient, without its type.", "context.patientId")
    for key in ("userId", "encounterId"):
        reading.text(context, key, f"context.{key}", required=False)
    orders = _orders(context, reading) if service.has_orders else {}
    if service.hook == "order-select":
        _require_selections(context.get("selections"), orders, reading)
    sent, keys = _prefetch(tree.get("prefetch"), reading)
    if reading.issues:
        raise Refused(reading.issues)
    own = {name: one for name, one in sent.items() if _patient_of(one) in (None, f"Patient/{patient_id}")}
    _require_same(own, patient_id, orders)
    return HookRequest(instance, f"Patient/{patient_id}", orders, own, keys, server.rstrip("/"), len(sent) - len(own))


def _orders(context: Mapping[str, Any], reading: _Reading) -> dict[str, Resource]:
    """The draft orders by name."""
    place, bundle = "context.draftOrders", context.get("draftOrders")
    if not isinstance(bundle, Mapping) or bundle.get("resourceType") != "Bundle":
        reading.refuse("required" if bundle is None else "value", f"{place} must be a Bundle of orders.", place)
        return {}
    return dict(_entries(bundle, place, reading))


def _require_selections(given: Any, orders: Mapping[str, Resource], reading: _Reading) -> None:
    place = "context.selections"
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        reading.refuse("required" if given is None else "value", f"{place} must be an array of references.", place)
        return
    for index, one in enumerate(given):
        if one not in orders:
            reading.refuse("value", "There is no such order in context.draftOrders.", f"{place}[{index}]")


def _prefetch(given: Any, reading: _Reading) -> tuple[dict[str, Resource], frozenset[str]]:
    """Every resource in what was sent along, whichever key it stands under, and the keys."""
    if given is None:
        return {}, frozenset()
    if not isinstance(given, Mapping):
        reading.refuse("structure", "prefetch must be an object.", "prefetch")
        return {}, frozenset()
    found: dict[str, Resource] = {}
    for key, value in given.items():
        place = f"prefetch.{key}" if re.fullmatch(r"\w{1,64}", key) else "prefetch"
        if value is None:
            continue
        if not isinstance(value, Mapping) or not isinstance(value.get("resourceType"), str):
            reading.refuse("structure", f"{place} must be a resource, a Bundle or null.", place)
        elif value["resourceType"] == "Bundle":
            found |= dict(_entries(value, place, reading))
        else:
            found[_name(value, "", place)] = dict(value)
    if len(found) > MOST_RESOURCES:
        reading.refuse("too-long", f"At most {MOST_RESOURCES} resources are looked at.", "prefetch")
    return found, frozenset(given)


def _entries(bundle: Mapping[str, Any], place: str, reading: _Reading) -> Iterator[tuple[str, Resource]]:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        reading.refuse("structure", f"{place}.entry must be an array.", f"{place}.entry")
        return
    for index, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        path = f"{place}.entry[{index}]"
        if not isinstance(resource, Mapping) or not isinstance(resource.get("resourceType"), str):
            reading.refuse("structure", f"{path} has no resource.", path)
        elif resource["resourceType"] != "OperationOutcome":
            # A search may tell of itself in an outcome.
            yield _name(resource, entry.get("fullUrl"), path), dict(resource)


def _name(resource: Mapping[str, Any], full_url: Any, place: str) -> str:
    """Type/id, or what else it is called."""
    if isinstance(resource.get("id"), str) and is_id(resource["id"]):
        return f"{resource['resourceType']}/{resource['id']}"
    return full_url if isinstance(full_url, str) and full_url else place


def _require_same(sent: Mapping[str, Resource], patient_id: str, orders: Mapping[str, Resource]) -> None:
    """Refuse what is about two patients: what is true of one is not true of the other."""
    wrong = [name for name in sent if name.startswith("Patient/") and name != f"Patient/{patient_id}"]
    wrong += [name for name, one in orders.items() if _patient_of(one) not in (None, f"Patient/{patient_id}")]
    if wrong:
        told = "The patient that was sent, or the patient of an order, is not context.patientId."
        raise Refused([Issue("business-rule", told, "context.patientId")])


def _patient_of(resource: Resource) -> str | None:
    """The patient a resource names; None where it names none, or none that can be compared."""
    for key in _FOR_THE_PATIENT:
        element = resource.get(key)
        found = _PATIENT.fullmatch(str(target(dict(element)))) if isinstance(element, Mapping) else None
        if found:
            return found[1]
    return None


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
