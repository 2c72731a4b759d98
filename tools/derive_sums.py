"""Derives the constraints that recompute a score from the answers it names, as far as they are at hand.

The answers are the Observations of hasMember (contained, or in the same Bundle) and components of the score, or the
items of the response it is derived from. Where not every item is there exactly once, nothing can be told.
"""

from collections.abc import Iterator, Sequence

from app.pain.instruments import Instrument, Item, Points, ScoreRule
from tools.expressions import CONTENT, ITEM, SCORE, Told, answered_in, has, one_of

_OBSERVED = "hasMember.resolve().ofType(Observation).combine(%resource.component)"
_RESPONSE = "derivedFrom.resolve().ofType(QuestionnaireResponse)"


def sums() -> list[Told]:
    """For every score that is a sum: equal to its answers, and naming as many as it has items."""
    told: list[Told] = []
    for one in CONTENT.instruments.values():
        for rule in one.scores:
            if rule.method == "sum":
                told += of_rule(one, rule)
    return told


def of_rule(one: Instrument, rule: ScoreRule) -> list[Told]:
    items = [one.item(key) for key in rule.items]
    scored = f"{has('code', SCORE, [rule.coding.code])} and value.exists()"
    found = f"{_OBSERVED}.code.coding.where(system = '{ITEM}' and ({one_of(item.coding.code for item in items)})).code"
    asked = f"{_RESPONSE}.where({answered_in(one.id)}).item.where(({_keys(items)}) and answer.exists()).linkId"
    value = "value.ofType(Quantity).value"
    return [
        Told(
            f"np-score-{rule.id}-sum",
            f"{rule.label}: the sum of the answers it is made of.",
            f"{scored} and {_all_once(found, items)} implies {value} = {_points(_observed(items))}",
            "warning",
        ),
        Told(
            f"np-score-{rule.id}-response",
            f"{rule.label}: the sum of the answers of the response it is derived from.",
            f"{scored} and {_all_once(asked, items)} implies {value} = {_points(_responded(one, items))}",
            "warning",
        ),
        Told(
            f"np-score-{rule.id}-members",
            f"{rule.label}: rests on {rule.least_answered} answers at least.",
            f"{scored} and hasMember.exists() implies "
            f"hasMember.count() + component.where({has('code', ITEM, [i.coding.code for i in items])}).count() "
            f">= {rule.least_answered}",
            "warning",
        ),
    ]


def _all_once(names: str, items: Sequence[Item]) -> str:
    return f"{names}.count() = {len(items)} and {names}.isDistinct()"


def _keys(items: Sequence[Item]) -> str:
    return one_of((item.key for item in items), "linkId")


def _points(terms: Iterator[str]) -> str:
    return f"({' + '.join(terms)})"


def _observed(items: Sequence[Item]) -> Iterator[str]:
    """The points of the answers given as Observations and components."""
    for group in _alike(items):
        answers = f"{_OBSERVED}.where({has('$this.code', ITEM, [item.coding.code for item in group])}).value"
        yield from _terms(group[0], answers, "ofType(CodeableConcept).coding")


def _responded(one: Instrument, items: Sequence[Item]) -> Iterator[str]:
    """The points of the answers given in a response."""
    for group in _alike(items):
        answers = f"{_RESPONSE}.where({answered_in(one.id)}).item.where({_keys(group)}).answer.value"
        yield from _terms(group[0], answers, "ofType(Coding)")


def _alike(items: Sequence[Item]) -> list[list[Item]]:
    """Items whose answers give points in the same way, together; a choice by itself."""
    groups: dict[tuple[str, Points, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.kind, item.weight, item.key if item.kind == "choice" else ""), []).append(item)
    return list(groups.values())


def _terms(item: Item, answers: str, coded: str) -> Iterator[str]:
    if item.kind == "boolean":
        yield _times(f"{answers}.ofType(boolean).where($this).count()", item.weight)
    elif item.kind == "integer":
        yield _times(f"{answers}.ofType(integer).aggregate($this + $total, 0)", item.weight)
    else:
        for option in item.options:
            chosen = f"{answers}.{coded}.where(system = '{ITEM}' and code = '{option.coding.code}').count()"
            yield _times(chosen, option.points)


def _times(term: str, weight: Points) -> str:
    return term if weight == 1 else f"{term} * {weight}"
