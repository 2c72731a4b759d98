"""How much of a medicine a day, in mg, by FHIR's Dosage.

Where a dosage leaves room (a range, a dose as needed, steps one after the other), the most it allows is meant: limits
are about that. What cannot be computed without guessing is None.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from app.mapping.elements import Element
from app.profiles import toml_files
from app.terminology.unit_conversion import scale_of

_MG, _MG_PER_DAY, _DAY = "mg", "mg/d", "d"


def daily_dose_mg(rows: Sequence[Element], strength: Element | None = None) -> int | Decimal | None:
    """The most a day of all rows: those of the same sequence are taken together, those of another after them.

    strength: Ratio of the substance in one piece or volume, for doses in tablets or mL.
    """
    together: dict[int | None, list[Fraction | None]] = {}
    for row in rows:
        together.setdefault(row.get("sequence"), []).append(_row(row, strength))
    sums = [_sum(doses) for doses in together.values()]
    known = [one for one in sums if one is not None]
    return _shown(max(known)) if known and len(known) == len(sums) else None


def converted(amount: Element | None, unit: str) -> Fraction | None:
    """A Quantity in another unit of UCUM; None where it has no value, or its unit is another kind of thing."""
    value, own = _value(amount), scale_of(_unit(amount))
    wanted = scale_of(unit)
    if value is None or own is None or wanted is None or own.dimensions != wanted.dimensions:
        return None
    return (value + own.offset) * own.factor / wanted.factor - wanted.offset


def _row(row: Element, strength: Element | None) -> Fraction | None:
    doses = [_given(one, row.get("timing", {}), strength) for one in row.get("doseAndRate", [])]
    known = [one for one in doses if one is not None]
    limit = _per_day(row.get("maxDosePerPeriod"), strength)
    if not known:
        return limit
    return max(known) if limit is None else min(max(known), limit)


def _given(one: Element, timing: Element, strength: Element | None) -> Fraction | None:
    """A dose times how often a day; a rate as it is, unless it runs for part of the day only."""
    amount = one.get("doseQuantity") or _highest(one.get("doseRange"))
    if amount is None:
        return None if "duration" in timing.get("repeat", {}) else _rate(one, strength)
    dose, often = _mass(amount, strength), times_a_day(timing)
    return None if dose is None or often is None else dose * often


def _rate(one: Element, strength: Element | None) -> Fraction | None:
    flow = one.get("rateQuantity") or _highest(one.get("rateRange"))
    return converted(flow, _MG_PER_DAY) if flow else _per_day(one.get("rateRatio"), strength)


def times_a_day(timing: Element) -> Fraction | None:
    """How often a day, at most: by the numbers of `repeat`, by its hours or events, or by a code."""
    repeat: Mapping[str, Any] = timing.get("repeat", {})
    often = Fraction(str(repeat.get("frequencyMax") or repeat.get("frequency") or 1))
    if "period" in repeat and "periodUnit" in repeat:
        days = converted({"value": repeat["period"], "code": repeat["periodUnit"]}, _DAY)
        return often / days if days else None
    for name in ("timeOfDay", "when"):
        if repeat.get(name):
            return Fraction(len(repeat[name]))
    words = _words()
    given = timing.get("code", {}).get("coding", [])
    codes = [one.get("code") for one in given if one.get("system") == words["system"]]
    return next((Fraction(words["times"][code]) for code in codes if code in words["times"]), None)


def _per_day(ratio: Element | None, strength: Element | None) -> Fraction | None:
    """An amount per time."""
    if not ratio:
        return None
    amount, days = _mass(ratio.get("numerator"), strength), converted(ratio.get("denominator"), _DAY)
    return amount / days if amount is not None and days else None


def _mass(amount: Element | None, strength: Element | None) -> Fraction | None:
    """An amount of a medicine in mg, by its strength where it is counted in pieces or by volume."""
    plain = converted(amount, _MG)
    if plain is not None or not strength or amount is None:
        return plain
    content, whole = converted(strength.get("numerator"), _MG), strength.get("denominator", {})
    pieces = _pieces(amount, whole)
    return content * pieces if content is not None and pieces is not None else None


def _pieces(amount: Element, whole: Element) -> Fraction | None:
    """How many of what the strength is for are in an amount."""
    value, of = _value(amount), _value(whole) or Fraction(1)
    same = _unit(amount).casefold() == _unit(whole).casefold()
    if value is not None and (same or (_is_count(amount) and _is_count(whole))):
        return value / of
    volume = converted(amount, _unit(whole))
    return volume / of if volume is not None else None


def _is_count(amount: Element) -> bool:
    """Whether a quantity counts pieces: it has no unit, or one without dimension such as {tablet}."""
    scale = scale_of(_unit(amount)) if _unit(amount) else None
    return not _unit(amount) or (scale is not None and not scale.dimensions and scale.factor == 1)


def _highest(span: Element | None) -> Element | None:
    """The upper end of a Range; without one nothing is said about the most."""
    return (span or {}).get("high")


def _value(amount: Element | None) -> Fraction | None:
    """The value as it stands; a comparator "more than" says that it is not the most."""
    if not amount or "value" not in amount or amount.get("comparator") in (">", ">="):
        return None
    return Fraction(str(amount["value"]))


def _unit(amount: Element | None) -> str:
    said = str((amount or {}).get("code") or (amount or {}).get("unit") or "")
    return str(_words()["units"].get(said, said))


def _sum(doses: Iterable[Fraction | None]) -> Fraction | None:
    known = list(doses)
    return None if None in known else sum((one for one in known if one is not None), Fraction())


def _shown(dose: Fraction) -> int | Decimal:
    """As few digits as say it: thousandths of a milligram are below any dose in use."""
    rounded = round(dose, 6)
    if rounded.denominator == 1:
        return rounded.numerator
    return (Decimal(rounded.numerator) / Decimal(rounded.denominator)).normalize()


@cache
def _words() -> Mapping[str, Any]:
    return toml_files("vocabulary")["dosing"]
