"""A treatment plan in words, for people who read the CarePlan itself."""

from html import escape

from app.mapping.careplans.dosage import dose_words
from app.mapping.careplans.goal import goal_text
from app.mapping.careplans.outcome import outcome_words
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.plans.activities import Activity
from app.pain.plans.done import Done
from app.pain.plans.lists import LISTS
from app.pain.plans.treatments import TreatmentPlan

TITLE = "Pain treatment plan"


def narrative(plan: TreatmentPlan, content: Content) -> str:
    """The plan as XHTML, in the words of the plan; names no patient."""
    lines = [f"Goal: {goal_text(goal, content)}" for goal in plan.goals]
    lines += [activity_text(one, content) for one in plan.activities]
    lines += [f"{rule} was set aside: {reason}" for rule, reason in plan.override.items()]
    lines += [f"Note: {plan.note}"] if plan.note else []
    lines += [f"Review on {plan.review_on}"] if plan.review_on else []
    rows = "".join(f"<li>{escape(line, quote=False)}</li>" for line in lines)
    return f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{TITLE}</p><ul>{rows}</ul></div>'


def activity_text(one: Activity, content: Content) -> str:
    """The activity in words, e.g. "duloxetine, Oral, 30 mg per day for 7 days, then 60 mg per day"."""
    route = content.routes.rows.get(one.route or "")
    parts = (_name(one, content), route.label if route else one.route, _doses(one, content), _site(one))
    told = ", ".join(part for part in parts if part)
    told += f" ({one.note})" if one.note else ""
    told += "".join(f"; session {part.start} ({part.status})" for part in one.appointment)
    told += "".join(f"; done {_done(part)}" for part in one.done)
    return told + (f"; {outcome_words(one.outcome, content)}" if one.outcome else "")


def _name(one: Activity, content: Content) -> str | None:
    for kind, (listing, _) in LISTS.items():
        if isinstance(said := getattr(one, kind), str):
            row = getattr(content, listing).rows.get(said)
            return row.label if row else said
    return _said(one.drug or one.code or (one.device if isinstance(one.device, Concept) else None))


def _done(part: Done) -> str:
    what = _said(part.procedure) if isinstance(part.procedure, Concept) else part.procedure
    when = f"{part.on[0]} to {part.on[1] or 'now'}" if isinstance(part.on, tuple) else part.on
    return ", ".join(said for said in (when, what) if said)


def _doses(one: Activity, content: Content) -> str:
    doses = [f"{dose_words(step.daily_dose_mg, step.dose, content)} for {step.days} days" for step in one.titration]
    final = dose_words(one.daily_dose_mg, one.dose, content)
    return ", then ".join([*doses, *([final] if final else [])])


def _site(one: Activity) -> str:
    return " ".join(part for part in (_said(one.site), f"({one.laterality})" if one.laterality else None) if part)


def _said(concept: Concept | None) -> str | None:
    if concept is None:
        return None
    return concept.text or concept.codings[0].display or concept.codings[0].code
