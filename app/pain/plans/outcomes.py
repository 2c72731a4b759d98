"""How an activity of a plan worked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.pain.coded import concept_reader, concept_said, named_reader, refuse_other_kinds, worded
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.reading import Place, Reader, choice, fields, number, past_date, reference, several, text

EVIDENCE = ("Observation", "QuestionnaireResponse", "DiagnosticReport")
ONGOING, STOPPED = "ongoing", "stopped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an activity worked.

    response: relief from baseline in percent, or a class of it.  measure: what it was measured by.
    why: code of np-stop-reason; why_text: the same in words.
    """

    status: str
    response: int | Decimal | str | None = None
    measure: str | None = None
    stopped_on: str | None = None
    why: str | None = None
    why_text: str | None = None
    adverse_effect: Concept | None = None
    evidence: tuple[str, ...] = ()


def response_class(response: int | Decimal | str | None, content: Content) -> str | None:
    """The class of relief a response lies in."""
    if response is None or isinstance(response, str):
        return response
    rows = content.outcomes["response"]
    found: str = next(row["id"] for row in reversed(rows) if "from" not in row or response >= row["from"])
    return found


def outcome_reader(content: Content, now: datetime) -> Reader:
    states = [row["id"] for row in content.outcomes["status"]]
    readers: dict[str, Reader] = {
        "status": choice(states),
        "response": _response(content),
        "measure": named_reader(content.measures),
        "stopped_on": past_date(now),
        "why": _why(content),
        "adverse_effect": _effect(content),
        "evidence": several(reference(*EVIDENCE)),
    }

    def read(value: Any, place: Place) -> Outcome | None:
        read = fields(value, place, readers, required=("status",) if isinstance(value, Mapping) else ())
        why, words = read.pop("why") or (None, None)
        one = Outcome(**read | {"why": why, "why_text": words, "evidence": read["evidence"] or ()})
        if one.status is not None:
            _refuse_strays(one, value, place, content)
        return one if one.status is not None else None

    return read


def outcome_view(one: Outcome | None) -> dict[str, Any] | None:
    if one is None:
        return None
    why = {"code": one.why, "text": one.why_text} if one.why_text else one.why
    view = {
        "response": one.response,
        "measure": one.measure,
        "status": one.status,
        "stopped_on": one.stopped_on,
        "why": why,
        "adverse_effect": concept_said(one.adverse_effect),
        "evidence": list(one.evidence) or None,
    }
    return _shown(view)


def _shown(view: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in view.items() if value is not None}


def _response(content: Content) -> Reader:
    classes = [row["id"] for row in content.outcomes["response"]]

    def read(value: Any, place: Place) -> int | Decimal | str | None:
        if isinstance(value, str):
            return choice(classes)(value, place)  # type: ignore[no-any-return]
        return number(low=-1000, high=100)(value, place)  # type: ignore[no-any-return]

    return read


def _why(content: Content) -> Reader:
    one = choice([row["id"] for row in content.outcomes["reason"]])

    def read(value: Any, place: Place) -> tuple[str | None, str | None]:
        if not isinstance(value, Mapping):
            return one(value, place), None
        got = fields(value, place, {"code": one, "text": text}, required=("code",))
        return got["code"], got["text"]

    return read


def _effect(content: Content) -> Reader:
    coded = concept_reader(content)

    def read(value: Any, place: Place) -> Concept | None:
        if isinstance(value, str):
            return worded(value, place)
        got: Concept | None = coded(value, place)
        refuse_other_kinds(got, ("diagnosis", "symptom", "finding"), place.at("code"), content)
        return got

    return read


def _refuse_strays(one: Outcome, value: Mapping[str, Any], place: Place, content: Content) -> None:
    """Notes problems where an end is told of what goes on, or its reason is that of another end."""
    if one.status == ONGOING:
        for key in ("stopped_on", "why"):
            if value.get(key) is not None:
                place.at(key).refuse("business-rule", "What is ongoing has not ended: only what has has this.")
        return
    fitting = [row["id"] for row in content.outcomes["reason"] if row["of"] == one.status]
    if one.why is not None and one.why not in fitting:
        place.at("why").refuse("business-rule", f"Not the reason of this status; expected one of {', '.join(fitting)}.")
    if one.status == STOPPED and value.get("why") is None:
        place.at("why").refuse("required", f"Expected why it was stopped: one of {', '.join(fitting)}.")
