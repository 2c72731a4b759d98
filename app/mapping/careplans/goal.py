"""A goal of treatment as Goal, there and back."""

from app.mapping.elements import Element, Resource, code_in, codeable, finished, fixed, head, plain, quantity, reference
from app.pain.content import Content
from app.pain.plans.treatments import Goal

# A measure that is not in our list keeps its words; this code then tells a reduction from a value.
_REDUCTION = "reduction"
_SUFFIX = f"-{_REDUCTION}"


def goal_resource(goal: Goal, content: Content, resource_id: str, patient_ref: str, diagnosis: str | None) -> Resource:
    made = head("Goal", resource_id, "pain-goal") | {
        "lifecycleStatus": "active",
        "description": {"text": goal_text(goal, content)},
        "subject": reference(patient_ref),
        "target": [{"measure": _measure(goal, content)} | _detail(goal, content)],
        "addresses": [reference(diagnosis)] if diagnosis else None,
    }
    return finished(made)


def goal_text(goal: Goal, content: Content) -> str:
    """The goal in words, e.g. "Pain intensity now (numeric rating scale): reduce by 30 % by 2026-06-01"."""
    listed = content.measures.rows.get(goal.measure)
    target = goal.target if isinstance(goal.target, str | None) else plain(goal.target)
    aim = f"reduce by {plain(goal.reduction_percent)} %" if goal.reduction_percent is not None else f"reach {target}"
    return f"{listed.label if listed else goal.measure}: {aim}" + (f" by {goal.due}" if goal.due else "")


def goal_of(resource: Resource, content: Content) -> Goal:
    """The goal a Goal was written from."""
    row = resource["target"][0]
    code = code_in(row["measure"], content.systems["np-goal-measure"])
    reduced = code is not None and code.endswith(_REDUCTION)
    measure = row["measure"]["text"] if code in (None, _REDUCTION) else str(code).removesuffix(_SUFFIX)
    amount = row.get("detailQuantity", {}).get("value", row.get("detailString"))
    return Goal(
        measure=measure,
        reduction_percent=amount if reduced else None,
        target=None if reduced else amount,
        due=row.get("dueDate"),
    )


def _measure(goal: Goal, content: Content) -> Element:
    listed = content.measures.rows.get(goal.measure)
    reduced = goal.reduction_percent is not None
    if listed is None:
        ours = (content.own("np-goal-measure", _REDUCTION),) if reduced else ()
        return codeable(*ours, text=goal.measure)
    if reduced:
        # No LOINC code here: it means the value, and 30 % is not a value of that scale.
        return codeable(content.own("np-goal-measure", listed.id + _SUFFIX))
    return codeable(*listed.codings, content.own("np-goal-measure", listed.id))


def _detail(goal: Goal, content: Content) -> Element:
    due = {"dueDate": goal.due} if goal.due else {}
    if goal.reduction_percent is not None:
        return {"detailQuantity": quantity(goal.reduction_percent, fixed("percent"))} | due
    if isinstance(goal.target, str) or goal.target is None:
        return {"detailString": goal.target} | due
    listed = content.measures.rows.get(goal.measure)
    # The unit of a measure that is not in our list is not known, so none is claimed.
    return {"detailQuantity": quantity(goal.target, fixed(listed.kind)) if listed else {"value": goal.target}} | due
