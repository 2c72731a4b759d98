"""What follows from a QuestionnaireResponse others wrote: what the clinic API writes for the same answers.

It is the one home of this for $extract and for responses that come in by FHIR.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.fhir.instants import instant, microseconds
from app.mapping.clinic import KINDS
from app.mapping.detected_issue import TYPE as ISSUE
from app.mapping.detected_issue import detected_issues
from app.mapping.elements import Resource, Unrecognised, is_error, plain, target
from app.mapping.judging import ASSESSMENTS
from app.mapping.questionnaires.observation import assessment_from_fhir
from app.mapping.questionnaires.questionnaire import SCORE, answers_of, given_answers, instrument_of
from app.mapping.revision import merged, withdraw
from app.pain.content import Content
from app.pain.errors import Rejected
from app.pain.instruments.assessments import Assessment, read_answers
from app.pain.instruments.safety import safety
from app.pain.instruments.scoring import score
from app.pain.instruments.types import Instrument
from app.pain.reading import CLOCK_SKEW, Place, past_moment
from app.profiles import canonical

_DONE = ("completed", "amended")


def is_ours(response: Resource) -> bool:
    """Whether a response answers a questionnaire of ours, by any version, known here or not."""
    return str(response.get("questionnaire", "")).startswith(canonical("Questionnaire", ""))


def is_done(response: Resource) -> bool:
    """Whether the answers are all there is to say: only then are they scored."""
    return response.get("status") in _DONE


def extracted(
    response: Resource, content: Content, now: datetime, before: Resource | None = None, parts: Sequence[Resource] = ()
) -> list[Resource]:
    """The Observations of a response that has an id, each answer's first, then what the rules say of it.

    before, parts: the response and what belongs to it as they are stored; parts are amended, and those whose answer
    was taken back are entered in error. Raises Rejected with all that keeps it from being scored.
    """
    if is_error(response):
        return withdraw([one for one in parts if not is_error(one)])
    observed = [one for one in parts if one["resourceType"] == "Observation"]
    assessment = read_response(response, content, now, observed)
    kind, patient, anchor = KINDS["assessments"], str(assessment.patient), response["id"]
    if observed and before and _was_scored(before, content, now):
        made = kind.amend(assessment, content, patient, lambda: anchor, [before, *observed])
    else:
        fresh = kind.to_fhir(assessment, content, patient, lambda: anchor, [response, *observed] if observed else ())
        # Of what no answers stand behind any more, nobody can say what others have added: what is said now counts.
        made = merged(observed, [one for one in observed if not is_error(one)], fresh)
    issues = detected_issues(
        safety(content.instruments[assessment.instrument], assessment.answers),
        content,
        patient_ref=patient,
        implicated=[f"{response['resourceType']}/{anchor}"],
        identified=instant(microseconds(now)),
        previous=[one for one in parts if one["resourceType"] == ISSUE],
        places=ASSESSMENTS.places(made, content),
    )
    return [*(one for one in made if one["resourceType"] == "Observation"), *issues]


def read_response(response: Resource, content: Content, now: datetime, parts: Sequence[Resource] = ()) -> Assessment:
    """The assessment a response is. Raises Rejected as the clinic API does, with the places of the response.

    parts: the Observations there are; they say where it hurts, which a response cannot.
    """
    instrument = instrument_of(response, content.instruments)
    place = Place("QuestionnaireResponse")
    if not is_done(response):
        place.at("status").refuse("business-rule", f"Only what is {' or '.join(_DONE)} is scored.")
    if not _is_patient(target(response.get("subject"))):
        place.at("subject").refuse("required", "The scores are about a patient: name it by a reference.")
    _require_moment(response.get("authored"), place.at("authored"), now)
    answers = read_answers(instrument, given_answers(response, instrument, place), place.at("item"))
    place.settle()
    return replace(assessment_from_fhir([{**response, "item": []}, *parts], content), answers=answers)


def notes(response: Resource, content: Content) -> list[str]:
    """What is to be said about a response that was scored: what it raises, and its own scores where ours differ."""
    instrument = instrument_of(response, content.instruments)
    answers = answers_of(response, instrument)
    ours = {one.id: one.value for one in score(instrument, answers)}
    raised = [f"{one.rule}: {one.message}" for one in safety(instrument, answers).findings]
    return raised + [
        f"The response says {_said(theirs)} for the score {name}; by its answers it is {_said(ours.get(name))}."
        for name, theirs in _stated(response, instrument).items()
        if theirs != ours.get(name)
    ]


def _stated(response: Resource, instrument: Instrument) -> dict[str, Any]:
    """The scores a response holds itself, by the id of the score."""
    known = {f"{SCORE}{rule.id}": rule.id for rule in instrument.scores}
    rows = (row for row in response.get("item", []) if row.get("linkId") in known and row.get("answer"))
    return {known[row["linkId"]]: row["answer"][0].get("valueDecimal") for row in rows}


def _said(value: int | Decimal | None) -> str:
    return "nothing" if value is None else plain(value)


def _was_scored(before: Resource, content: Content, now: datetime) -> bool:
    """Whether what is stored was written from this, so that the mapping can say what of it was ours."""
    try:
        read_response(before, content, now)
    except (Rejected, Unrecognised):
        return False
    return True


def _is_patient(reference: str | None) -> bool:
    return bool(reference) and ("Patient/" in str(reference) or str(reference).startswith("urn:"))


def _require_moment(authored: Any, place: Place, now: datetime) -> None:
    """When the patient answered: a day will do, as R4 allows it."""
    if authored is None:
        place.refuse("required", "The scores need to say when the patient answered.")
    elif len(str(authored)) == 10:
        if str(authored) > (now + CLOCK_SKEW).date().isoformat():
            place.refuse("business-rule", "This day lies in the future.")
    else:
        past_moment(now)(authored, place)
