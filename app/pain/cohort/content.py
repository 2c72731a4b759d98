"""What the statement of a cohort knows of our content: small tables of codes, and the numbers of the responder rule."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.pain.content import Content, Listed, load_content
from app.pain.instruments.types import Instrument, ScoreRule
from app.profiles import canonical, toml_files

Row = tuple[Any, ...]
_INTENSITY = "pain-intensity"
# A score may be known by several codes: our own says most.
_RANKS = {"loinc": 1, "snomed": 2}
# What no code has: the first text that does not begin with a prefix is the prefix and this.
_BEYOND = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Scale:
    """A score for the intensity of pain. least: the least baseline that is meant for responder analyses."""

    id: str
    label: str
    recall: str
    unit: str
    least: float


@dataclass(frozen=True, slots=True)
class Window:
    """When a follow-up counts: days after the start, both ends included; until None: without end."""

    id: str
    label: str
    first: int
    last: int | None


@dataclass(frozen=True, slots=True)
class CohortContent:
    """tables: name -> rows, as the statement has them.  levels: column -> least relief in percent."""

    scales: Mapping[str, Scale]
    windows: Mapping[str, Window]
    diagnoses: Mapping[str, str]
    tables: Mapping[str, tuple[Row, ...]]
    levels: Mapping[str, float]
    score: str
    z: float


@cache
def cohort_content() -> CohortContent:
    """Of all instruments: those that are switched off have left scores all the same."""
    content, files = load_content(), toml_files("vocabulary")
    cohort, rule = files["cohort"], files["responders"]
    least = {row["id"]: row.get("from") for row in content.outcomes["response"]}
    return CohortContent(
        scales={one.id: one for one in _scales(content, float(rule["least-baseline"]))},
        windows={row["id"]: Window(row["id"], row["label"], row["from"], row.get("until")) for row in cohort["window"]},
        diagnoses={row["id"]: row["label"] for row in cohort["diagnosis"]},
        tables={
            "score_code": tuple(dict.fromkeys(_score_codes(content))),
            "status_counted": tuple((status,) for status in rule["statuses"]),
            "medicine_code": tuple(dict.fromkeys(_medicine_codes(content))),
            "medicine_name": tuple(dict.fromkeys(_medicine_names(content))),
            "diagnosis_code": tuple(_diagnosis_codes(cohort["diagnosis"], content)),
            "own_system": _systems(content),
        },
        levels={name: float(least[of]) for name, of in rule["levels"].items()},
        score=cohort["score"],
        z=float(cohort["confidence"]),
    )


def _scales(content: Content, least: float) -> Iterator[Scale]:
    units = toml_files("vocabulary")["fixed"]["unit"]
    for one in content.instruments.values():
        for rule in one.scores:
            items = [one.item(key) for key in rule.items]
            # Words have no percentages.
            if all(item.profile == _INTENSITY and item.kind == "integer" for item in items):
                recall = items[0].recall if rule.method == "value" else one.recall
                bottom = float(rule.low) + (float(rule.high) - float(rule.low)) * least
                yield Scale(rule.id, rule.label, recall, units[rule.unit]["code"], bottom)


def _score_codes(content: Content) -> Iterator[Row]:
    """(system, code, rank, score): a rank below another one goes before it."""
    for one in content.instruments.values():
        for rule in one.scores:
            yield from _codes_of(one, rule, content)


def _codes_of(one: Instrument, rule: ScoreRule, content: Content) -> Iterator[Row]:
    item = one.item(rule.items[0]) if rule.method == "value" else None
    own, others = (item.coding, item.codings) if item else (rule.coding, rule.codings)
    yield own.system, own.code, 0, rule.id
    ranks = {content.systems[name]: rank for name, rank in _RANKS.items()}
    for each in others:
        if each.system in ranks:
            yield each.system, each.code, ranks[each.system], rule.id


def _medicine_codes(content: Content) -> Iterator[Row]:
    """(system, first, past, rank, class): codes of our list, then ATC groups and further codes of the classes."""
    for row in content.drugs.rows.values():
        for coding in (*row.codings, *row.also):
            # A code that several rows list names the first of them.
            if content.drugs.codes[coding.key][0] == row.id:
                yield coding.system, coding.code, f"{coding.code}\x01", 0, row.kind
    for rank, kind in enumerate(dict.fromkeys(row.kind for row in content.drugs.rows.values()), 1):
        known = content.guidelines.classes.get(kind)
        for prefix in known.atc if known else ():
            yield content.systems["atc"], prefix, f"{prefix}{_BEYOND}", rank, kind
        for system, code in sorted(known.keys) if known else ():
            yield system, code, f"{code}\x01", rank, kind


def _medicine_names(content: Content) -> Iterator[Row]:
    """(name, class): as the index has words, folded, and as LIKE has them, with ! before its own signs."""
    for row in content.drugs.rows.values():
        for name in (row.id, row.label, *_said(row)):
            written = re.sub("([!%_])", r"!\1", " ".join(name.casefold().split()))
            yield written, row.kind
            yield written.replace("-", " "), row.kind


def _said(row: Listed) -> tuple[str, ...]:
    return (*row.row.get("names", ()), *row.row.get("narrower", ()))


def _diagnosis_codes(rows: Any, content: Content) -> Iterator[Row]:
    """(system, first, past, rank, group): the group that stands first goes before."""
    for rank, row in enumerate(rows):
        for one in row["codes"]:
            code = one.get("code") or one["prefix"]
            past = f"{code}\x01" if "code" in one else f"{code}{_BEYOND}"
            yield content.systems[one["system"]], code, past, rank, row["id"]


def _systems(content: Content) -> tuple[Row, ...]:
    """(name, system or profile) of ours and of others the statement names."""
    systems = ("np-therapy", "np-order", "np-device", "snomed", "np-laterality")
    profiles = ("pain-service-request", "pain-device-request")
    named = [(name, content.systems[name]) for name in systems]
    return (*named, *((name, canonical("StructureDefinition", name)) for name in profiles))
