"""The shape of the content files holds every instrument of the reference: weights, means, choices, subscores, bands."""

from decimal import Decimal
from typing import Any

from app.pain.content import load_content
from app.pain.instruments.scoring import score, scores_view
from app.pain.instruments.types import Instrument, attainable, instrument
from app.pain.instruments.views import instrument_view

SYSTEMS = load_content().systems


def made(*items: dict[str, Any], scores: list[dict[str, Any]], bands: dict[str, Any] | None = None) -> Instrument:
    file = {
        "id": "trial",
        "title": "Trial",
        "version": "1",
        "citation": "",
        "recall": "",
        "source": "",
        "licence": "",
        "allows": "",
        "codings": [],
        "item": [{"label": item["key"], "profile": "screening-item"} | item for item in items],
        "score": [{"label": one["id"]} | one for one in scores],
        "bands": bands or {},
        "example": [],
    }
    return instrument(file, SYSTEMS)


YES_NO = {"type": "boolean"}
COURSE = {
    "type": "choice",
    "options": [
        {"key": "steady", "label": "steady", "points": 0},
        {"key": "attacks", "label": "attacks", "points": -1},
        {"key": "radiating", "label": "radiating", "points": 1},
    ],
}


def test_weights_and_choices_add_up() -> None:
    one = made(
        {"key": "a", "answer": YES_NO, "weight": 5},
        {"key": "b", "answer": YES_NO, "weight": -1},
        {"key": "course", "answer": COURSE},
        scores=[{"id": "trial", "method": "sum", "items": ["a", "b", "course"], "range": [-2, 6]}],
    )

    scores = scores_view(score(one, {"a": True, "b": True, "course": "attacks"}))

    assert scores == {"trial": {"value": 3}}
    assert attainable(one, one.scores[0]) == (-2, 6)


def test_a_mean_may_need_only_some_answers() -> None:
    items = [{"key": key, "answer": {"type": "integer", "low": 0, "high": 10}} for key in "abc"]
    rule = {"id": "mean", "method": "mean", "items": ["a", "b", "c"], "range": [0, 10], "least_answered": 2}
    one = made(*items, scores=[rule])

    assert scores_view(score(one, {"a": 7, "b": 8})) == {"mean": {"value": Decimal("7.50")}}
    assert scores_view(score(one, {"a": 7})) == {"mean": {"value": None}}
    assert attainable(one, one.scores[0]) == (0, 10)


def test_a_table_converts_the_sum_of_points() -> None:
    items = [{"key": key, "answer": {"type": "integer", "low": 0, "high": 1}} for key in "ab"]
    table = {"0": Decimal("40.1"), "1": Decimal("50.0"), "2": Decimal("62.3")}
    rule = {
        "id": "t",
        "method": "table",
        "items": ["a", "b"],
        "range": [Decimal("40.1"), Decimal("62.3")],
        "table": table,
    }
    one = made(*items, scores=[rule])

    assert scores_view(score(one, {"a": 1, "b": 1})) == {"t": {"value": Decimal("62.3")}}
    assert attainable(one, one.scores[0]) == (Decimal("40.1"), Decimal("62.3"))


def test_a_result_may_be_positive_at_or_below_the_cutoff() -> None:
    rule = {"id": "change", "method": "value", "items": ["a"], "range": [1, 7], "cutoff": 2, "positive_when": "at-most"}
    one = made({"key": "a", "answer": {"type": "integer", "low": 1, "high": 7}}, scores=[rule])

    found = [scores_view(score(one, {"a": answer}))["change"]["positive"] for answer in (1, 2, 3)]

    assert found == [True, True, False]


def test_a_missing_item_is_never_a_no() -> None:
    rule = {"id": "trial", "method": "sum", "items": ["a", "b"], "range": [0, 2], "cutoff": 1}
    one = made({"key": "a", "answer": YES_NO}, {"key": "b", "answer": YES_NO}, scores=[rule])

    [found] = score(one, {"a": True})

    assert (found.value, found.positive, found.missing) == (None, None, ("b",))


def test_the_clinic_sees_what_may_be_answered_and_what_is_scored() -> None:
    view = instrument_view(load_content().instruments["nrs"])

    assert view["items"][0] == {
        "key": "current",
        "label": "Pain now",
        "answered_by": "patient",
        "type": "integer",
        "range": [0, 10],
        "unit": "score",
    }
    assert view["scores"][0]["bands"][1] == {"id": "mild", "from": 1, "to": 3}
