"""A QuestionnaireResponse against its Questionnaire: contained, in the same Bundle, or looked up."""

from copy import deepcopy
from typing import Any

import pytest

from app.mapping.questionnaires.questionnaire import questionnaire
from app.pain.content import load_content
from app.terminology import load_terminology
from app.validation import Validator
from app.validation.checks.questionnaires import by_canonical, check_response
from app.validation.telling.report import Report
from tests.validation.samples import PATIENT

URL = "https://example.org/Questionnaire/pain"
MINIMUM = "http://hl7.org/fhir/StructureDefinition/minValue"
MAXIMUM = "http://hl7.org/fhir/StructureDefinition/maxValue"
RED = {"system": "https://example.org/colours", "code": "red"}
BLUE = {"system": "https://example.org/colours", "code": "blue"}
FORM: dict[str, Any] = {
    "resourceType": "Questionnaire",
    "id": "pain",
    "url": URL,
    "version": "1",
    "status": "active",
    "item": [
        {"linkId": "has", "type": "boolean", "text": "Pain?", "required": True},
        {
            "linkId": "score",
            "type": "integer",
            "enableWhen": [{"question": "has", "operator": "=", "answerBoolean": True}],
            "extension": [{"url": MINIMUM, "valueInteger": 0}, {"url": MAXIMUM, "valueInteger": 10}],
        },
        {
            "linkId": "where",
            "type": "group",
            "repeats": True,
            "item": [
                {
                    "linkId": "site",
                    "type": "choice",
                    "repeats": True,
                    "answerOption": [{"valueCoding": RED}, {"valueString": "knee"}],
                    "item": [{"linkId": "side", "type": "string", "maxLength": 5}],
                },
                {"linkId": "words", "type": "open-choice", "answerOption": [{"valueCoding": RED}]},
            ],
        },
        {"linkId": "sex", "type": "choice", "answerValueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"},
        {"linkId": "note", "type": "display"},
        {
            "linkId": "severe",
            "type": "boolean",
            "enableBehavior": "all",
            "enableWhen": [
                {"question": "score", "operator": ">=", "answerInteger": 7},
                {"question": "has", "operator": "exists", "answerBoolean": True},
            ],
        },
    ],
}


def item(link: str, *answers: Any, **rest: Any) -> dict[str, Any]:
    named = [each if isinstance(each, dict) else {_name(each): each} for each in answers]
    return {"linkId": link} | ({"answer": named} if named else {}) | rest


def _name(value: Any) -> str:
    return {bool: "valueBoolean", int: "valueInteger", str: "valueString"}[type(value)]


def coded(coding: dict[str, Any]) -> dict[str, Any]:
    return {"valueCoding": coding}


def response(*items: dict[str, Any], **rest: Any) -> dict[str, Any]:
    made = {"resourceType": "QuestionnaireResponse", "questionnaire": URL, "status": "completed"}
    return made | {"text": PATIENT["text"], "item": deepcopy(list(items))} | rest


YES, NO = item("has", True), item("has", False)
SITES = item("where", item=[item("site", coded(RED), "knee")])
GENDERS = "http://hl7.org/fhir/administrative-gender"


def told(answered: dict[str, Any]) -> list[tuple[str, str, str]]:
    report = Report()
    check_response(report, answered, FORM, load_terminology(), "QR")
    return [(each.severity, each.rule, each.expression) for each in report.issues]


@pytest.mark.parametrize(
    "items",
    [
        (NO,),
        (YES, item("score", 7), SITES, SITES, item("severe", True)),
        (YES, item("score", 0), item("where", item=[item("words", "like fire")])),
        (YES, item("where", item=[item("site", coded(RED) | {"item": [item("side", "left")]})])),
        (YES, item("sex", coded({"system": GENDERS, "code": "female"})), item("note")),
    ],
)
def test_good_answers_have_no_issue(items: tuple[dict[str, Any], ...]) -> None:
    assert told(response(*items)) == []


