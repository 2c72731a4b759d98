"""An assessment as QuestionnaireResponse and Observations, there and back.

The response holds the answers; each answer is an Observation too, and each score that combines items. A score that
is the answer itself (a numeric rating) is written on the answer's Observation and nowhere else.
"""

from collections.abc import Callable, Sequence
from typing import Any

from app.mapping.elements import (
    Element,
    IdOf,
    Key,
    Resource,
    anchored_ids,
    codeable,
    finished,
    fixed,
    head,
    live,
    only,
    quantity,
    recognising,
    reference,
    site_element,
    site_of,
    target,
)
from app.mapping.questionnaires.questionnaire import answers_of, as_answered, instrument_of, response
from app.mapping.revision import amended
from app.pain.content import Content
from app.pain.instruments.assessments import PERFORMERS, Assessment
from app.pain.instruments.scoring import Score
from app.pain.instruments.types import Answer, Instrument, Item, ScoreRule

_RESPONSE: Key = ("QuestionnaireResponse",)


def assessment_to_fhir(
    assessment: Assessment, scores: Sequence[Score], content: Content, *, patient_ref: str, ids: Callable[[], str]
) -> list[Resource]:
    """The QuestionnaireResponse, then one Observation for each answered item, then one for each combined score."""
    return _written(assessment, scores, content, patient_ref, anchored_ids(ids(), {}))


def amend_assessment(
    previous: Sequence[Resource],
    assessment: Assessment,
    scores: Sequence[Score],
    content: Content,
    *,
    patient_ref: str,
    ids: Callable[[], str],
) -> list[Resource]:
    """The next versions: same ids for the same items, amended; answers taken back are entered in error."""
    known = {_key_of(one, content): one["id"] for one in previous}
    id_of = anchored_ids(known.get(_RESPONSE) or ids(), known)
    fresh, *parts = _written(assessment, scores, content, patient_ref, id_of)
    return amended(previous, [as_answered(fresh, previous, content.instruments), *parts])


@recognising
def assessment_from_fhir(resources: Sequence[Resource], content: Content) -> Assessment:
    """The assessment its resources (the response first) were written from, with the patient's reference.

    Raises Unrecognised. Parts entered in error are left aside, unless the whole is.
    """
    counted = live(resources)
    answered = only(counted, "QuestionnaireResponse")
    instrument = instrument_of(answered, content.instruments)
    observed = next((one for one in counted if one["resourceType"] == "Observation"), {})
    site, laterality = site_of(observed.get("bodySite"), content)
    return Assessment(
        patient=answered["subject"]["reference"],
        instrument=instrument.id,
        taken_at=answered["authored"],
        answers=answers_of(answered, instrument),
        body_site=site,
        laterality=laterality,
        performer=_performer(answered),
        encounter=target(answered.get("encounter")),
    )


def _performer(answered: Resource) -> str | None:
    """Who found what was answered: the author, where an Observation can have it as performer. A device cannot."""
    named = target(answered.get("author"))
    return named if named and named.partition("/")[0] in PERFORMERS else None


def _written(
    assessment: Assessment, scores: Sequence[Score], content: Content, patient_ref: str, id_of: IdOf
) -> list[Resource]:
    instrument = content.instruments[assessment.instrument]
    answered = response(assessment, instrument, id_of(_RESPONSE), patient_ref)
    base = _common(assessment, instrument, content, patient_ref, answered["id"])
    found = {one.id: one for one in scores}
    alone = {rule.items[0]: found.get(rule.id) for rule in instrument.scores if rule.method == "value"}
    items = {
        item.key: _item(item, assessment, base, id_of, alone.get(item.key), content)
        for item in instrument.items
        if item.key in assessment.answers
    }
    combined = [
        _score(rule, found[rule.id], base, id_of, [items[key]["id"] for key in rule.items if key in items], content)
        for rule in instrument.scores
        if rule.method != "value" and rule.id in found
    ]
    return [answered, *items.values(), *combined]


