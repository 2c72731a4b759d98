"""Pain instruments as their content files describe them: items, answers, scores, cut-offs and bands."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from app.pain.concepts import Coding
from app.pain.rules.results import Severity

Answer = bool | int | str
Points = int | Decimal
Method = Literal["sum", "mean", "value", "table"]


@dataclass(frozen=True, slots=True)
class Option:
    """One answer of a choice, and the points it gives; None where its item enters no score.

    coding: our own np-item concept.  codings: others, written before it.
    """

    key: str
    label: str
    points: Points | None
    coding: Coding
    codings: tuple[Coding, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One question.

    kind: boolean (yes gives `weight` points), integer (low..high, times weight) or choice (its option's points).
    by: who answers, "patient" or "examiner".  coding: our own np-item concept.  codings: others, written before it.
    profile: the Observation profile an answer claims.  unit: of an integer that is measured, "" where it is a plain
    number.  recall: the time the answer is about.
    """

    key: str
    label: str
    recall: str
    by: str
    kind: str
    weight: Points
    low: int
    high: int
    options: tuple[Option, ...]
    profile: str
    unit: str
    coding: Coding
    codings: tuple[Coding, ...]

    def option(self, key: str) -> Option:
        return next(option for option in self.options if option.key == key)


@dataclass(frozen=True, slots=True)
class Band:
    """A named stretch of a score, both ends included."""

    coding: Coding
    low: Points
    high: Points


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """How one score follows from the answers.

    least_answered: how many of the items must be answered; all of them unless the publication allows fewer.
    when_answered: no score at all, rather than an absent one, while nothing was answered.
    table: for method "table", the sum of points -> score as published.
    """

    id: str
    label: str
    method: Method
    items: tuple[str, ...]
    least_answered: int
    low: Points
    high: Points
    unit: str
    cutoff: Points | None
    positive_at_most: bool
    bands: tuple[Band, ...]
    when_answered: bool
    table: Mapping[int, Points]
    coding: Coding
    codings: tuple[Coding, ...]


@dataclass(frozen=True, slots=True)
class Safety:
    """An answer that asks for action: `item` answered with at least so many points.

    id, title: of np-rule.  message: what is to be done.  citation, year: what it rests on.
    """

    id: str
    title: str
    item: str
    at_least: Points
    severity: Severity
    message: str
    citation: str
    year: int


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument, whole.

    recall: the time its answers are about.  allows: what its licence lets this service do.  accuracy: sensitivity and
    specificity as published.  to_confirm: what is stated from its publication without having been read again.
    """

    id: str
    title: str
    version: str
    recall: str
    source: str
    citation: str
    licence: str
    allows: str
    accuracy: tuple[str, ...]
    to_confirm: tuple[str, ...]
    safety: tuple[Safety, ...]
    coding: Coding
    codings: tuple[Coding, ...]
    items: tuple[Item, ...]
    scores: tuple[ScoreRule, ...]
    examples: tuple[Mapping[str, Any], ...]

    def item(self, key: str) -> Item:
        return next(item for item in self.items if item.key == key)


def instrument(file: Mapping[str, Any], systems: Mapping[str, str]) -> Instrument:
    """An instrument from its content file; `systems` gives the URI of each code system named there."""
    own = {"instrument": systems["np-instrument"], "item": systems["np-item"], "band": systems["np-score-band"]}
    items = tuple(_item(row, file, own["item"], systems) for row in file["item"])
    bands = {name: tuple(_band(row, own["band"]) for row in rows) for name, rows in file.get("bands", {}).items()}
    return Instrument(
        id=file["id"],
        title=file["title"],
        version=file["version"],
        recall=file["recall"],
        source=file["source"],
        citation=file["citation"],
        licence=file["licence"],
        allows=file["allows"],
        accuracy=tuple(file.get("accuracy", ())),
        to_confirm=tuple(file.get("to_confirm", ())),
        safety=tuple(Safety(**row) for row in file.get("safety", ())),
        # Without a version: a coding's version is its code system's, the instrument's travels in the questionnaire.
        coding=Coding(own["instrument"], file["id"], file["title"]),
        codings=codings(file["codings"], systems),
        items=items,
        scores=tuple(_score(row, bands, file, systems) for row in file["score"]),
        examples=tuple(file["example"]),
    )


def codings(rows: list[Mapping[str, str]], systems: Mapping[str, str]) -> tuple[Coding, ...]:
    """The codings of a content file, with the names of their systems resolved."""
    return tuple(Coding(systems[row["system"]], row["code"], row["display"]) for row in rows)


def attainable(one: Instrument, rule: ScoreRule) -> tuple[Points, Points]:
    """The lowest and the highest score the items of a rule can reach when all are answered."""
    lows, highs = zip(*(_reach(one.item(key)) for key in rule.items), strict=True)
    if rule.method == "table":
        return min(rule.table.values()), max(rule.table.values())
    if rule.method == "mean":
        return Decimal(sum(lows)) / len(lows), Decimal(sum(highs)) / len(highs)
    return sum(lows), sum(highs)


def _reach(item: Item) -> tuple[Points, Points]:
    if item.kind == "choice":
        given: list[Points] = [option.points for option in item.options if option.points is not None]
    elif item.kind == "boolean":
        given = [0, item.weight]
    else:
        given = [item.low * item.weight, item.high * item.weight]
    return min(given), max(given)


def _item(row: Mapping[str, Any], file: Mapping[str, Any], system: str, systems: Mapping[str, str]) -> Item:
    answer, instrument_id = row["answer"], file["id"]
    return Item(
        key=row["key"],
        label=row["label"],
        recall=row.get("recall", file["recall"]),
        by=row.get("by", "patient"),
        kind=answer["type"],
        weight=row.get("weight", 1),
        low=answer.get("low", 0),
        high=answer.get("high", 0),
        options=tuple(
            Option(
                key=one["key"],
                label=one["label"],
                points=one.get("points"),
                coding=Coding(system, f"{instrument_id}.{row['key']}.{one['key']}", one["label"]),
                codings=codings(one.get("codings", []), systems),
            )
            for one in answer.get("options", [])
        ),
        profile=row.get("profile", "screening-item"),
        unit=answer.get("unit", ""),
        coding=Coding(system, f"{instrument_id}.{row['key']}", row["label"]),
        codings=codings(row.get("codings", []), systems),
    )


def _band(row: Mapping[str, Any], system: str) -> Band:
    return Band(Coding(system, row["id"], row["id"].replace("-", " ").capitalize()), row["from"], row["to"])


def _score(
    row: Mapping[str, Any], bands: Mapping[str, tuple[Band, ...]], file: Mapping[str, Any], systems: Mapping[str, str]
) -> ScoreRule:
    low, high = row["range"]
    # The main score of an instrument has the instrument's own concept.
    display = file["title"] if row["id"] == file["id"] else row["label"]
    return ScoreRule(
        id=row["id"],
        label=row["label"],
        method=row["method"],
        items=tuple(row["items"]),
        least_answered=row.get("least_answered", len(row["items"])),
        low=low,
        high=high,
        unit=row.get("unit", "score"),
        cutoff=row.get("cutoff"),
        positive_at_most=row.get("positive_when") == "at-most",
        bands=bands.get(row.get("bands", ""), ()),
        when_answered=row.get("when_answered", False),
        table={int(points): score for points, score in row.get("table", {}).items()},
        coding=Coding(systems["np-instrument"], row["id"], display),
        codings=codings(row.get("codings", []), systems),
    )
