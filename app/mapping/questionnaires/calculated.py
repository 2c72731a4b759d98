"""The scores of an instrument as FHIRPath that any form filler can run on a QuestionnaireResponse.

Only functions of the normative FHIRPath are used, so that a form needs neither weights nor functions of its own:
ordinal() and sum() of other forms are not known everywhere.
"""

from collections.abc import Iterable, Iterator

from app.pain.instruments.types import Instrument, Item, Points, ScoreRule


def score_expression(instrument: Instrument, rule: ScoreRule) -> str:
    """The score in points; empty while too few of its items are answered. %resource is the response.

    It gives what app/pain/instruments/scoring.py gives for the same answers (tests/mapping/test_questionnaires.py).
    """
    items = [instrument.item(key) for key in rule.items]
    answered = f"{_items(items)}.answer"
    return f"iif({answered}.count() >= {rule.least_answered}, {_combined(rule, items, answered)})"


def _combined(rule: ScoreRule, items: list[Item], answered: str) -> str:
    total = " + ".join(_terms(items, are_all_there=rule.least_answered == len(items)))
    if rule.method == "mean":
        return f"(({total}) / {answered}.count()).round(2)"
    if rule.method == "table":
        return f"({total}).select({_looked_up(rule)})"
    return total


def _looked_up(rule: ScoreRule) -> str:
    """The table as one choice after the other; a sum that is not in it has no score."""
    found = "{}"
    for points, score in reversed(list(rule.table.items())):
        found = f"iif($this = {points}, {score}, {found})"
    return found


def _terms(items: list[Item], *, are_all_there: bool) -> Iterator[str]:
    """What adds up to the points: each weight once, with the items that have it."""
    yes = [item for item in items if item.kind == "boolean"]
    for weight in _distinct(item.weight for item in yes):
        some = [item for item in yes if item.weight == weight]
        yield _times(f"{_items(some)}.answer.where(value = true).count()", weight)
    for item in items:
        if item.kind == "integer":
            value = f"{_items([item])}.answer.value"
            yield _times(value if are_all_there else f"iif({value}.exists(), {value}, 0)", item.weight)
    options = [option for item in items if item.kind == "choice" for option in item.options]
    chosen = f"{_items([item for item in items if item.kind == 'choice'])}.answer.value" if options else ""
    for points in _distinct(option.points for option in options if option.points is not None):
        if points:
            codes = _any("code", [option.coding.code for option in options if option.points == points])
            yield _times(f"{chosen}.where({codes}).count()", points)


def _items(items: list[Item]) -> str:
    return f"%resource.item.where({_any('linkId', [item.key for item in items])})"


def _any(name: str, values: list[str]) -> str:
    """Whether an element has one of several values, none of which holds a quotation mark."""
    if len(values) == 1:
        return f"{name} = '{values[0]}'"
    joined = " | ".join(f"'{value}'" for value in values)
    return f"{name} in ({joined})"


def _times(expression: str, points: Points) -> str:
    return expression if points == 1 else f"{expression} * {points}"


def _distinct(points: Iterable[Points]) -> list[Points]:
    return sorted(set(points))
