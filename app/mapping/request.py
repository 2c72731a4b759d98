"""One activity of a plan as MedicationRequest or ServiceRequest, there and back."""

from decimal import Decimal

from app.mapping.elements import (
    Element,
    Resource,
    code_in,
    codeable,
    concept_element,
    concept_of,
    extension,
    finished,
    fixed,
    head,
    quantity,
    reference,
)
from app.pain.content import Content, Listing
from app.pain.treatments import Activity, TitrationStep

# Tiers that are worth a mark on the request; what is established needs none.
_MARKED = ("emerging", "investigational")


def request(
    one: Activity, content: Content, resource_id: str, patient_ref: str, diagnosis: str | None, plan_ref: str
) -> Resource:
    """The request of an activity. Its intent is plan: whoever prescribes or orders writes the order."""
    common = {
        "status": "active",
        "intent": "plan",
        "subject": reference(patient_ref),
        "basedOn": [reference(plan_ref)],
        "reasonReference": [reference(diagnosis)] if diagnosis else None,
        "note": [{"text": one.note}] if one.note else None,
    }
    if one.drug is not None:
        made = head("MedicationRequest", resource_id, "pain-medication-request") | common
        made["medicationCodeableConcept"] = concept_element(one.drug)
        made["dosageInstruction"] = _dosage(one, content)
        return finished(made)
    made = head("ServiceRequest", resource_id, "pain-service-request") | common
    made["extension"] = _tier(one, content)
    made["code"] = concept_element(one.code) or _named(one.therapy, content.therapies, "np-therapy", content)
    made["bodySite"] = [concept_element(one.site)] if one.site else None
    return finished(made)


def activity_of(resource: Resource, content: Content) -> Activity:
    """The activity a request was written from."""
    note = next((row["text"] for row in resource.get("note", [])), None)
    if resource["resourceType"] == "MedicationRequest":
        return _drug_of(resource, content, note)
    site = concept_of(next(iter(resource.get("bodySite", [])), None))
    concept = concept_of(resource["code"])
    therapy = code_in(resource["code"], content.systems["np-therapy"])
    if therapy is None and concept and concept.codings:
        return Activity(code=concept, site=site, note=note)
    return Activity(therapy=therapy or resource["code"]["text"], site=site, note=note)


def activity_text(one: Activity, content: Content) -> str:
    """The activity in words, e.g. "duloxetine, oral, 60 mg per day"."""
    therapy = content.therapies.rows.get(one.therapy or "")
    concept = one.drug or one.code or (therapy.concept if therapy else None)
    name = one.therapy or ""
    if concept:
        name = concept.text or concept.codings[0].display or concept.codings[0].code
    dose = f"{_plain(one.daily_dose_mg)} mg per day" if one.daily_dose_mg is not None else None
    return ", ".join(part for part in (name, one.route, dose) if part)


def _dosage(one: Activity, content: Content) -> list[Element]:
    """Titration steps in their order, then the dose they lead to. A daily dose says nothing about how it is divided:
    it is written as a rate, mg per day, and never as one intake a day."""
    where: Element = {}
    if one.route:
        where["route"] = _named(one.route, content.routes, "np-route", content)
    if one.site:
        where["site"] = concept_element(one.site)
    steps = [_step(step) for step in one.titration]
    if one.daily_dose_mg is not None:
        steps.append({"text": f"{_plain(one.daily_dose_mg)} mg per day"} | _rate(one.daily_dose_mg))
    if not steps:
        return [where] if where else []
    return [{"sequence": number, **step, **where} for number, step in enumerate(steps, start=1)]


def _step(step: TitrationStep) -> Element:
    bounds = quantity(step.days, fixed("day"))
    words = f"{_plain(step.daily_dose_mg)} mg per day for {step.days} days"
    return {"text": words, "timing": {"repeat": {"boundsDuration": bounds}}} | _rate(step.daily_dose_mg)


def _rate(dose_mg: int | Decimal) -> Element:
    return {"doseAndRate": [{"rateQuantity": quantity(dose_mg, fixed("mg-per-day"))}]}


def _drug_of(resource: Resource, content: Content, note: str | None) -> Activity:
    rows = resource.get("dosageInstruction", [])
    first = rows[0] if rows else {}
    steps = [row for row in rows if "timing" in row]
    doses = [row for row in rows if "timing" not in row and "doseAndRate" in row]
    route = first.get("route")
    return Activity(
        drug=concept_of(resource["medicationCodeableConcept"]),
        route=(code_in(route, content.systems["np-route"]) or route["text"]) if route else None,
        daily_dose_mg=_dose_of(doses[0]) if doses else None,
        site=concept_of(first.get("site")),
        titration=tuple(
            TitrationStep(_dose_of(row), row["timing"]["repeat"]["boundsDuration"]["value"]) for row in steps
        ),
        note=note,
    )


def _dose_of(row: Element) -> int | Decimal:
    dose: int | Decimal = row["doseAndRate"][0]["rateQuantity"]["value"]
    return dose


def _named(name: str | None, listing: Listing, system: str, content: Content) -> Element:
    """A row of one of our lists with its codings and our own code; words alone where it is not listed."""
    row = listing.rows.get(name or "")
    return codeable(*row.codings, content.own(system, row.id), text=row.label) if row else codeable(text=name)


def _tier(one: Activity, content: Content) -> list[Element]:
    row = content.therapies.rows.get(one.therapy or "")
    if row is None or row.kind not in _MARKED:
        return []
    return [extension("evidence-tier", valueCodeableConcept=codeable(content.own("np-evidence-tier", row.kind)))]


def _plain(value: int | Decimal) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
