"""One activity of a plan as MedicationRequest or ServiceRequest, there and back."""

from decimal import Decimal

from app.mapping.elements import (
    Element,
    Resource,
    Unrecognised,
    code_in,
    codeable,
    concept_element,
    concept_of,
    extension,
    finished,
    fixed,
    head,
    plain,
    quantity,
    reference,
    site_element,
    site_of,
    words_of,
)
from app.pain.activities import Activity, TitrationStep
from app.pain.content import Content, Listing

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
    site = site_element(one.site, one.laterality, content)
    made["bodySite"] = [site] if site else None
    return finished(made)


def activity_of(resource: Resource, content: Content) -> Activity:
    """The activity a request was written from."""
    note = next((row["text"] for row in resource.get("note", [])), None)
    if resource["resourceType"] == "MedicationRequest":
        return _drug_of(resource, content, note)
    site, laterality = site_of(next(iter(resource.get("bodySite", [])), None), content)
    concept = concept_of(resource["code"])
    therapy = code_in(resource["code"], content.systems["np-therapy"])
    if therapy is None and concept and concept.codings:
        return Activity(code=concept, site=site, laterality=laterality, note=note)
    return Activity(therapy=therapy or resource["code"]["text"], site=site, laterality=laterality, note=note)


def _dosage(one: Activity, content: Content) -> list[Element]:
    """Titration steps in their order, then the dose they lead to. A daily dose says nothing about how it is divided:
    it is written as a rate, mg per day, and never as one intake a day."""
    where: Element = {}
    if one.route:
        where["route"] = _named(one.route, content.routes, "np-route", content)
    if site := site_element(one.site, one.laterality, content):
        where["site"] = site
    steps = [_step(step) for step in one.titration]
    if one.daily_dose_mg is not None:
        steps.append({"text": f"{plain(one.daily_dose_mg)} mg per day"} | _rate(one.daily_dose_mg))
    if not steps:
        return [where] if where else []
    return [{"sequence": number, **step, **where} for number, step in enumerate(steps, start=1)]


def _step(step: TitrationStep) -> Element:
    bounds = quantity(step.days, fixed("day"))
    words = f"{plain(step.daily_dose_mg)} mg per day for {step.days} days"
    return {"text": words, "timing": {"repeat": {"boundsDuration": bounds}}} | _rate(step.daily_dose_mg)


def _rate(dose_mg: int | Decimal) -> Element:
    return {"doseAndRate": [{"rateQuantity": quantity(dose_mg, fixed("mg-per-day"))}]}


def _drug_of(resource: Resource, content: Content, note: str | None) -> Activity:
    """The medicine with its daily doses. Rows that state no rate in mg per day are somebody else's way to dose: they
    are left aside here and stay where they are."""
    if "medicationCodeableConcept" not in resource:
        raise Unrecognised("a medicine is not named by a code or a text")
    rows = resource.get("dosageInstruction", [])
    steps = [(dose, days) for row in rows if (dose := _dose_of(row)) is not None and (days := _days_of(row))]
    doses = [dose for row in rows if (dose := _dose_of(row)) is not None and not _is_bounded(row)]
    site, laterality = site_of(next((row["site"] for row in rows if "site" in row), None), content)
    route = next((row["route"] for row in rows if "route" in row), None)
    return Activity(
        drug=concept_of(resource["medicationCodeableConcept"]),
        route=(code_in(route, content.systems["np-route"]) or words_of(route)) if route else None,
        daily_dose_mg=doses[0] if doses else None,
        site=site,
        laterality=laterality,
        titration=tuple(TitrationStep(dose, days) for dose, days in steps),
        note=note,
    )


def _dose_of(row: Element) -> int | Decimal | None:
    """The dose in mg per day, None where the row states another rate or none."""
    rates = (one.get("rateQuantity", {}) for one in row.get("doseAndRate", []))
    return next((rate.get("value") for rate in rates if rate.get("code") == fixed("mg-per-day").code), None)


def _is_bounded(row: Element) -> bool:
    return "boundsDuration" in row.get("timing", {}).get("repeat", {})


def _days_of(row: Element) -> int | None:
    """The whole days a titration step lasts; None for a row that is no step."""
    bounds = row.get("timing", {}).get("repeat", {}).get("boundsDuration", {})
    value = bounds.get("value", 0)
    return int(value) if bounds.get("code") == fixed("day").code and value == int(value) else None


def _named(name: str | None, listing: Listing, system: str, content: Content) -> Element:
    """A row of one of our lists with its codings and our own code; words alone where it is not listed."""
    row = listing.rows.get(name or "")
    return codeable(*row.codings, content.own(system, row.id), text=row.label) if row else codeable(text=name)


def _tier(one: Activity, content: Content) -> list[Element]:
    row = content.therapies.of(one.code) if one.code else content.therapies.rows.get(one.therapy or "")
    if row is None or row.kind not in _MARKED:
        return []
    return [extension("evidence-tier", valueCodeableConcept=codeable(content.own("np-evidence-tier", row.kind)))]
