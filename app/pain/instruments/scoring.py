"""Scores of an answered instrument, exactly as its content file says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from app.pain.instruments.types import Answer, Band, Instrument, Item, Points, ScoreRule


@dataclass(frozen=True, slots=True)
class Score:
    """One score, in points.

    value: None when an item it needs is missing; a missing item never counts as "no".
    positive: against the cut-off, None without either.  missing: keys of the unanswered items.
    """

    id: str
    value: Points | None
    cutoff: Points | None
    positive: bool | None
    band: Band | None
    missing: tuple[str, ...]


def score(instrument: Instrument, answers: Mapping[str, Answer]) -> list[Score]:
    """Every score of one answered instrument; nothing is imputed.

    answers: item key -> answer, checked before, e.g. {"burning": True, "brush_evoked": False}.
    Source: the rule and citation in profiles/instruments/<id>.toml.
    """
    return [
        _score(instrument, rule, answers)
        for rule in instrument.scores
        if not rule.when_answered or any(key in answers for key in rule.items)
    ]


def scores_view(scores: Sequence[Score]) -> dict[str, dict[str, Any]]:
    """The scores in the clinic's JSON: {"dn4": {"value": 6, "cutoff": 4, "positive": true}}."""
    return {one.id: _view(one) for one in scores}


def _view(one: Score) -> dict[str, Any]:
    view: dict[str, Any] = {"value": one.value}
    if one.cutoff is not None:
        view |= {"cutoff": one.cutoff, "positive": one.positive}
    if one.band is not None:
        view["band"] = one.band.coding.code
    return view


def _score(instrument: Instrument, rule: ScoreRule, answers: Mapping[str, Answer]) -> Score:
    given = [key for key in rule.items if key in answers]
    missing = tuple(key for key in rule.items if key not in answers)
    complete = len(given) >= rule.least_answered
    value = _combined(rule, [points(instrument.item(key), answers[key]) for key in given]) if complete else None
    return Score(rule.id, value, rule.cutoff, _positive(rule, value), _band(rule, value), missing)


def points(item: Item, answer: Answer) -> Points:
    """The points one answer gives."""
    if item.kind == "choice":
        given = item.option(str(answer)).points
        if given is None:
            raise ValueError(f"{item.key} enters no score")
        return given
    return int(answer) * item.weight


def _combined(rule: ScoreRule, given: Sequence[Points]) -> Points:
    total = sum(given)
    if rule.method == "mean":
        return (Decimal(total) / len(given)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return rule.table[int(total)] if rule.method == "table" else total


def _positive(rule: ScoreRule, value: Points | None) -> bool | None:
    if rule.cutoff is None or value is None:
        return None
    return value <= rule.cutoff if rule.positive_at_most else value >= rule.cutoff


def _band(rule: ScoreRule, value: Points | None) -> Band | None:
    return next((band for band in rule.bands if value is not None and band.low <= value <= band.high), None)