def _common(
    assessment: Assessment, instrument: Instrument, content: Content, patient_ref: str, response_id: str
) -> Element:
    """What all Observations of one assessment share. effectiveDateTime is when the patient answered; when it
    reached us is meta.lastUpdated."""
    performer = reference(assessment.performer)
    return {
        "status": "final",
        "subject": reference(patient_ref),
        "encounter": reference(assessment.encounter),
        "effectiveDateTime": assessment.taken_at,
        "performer": [performer] if performer else None,
        "bodySite": site_element(assessment.body_site, assessment.laterality, content),
        "method": codeable(instrument.coding),
        "derivedFrom": [reference(f"QuestionnaireResponse/{response_id}")],
    }


def _item(
    item: Item, assessment: Assessment, base: Element, id_of: IdOf, alone: Score | None, content: Content
) -> Resource:
    # A survey is a survey even where the examiner answers; what was found by examination is an exam as well.
    categories = ["survey", "exam"] if item.by == "examiner" else ["survey"]
    made = head("Observation", id_of(("Observation", item.coding.code)), item.profile) | base
    made["category"] = [codeable(fixed(name)) for name in categories]
    made["code"] = codeable(*item.codings, item.coding, text=item.label)
    return finished(made | _answer(item, assessment.answers[item.key]) | _meaning(alone, item.unit, content))


def _answer(item: Item, answer: Answer) -> Element:
    if item.kind == "choice":
        option = item.option(str(answer))
        return {"valueCodeableConcept": codeable(*option.codings, option.coding)}
    if item.unit:
        return {"valueQuantity": quantity(int(answer), fixed(item.unit))}
    return {"valueBoolean" if item.kind == "boolean" else "valueInteger": answer}


def _score(rule: ScoreRule, score: Score, base: Element, id_of: IdOf, members: list[str], content: Content) -> Resource:
    made = head("Observation", id_of(("Observation", rule.coding.code)), "screening-score") | base
    made["category"] = [codeable(fixed("survey"))]
    made["code"] = codeable(*rule.codings, rule.coding, text=rule.label)
    made["hasMember"] = [reference(f"Observation/{one}") for one in members]
    return finished(made | _scored(score, rule.unit, content))


def _scored(score: Score, unit: str, content: Content) -> Element:
    """The value and what it means; a score that could not be computed says so, and is never zero."""
    missing = f"not answered: {', '.join(score.missing)}"
    if score.value is None:
        return {"dataAbsentReason": codeable(fixed("unknown"), text=missing)} | _meaning(score, unit, content)
    left_out = {"note": [{"text": missing}]} if score.missing else {}
    return {"valueQuantity": quantity(score.value, fixed(unit))} | left_out | _meaning(score, unit, content)


def _meaning(score: Score | None, unit: str, content: Content) -> Element:
    """What a value means and by which cut-off."""
    parts: list[Element] = []
    if score and score.cutoff is not None:
        parts.append(_part("cutoff", content) | {"valueQuantity": quantity(score.cutoff, fixed(unit))})
    if score and score.band is not None:
        # A band is no concept of HL7's interpretation codes, hence a component of our own.
        parts.append(_part("band", content) | {"valueCodeableConcept": codeable(score.band.coding)})
    made: Element = {"component": parts}
    if score and score.positive is not None:
        made["interpretation"] = [codeable(fixed("positive" if score.positive else "negative"))]
    return made


def _part(name: str, content: Content) -> Element:
    return {"code": codeable(content.own("np-score-part", name))}


@recognising
def _key_of(resource: Resource, content: Content) -> Key:
    """The key a resource was written under: its type, and the code of the item or score."""
    if resource["resourceType"] != "Observation":
        return _RESPONSE
    ours = {content.systems["np-item"], content.systems["np-instrument"]}
    rows: list[dict[str, Any]] = resource["code"].get("coding", [])
    return "Observation", next((one["code"] for one in rows if one.get("system") in ours), resource["id"])
