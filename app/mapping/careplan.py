"""A treatment plan as CarePlan, Goals and requests, there and back."""

from collections.abc import Callable, Sequence
from html import escape
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
from app.mapping.goal import goal_of, goal_resource, goal_text
from app.mapping.request import activity_of, activity_text, request
from app.mapping.revision import amended
from app.pain.content import Content
from app.pain.plan_context import Fact
from app.pain.treatments import Activity, Goal, TreatmentPlan

_PLAN: Key = ("CarePlan",)
_REQUESTS = ("MedicationRequest", "ServiceRequest")
_FACT_VALUES = {"number": "valueDecimal", "integer": "valueInteger", "text": "valueString", "choice": "valueCode"}


def plan_to_fhir(plan: TreatmentPlan, content: Content, *, patient_ref: str, ids: Callable[[], str]) -> list[Resource]:
    """The CarePlan, then its Goals, then one request for each activity."""
    return _written(plan, content, patient_ref, new_ids(ids))


def amend_plan(
    previous: Sequence[Resource], plan: TreatmentPlan, content: Content, *, patient_ref: str, ids: Callable[[], str]
) -> list[Resource]:
    """The next versions: the same CarePlan, the same ids for the same goals and activities (by measure, and by drug,
    therapy or code); what is no longer planned is entered in error."""
    known = _known(previous, content)
    return amended(previous, _written(plan, content, patient_ref, kept_ids(known, ids)))


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


def _written(plan: TreatmentPlan, content: Content, patient_ref: str, id_of: IdOf) -> list[Resource]:
    plan_id = id_of(_PLAN)
    goals = [
        goal_resource(goal, content, id_of(key), patient_ref, plan.diagnosis)
        for goal, key in zip(plan.goals, _keys([_goal_key(goal) for goal in plan.goals]), strict=True)
    ]
    requests = [
        request(one, content, id_of(key), patient_ref, plan.diagnosis, f"CarePlan/{plan_id}")
        for one, key in zip(plan.activities, _keys([_activity_key(one) for one in plan.activities]), strict=True)
    ]
    made = head("CarePlan", plan_id, "pain-care-plan") | {
        "text": {"status": "generated", "div": _narrative(plan, content)},
        "extension": _extensions(plan, content),
        "status": "active",
        "intent": "plan",
        "category": [codeable(fixed("assess-plan"))],
        "title": "Treatment plan for neuropathic pain",
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


def _narrative(plan: TreatmentPlan, content: Content) -> str:
    """The plan for people, in the words of the plan; names no patient."""
    lines = [f"Goal: {goal_text(goal, content)}" for goal in plan.goals]
    lines += [activity_text(one, content) for one in plan.activities]
    lines += [f"Review on {plan.review_on}"] if plan.review_on else []
    rows = "".join(f"<li>{escape(line, quote=False)}</li>" for line in lines)
    return f'<div xmlns="http://www.w3.org/1999/xhtml"><p>Treatment plan for neuropathic pain</p><ul>{rows}</ul></div>'


def _in_order(plan: Resource, resources: Sequence[Resource]) -> tuple[list[Resource], list[Resource]]:
    """The goals and requests the plan refers to, in its order."""
    by_name = {f"{one['resourceType']}/{one['id']}": one for one in resources}
    goals = [by_name.get(target(one) or "") for one in plan.get("goal", [])]
    requests = [by_name.get(target(one.get("reference")) or "") for one in plan.get("activity", [])]
    return [one for one in goals if one], [one for one in requests if one]


@recognising
def _known(previous: Sequence[Resource], content: Content) -> dict[Key, str]:
    """The ids of an earlier version by what they are about, parts entered in error last."""
    plan = only(previous, "CarePlan")
    goals, requests = _in_order(plan, previous)
    goals += [one for one in previous if one["resourceType"] == "Goal" and one not in goals]
    requests += [one for one in previous if one["resourceType"] in _REQUESTS and one not in requests]
    of_goals = _keys([_goal_key(goal_of(one, content)) for one in goals])
    of_requests = _keys([_activity_key(activity_of(one, content)) for one in requests])
    pairs = [*zip(of_goals, goals, strict=True), *zip(of_requests, requests, strict=True)]
    return {_PLAN: plan["id"]} | {key: one["id"] for key, one in pairs}


def _goal_key(goal: Goal) -> Key:
    return "Goal", goal.measure


def _activity_key(one: Activity) -> Key:
    if one.therapy is not None:
        return "ServiceRequest", "therapy", one.therapy
    concept = one.drug or one.code
    kind = "MedicationRequest" if one.drug else "ServiceRequest"
    codes = [f"{coding.system}|{coding.code}" for coding in concept.codings] if concept else []
    return kind, "coded", *(codes[:1] or [concept.text or "" if concept else ""])


def _keys(keys: Sequence[Key]) -> list[Key]:
    """The keys, told apart where the same thing is planned more than once."""
    return [(*key, str(keys[:index].count(key))) for index, key in enumerate(keys)]
