"""A treatment plan: goals, and the activities meant to reach them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.pain.coded import named_reader
from app.pain.concepts import Coding, Identifier
from app.pain.content import Content
from app.pain.instruments.assessments import patient_view
from app.pain.instruments.types import Instrument, Points, ScoreRule
from app.pain.plans.activities import Activity, activity_notes, activity_reader, activity_view, unlisted
from app.pain.plans.context import Fact, context_reader, override_reader
from app.pain.plans.contradictions import planned_daily_mg, refuse_contradictions
from app.pain.reading import Place, Reader, choice, day, fields, number, patient, reference, several, text


@dataclass(frozen=True, slots=True)
class Goal:
    """measure: id of our list, or text.  Either a reduction from baseline in percent, or a target: a value in the
    measure's unit, or words."""

    measure: str
    reduction_percent: int | Decimal | None = None
    target: int | Decimal | str | None = None
    due: str | None = None


@dataclass(frozen=True, slots=True)
class RulesChecked:
    """The rules a plan was judged by, raised or not, with the edition and the jurisdiction they were read in."""

    edition: str
    jurisdiction: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TreatmentPlan:
    """context: facts the rules need, by key.  override: rule id -> reason to go ahead in spite of it.

    guideline, jurisdiction: the edition and the dose tables it asks to be judged by.  checked: what it was judged by.
    """

    patient: str | Identifier
    activities: tuple[Activity, ...]
    diagnosis: str | None = None
    review_on: str | None = None
    goals: tuple[Goal, ...] = ()
    note: str | None = None
    encounter: str | None = None
    context: Mapping[str, Fact] = field(default_factory=dict)
    override: Mapping[str, str] = field(default_factory=dict)
    guideline: str | None = None
    jurisdiction: str | None = None
    checked: RulesChecked | None = None


def read_plan(payload: Any, content: Content, now: datetime) -> TreatmentPlan:
    """The plan in the clinic's JSON. Raises Rejected with every problem in it.

    now: what was done and what was stopped lies before it; a review in the past is a legal record of what was planned.
    """
    place = Place()
    readers: dict[str, Reader] = {
        "patient": patient,
        "activities": several(activity_reader(content, now), at_least=1),
        "diagnosis": reference("Condition"),
        "review_on": day,
        "goals": several(_goal(content)),
        "note": text,
        "encounter": reference("Encounter"),
        "context": context_reader(content),
        "override": override_reader(content),
        "guideline": choice(content.guidelines.editions),
        "jurisdiction": choice(content.guidelines.renal),
    }
    read = fields(payload, place, readers, required=("patient", "activities"))
    refuse_contradictions(read["activities"] or (), place.at("activities"), content)
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
        "guideline": plan.guideline,
        "jurisdiction": plan.jurisdiction,
    }
    return _shown(view)


def plan_notes(plan: TreatmentPlan, content: Content) -> list[str]:
    """What was accepted without being checked, and what deserves a second look."""
    notes: list[str] = []
    for index, goal in enumerate(plan.goals):
        notes += unlisted(goal.measure, f"goals[{index}].measure", content.measures, "measures")
        notes += _out_of_range(goal, f"goals[{index}]", content)
    for index, one in enumerate(plan.activities):
        notes += activity_notes(one, f"activities[{index}]", content)
        notes += _above_limit(one, f"activities[{index}]", content)
    return notes


def measure_range(measure: str, content: Content) -> tuple[Points, Points] | None:
    """The least and the greatest value of a listed measure: its own, or those of the score that shares a code."""
    row = content.measures.rows.get(measure)
    if row is None:
        return None
    if stated := row.row.get("range"):
        return stated[0], stated[1]
    codes = {coding.key for coding in row.codings}
    rules = ((one, rule) for one in content.instruments.values() for rule in one.scores)
    found = (rule for one, rule in rules if codes & {coding.key for coding in _codings_of(rule, one)})
    return next(((rule.low, rule.high) for rule in found), None)


def _codings_of(rule: ScoreRule, one: Instrument) -> tuple[Coding, ...]:
    """The codes of a score; those of its item where it is that item's value."""
    return rule.codings or (one.item(rule.items[0]).codings if rule.method == "value" else ())


def _out_of_range(goal: Goal, path: str, content: Content) -> list[str]:
    """A note where a target can never be reached: its measure has no such value."""
    ends = measure_range(goal.measure, content)
    if ends is None or isinstance(goal.target, str | None) or ends[0] <= goal.target <= ends[1]:
        return []
    return [f"{path}.target: the measure has values from {ends[0]} to {ends[1]} only"]


def _above_limit(one: Activity, path: str, content: Content) -> list[str]:
    """A note where a daily dose is above the greatest one for normal renal function: rules may allow less."""
    row = content.drugs.of(one.drug) if one.drug else None
    most, planned = content.dose_limits.get(row.id) if row else None, planned_daily_mg(one, content)
    if most is None or planned is None or planned <= most:
        return []
    return [f"{path}: the daily dose is above {most} mg, the greatest for normal renal function"]


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
