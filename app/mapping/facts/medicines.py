"""The medicines of a record: what is taken now, was taken before, or is ordered, as the rules see them.

A request counts by its status. The plan of an earlier visit (intent plan) counts like an order: it is what the clinic
has put the patient on. What was only proposed, was never taken or is forbidden (doNotPerform) counts nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from app.fhir.instants import period
from app.mapping.elements import Element, Resource, concept_of, target, words_of
from app.mapping.facts.daily_dose import daily_dose_mg
from app.mapping.facts.held import Held, found
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.rules.facts import Medicine, Use

# By status: taken now, or taken before. What stands in neither was never taken, or is not meant to be yet.
TAKEN = ("active", "on-hold", "unknown", "intended", "in-progress")
USED = ("completed", "stopped")
_USE: dict[str, Use] = {**dict.fromkeys(TAKEN, "current"), **dict.fromkeys(USED, "past")}
_NOT_ORDERED = ("proposal", "option")
_DOSAGES = {"MedicationRequest": "dosageInstruction", "MedicationStatement": "dosage"}
MEDICINE_TYPES = (*_DOSAGES, "MedicationAdministration")


def medicines_of(resource: Resource, source: str, held: Held, content: Content, today: date) -> list[Medicine]:
    """What a request, statement or administration says is or was taken: one for each substance; none if it says so.

    held: resources by reference, among which its Medication may be.
    """
    use = _USE.get(resource.get("status", "unknown"))
    if use is None or resource.get("doNotPerform") is True or resource.get("intent") in _NOT_ORDERED:
        return []
    since, until = _days(resource)
    if use == "current" and until is not None and until < today:
        use = "past"
    taken = ordered(resource, source, held, content, use)
    return [replace(one, since=since, until=until) for one in taken]


def ordered(resource: Resource, source: str, held: Held, content: Content, use: Use = "proposed") -> list[Medicine]:
    """The substances of a request with dose, route and site, whatever its status."""
    rows: list[Element] = resource.get(_DOSAGES.get(resource["resourceType"], ""), [])
    route = next((row["route"] for row in rows if "route" in row), None)
    site = next((row["site"] for row in rows if "site" in row), None)
    listed = content.routes.of(concept_of(route) or Concept()) if route else None
    return [
        Medicine(
            drug=drug,
            use=use,
            source=source,
            daily_dose_mg=daily_dose_mg(rows, strength),
            route=listed.id if listed else (words_of(route) if route else None),
            site=concept_of(site),
        )
        for drug, strength in _substances(resource, held, content)
    ]


def _substances(resource: Resource, held: Held, content: Content) -> Iterator[tuple[Concept, Element | None]]:
    """What is in the medicine, each with its strength: the product where its code is listed or it says nothing of its
    ingredients, else these."""
    reference = resource.get("medicationReference", {})
    product = _contained(resource, reference) or found(held, reference)
    whole = concept_of(resource.get("medicationCodeableConcept") or product.get("code"))
    whole = whole or (Concept((), reference["display"]) if reference.get("display") else None)
    parts: list[Element] = product.get("ingredient", [])
    inside = [(concept_of(part.get("itemCodeableConcept")), part.get("strength")) for part in parts]
    named = [(substance, strength) for substance, strength in inside if substance]
    if whole and (content.drugs.of(whole) or not named):
        yield whole, parts[0].get("strength") if len(parts) == 1 else None
    else:
        yield from named


def _contained(resource: Resource, reference: Element) -> dict[str, Any] | None:
    inside = (target(reference) or "").removeprefix("#")
    return next((one for one in resource.get("contained", []) if one.get("id") == inside), None)


def _days(resource: Resource) -> tuple[date | None, date | None]:
    """First and last day of use, as far as they are said."""
    if resource["resourceType"] == "MedicationRequest":
        rows = resource.get("dosageInstruction", [])
        spans = [row.get("timing", {}).get("repeat", {}).get("boundsPeriod", {}) for row in rows]
        ends = [span.get("end") for span in spans]
        last = max((day for one in ends if (day := _day(one, last=True))), default=None) if all(ends) else None
        return _day(resource.get("authoredOn")), last
    at, span = resource.get("effectiveDateTime"), resource.get("effectivePeriod", {})
    # A moment says when it was taken; of what is taken still it says since when.
    end = at if _USE.get(resource.get("status", "")) == "past" else span.get("end")
    return _day(at or span.get("start")), _day(end or span.get("end"), last=True)


def _day(said: str | None, *, last: bool = False) -> date | None:
    """The first day, or the last one, that a date of any precision can mean."""
    if not said:
        return None
    low, high = period(said)
    return datetime.fromtimestamp((high - 1 if last else low) / 1_000_000, UTC).date()