@pytest.mark.parametrize(
    ("items", "rule", "where"),
    [
        ((), "dmt-item-required", "QR.item"),
        ((item("has"),), "dmt-item-required", "QR.item[0].answer"),
        ((YES, item("unheard", 1)), "dmt-item-unknown", "QR.item[1]"),
        ((YES, SITES, item("score", 3)), "dmt-item-order", "QR.item[2]"),
        ((YES, YES), "dmt-item-repeats", "QR.item[1]"),
        ((item("has", True, True),), "dmt-item-repeats", "QR.item[0]"),
        ((NO, item("score", 3)), "dmt-item-disabled", "QR.item[1]"),
        ((YES, item("score", 6), item("severe", True)), "dmt-item-disabled", "QR.item[2]"),
        ((item("has", "yes"),), "dmt-answer-type", "QR.item[0].answer[0]"),
        ((YES, item("score", 11)), "dmt-answer-range", "QR.item[1].answer[0]"),
        ((YES, item("score", -1)), "dmt-answer-range", "QR.item[1].answer[0]"),
        ((YES, item("where", 1, item=[])), "dmt-item-nesting", "QR.item[1]"),
        ((item("has", True, item=[item("score", 1)]),), "dmt-item-nesting", "QR.item[0]"),
        ((YES, item("note", "x")), "dmt-item-nesting", "QR.item[1]"),
        (
            (YES, item("where", item=[item("site", coded(BLUE))])),
            "dmt-answer-option",
            "QR.item[1].item[0].answer[0]",
        ),
        ((YES, item("where", item=[item("site", "hip")])), "dmt-answer-option", "QR.item[1].item[0].answer[0]"),
        (
            (YES, item("where", item=[item("site", "knee", item=[item("side", "left")])])),
            "dmt-item-nesting",
            "QR.item[1].item[0]",
        ),
        (
            (YES, item("where", item=[item("site", coded(RED) | {"item": [item("side", "leftmost")]})])),
            "dmt-answer-length",
            "QR.item[1].item[0].answer[0].item[0].answer[0]",
        ),
        (
            (YES, item("sex", coded({"system": GENDERS, "code": "blue"}))),
            "dmt-answer-option",
            "QR.item[1].answer[0]",
        ),
    ],
)
def test_one_wrong_answer_is_found_at_its_place(items: tuple[dict[str, Any], ...], rule: str, where: str) -> None:
    assert told(response(*items)) == [("error", rule, where)]


@pytest.mark.parametrize("status", ["in-progress", "stopped"])
def test_what_is_missing_in_an_unfinished_response_is_a_warning(status: str) -> None:
    assert told(response(status=status)) == [("warning", "dmt-item-required", "QR.item")]


def test_another_text_than_the_questionnaires_is_a_warning() -> None:
    assert told(response(item("has", False, text="Any pain?"))) == [("warning", "dmt-item-text", "QR.item[0].text")]


def rules(validator: Validator, resource: dict[str, Any]) -> set[str]:
    return {each.rule for each in validator.check(resource) if each.rule.startswith(("dmt-item", "dmt-answer"))}


def test_a_contained_questionnaire_is_found(validator: Validator) -> None:
    asked = response(item("unheard", 1), questionnaire="#pain", contained=[FORM])

    assert rules(validator, asked) == {"dmt-item-unknown", "dmt-item-required"}


@pytest.mark.parametrize(("canonical", "is_found"), [(URL, True), (f"{URL}|1", True), (f"{URL}|2", False)])
def test_a_questionnaire_in_the_bundle_is_found_by_its_canonical(
    validator: Validator, canonical: str, is_found: bool
) -> None:
    entries = [FORM, response(item("unheard", 1), questionnaire=canonical)]
    urls = ["urn:uuid:9b9d5c2a-1111-4222-8333-444455556661", "urn:uuid:9b9d5c2a-1111-4222-8333-444455556662"]
    whole = [{"fullUrl": url, "resource": each} for url, each in zip(urls, entries, strict=True)]

    found = rules(validator, {"resourceType": "Bundle", "type": "collection", "entry": whole})

    assert bool(found) is is_found


INSTRUMENTS = load_content().instruments.values()


@pytest.mark.parametrize("form", [questionnaire(each) for each in INSTRUMENTS], ids=[each.id for each in INSTRUMENTS])
def test_our_own_questionnaires_are_found_and_hold_their_answers(form: dict[str, Any]) -> None:
    lookup = by_canonical([form])
    answered = [{"linkId": each["linkId"], "answer": [{"valueAttachment": {}}]} for each in form["item"]]

    report = Report()
    found = lookup(f"{form['url']}|{form['version']}")
    assert found is form
    check_response(report, response(*answered), found, load_terminology(), "QR")

    assert {each.rule for each in report.issues} == {"dmt-answer-type"}
    assert len(report.issues) == len(form["item"])
    assert lookup(f"{form['url']}|0.0.0") is None


@pytest.mark.parametrize("junk", [None, 1, "x", [], {}, [None], [[]], {"a": 1}])
@pytest.mark.parametrize("place", ["item", "linkId", "answer", "type", "enableWhen", "answerOption", "extension"])
def test_content_of_any_shape_gets_an_answer(place: str, junk: Any) -> None:
    form, answered = deepcopy(FORM), response(YES, SITES)
    form["item"][0][place] = form["item"][2]["item"][0][place] = junk
    answered["item"][0][place] = answered["item"][1]["item"][0][place] = junk
    report = Report()

    check_response(report, answered | {"status": junk}, form, load_terminology(), "QR")

    assert all(each.rule for each in report.issues)


@pytest.mark.parametrize(("place", "is_fine"), [("expression", True), ("language", False)])
def test_the_language_of_an_expression_is_a_media_type(validator: Validator, place: str, is_fine: bool) -> None:
    form = {**FORM, "text": PATIENT["text"]}
    if place == "expression":
        said = {"language": "text/fhirpath", "expression": "1 + 1"}
        form["extension"] = [{"url": "https://example.org/x", "valueExpression": said}]
    else:
        form["language"] = "text/fhirpath"

    assert [each.rule for each in validator.check(form) if each.is_error] == ([] if is_fine else ["dmt-language"])
    assert validator.admits(form) is is_fine
