"""Index values of number, date and quantity parameters: each value is a range (R4 3.1.1.4.5, .6, .7, .14)."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from app.fhir.instants import period
from app.store.index.rows import Found, Given
from app.store.index.values import EARLIEST, GREATEST, LATEST, LEAST, indexed, number
from app.store.tables import SearchDate, SearchNumber, SearchQuantity
from app.terminology.ucum import UCUM
from app.terminology.unit_conversion import canonical

# ISO 4217 codes are what Money.currency holds (R4 Money).
_CURRENCIES = "urn:iso:std:iso:4217"
# low, high, system, unit; None: open.
_Bounds = tuple[Decimal | int | None, Decimal | int | None, str, str]


def dates(given: Given) -> Iterator[Found]:
    """Rows of a date, dateTime, instant, Period or Timing; of a Timing only its outer limits count."""
    if given.type == "Period" and isinstance(given.value, dict):
        bounds = [_limits(given.value)]
    elif given.type == "Timing" and isinstance(given.value, dict):
        bounds = list(_scheduled(given.value))
    elif given.type in ("date", "dateTime", "instant"):
        bounds = [_moment(given.value)]
    else:
        return
    known = [each for each in bounds if each is not None]
    if known:
        yield SearchDate, "", {"low": min(low for low, _ in known), "high": max(high for _, high in known)}


def _moment(text: Any) -> tuple[int, int] | None:
    try:
        return period(text) if isinstance(text, str) else None
    except ValueError:
        return None
    except OverflowError:
        # A time zone may reach beyond the calendar, at either end.
        return (EARLIEST, EARLIEST + 1) if text.startswith("0001") else (LATEST - 1, LATEST)


def _limits(value: Mapping[str, Any]) -> tuple[int, int] | None:
    start, end = _moment(value.get("start")), _moment(value.get("end"))
    if start is None and end is None:
        return None
    return start[0] if start else EARLIEST, end[1] if end else LATEST


def _scheduled(value: Mapping[str, Any]) -> Iterator[tuple[int, int] | None]:
    events, repeat = value.get("event"), value.get("repeat")
    for each in events if isinstance(events, list) else ():
        yield _moment(each)
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    yield _limits(bounds) if isinstance(bounds, dict) else None


def numbers(given: Given) -> Iterator[Found]:
    """Rows of a number, and of a Range of numbers."""
    if given.type == "Range" and isinstance(given.value, dict):
        low, high = (_number(given.value, name) for name in ("low", "high"))
        if low is not None or high is not None:
            yield SearchNumber, "", _span(low, high)
    elif _is_number(given.value):
        yield SearchNumber, "", _span(given.value, given.value)


def quantities(given: Given) -> Iterator[Found]:
    """Rows of a Quantity, Money, Range or SampledData, as written and in canonical UCUM units."""
    read = _BOUNDS.get(given.type, _quantity)
    bounds = read(given.value) if isinstance(given.value, dict) else None
    if bounds is None:
        return
    low, high, system, unit = bounds
    yield SearchQuantity, "", {"code": indexed(unit), **_span(low, high), "system": indexed(system)}
    if system == UCUM:
        ends = [None if end is None else canonical(Decimal(end), unit) for end in (low, high)]
        known = [end for end in ends if end is not None]
        if known and len(known) == sum(end is not None for end in (low, high)):
            span = _span(*(None if end is None else end[0] for end in ends))
            yield SearchQuantity, ":canonical", {"code": indexed(known[0][1]), **span, "system": indexed(system)}


def _span(low: Decimal | float | None, high: Decimal | float | None) -> dict[str, float]:
    return {"low": LEAST if low is None else number(low), "high": GREATEST if high is None else number(high)}


def _quantity(value: Mapping[str, Any]) -> _Bounds | None:
    amount = value.get("value")
    if not _is_number(amount):
        return None
    comparator = str(value.get("comparator", ""))
    low = None if comparator.startswith("<") else amount
    high = None if comparator.startswith(">") else amount
    return low, high, *_unit(value)


def _money(value: Mapping[str, Any]) -> _Bounds | None:
    amount, currency = value.get("value"), value.get("currency")
    if not _is_number(amount):
        return None
    return amount, amount, _CURRENCIES if isinstance(currency, str) else "", str(currency or "")


def _range(value: Mapping[str, Any]) -> _Bounds | None:
    low, high = _number(value, "low"), _number(value, "high")
    if low is None and high is None:
        return None
    return low, high, *_unit(value["low"] if low is not None else value["high"])


def _sampled(value: Mapping[str, Any]) -> _Bounds | None:
    """From the least to the greatest of the samples: each is a step of `factor` from the origin (R4 SampledData)."""
    origin, data, factor = value.get("origin"), value.get("data"), value.get("factor", 1)
    if not isinstance(origin, dict) or not isinstance(data, str) or not _is_number(factor):
        return None
    zero = _number(value, "origin") or Decimal(0)
    # E: no value; L, U: below or above what the device can tell, which `lowerLimit` and `upperLimit` give.
    limits = {"L": value.get("lowerLimit"), "U": value.get("upperLimit"), "E": None}
    samples = [each for text in data.split() if (each := limits.get(text, _sample(text))) is not None]
    known = [Decimal(each) for each in samples if _is_number(each)]
    if not known:
        return None
    ends = sorted(zero + end * Decimal(factor) for end in (min(known), max(known)))
    return ends[0], ends[1], *_unit(origin)


def _sample(text: str) -> Decimal | None:
    try:
        found = Decimal(text) if len(text) <= 40 else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None


_BOUNDS: dict[str, Callable[[Mapping[str, Any]], _Bounds | None]] = {
    "Money": _money,
    "Range": _range,
    "SampledData": _sampled,
}


def _number(value: Mapping[str, Any], name: str) -> Decimal | int | None:
    held = value.get(name)
    amount = held.get("value") if isinstance(held, dict) else None
    return amount if _is_number(amount) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _unit(value: Mapping[str, Any]) -> tuple[str, str]:
    """System and code; the unit as it is shown where there is no code."""
    system, code = value.get("system"), value.get("code") or value.get("unit")
    return system if isinstance(system, str) else "", code if isinstance(code, str) else ""
