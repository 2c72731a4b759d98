"""An instrument as a Questionnaire, and its answers as a QuestionnaireResponse, there and back.

The Questionnaire is a form of HL7 Structured Data Capture: options with their points, limits, and the scores as items
a form filler computes. Scores that are one answer are no items of their own; see observation.py.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from app.fhir.canonicals import STRUCTURE
from app.mapping.elements import (
    Element,
    Resource,
    Unrecognised,
    coding,
    finished,
    fixed,
    head,
    recognising,
    reference,
)
from app.mapping.questionnaires.calculated import score_expression
from app.pain.content import Content
from app.pain.instruments.assessments import Assessment, read_answers
from app.pain.instruments.types import Answer, Instrument, Item, Option, Points, ScoreRule
from app.pain.reading import Place
from app.profiles import canonical

_TYPES = {"boolean": "boolean", "integer": "integer", "choice": "choice"}
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
SCORE = "score."


@cache
def questionnaires(content: Content) -> tuple[Resource, ...]:
    """The Questionnaires of all instruments, made once for each content."""
    return tuple(questionnaire(one) for one in content.instruments.values())


def questionnaire(instrument: Instrument) -> Resource:
    """The Questionnaire of an instrument: keys and paraphrased labels, never copyrighted wording."""
    made = {
        "resourceType": "Questionnaire",
        "id": instrument.id,
        "extension": [{"url": f"{_SDC}observationExtract", "valueBoolean": True}],
        "url": canonical("Questionnaire", instrument.id),
        "version": instrument.version,
        "name": "".join(word.capitalize() for word in instrument.id.split("-")),
        "title": instrument.title,
        "status": "active",
        "publisher": "Dermatome",
        "subjectType": ["Patient"],
        "description": f"Items as keys and paraphrases. {instrument.citation}",
        "copyright": instrument.licence,
        "code": [coding(one) for one in (*instrument.codings, instrument.coding)],
        "item": [*map(_question, instrument.items), *(_computed(instrument, rule) for rule in combined(instrument))],
    }
    return finished(made)


def combined(instrument: Instrument) -> list[ScoreRule]:
    """The scores made of several answers. One that is a single answer stands on that answer."""
    return [rule for rule in instrument.scores if rule.method != "value"]


def _question(item: Item) -> Element:
    question: Element = {
        "linkId": item.key,
        "code": [coding(one) for one in (*item.codings, item.coding)],
        "text": item.label,
        "type": _TYPES[item.kind],
    }
    if item.kind == "integer":
        question["extension"] = [*_limits(Integer=(item.low, item.high)), *_unit(item.unit)]
    if item.options:
        question["answerOption"] = [_option(option) for option in item.options]
    return question


def _option(option: Option) -> Element:
    made = {"valueCoding": coding(option.coding)}
    if option.points is None:
        return made
    return {"extension": [{"url": f"{STRUCTURE}ordinalValue", "valueDecimal": option.points}], **made}


def _computed(instrument: Instrument, rule: ScoreRule) -> Element:
    """A score as an item: nobody answers it, and a response need not carry it."""
    expression = {"language": "text/fhirpath", "expression": score_expression(instrument, rule)}
    calculated = {"url": f"{_SDC}calculatedExpression", "valueExpression": expression}
    return {
        "extension": [calculated, *_unit(rule.unit), *_limits(Decimal=(rule.low, rule.high))],
        "linkId": f"{SCORE}{rule.id}",
        "code": [coding(one) for one in (*rule.codings, rule.coding)],
        "text": rule.label,
        "type": "decimal",
        "readOnly": True,
    }


def _unit(name: str) -> list[Element]:
    """The unit of a number, by its name in vocabulary/fixed.toml; "" for a plain number."""
    return [{"url": f"{STRUCTURE}questionnaire-unit", "valueCoding": coding(fixed(name))}] if name else []


def _limits(**limits: tuple[Points, Points]) -> list[Element]:
    """The least and the greatest value, by their FHIR type."""
    return [
        {"url": f"{STRUCTURE}{name}", f"value{type_}": limit}
        for type_, ends in limits.items()
        for name, limit in zip(("minValue", "maxValue"), ends, strict=True)
    ]


def response(
    assessment: Assessment, instrument: Instrument, resource_id: str, patient_ref: str, status: str = "completed"
) -> Resource:
    """The answers as given, in the order of the instrument; an unanswered item is left out."""
    answers = assessment.answers
    made = head("QuestionnaireResponse", resource_id, "pain-questionnaire-response") | {
        "questionnaire": f"{canonical('Questionnaire', instrument.id)}|{instrument.version}",
        "status": status,
        "subject": reference(patient_ref),
        "encounter": reference(assessment.encounter),
        "authored": assessment.taken_at,
        "author": reference(assessment.performer),
        "item": [_answered(item, answers[item.key]) for item in instrument.items if item.key in answers],
    }
    return finished(made)


def _answered(item: Item, answer: Answer) -> Element:
    return {"linkId": item.key, "text": item.label, "answer": [_value(item, answer)]}


def _value(item: Item, answer: Answer) -> Element:
    if item.kind == "choice":
        return {"valueCoding": coding(item.option(str(answer)).coding)}
    return {"valueBoolean" if item.kind == "boolean" else "valueInteger": answer}


def instrument_of(resource: Resource, instruments: Mapping[str, Instrument]) -> Instrument:
    """The instrument a response answers, by any version. Raises Unrecognised where it is none of ours."""
    url = str(resource.get("questionnaire", "")).partition("|")[0]
    name = url.rpartition("/")[2]
    if url != canonical("Questionnaire", name):
        raise Unrecognised("the questionnaire is none of ours")
    if name not in instruments:
        raise Unrecognised("the instrument is not known")
    return instruments[name]


def answers_of(resource: Resource, instrument: Instrument) -> dict[str, Answer]:
    """The answers of a response, by item key. Raises Unrecognised where one is none of its item's."""
    given, place = given_answers(resource, instrument, Place()), Place()
    answers = read_answers(instrument, given, place) if given else {}
    if place.problems:
        raise Unrecognised("an answer is of another type or range than its item's")
    return answers


