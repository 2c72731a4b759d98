"""A treatment plan as CarePlan, Goals and requests, there and back."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

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
    new_ids,
    only,
    recognising,
    reference,
    target,
)
from app.mapping.goal import goal_of, goal_resource
from app.mapping.narrative import TITLE, narrative
from app.mapping.request import activity_of, request
from app.mapping.revision import amended
from app.pain.activities import Activity
from app.pain.content import Content
from app.pain.plan_context import Fact
from app.pain.treatments import Goal, TreatmentPlan

Part = Goal | Activity

_PLAN: Key = ("CarePlan",)
_REQUESTS = ("MedicationRequest", "ServiceRequest")
_FACT_VALUES = {"number": "valueDecimal", "integer": "valueInteger", "text": "valueString", "choice": "valueCode"}


def plan_to_fhir(plan: TreatmentPlan, content: Content, *, patient_ref: str, ids: Callable[[], str]) -> list[Resource]:
    """The CarePlan, then its Goals, then one request for each activity."""
    return _written(plan, content, patient_ref, new_ids(ids), {})


def amend_plan(
    previous: Sequence[Resource], plan: TreatmentPlan, content: Content, *, patient_ref: str, ids: Callable[[], str]
) -> list[Resource]:
    """The next versions: the same CarePlan, the same ids for the same goals and activities (by measure, and by drug,
    therapy or code); what is no longer planned is entered in error."""
    parts = _parts(previous, content)
    known = {_PLAN: only(previous, "CarePlan")["id"]} | {key: one["id"] for key, (one, _) in parts.items()}
    said = {key: part for key, (_, part) in parts.items()}
    return amended(previous, _written(plan, content, patient_ref, kept_ids(known, ids), said))


@recognising
def plan_from_fhir(resources: Sequence[Resource], content: Content) -> TreatmentPlan:
    """The plan its resources (the CarePlan first) were written from, with the patient's reference.

    Raises Unrecognised. Parts entered in error are left aside, unless the whole is.
    """
    counted = live(resources)
    plan = only(counted, "CarePlan")
    goals, requests = _in_order(plan, counted)
    return TreatmentPlan(
        patient=plan["subject"]["reference"],
        activities=tuple(activity_of(one, content) for one in requests),
        diagnosis=next((target(one) for one in plan.get("addresses", [])), None),
        review_on=next((one["valueDate"] for one in extensions(plan, "review-date")), None),
        goals=tuple(goal_of(one, content) for one in goals),
        note=next((one["text"] for one in plan.get("note", [])), None),
        encounter=target(plan.get("encounter")),
        context=_context_of(plan, content),
        override=dict(_override_of(one) for one in extensions(plan, "plan-override")),
    )


def _written(
    plan: TreatmentPlan, content: Content, patient_ref: str, id_of: IdOf, before: Mapping[Key, Part]
) -> list[Resource]:
    plan_id = id_of(_PLAN)
    goals = [
        goal_resource(goal, content, id_of(key), patient_ref, plan.diagnosis)
        for goal, key in zip(plan.goals, _keys(plan.goals, before), strict=True)
    ]
    requests = [
        request(one, content, id_of(key), patient_ref, plan.diagnosis, f"CarePlan/{plan_id}")
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
        "activity": [{"reference": reference(f"{one['resourceType']}/{one['id']}")} for one in requests],
        "note": [{"text": plan.note}] if plan.note else None,
    }
    return [finished(made), *goals, *requests]


def _extensions(plan: TreatmentPlan, content: Content) -> list[Element]:
    made = [extension("review-date", valueDate=plan.review_on)] if plan.review_on else []
    if plan.context:
        facts = [one for key, fact in plan.context.items() for one in _fact(key, fact, content.facts[key]["type"])]
        made.append(extension("plan-context", extension=facts))
    for rule, reason in plan.override.items():
        parts = [{"url": "rule", "valueCode": rule}, {"url": "reason", "valueString": reason}]
        made.append(extension("plan-override", extension=parts))
    return made


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


def _in_order(plan: Resource, resources: Sequence[Resource]) -> tuple[list[Resource], list[Resource]]:
    """The goals and requests the plan refers to, in its order."""
    by_name = {f"{one['resourceType']}/{one['id']}": one for one in resources}
    goals = [by_name.get(target(one) or "") for one in plan.get("goal", [])]
    requests = [by_name.get(target(one.get("reference")) or "") for one in plan.get("activity", [])]
    return [one for one in goals if one], [one for one in requests if one]


@recognising
def _parts(previous: Sequence[Resource], content: Content) -> dict[Key, tuple[Resource, Part]]:
    """The goals and requests of an earlier version by what they are about, parts that no longer count last."""
    goals, requests = _in_order(only(previous, "CarePlan"), previous)
    goals += [one for one in previous if one["resourceType"] == "Goal" and one not in goals]
    requests += [one for one in previous if one["resourceType"] in _REQUESTS and one not in requests]
    aims = [goal_of(one, content) for one in goals]
    activities = [activity_of(one, content) for one in requests]
    found: list[tuple[Key, Resource, Part]] = [*zip(_keys(aims, {}), goals, aims, strict=True)]
    found += [*zip(_keys(activities, {}), requests, activities, strict=True)]
    return {key: (resource, part) for key, resource, part in found}


def _key(part: Part) -> Key:
    """What a goal or an activity is about: its measure, or its drug, therapy or code."""
    if isinstance(part, Goal):
        return "Goal", part.measure
    if part.therapy is not None:
        return "ServiceRequest", "therapy", part.therapy
    concept = part.drug or part.code
    kind = "MedicationRequest" if part.drug else "ServiceRequest"
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
