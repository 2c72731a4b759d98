"""What the SQL of ready tables knows besides the rows of resources: tables of our content, and functions."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from app.fhir.instants import period
from app.pain.concepts import Coding, Concept
from app.pain.content import Content, load_content
from app.pain.instruments.types import Instrument, ScoreRule
from app.pain.treatment_class import treatment_class
from app.profiles import toml_files
from app.views.columns import Column

Row = tuple[Any, ...]
# The names a score is known by in the column `code` of scales: our own concept, or that of others.
_OTHERS = ("loinc", "snomed")
_INTENSITY = "pain-intensity"


@dataclass(frozen=True, slots=True)
class ContentTable:
    """A small table made of content files."""

    description: str
    columns: tuple[Column, ...]
    rows: Callable[[Content], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class SqlFunction:
    """A function the SQL may call with values that may be absent."""

    description: str
    arguments: int
    call: Callable[..., Any]


def _column(name: str, kind: str, description: str) -> Column:
    return Column(name, kind, description=description)


@cache
def _content() -> Content:
    # Instruments that are switched off have left scores all the same.
    return load_content()


def content_rows(name: str) -> Iterable[Row]:
    """The rows of a content table."""
    return CONTENT_TABLES[name].rows(_content())


def _scales(content: Content) -> Iterable[Row]:
    for one in content.instruments.values():
        for rule in one.scores:
            for code in _codes(one, rule, content):
                yield code, one.id, rule.id, rule.label, _recall(one, rule), _unit(rule), *_kind(one, rule)


def _codes(one: Instrument, rule: ScoreRule, content: Content) -> list[str]:
    """What a score is known by: where it is one answer, that is written under the code of its item."""
    item = one.item(rule.items[0]) if rule.method == "value" else None
    own, others = (item.coding, item.codings) if item else (rule.coding, rule.codings)
    systems = {content.systems[name]: name for name in _OTHERS}
    return [f"own|{own.code}", *(f"{systems[each.system]}|{each.code}" for each in others if each.system in systems)]


def _recall(one: Instrument, rule: ScoreRule) -> str:
    return one.item(rule.items[0]).recall if rule.method == "value" else one.recall


def _unit(rule: ScoreRule) -> str:
    unit: str = toml_files("vocabulary")["fixed"]["unit"][rule.unit]["code"]
    return unit


def _kind(one: Instrument, rule: ScoreRule) -> Row:
    """The range of a score, and whether it is a number for the intensity of pain: words have no percentages."""
    items = [one.item(key) for key in rule.items]
    is_intensity = all(item.profile == _INTENSITY and item.kind == "integer" for item in items)
    return rule.low, rule.high, is_intensity


def _answer_points(content: Content) -> Iterable[Row]:
    for one in content.instruments.values():
        for option in (option for item in one.items for option in item.options):
            if option.points is not None:
                yield option.coding.code, option.points


def _responder_rule(content: Content) -> Iterable[Row]:
    rule = toml_files("vocabulary")["responders"]
    least = {row["id"]: row.get("from") for row in content.outcomes["response"]}
    levels = [least[rule["levels"][name]] for name in ("responder_30", "responder_50")]
    return [(status, *levels, rule["least-baseline"]) for status in rule["statuses"]]


CONTENT_TABLES: Mapping[str, ContentTable] = {
    "scales": ContentTable(
        "The scores of app/profiles/instruments: one row for each code a score is known by.",
        (
            _column("code", "string", "own, loinc or snomed, a bar, and the code the Observation has."),
            _column("instrument", "code", "Id of the instrument."),
            _column("score", "code", "Id of the score."),
            _column("label", "string", "The score in words."),
            _column("recall", "string", "The time it is about."),
            _column("unit", "code", "UCUM unit."),
            _column("low", "decimal", "Least value."),
            _column("high", "decimal", "Greatest value."),
            _column("is_intensity", "boolean", "Whether it is a number for the intensity of pain."),
        ),
        _scales,
    ),
    "answer_points": ContentTable(
        "The points of the answers that are a choice, by the instrument files.",
        (_column("code", "code", "The option: code of np-item."), _column("points", "decimal", "Its points.")),
        _answer_points,
    ),
    "responder_rule": ContentTable(
        "Who is a responder, by app/profiles/vocabulary/responders.toml and outcomes.toml: one row for each status.",
        (
            _column("status", "code", "A status of Observation whose value counts."),
            _column("responder_30", "decimal", "Least relief in percent of a responder (moderate benefit)."),
            _column("responder_50", "decimal", "The same for substantial benefit."),
            _column("least_baseline", "decimal", "The least baseline, as a part of the scale's range."),
        ),
        _responder_rule,
    ),
}


def _edge(place: int) -> Callable[[str | None], int | None]:
    def edge(said: str | None) -> int | None:
        return period(said)[place] if said else None

    return edge


@lru_cache(4096)
def _medicine_class(atc: str | None, rxnorm: str | None, words: str | None) -> str | None:
    systems = _content().systems
    codes = tuple(Coding(systems[name], code, None) for name, code in (("rxnorm", rxnorm), ("atc", atc)) if code)
    return treatment_class(Concept(codes, words), _content()) if codes or words else None


FUNCTIONS: Mapping[str, SqlFunction] = {
    "earliest": SqlFunction(
        "The first microsecond since 1970 a date or dateTime of any precision can mean; UTC where it has no offset.",
        1,
        _edge(0),
    ),
    "latest": SqlFunction("The first microsecond after what it can mean: the end of the day of a date.", 1, _edge(1)),
    "medicine_class": SqlFunction(
        "The class of a medicine by ATC code, RxNorm code and words (app/pain/treatment_class.py).", 3, _medicine_class
    ),
}
