"""Derives the constraints that recompute a score from the answers it names, as far as they are at hand.

The answers are the Observations of hasMember (contained, or in the same Bundle) and components of the score, or the
items of the response it is derived from. Where not all it needs are there exactly once, nothing can be told.
"""

from collections.abc import Iterator, Sequence

from app.pain.instruments.types import Instrument, Item, Points, ScoreRule
from tools.expressions import CONTENT, ITEM, SCORE, Told, answered_in, every, has, one_of

_OBSERVED = "hasMember.resolve().ofType(Observation).combine(%resource.component)"
_RESPONSE = "derivedFrom.resolve().ofType(QuestionnaireResponse)"
_VALUE = "value.ofType(Quantity).value"
_WORDS = {"sum": "the sum", "mean": "the mean", "table": "by its table from the sum"}
# Half of what is lost where a mean is written with one decimal.
_ROUNDED = "0.05"


def sums() -> list[Told]:
    """For every score made of several answers: what they make, and naming as many as it needs."""
    told: list[Told] = []
    for one in CONTENT.instruments.values():
        for rule in one.scores:
            if rule.method != "value":
                told += of_rule(one, rule)
    return told


def of_rule(one: Instrument, rule: ScoreRule) -> list[Told]:
    items = [one.item(key) for key in rule.items]
    scored = f"{has('code', SCORE, [rule.coding.code])} and value.exists()"
    found = f"{_OBSERVED}.code.coding.where(system = '{ITEM}' and ({one_of(item.coding.code for item in items)})).code"
    asked = f"{_RESPONSE}.where({answered_in(one.id)}).item.where(({_keys(items)}) and answer.exists()).linkId"
    # A member that is not at hand may be one of the answers.
    at_hand = "" if rule.least_answered == len(items) else " and hasMember.count() = hasMember.resolve().count()"
    made = _WORDS[rule.method]
    told = [
        Told(
            f"np-score-{rule.id}-sum",
            f"{rule.label}: {made} of the answers it is made of.",
            f"{scored} and {_all_once(found, rule)}{at_hand} implies {_made(rule, _observed(items), found)}",
            "warning",
        ),
        Told(
            f"np-score-{rule.id}-response",
            f"{rule.label}: {made} of the answers of the response it is derived from.",
            f"{scored} and {_all_once(asked, rule)} implies {_made(rule, _responded(one, items), asked)}",
            "warning",
        ),
    ]
    # Of a score that rests on one answer there is nothing to count: a member is there or none is.
    return [*told, _members(rule, items, scored)] if rule.least_answered > 1 else told


def _members(rule: ScoreRule, items: Sequence[Item], scored: str) -> Told:
    return Told(
        f"np-score-{rule.id}-members",
        f"{rule.label}: rests on {rule.least_answered} answers at least.",
        f"{scored} and hasMember.exists() implies "
        f"hasMember.count() + component.where({has('code', ITEM, [i.coding.code for i in items])}).count() "
        f">= {rule.least_answered}",
        "warning",
    )


def _made(rule: ScoreRule, terms: Iterator[str], names: str) -> str:
    """Whether the value is what the points make."""
    total = _points(terms)
    if rule.method == "sum":
        return f"{_VALUE} = {total}"
    if rule.method == "mean":
        return f"({_VALUE} - {total} / {names}.count()).abs() <= {_ROUNDED}"
    rows = every(f"$this = {points} implies %resource.{_VALUE} = {score}" for points, score in rule.table.items())
    return f"{total}.all({rows})"


def _all_once(names: str, rule: ScoreRule) -> str:
    sign = "=" if rule.least_answered == len(rule.items) else ">="
    return f"{names}.count() {sign} {rule.least_answered} and {names}.isDistinct()"


def _keys(items: Sequence[Item]) -> str:
    return one_of((item.key for item in items), "linkId")


def _points(terms: Iterator[str]) -> str:
    return f"({' + '.join(terms)})"


def _observed(items: Sequence[Item]) -> Iterator[str]:
    """The points of the answers given as Observations and components."""
    for group in _alike(items):
        answers = f"{_OBSERVED}.where({has('$this.code', ITEM, [item.coding.code for item in group])}).value"
        number = "ofType(Quantity).value" if group[0].unit else "ofType(integer)"
        yield from _terms(group[0], answers, number, "ofType(CodeableConcept).coding")


def _responded(one: Instrument, items: Sequence[Item]) -> Iterator[str]:
    """The points of the answers given in a response."""
    for group in _alike(items):
        answers = f"{_RESPONSE}.where({answered_in(one.id)}).item.where({_keys(group)}).answer.value"
        yield from _terms(group[0], answers, "ofType(integer)", "ofType(Coding)")


def _alike(items: Sequence[Item]) -> list[list[Item]]:
    """Items whose answers give points in the same way, together; a choice by itself."""
    groups: dict[tuple[str, Points, str, str], list[Item]] = {}
    for item in items:
        choice = item.key if item.kind == "choice" else ""
        groups.setdefault((item.kind, item.weight, item.unit, choice), []).append(item)
    return list(groups.values())


def _terms(item: Item, answers: str, number: str, coded: str) -> Iterator[str]:
    if item.kind == "boolean":
        yield _times(f"{answers}.ofType(boolean).where($this).count()", item.weight)
    elif item.kind == "integer":
        yield _times(f"{answers}.{number}.aggregate($this + $total, 0)", item.weight)
    else:
        for option in item.options:
            if not option.points:
                continue
            chosen = f"{answers}.{coded}.where(system = '{ITEM}' and code = '{option.coding.code}').count()"
            yield _times(chosen, option.points)


def _times(term: str, weight: Points) -> str:
    return term if weight == 1 else f"{term} * {weight}"
