"""An instrument as a Questionnaire, and its answers as a QuestionnaireResponse, there and back."""

from collections.abc import Mapping
from typing import Any

from app.mapping.elements import Element, Resource, Unrecognised, coding, finished, head, reference
from app.pain.assessments import Assessment
from app.pain.content import Content
from app.pain.instruments import Answer, Instrument, Item
from app.profiles import canonical

_TYPES = {"boolean": "boolean", "integer": "integer", "choice": "choice"}


def questionnaires(content: Content) -> list[Resource]:
    """The Questionnaires of all instruments."""
    return [questionnaire(one) for one in content.instruments.values()]


def questionnaire(instrument: Instrument) -> Resource:
    """The Questionnaire of an instrument: keys and paraphrased labels, never copyrighted wording."""
    made = {
        "resourceType": "Questionnaire",
        "id": instrument.id,
        "url": canonical("Questionnaire", instrument.id),
        "version": instrument.version,
        "name": "".join(word.capitalize() for word in instrument.id.split("-")),
        "title": instrument.title,
        "status": "active",
        "subjectType": ["Patient"],
        "copyright": instrument.licence,
        "code": [coding(one) for one in (*instrument.codings, instrument.coding)],
        "item": [_question(item) for item in instrument.items],
    }
    return finished(made)


def _question(item: Item) -> Element:
    question: Element = {
        "linkId": item.key,
        "code": [coding(one) for one in (*item.codings, item.coding)],
        "text": item.label,
        "type": _TYPES[item.kind],
    }
    if item.options:
        question["answerOption"] = [{"valueCoding": coding(option.coding)} for option in item.options]
    return question


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
    """The instrument a response answers. Raises Unrecognised where it is none of ours."""
    name = str(resource.get("questionnaire", "")).partition("|")[0].rpartition("/")[2]
    if resource.get("questionnaire", "").partition("|")[0] != canonical("Questionnaire", name):
        raise Unrecognised("the questionnaire is none of ours")
    if name not in instruments:
        raise Unrecognised("the instrument is not known")
    return instruments[name]


def answers_of(resource: Resource, instrument: Instrument) -> dict[str, Answer]:
    """The answers of a response, by item key."""
    given = {row["linkId"]: row["answer"][0] for row in resource.get("item", []) if row.get("answer")}
    return {item.key: _answer_of(item, given[item.key]) for item in instrument.items if item.key in given}


def _answer_of(item: Item, value: Mapping[str, Any]) -> Answer:
    if item.kind == "choice":
        code = value["valueCoding"]["code"]
        return next(option.key for option in item.options if option.coding.code == code)
    answer: Answer = value["valueBoolean" if item.kind == "boolean" else "valueInteger"]
    return answer
