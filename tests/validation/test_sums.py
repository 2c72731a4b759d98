"""The derived sum of a score holds for every kind of item: shown on an instrument made up for this."""

from itertools import product
from typing import Any

import pytest

from app.fhir.fhirpath import compile_expression
from app.pain.content import load_content
from app.pain.instruments.scoring import score
from app.pain.instruments.types import Answer, instrument
from app.profiles import canonical
from tools.derive_sums import of_rule

SYSTEMS = load_content().systems
KIND = {
    "type": "choice",
    "options": [{"key": key, "label": key, "points": points} for key, points in (("no", 0), ("so", 2))],
}
ITEMS: list[dict[str, Any]] = [
    {"key": "yes", "answer": {"type": "boolean"}, "weight": 5},
    {"key": "joints", "answer": {"type": "boolean"}, "weight": -1},
    {"key": "much", "answer": {"type": "integer", "low": 0, "high": 3}, "weight": 2},
    {"key": "kind", "answer": KIND},
]
FILE: dict[str, Any] = {
    "id": "made-up",
    "title": "Made up",
    "version": "1",
    "citation": "",
    "recall": "",
    "source": "",
    "licence": "",
    "allows": "",
    "codings": [],
    "example": [],
    "item": [{**each, "label": each["key"], "profile": "screening-item"} for each in ITEMS],
    "score": [
        {
            "id": "made-up",
            "label": "Made up",
            "method": "sum",
            "items": [each["key"] for each in ITEMS],
            "range": [-1, 13],
        }
    ],
}
MADE_UP = instrument(FILE, SYSTEMS)
RULES = {
    each.key: compile_expression(each.expression, context="Observation") for each in of_rule(MADE_UP, MADE_UP.scores[0])
}
ANSWERS = [
    dict(zip(("yes", "joints", "much", "kind"), each, strict=True))
    for each in product((True, False), (True, False), (0, 3), ("no", "so"))
]


def points(answers: dict[str, Answer]) -> int:
    [found] = score(MADE_UP, answers)
    assert found.value is not None
    return int(found.value)


def coded(code: str) -> dict[str, Any]:
    return {"coding": [{"system": SYSTEMS["np-item"], "code": code}]}


def observed(value: int, answers: dict[str, Answer]) -> dict[str, Any]:
    """A score with its answers as contained Observations and, the last of them, as a component."""
    parts = [{"code": coded(f"made-up.{key}"), **_value(key, answer)} for key, answer in answers.items()]
    contained = [{"resourceType": "Observation", "id": f"i{at}", **part} for at, part in enumerate(parts[:-1])]
    return {
        **_score(value),
        "contained": contained,
        "hasMember": [{"reference": f"#{each['id']}"} for each in contained],
        "component": parts[-1:],
    }


def responded(value: int, answers: dict[str, Answer]) -> dict[str, Any]:
    items = [{"linkId": key, "answer": [_value(key, answer, "valueCoding")]} for key, answer in answers.items()]
    url = canonical("Questionnaire", "made-up")
    response = {"resourceType": "QuestionnaireResponse", "id": "r", "questionnaire": f"{url}|1", "item": items}
    return {**_score(value), "contained": [response], "derivedFrom": [{"reference": "#r"}]}


def _score(value: int) -> dict[str, Any]:
    code = {"coding": [{"system": SYSTEMS["np-instrument"], "code": "made-up"}]}
    return {"resourceType": "Observation", "code": code, "valueQuantity": {"value": value}}


def _value(key: str, answer: Answer, coding: str = "valueCodeableConcept") -> dict[str, Any]:
    if isinstance(answer, bool):
        return {"valueBoolean": answer}
    if isinstance(answer, int):
        return {"valueInteger": answer}
    concept = coded(f"made-up.{key}.{answer}")
    return {coding: concept if coding == "valueCodeableConcept" else concept["coding"][0]}


@pytest.mark.parametrize("answers", ANSWERS, ids=str)
@pytest.mark.parametrize(("rule", "made"), [("sum", observed), ("response", responded)])
def test_only_the_score_of_the_answers_fits(rule: str, made: Any, answers: dict[str, Answer]) -> None:
    right = points(answers)

    fitting = [value for value in range(-2, 15) if RULES[f"np-score-made-up-{rule}"](made(value, answers)) == [True]]

    assert fitting == [right]


@pytest.mark.parametrize("missing", ["yes", "joints", "much", "kind"])
@pytest.mark.parametrize(("rule", "made"), [("sum", observed), ("response", responded)])
def test_with_an_answer_missing_any_score_fits(rule: str, made: Any, missing: str) -> None:
    answers = {key: answer for key, answer in ANSWERS[0].items() if key != missing}

    assert RULES[f"np-score-made-up-{rule}"](made(99, answers)) == [True]
