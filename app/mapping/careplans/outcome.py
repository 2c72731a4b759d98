"""How an activity of a plan worked, on CarePlan.activity and on its request, there and back."""

from decimal import Decimal
from typing import Any

from app.mapping.elements import (
    Element,
    code_in,
    codeable,
    concept_element,
    concept_of,
    extension,
    extensions,
    fixed,
    plain,
    quantity,
    reference,
)
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.plans.outcomes import Outcome, response_class

_SYSTEM, _REASONS, _MEASURES = "np-activity-outcome", "np-stop-reason", "np-goal-measure"
_NAME = "activity-outcome"


def request_status(outcome: Outcome | None, kind: str, content: Content) -> str:
    """The status of a request of a type: what is planned is active until an outcome says otherwise."""
    row = next((one for one in content.outcomes["status"] if outcome and one["id"] == outcome.status), None)
    states = row["request"] if row else {"*": "active"}
    return str(states.get(kind) or states["*"])


def end_reason(outcome: Outcome | None, content: Content) -> Element | None:
    """Why an activity has ended."""
    if outcome is None or outcome.why is None:
        return None
    why = content.own(_REASONS, outcome.why)
    return codeable(why, text=outcome.why_text or why.display)


def outcome_elements(outcome: Outcome | None, content: Content) -> Element:
    """What CarePlan.activity says of an outcome; outcomeReference names the evidence."""
    if outcome is None:
        return {}
    found = [content.own(_SYSTEM, outcome.status)]
    if response := response_class(outcome.response, content):
        found.append(content.own(_SYSTEM, response))
    made: Element = {"extension": [extension(_NAME, extension=parts)]} if (parts := _parts(outcome, content)) else {}
    made["outcomeCodeableConcept"] = [codeable(one, text=one.display) for one in found]
    return made


def evidence_references(outcome: Outcome | None) -> list[Element]:
    return [one for name in (outcome.evidence if outcome else ()) if (one := reference(name))]


def outcome_of(activity: Element, evidence: tuple[str, ...], content: Content) -> Outcome | None:
    """The outcome an activity of a CarePlan tells; None where it tells none in our words."""
    said = [code_in(one, content.systems[_SYSTEM]) for one in activity.get("outcomeCodeableConcept", [])]
    states = [row["id"] for row in content.outcomes["status"]]
    status = next((one for one in said if one in states), None)
    if status is None:
        return None
    parts: dict[str, Any] = {
        one["url"]: one for found in extensions(activity, _NAME) for one in found.get("extension", [])
    }
    why = parts.get("why", {}).get("valueCodeableConcept", {})
    code = code_in(why, content.systems[_REASONS])
    words = why.get("text")
    return Outcome(
        status=status,
        response=_response_of(parts, next((one for one in said if one not in (None, *states)), None)),
        measure=_measure_of(parts.get("measure", {}).get("valueCodeableConcept"), content),
        stopped_on=parts.get("stoppedOn", {}).get("valueDate"),
        why=code,
        why_text=words if code and words != content.own(_REASONS, code).display else None,
        adverse_effect=concept_of(parts.get("adverseEffect", {}).get("valueCodeableConcept")),
        evidence=evidence,
    )


def outcome_words(outcome: Outcome, content: Content) -> str:
    """An outcome in words, e.g. "stopped on 2026-05-01: 40 % relief; adverse effect: nausea"."""
    status = str(content.own(_SYSTEM, outcome.status).display).lower()
    told = [f"{status} on {outcome.stopped_on}" if outcome.stopped_on else status]
    if isinstance(outcome.response, str):
        told.append(str(content.own(_SYSTEM, outcome.response).display))
    elif outcome.response is not None:
        told.append(f"{plain(outcome.response)} % relief")
    if outcome.why:
        told.append(outcome.why_text or str(content.own(_REASONS, outcome.why).display))
    if outcome.adverse_effect:
        told.append(f"adverse effect: {_said(outcome.adverse_effect)}")
    return "; ".join(told)


def _said(concept: Concept) -> str:
    return concept.text or concept.codings[0].display or concept.codings[0].code


def _parts(outcome: Outcome, content: Content) -> list[Element]:
    relief = outcome.response if isinstance(outcome.response, int | Decimal) else None
    values = {
        "relief": {"valueQuantity": quantity(relief, fixed("percent"))} if relief is not None else None,
        "measure": {"valueCodeableConcept": _measure(outcome.measure, content)} if outcome.measure else None,
        "stoppedOn": {"valueDate": outcome.stopped_on} if outcome.stopped_on else None,
        "why": {"valueCodeableConcept": end_reason(outcome, content)} if outcome.why else None,
        "adverseEffect": {"valueCodeableConcept": concept_element(outcome.adverse_effect)}
        if outcome.adverse_effect
        else None,
    }
    return [{"url": name, **value} for name, value in values.items() if value]


def _measure(measure: str, content: Content) -> Element:
    row = content.measures.rows.get(measure)
    return codeable(*row.codings, content.own(_MEASURES, row.id), text=row.label) if row else codeable(text=measure)


def _measure_of(element: Element | None, content: Content) -> str | None:
    return (code_in(element, content.systems[_MEASURES]) or element.get("text")) if element else None


def _response_of(parts: dict[str, Any], named: str | None) -> Any:
    return parts["relief"]["valueQuantity"]["value"] if "relief" in parts else named
