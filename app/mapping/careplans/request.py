"""One activity of a plan as MedicationRequest, DeviceRequest or ServiceRequest, there and back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from app.fhir.canonicals import STRUCTURE
from app.mapping.careplans.dosage import dosage, doses_of
from app.mapping.careplans.outcome import end_reason, request_status
from app.mapping.careplans.tier import tier
from app.mapping.elements import (
    Element,
    Resource,
    Unrecognised,
    code_in,
    codeable,
    concept_element,
    concept_of,
    finished,
    head,
    reference,
    site_element,
    site_of,
    words_of,
)
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.plans.activities import Activity, device_used
from app.pain.plans.contradictions import is_falling
from app.pain.plans.lists import LISTS

MEDICINE, SERVICE, DEVICE = "MedicationRequest", "ServiceRequest", "DeviceRequest"
REQUESTS = (MEDICINE, SERVICE, DEVICE)
_PROFILES = {MEDICINE: "pain-medication-request", SERVICE: "pain-service-request", DEVICE: "pain-device-request"}
REQUEST_STATUS_REASON = f"{STRUCTURE}request-statusReason"
# An order in words alone has this code, so that it can be told from a therapy in words.
_OTHER_ORDER = "other-examination"


@dataclass(frozen=True, slots=True)
class Planned:
    """What the parts of a plan share: references to its patient, diagnosis and CarePlan, and the guideline edition
    its evidence tiers follow."""

    patient: str
    plan: str
    diagnosis: str | None = None
    edition: str | None = None


def request_type(one: Activity) -> str:
    return MEDICINE if one.drug else DEVICE if one.device else SERVICE


def request(one: Activity, content: Content, resource_id: str, planned: Planned) -> Resource:
    """The request of an activity. Its intent is plan: whoever prescribes or orders writes the order."""
    kind = request_type(one)
    made = head(kind, resource_id, _PROFILES[kind]) | {
        "extension": _extensions(one, content, kind, planned.edition),
        "status": request_status(one.outcome, kind, content),
        "intent": "plan",
        "subject": reference(planned.patient),
        "basedOn": [reference(planned.plan)],
        "authoredOn": one.started_on,
        "reasonReference": [reference(planned.diagnosis)] if planned.diagnosis else None,
        "note": [{"text": one.note}] if one.note else None,
    }
    return finished(made | _WRITTEN[kind](one, content))


def what(one: Activity, content: Content) -> Element:
    """What is to be done or to be had, as a CodeableConcept."""
    kind = next((name for name in LISTS if getattr(one, name) is not None), None)
    if one.code is not None or kind is None:
        return concept_element(one.code or one.drug) or {}
    said = getattr(one, kind)
    return (concept_element(said) or {}) if isinstance(said, Concept) else listed(said, kind, content)


def listed(name: str, kind: str, content: Content) -> Element:
    """A row of one of our lists with its codings and our own code; words alone where it is not listed."""
    listing, system = LISTS[kind]
    row = getattr(content, listing).rows.get(name)
    if row is not None:
        return codeable(*row.codings, content.own(system, row.id), text=row.label)
    return codeable(*([content.own(system, _OTHER_ORDER)] if kind == "order" else []), text=name)


def activity_of(resource: Resource, content: Content) -> Activity:
    """The activity a request was written from, without what became of it."""
    note = next((row["text"] for row in resource.get("note", [])), None)
    # The day: others may have written the moment.
    since = str(resource["authoredOn"])[:10] if "authoredOn" in resource else None
    return replace(_asked_of(resource, content), started_on=since, note=note)


def _asked_of(resource: Resource, content: Content) -> Activity:
    kind = resource["resourceType"]
    if kind == MEDICINE:
        return _drug_of(resource, content)
    if kind == DEVICE:
        return Activity(device=device_of(resource["codeCodeableConcept"], content))
    site, laterality = site_of(next(iter(resource.get("bodySite", [])), None), content)
    return Activity(**_service_of(resource["code"], content), site=site, laterality=laterality)


def device_of(element: Element, content: Content) -> str | Concept:
    """A device: the id of our list, a code of others, or words."""
    concept = concept_of(element)
    named = code_in(element, content.systems["np-device"])
    if named is None and concept and concept.codings:
        return concept
    return named or str(element["text"])


def _service_of(element: Element, content: Content) -> dict[str, Any]:
    text, order = element.get("text"), code_in(element, content.systems["np-order"])
    if order == _OTHER_ORDER and text != content.orders.rows[_OTHER_ORDER].label:
        return {"order": text}
    if order is not None:
        return {"order": order}
    therapy, concept = code_in(element, content.systems["np-therapy"]), concept_of(element)
    if therapy is None and concept and concept.codings:
        return {"code": concept}
    return {"therapy": therapy or element["text"]}


def _medicine(one: Activity, content: Content) -> Element:
    where: Element = {}
    if one.route:
        row = content.routes.rows.get(one.route)
        own = (*row.codings, content.own("np-route", row.id)) if row else ()
        where["route"] = codeable(*own, text=row.label if row else one.route)
    if site := site_element(one.site, one.laterality, content):
        where["site"] = site
    return {
        "statusReason": end_reason(one.outcome, content),
        "medicationCodeableConcept": concept_element(one.drug),
        "dosageInstruction": dosage(one, content, where),
    }


def _service(one: Activity, content: Content) -> Element:
    site, used = site_element(one.site, one.laterality, content), device_used(one, content)
    return {
        "code": what(one, content),
        "orderDetail": [listed(used, "device", content)] if used else None,
        "bodySite": [site] if site else None,
    }


_WRITTEN: dict[str, Callable[[Activity, Content], Element]] = {
    MEDICINE: _medicine,
    SERVICE: _service,
    DEVICE: lambda one, content: {"codeCodeableConcept": what(one, content)},
}


def _drug_of(resource: Resource, content: Content) -> Activity:
    """The medicine with its doses."""
    if "medicationCodeableConcept" not in resource:
        raise Unrecognised("a medicine is not named by a code or a text")
    rows = resource.get("dosageInstruction", [])
    daily_dose_mg, dose, titration = doses_of(rows, content)
    site, laterality = site_of(next((row["site"] for row in rows if "site" in row), None), content)
    route = next((row["route"] for row in rows if "route" in row), None)
    one = Activity(
        drug=concept_of(resource["medicationCodeableConcept"]),
        route=(code_in(route, content.systems["np-route"]) or words_of(route)) if route else None,
        daily_dose_mg=daily_dose_mg,
        dose=dose,
        site=site,
        laterality=laterality,
        titration=titration,
    )
    return replace(one, taper=is_falling(one, content))


def _extensions(one: Activity, content: Content, kind: str, edition: str | None) -> list[Element]:
    """The evidence tier, and why it ended where R4 has no element for that."""
    reason = end_reason(one.outcome, content) if kind != MEDICINE else None
    stated = [{"url": REQUEST_STATUS_REASON, "valueCodeableConcept": reason}] if reason else []
    return [*tier(one, content, edition), *stated]
