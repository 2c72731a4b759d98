"""What is proposed, as the rules see it: by a plan of the clinic, or by orders an EHR is about to place."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from app.mapping.elements import Resource, concept_of, extensions
from app.mapping.facts.gathering import Gathered, condition_of, grade_of
from app.mapping.facts.held import Held, name_of
from app.mapping.facts.medicines import MEDICINE_TYPES, ordered
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.plans.activities import Activity
from app.pain.plans.contradictions import planned_daily_mg
from app.pain.plans.lists import LISTS
from app.pain.plans.outcomes import ONGOING
from app.pain.plans.treatments import TreatmentPlan
from app.pain.rules.facts import Known, Medicine, Plan

# What an order of these asks for: the element that says it.
_ASKED = {"ServiceRequest": "code", "DeviceRequest": "codeCodeableConcept"}


def with_plan(known: Gathered, plan: TreatmentPlan, held: Held, content: Content) -> Gathered:
    """The facts with a plan. What of it is over (an outcome other than ongoing) is not proposed any more."""
    named = ((f"activities[{index}]", one) for index, one in enumerate(plan.activities))
    open_ones = [(place, one) for place, one in named if one.outcome is None or one.outcome.status == ONGOING]
    medicines = [_medicine(one, place, content) for place, one in open_ones if one.drug is not None]
    proposal = Plan(
        procedures=tuple(_procedure(one, place, content) for place, one in open_ones if one.drug is None),
        diagnosis=condition_of(held, plan.diagnosis),
        has_goal=bool(plan.goals),
        has_review=plan.review_on is not None,
    )
    return _proposed(known, medicines, proposal, held, content)


def with_orders(known: Gathered, orders: Mapping[str, Resource], held: Held, content: Content) -> Gathered:
    """The facts with orders by name. Goals and reviews are those the record holds: an order has none of its own.

    The diagnosis is what an order gives as its reason, or else the one pain of the record that is graded.
    """
    everything = {**held, **orders}
    medicines = [
        medicine
        for name, one in orders.items()
        if one["resourceType"] in MEDICINE_TYPES and one.get("doNotPerform") is not True
        for medicine in ordered(one, name, everything, content)
    ]
    proposal = Plan(
        procedures=tuple(_ordered_procedures(orders)),
        diagnosis=condition_of(held, _reason(orders.values(), held, content)),
        has_goal=any(one["resourceType"] == "Goal" for one in held.values()),
        has_review=any(extensions(one, "review-date") for one in held.values() if one["resourceType"] == "CarePlan"),
    )
    return _proposed(known, medicines, proposal, held, content)


def _proposed(known: Gathered, medicines: Sequence[Medicine], proposal: Plan, held: Held, content: Content) -> Gathered:
    facts = known.facts
    condition = held.get(proposal.diagnosis.source, {}) if proposal.diagnosis else {}
    taken = (*facts.medicines, *medicines)
    return replace(known, facts=replace(facts, medicines=taken, plan=proposal, grade=grade_of(condition, content)))


def _medicine(one: Activity, place: str, content: Content) -> Medicine:
    return Medicine(
        drug=one.drug or Concept(),
        use="proposed",
        source=place,
        daily_dose_mg=_plain(planned_daily_mg(one, content)),
        route=one.route,
        site=one.site,
    )


def _procedure(one: Activity, place: str, content: Content) -> Known:
    """A therapy, order, device or code as a concept: with the codes of our list where it is there."""
    therapy = one.therapy
    if one.code is not None:
        row = content.therapies.of(one.code)
        return Known(one.code, place, row.id if row else None)
    if isinstance(one.device, Concept):
        return Known(one.device, place)
    kind, words = next((kind, str(said)) for kind in LISTS if (said := getattr(one, kind)))
    listing, system = LISTS[kind]
    row = getattr(content, listing).rows.get(words)
    if row is None:
        return Known(Concept((), words), place)
    own = Concept((*row.codings, content.own(system, row.id)), row.label)
    return Known(own, place, therapy if row and kind == "therapy" else None)


def _ordered_procedures(orders: Mapping[str, Resource]) -> Iterator[Known]:
    for name, one in orders.items():
        concept = concept_of(one.get(_ASKED.get(one["resourceType"], "")))
        if concept and one.get("doNotPerform") is not True:
            yield Known(concept, name)


def _reason(orders: Iterable[Resource], held: Held, content: Content) -> str | None:
    given = (name_of(one) for order in orders for one in order.get("reasonReference", []))
    named = next((one for one in given if held.get(one, {}).get("resourceType") == "Condition"), None)
    graded = [name for name, one in held.items() if one["resourceType"] == "Condition" and grade_of(one, content)]
    return named or (graded[0] if len(graded) == 1 else None)


def _plain(dose: Decimal | None) -> int | Decimal | None:
    return int(dose) if dose is not None and dose == int(dose) else dose
