"""A treatment plan in words, for people who read the CarePlan itself."""

from html import escape

from app.mapping.elements import plain
from app.mapping.goal import goal_text
from app.pain.activities import Activity
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.treatments import TreatmentPlan

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
    therapy = content.therapies.rows.get(one.therapy or "")
    route = content.routes.rows.get(one.route or "")
    name = _said(one.drug or one.code or (therapy.concept if therapy else None)) or one.therapy
    parts = (name, route.label if route else one.route, _doses(one), _site(one))
    told = ", ".join(part for part in parts if part)
    return f"{told} ({one.note})" if one.note else told


def _doses(one: Activity) -> str:
    doses = [f"{plain(step.daily_dose_mg)} mg per day for {step.days} days" for step in one.titration]
    doses += [f"{plain(one.daily_dose_mg)} mg per day"] if one.daily_dose_mg is not None else []
    return ", then ".join(doses)


def _site(one: Activity) -> str:
    return " ".join(part for part in (_said(one.site), f"({one.laterality})" if one.laterality else None) if part)


def _said(concept: Concept | None) -> str | None:
    if concept is None:
        return None
    return concept.text or concept.codings[0].display or concept.codings[0].code
