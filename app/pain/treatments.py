"""A treatment plan: goals, and the activities meant to reach them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.pain.activities import Activity, activity_notes, activity_reader, activity_view, named_reader, unlisted
from app.pain.assessments import patient_view
from app.pain.concepts import Identifier
from app.pain.content import Content
from app.pain.plan_context import Fact, context_reader, override
from app.pain.reading import Place, Reader, day, fields, number, patient, reference, several, text


@dataclass(frozen=True, slots=True)
class Goal:
    """measure: id of our list, or text.  Either a reduction from baseline in percent, or a target: a value in the
    measure's unit, or words."""

    measure: str
    reduction_percent: int | Decimal | None = None
    target: int | Decimal | str | None = None
    due: str | None = None


@dataclass(frozen=True, slots=True)
class TreatmentPlan:
    """context: facts the rules need, by key.  override: rule id -> reason to go ahead in spite of it."""

    patient: str | Identifier
    activities: tuple[Activity, ...]
    diagnosis: str | None = None
    review_on: str | None = None
    goals: tuple[Goal, ...] = ()
    note: str | None = None
    encounter: str | None = None
    context: Mapping[str, Fact] = field(default_factory=dict)
    override: Mapping[str, str] = field(default_factory=dict)


def read_plan(payload: Any, content: Content, now: datetime) -> TreatmentPlan:
    """The plan in the clinic's JSON. Raises Rejected with every problem in it.

    now: unused so far, taken like by the other readers; a review in the past is a legal record of what was planned.
    """
    place = Place()
    readers: dict[str, Reader] = {
        "patient": patient,
        "activities": several(activity_reader(content), at_least=1),
        "diagnosis": reference("Condition"),
        "review_on": day,
        "goals": several(_goal(content)),
        "note": text,
        "encounter": reference("Encounter"),
        "context": context_reader(content),
        "override": override,
    }
    read = fields(payload, place, readers, required=("patient", "activities"))
    place.settle()
    return TreatmentPlan(**{key: value for key, value in read.items() if value is not None})


def plan_view(plan: TreatmentPlan, content: Content) -> dict[str, Any]:
    """The plan in the clinic's JSON; reading it again gives the same plan."""
    facts = {key: list(fact) if isinstance(fact, tuple) else fact for key, fact in plan.context.items()}
    view = {
        "patient": patient_view(plan.patient),
        "diagnosis": plan.diagnosis,
        "review_on": plan.review_on,
        "goals": [_shown(_goal_view(goal)) for goal in plan.goals] or None,
        "activities": [_shown(activity_view(one, content)) for one in plan.activities],
        "note": plan.note,
        "encounter": plan.encounter,
        "context": facts or None,
        "override": dict(plan.override) or None,
    }
    return _shown(view)


def plan_notes(plan: TreatmentPlan, content: Content) -> list[str]:
    """What was accepted without being checked, and what deserves a second look."""
    notes: list[str] = []
    for index, goal in enumerate(plan.goals):
        notes += unlisted(goal.measure, f"goals[{index}].measure", content.measures, "measures")
    for index, one in enumerate(plan.activities):
        notes += activity_notes(one, f"activities[{index}]", content)
    return notes


def _goal(content: Content) -> Reader:
    readers: dict[str, Reader] = {
        "measure": named_reader(content.measures),
        "reduction_percent": number(above=0, high=100),
        "target": _target,
        "due": day,
    }

    def read(value: Any, place: Place) -> Goal:
        read = fields(value, place, readers, required=("measure",) if isinstance(value, Mapping) else ())
        if isinstance(value, Mapping):
            given = [key for key in ("reduction_percent", "target") if value.get(key) is not None]
            if len(given) != 1:
                place.refuse(
                    "business-rule" if given else "required", "Expected exactly one of reduction_percent and target."
                )
        return Goal(**read)

    return read


def _target(value: Any, place: Place) -> int | Decimal | str | None:
    return text(value, place) if isinstance(value, str) else number(low=0, high=1_000_000)(value, place)


def _goal_view(goal: Goal) -> dict[str, Any]:
    return {key: getattr(goal, key) for key in Goal.__slots__}


def _shown(view: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in view.items() if value is not None}
