"""An assessment: one instrument answered for one patient at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.pain.coded import site_reader, site_view, unchecked_site
from app.pain.concepts import Concept, Identifier
from app.pain.content import Content
from app.pain.instruments.types import Answer, Instrument, Item
from app.pain.reading import (
    Place,
    Reader,
    boolean,
    choice,
    fields,
    integer,
    past_moment,
    patient,
    reference,
)

# Whoever may be named both as author of the answers and as performer of what was found.
PERFORMERS = ("Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson")


@dataclass(frozen=True, slots=True)
class Assessment:
    """answers: item key -> answer, unanswered items left out.  taken_at: when the patient answered, as sent."""

    patient: str | Identifier
    instrument: str
    taken_at: str
    answers: Mapping[str, Answer]
    body_site: Concept | None = None
    laterality: str | None = None
    performer: str | None = None
    encounter: str | None = None


def read_assessment(payload: Any, content: Content, now: datetime) -> Assessment:
    """The assessment in the clinic's JSON. Raises Rejected with every problem in it."""
    place = Place()
    instrument = _named(payload, content)
    readers: dict[str, Reader] = {
        "patient": patient,
        "instrument": choice(content.instruments),
        "taken_at": past_moment(now),
        "answers": _answers(instrument),
        "body_site": site_reader(content),
        "laterality": choice(content.sides),
        "performer": reference(*PERFORMERS),
        "encounter": reference("Encounter"),
    }
    read = fields(payload, place, readers, required=("patient", "instrument", "taken_at", "answers"))
    place.settle()
    return Assessment(**read)


def read_answers(instrument: Instrument, given: Mapping[str, Any], place: Place) -> dict[str, Answer]:
    """The answers of one instrument, by item key; problems go to the place."""
    read: dict[str, Answer] | None = _answers(instrument)(given, place)
    return read or {}


def assessment_view(assessment: Assessment) -> dict[str, Any]:
    """The assessment in the clinic's JSON; reading it again gives the same assessment."""
    view = {
        "patient": patient_view(assessment.patient),
        "instrument": assessment.instrument,
        "taken_at": assessment.taken_at,
        "answers": dict(assessment.answers),
        "body_site": site_view(assessment.body_site) if assessment.body_site else None,
        "laterality": assessment.laterality,
        "performer": assessment.performer,
        "encounter": assessment.encounter,
    }
    return {key: value for key, value in view.items() if value is not None}


def assessment_notes(assessment: Assessment, content: Content) -> list[str]:
    """What was accepted without being checked."""
    return unchecked_site(assessment.body_site, "body_site", content)


def patient_view(who: str | Identifier) -> str | dict[str, str]:
    return {"system": who.system, "value": who.value} if isinstance(who, Identifier) else who


def _named(payload: Any, content: Content) -> Instrument | None:
    name = payload.get("instrument") if isinstance(payload, Mapping) else None
    return content.instruments.get(name) if isinstance(name, str) else None


def _answers(instrument: Instrument | None) -> Reader:
    """A reader of the answers; of an unknown instrument nothing can be said but that they form an object."""

    def read(value: Any, place: Place) -> dict[str, Answer] | None:
        if not isinstance(value, Mapping):
            place.refuse("structure", "Expected an object.")
            return None
        if all(answer is None for answer in value.values()):
            place.refuse("required", "Expected at least one answer.")
        if instrument is None:
            return None
        read = fields(value, place, {item.key: _answer(item) for item in instrument.items})
        return {key: answer for key, answer in read.items() if answer is not None}

    return read


def _answer(item: Item) -> Reader:
    readers: dict[str, Reader] = {
        "boolean": boolean,
        "integer": integer(item.low, item.high),
        "choice": choice([option.key for option in item.options]),
    }
    return readers[item.kind]
