"""A treatment plan as CarePlan, Goals and requests, and what was done of it, there and back."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from app.mapping.careplans.activity import performed_parts, read_activities, written
from app.mapping.careplans.goal import goal_of, goal_resource
from app.mapping.careplans.guideline import guideline_extensions, guideline_of
from app.mapping.careplans.narrative import TITLE, narrative
from app.mapping.careplans.performed import Performed, is_device_of, performed_of
from app.mapping.careplans.request import REQUESTS, Planned, activity_of, request_type
from app.mapping.elements import (
    Element,
    IdOf,
    Key,
    Resource,
    codeable,
    extension,
    extensions,
    finished,
    fixed,
    head,
    kept_ids,
    live,
    named,
    new_ids,
    only,
    recognising,
    reference,
    target,
)
from app.mapping.revision import amended
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.plans.activities import Activity
from app.pain.plans.context import Fact
from app.pain.plans.lists import LISTS
from app.pain.plans.treatments import Goal, TreatmentPlan

Part = Goal | Activity | Performed

_PLAN: Key = ("CarePlan",)
_PERFORMED = ("Appointment", "Procedure")
_FACT_VALUES = {"number": "valueDecimal", "integer": "valueInteger", "text": "valueString", "choice": "valueCode"}


def plan_to_fhir(plan: TreatmentPlan, content: Content, *, patient_ref: str, ids: Callable[[], str]) -> list[Resource]:
    """The CarePlan, then its Goals, one request for each activity, its sessions, and what was done."""
    return _written(plan, content, patient_ref, new_ids(ids), {})


def amend_plan(
    previous: Sequence[Resource], plan: TreatmentPlan, content: Content, *, patient_ref: str, ids: Callable[[], str]
) -> list[Resource]:
    """The next versions: the same CarePlan, the same ids for the same goals and activities (by measure, and by drug,
    therapy or code); what is no longer planned is told as such."""
    parts = _parts(previous, content)
    known = {_PLAN: only(previous, "CarePlan")["id"]} | {key: one["id"] for key, (one, _) in parts.items()}
    known |= {("Device", *key): left["id"] for key, (one, _) in parts.items() for left in _left_by(one, previous)}
    said = {key: part for key, (_, part) in parts.items()}
    return amended(previous, _written(plan, content, patient_ref, kept_ids(known, ids), said))


@recognising
def plan_from_fhir(resources: Sequence[Resource], content: Content) -> TreatmentPlan:
    """The plan its resources (the CarePlan first) were written from, with the patient's reference.

    Raises Unrecognised. Parts entered in error are left aside, unless the whole is.
    """
    counted = live(resources)
    plan = only(counted, "CarePlan")
    goals = _linked(plan, "goal", counted)
    return TreatmentPlan(
        patient=plan["subject"]["reference"],
        activities=tuple(one for _, one in read_activities(plan, resources, counted, content)),
        diagnosis=next((target(one) for one in plan.get("addresses", [])), None),
        review_on=next((one["valueDate"] for one in extensions(plan, "review-date")), None),
        goals=tuple(goal_of(one, content) for one in goals),
        note=next((one["text"] for one in plan.get("note", [])), None),
        encounter=target(plan.get("encounter")),
        context=_context_of(plan, content),
        override=dict(_override_of(one) for one in extensions(plan, "plan-override")),
        **guideline_of(plan),
    )


def _written(
    plan: TreatmentPlan, content: Content, patient_ref: str, id_of: IdOf, before: Mapping[Key, Part]
) -> list[Resource]:
    plan_id = id_of(_PLAN)
    goals = [
        goal_resource(goal, content, id_of(key), patient_ref, plan.diagnosis)
        for goal, key in zip(plan.goals, _keys(plan.goals, before), strict=True)
    ]
    edition = plan.checked.edition if plan.checked else plan.guideline
    planned = Planned(patient_ref, f"CarePlan/{plan_id}", plan.diagnosis, edition)
    keys = iter(_keys(performed_parts(plan.activities, content), before))
    made_of = [
        written(one, id_of(key), keys, id_of, planned, content)
        for one, key in zip(plan.activities, _keys(plan.activities, before), strict=True)
    ]
    made = head("CarePlan", plan_id, "pain-care-plan") | {
        "text": {"status": "generated", "div": narrative(plan, content)},
        "extension": _extensions(plan, content),
        "status": "active",
        "intent": "plan",
        "category": [codeable(fixed("assess-plan"))],
        "title": TITLE,
        "subject": reference(patient_ref),
        "encounter": reference(plan.encounter),
        "addresses": [reference(plan.diagnosis)] if plan.diagnosis else None,
        "goal": [reference(f"Goal/{one['id']}") for one in goals],
        "activity": [element for elements, _, _ in made_of for element in elements],
        "note": [{"text": plan.note}] if plan.note else None,
    }
    performed = [one for _, _, others in made_of for one in others]
    return [finished(made), *goals, *(asked for _, asked, _ in made_of), *performed]


def _extensions(plan: TreatmentPlan, content: Content) -> list[Element]:
    made = [extension("review-date", valueDate=plan.review_on)] if plan.review_on else []
    if plan.context:
        facts = [one for key, fact in plan.context.items() for one in _fact(key, fact, content.facts[key]["type"])]
        made.append(extension("plan-context", extension=facts))
    for rule, reason in plan.override.items():
        parts = [{"url": "rule", "valueCode": rule}, {"url": "reason", "valueString": reason}]
        made.append(extension("plan-override", extension=parts))
    return made + guideline_extensions(plan)


def _fact(key: str, fact: Fact, kind: str) -> list[Element]:
    """A fact as sub-extensions: one, or one for each finding of a list."""
    if isinstance(fact, tuple):
        return [{"url": key, "valueString": one} for one in fact]
    return [{"url": key, "valueBoolean" if isinstance(fact, bool) else _FACT_VALUES[kind]: fact}]


def _context_of(plan: Resource, content: Content) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    for part in (one for found in extensions(plan, "plan-context") for one in found["extension"]):
        value = next(value for name, value in part.items() if name.startswith("value"))
        listed = content.facts[part["url"]]["type"] == "findings" and isinstance(value, str)
        earlier = facts.get(part["url"])
        facts[part["url"]] = (*(earlier if isinstance(earlier, tuple) else ()), value) if listed else value
    return facts


def _override_of(element: Element) -> tuple[str, str]:
    parts: dict[str, Any] = {one["url"]: one for one in element["extension"]}
    return parts["rule"]["valueCode"], parts["reason"]["valueString"]


def _linked(plan: Resource, element: str, resources: Sequence[Resource]) -> list[Resource]:
    """The resources an element of the plan refers to, in its order."""
    links = [one.get("reference") for one in plan.get(element, [])]
    found = (named(resources, link if isinstance(link, str) else target(link)) for link in links)
    return [one for one in found if one]


@recognising
def _parts(previous: Sequence[Resource], content: Content) -> dict[Key, tuple[Resource, Part]]:
    """The parts of an earlier version by what they are about, those that no longer count last."""
    plan = only(previous, "CarePlan")
    asked = read_activities(plan, previous, previous, content)
    goals = _with_rest(_linked(plan, "goal", previous), previous, ("Goal",))
    requests = _with_rest([one for one, _ in asked], previous, REQUESTS)
    performed = _with_rest(_linked(plan, "activity", previous), previous, _PERFORMED)
    aims = [goal_of(one, content) for one in goals]
    activities = [one for _, one in asked]
    activities += [activity_of(one, content) for one in requests[len(asked) :]]
    parts = [performed_of(one, previous, content) for one in performed]
    found: list[tuple[Key, Resource, Part]] = [*zip(_keys(aims, {}), goals, aims, strict=True)]
    found += [*zip(_keys(activities, {}), requests, activities, strict=True)]
    found += [*zip(_keys(parts, {}), performed, parts, strict=True)]
    return {key: (resource, part) for key, resource, part in found}


def _with_rest(linked: list[Resource], resources: Sequence[Resource], kinds: Sequence[str]) -> list[Resource]:
    """The linked resources of some types, then the others of these types."""
    first = [one for one in linked if one["resourceType"] in kinds]
    return first + [one for one in resources if one["resourceType"] in kinds and one not in first]


def _left_by(made: Resource, resources: Sequence[Resource]) -> list[Resource]:
    """The Device that was written with a Procedure, and is known by it."""
    is_procedure = made["resourceType"] == "Procedure"
    return [one for one in resources if is_procedure and one["resourceType"] == "Device" and is_device_of(made, one)]


def _key(part: Part) -> Key:
    """What a part is about: a goal's measure; an activity's drug, therapy, order, device or code; what was done."""
    if isinstance(part, Goal):
        return "Goal", part.measure
    if isinstance(part, Performed):
        return part.kind, part.of
    kind = request_type(part)
    named_as = next((name for name in LISTS if isinstance(getattr(part, name), str)), None)
    if named_as:
        return kind, named_as, getattr(part, named_as)
    concept = part.drug or part.code or (part.device if isinstance(part.device, Concept) else None)
    codes = [f"{coding.system}|{coding.code}" for coding in concept.codings] if concept else []
    return kind, "coded", *(codes[:1] or [concept.text or "" if concept else ""])


def _keys(parts: Sequence[Part], before: Mapping[Key, Part]) -> list[Key]:
    """The keys of parts, told apart by a number where the same thing is planned more than once: a part that was
    there before keeps its number, the others take the free ones in turn."""
    taken: dict[int, Key] = {}
    for index, part in enumerate(parts):
        same = (key for key, old in before.items() if old == part and key not in taken.values())
        if key := next(same, None):
            taken[index] = key
    for index, part in enumerate(parts):
        numbered = ((*_key(part), str(number)) for number in count())
        taken.setdefault(index, next(key for key in numbered if key not in taken.values()))
    return [taken[index] for index in range(len(parts))]
