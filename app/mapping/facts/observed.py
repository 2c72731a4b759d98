"""The facts a record has observed: of each, the newest Observation under one of its codes in plan-context.toml.

An observation that is newest and cannot be read leaves the fact unknown: an older one would pass for what is true now.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.fhir.instants import period
from app.mapping.elements import Element, Resource, concept_of, fixed, words_of
from app.mapping.facts.daily_dose import converted
from app.pain.concepts import Key
from app.pain.content import Content
from app.pain.instruments.types import Item, Option, Points
from app.pain.plans.context import Fact
from app.pain.rules.facts import Stated

# What an Observation may be and still say something: not in error, cancelled, or only asked for.
SAYS = ("preliminary", "final", "amended", "corrected")
# A value "below 15" is below every bound at 15; how far is not known.
_JUST_BELOW = Decimal("0.001")
_OUTCOMES = ("positive", "negative")


@dataclass(frozen=True, slots=True)
class Observed:
    """facts: by context key.  days: context key -> the day it was observed, as said.  notes: what could not be read."""

    facts: Mapping[str, Stated]
    days: Mapping[str, str]
    notes: tuple[str, ...]


def observed(observations: Iterable[tuple[str, Resource]], content: Content) -> Observed:
    """The newest of each fact. observations: reference or name of each, e.g. "Observation/7", and the resource."""
    newest: dict[str, tuple[int, str, Resource]] = {}
    by_code = codes_of_facts(content)
    for source, one in observations:
        if one.get("status") not in SAYS:
            continue
        for key in {by_code[code] for code in _keys(one.get("code")) if code in by_code}:
            found = (_moment(one), source, one)
            newest[key] = max(newest.get(key, found), found, key=lambda each: each[:2])
    facts = {key: (source, _fact(one, content.facts[key], content)) for key, (_, source, one) in newest.items()}
    unread = [
        f"{key}: the value of {source} could not be read" for key, (source, fact) in facts.items() if fact is None
    ]
    return Observed(
        {key: Stated(fact, source) for key, (source, fact) in facts.items() if fact is not None},
        {key: _said(one) for key, (_, _, one) in newest.items()},
        tuple(unread),
    )


def codes_of_facts(content: Content) -> dict[Key, str]:
    """Every code a fact is observed under, and the fact."""
    rows = ((fact, code) for fact, row in content.facts.items() for code in _listed(row.get("observed", ()), content))
    return {code: fact for fact, code in rows}


def _listed(rows: Iterable[Mapping[str, str]], content: Content) -> set[Key]:
    return {(content.systems[row["system"]], row["code"]) for row in rows}


def _keys(element: Element | None) -> Iterator[Key]:
    concept = concept_of(element)
    yield from (coding.key for coding in (concept.codings if concept else ()))


def _said(one: Resource) -> str:
    """When it was observed, as it is written; "" where nothing is said."""
    span = one.get("effectivePeriod", {})
    said = one.get("effectiveDateTime") or one.get("effectiveInstant") or span.get("end") or span.get("start")
    return str(said or one.get("issued") or "")


def _moment(one: Resource) -> int:
    """The end of when it was observed, in microseconds; what says nothing of it is the oldest."""
    said = _said(one)
    return period(said)[1] if said else -(2**62)


def _fact(one: Resource, row: Mapping[str, Any], content: Content) -> Fact | None:
    readers: dict[str, Callable[[Resource, Mapping[str, Any], Content], Fact | None]] = {
        "number": _number,
        "integer": _integer,
        "boolean": _boolean,
        "choice": _choice,
        "text": _text,
        "findings": _boolean,
    }
    return readers[row["type"]](one, row, content)


def _number(one: Resource, row: Mapping[str, Any], _: Content) -> Fact | None:
    amount = one.get("valueQuantity", {})
    plain = {key: value for key, value in amount.items() if key != "comparator"}
    value = next((found for unit in row.get("units", ()) if (found := converted(plain, unit)) is not None), None)
    if value is None:
        return None
    exact = round(Decimal(value.numerator) / Decimal(value.denominator), 6)
    exact -= _JUST_BELOW if amount.get("comparator") == "<" else 0
    if not row["low"] <= exact <= row["high"]:
        return None
    return int(exact) if exact == int(exact) else exact.normalize()


def _integer(one: Resource, row: Mapping[str, Any], content: Content) -> Fact | None:
    """A number, or the points of the answer to an item of an instrument."""
    value = one.get("valueInteger", one.get("valueQuantity", {}).get("value"))
    value = _points(one, content) if value is None else value
    return int(value) if value is not None and value == int(value) and row["low"] <= value <= row["high"] else None


def _points(one: Resource, content: Content) -> Points | None:
    asked, answered = set(_keys(one.get("code"))), set(_keys(_coded(one)))
    items = (item for instrument in content.instruments.values() for item in instrument.items)
    options = (option for item in items if asked & _coded_as(item) for option in item.options)
    return next((option.points for option in options if answered & _coded_as(option)), None)


def _coded_as(one: Item | Option) -> set[Key]:
    return {coding.key for coding in (one.coding, *one.codings)}


def _boolean(one: Resource, row: Mapping[str, Any], content: Content) -> Fact | None:
    if "valueBoolean" in one:
        return bool(one["valueBoolean"])
    outcome = _choice(one, {**row, "options": _OUTCOMES}, content)
    return None if outcome is None else outcome == "positive"


def _choice(one: Resource, row: Mapping[str, Any], content: Content) -> Fact | None:
    """One of the options: by the codes listed for it, by an interpretation, or by its own word."""
    said = {key for each in (_coded(one), *one.get("interpretation", [])) for key in _keys(each)}
    listed = {option: _listed(rows, content) for option, rows in row.get("values", {}).items()}
    for name in _OUTCOMES:
        listed.setdefault(name, set()).add(fixed(name).key)
    words = (words_of(_coded(one) or {}) or str(one.get("valueString", ""))).strip().casefold()
    by_code = (option for option, codes in listed.items() if said & codes and option in row["options"])
    return next(by_code, None) or next((str(name) for name in row["options"] if words == name), None)


def _text(one: Resource, _: Mapping[str, Any], __: Content) -> Fact | None:
    return words_of(_coded(one) or {}) or one.get("valueString")


def _coded(one: Resource) -> Element | None:
    return one.get("valueCodeableConcept")