def given_answers(resource: Resource, instrument: Instrument, place: Place) -> dict[str, Any]:
    """What a response answers, by item key, in the form of the clinic API where it has one; scores are left aside.

    Problems go to the place: items that are none of the instrument's, and several answers to one.
    """
    items = {item.key: item for item in instrument.items}
    scores = {f"{SCORE}{rule.id}" for rule in instrument.scores}
    found: dict[str, Any] = {}
    for number, row in enumerate(resource.get("item", [])):
        here, link, answers = place.at("item").nth(number), str(row.get("linkId")), row.get("answer", [])
        if link in items and link not in found and len(answers) < 2:
            found.update((link, _answer_of(items[link], one)) for one in answers)
        elif link in items:
            here.refuse("structure", "This item takes one answer.")
        elif link not in scores:
            here.refuse("structure", f"{instrument.id} has no item of this linkId.")
    return found


def _answer_of(item: Item, value: Mapping[str, Any]) -> Any:
    """One answer; what is none of the item's comes as it stands, for its reader to refuse."""
    if item.kind != "choice":
        return value.get("valueBoolean" if item.kind == "boolean" else "valueInteger", value)
    said = value.get("valueCoding", {})
    keys = (one.key for one in item.options if (one.coding.system, one.coding.code) == _key(said))
    return next(keys, value)


def _key(element: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return element.get("system"), element.get("code")


@recognising
def as_answered(fresh: Resource, previous: Sequence[Resource], instruments: Mapping[str, Instrument]) -> Resource:
    """A response as it stood before where it says the same: others may have answered by another version of the
    questionnaire, with other texts, or with the scores among the items."""
    before = next((one for one in previous if one["id"] == fresh["id"]), None)
    if before is None:
        return fresh
    instrument = instrument_of(before, instruments)
    # Another instrument may have items of the same names: NRS and VAS both ask for the pain now.
    if instrument_of(fresh, instruments) is not instrument:
        return fresh
    if answers_of(before, instrument) != answers_of(fresh, instrument):
        return fresh
    return fresh | {name: before[name] for name in ("questionnaire", "item") if name in before}
