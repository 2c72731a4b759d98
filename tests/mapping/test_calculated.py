"""The scores of the Questionnaires, as a form filler computes them: what the instruments say they are."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.fhir.fhirpath import compile_expression, value_of
from app.mapping.questionnaires.questionnaire import SCORE, combined, questionnaire, response
from app.pain.content import load_content
from app.pain.instruments.assessments import Assessment
from app.pain.instruments.scoring import score
from app.pain.instruments.types import Answer, Instrument, Item

INSTRUMENTS = list(load_content().instruments.values())
SUMMED = [one for one in INSTRUMENTS if combined(one)]
CALCULATED = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression"


def computed(instrument: Instrument, answers: Mapping[str, Answer]) -> dict[str, Any]:
    """Each score item of the form, by the id of the score; None where its expression gives nothing."""
    assessment = Assessment("Patient/12", instrument.id, "2026-05-01T09:30:00Z", answers)
    answered = response(assessment, instrument, "q", "Patient/12")
    items = [one for one in questionnaire(instrument)["item"] if one["linkId"].startswith(SCORE)]
    found = {}
    for item in items:
        (expression,) = [one["valueExpression"] for one in item["extension"] if one["url"] == CALCULATED]
        values = [value_of(one) for one in compile_expression(expression["expression"])(answered)]
        assert len(values) < 2
        found[item["linkId"].removeprefix(SCORE)] = values[0] if values else None
    return found


def published(instrument: Instrument, answers: Mapping[str, Answer]) -> dict[str, Any]:
    known = {one.id: one.value for one in score(instrument, answers)}
    return {rule.id: known.get(rule.id) for rule in combined(instrument)}


def examples() -> Iterator[Any]:
    for one in SUMMED:
        for number, example in enumerate(one.examples):
            yield pytest.param(one, example, id=f"{one.id}-{number}")


@pytest.mark.parametrize(("instrument", "example"), list(examples()))
def test_the_expressions_give_the_published_scores(instrument: Instrument, example: Mapping[str, Any]) -> None:
    wanted = {name: stated.get("value") for name, stated in example["scores"].items()}

    found = computed(instrument, example["answers"])

    assert found == {rule.id: wanted.get(rule.id) for rule in combined(instrument)}


def answer_to(item: Item) -> st.SearchStrategy[Answer]:
    if item.kind == "choice":
        return st.sampled_from([option.key for option in item.options])
    return st.booleans() if item.kind == "boolean" else st.integers(item.low, item.high)


@st.composite
def answered(draw: st.DrawFn) -> tuple[Instrument, dict[str, Answer]]:
    """An instrument with any answers, none of its items left out or some."""
    instrument = draw(st.sampled_from(SUMMED))
    left_out = draw(st.sets(st.sampled_from([item.key for item in instrument.items]), max_size=draw(st.integers(0, 3))))
    return instrument, {one.key: draw(answer_to(one)) for one in instrument.items if one.key not in left_out}


@settings(max_examples=150, deadline=None)
@given(answered())
def test_whatever_is_answered_they_give_what_the_clinic_api_gives(given: tuple[Instrument, dict[str, Answer]]) -> None:
    assert computed(*given) == published(*given)


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda one: one.id)
def test_a_form_has_every_item_with_its_limits_and_points(instrument: Instrument) -> None:
    form = questionnaire(instrument)

    asked = {one["linkId"]: one for one in form["item"] if not one.get("readOnly")}
    assert list(asked) == [item.key for item in instrument.items]
    for item in instrument.items:
        shown = asked[item.key]
        stated = {one["url"].rpartition("/")[2]: one for one in shown.get("extension", [])}
        if item.kind == "integer":
            assert (stated["minValue"]["valueInteger"], stated["maxValue"]["valueInteger"]) == (item.low, item.high)
        points = [one.get("extension", [{}])[0].get("valueDecimal") for one in shown.get("answerOption", [])]
        assert points == [option.points for option in item.options]
    assert form["copyright"] == instrument.licence
    assert instrument.citation in form["description"]


def test_a_score_says_its_unit_and_its_range() -> None:
    form = questionnaire(load_content().instruments["dn4"])

    (item,) = [one for one in form["item"] if one["linkId"] == "score.dn4"]

    limits = {one["url"].rpartition("/")[2]: one for one in item["extension"]}
    assert (limits["minValue"]["valueDecimal"], limits["maxValue"]["valueDecimal"]) == (Decimal(0), Decimal(10))
    assert limits["questionnaire-unit"]["valueCoding"]["code"] == "{score}"
    assert item["readOnly"] is True
