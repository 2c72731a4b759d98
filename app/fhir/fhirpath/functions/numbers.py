"""Math, boundaries and precision (FHIRPath 2.0.0, section 5.7; boundaries from FHIRPath 3.0.0)."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from app.fhir.fhirpath.errors import EvaluationError
from app.fhir.fhirpath.functions.table import Items, function
from app.fhir.fhirpath.nodes import Frame, Quantity, integer, singleton
from app.fhir.fhirpath.operators import MAX_INTEGER, compare, is_number
from app.fhir.fhirpath.temporal import Temporal, write


def _on_number(name: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    def register(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @function(name)
        def call(frame: Frame, focus: Items) -> Items:
            value = singleton(focus)
            if isinstance(value, Quantity) and name == "abs":
                return [Quantity(abs(value.value), value.unit, value.is_calendar)]
            return [] if value is None else _result(make, _number(value))

        return make

    return register


def _number(value: Any) -> Any:
    if not is_number(value):
        raise EvaluationError("a number is needed")
    return value


def _result(make: Callable[..., Any], *values: Any) -> Items:
    try:
        made = make(*values)
    except (ArithmeticError, ValueError):
        return []
    is_huge = type(made) is int and abs(made) > MAX_INTEGER
    return [] if made is None or is_huge else [made]


@_on_number("abs")
def absolute(value: Any) -> Any:
    return abs(value)


@_on_number("ceiling")
def ceiling(value: Any) -> int:
    return math.ceil(Decimal(value))


@_on_number("floor")
def floor(value: Any) -> int:
    return math.floor(Decimal(value))


@_on_number("truncate")
def truncate(value: Any) -> int:
    return int(value)


@_on_number("exp")
def exponential(value: Any) -> Decimal:
    return Decimal(value).exp()


@_on_number("ln")
def natural_logarithm(value: Any) -> Decimal:
    return Decimal(value).ln()


@_on_number("sqrt")
def square_root(value: Any) -> Decimal:
    return Decimal(value).sqrt()


@function("log", least=1)
def logarithm(frame: Frame, focus: Items, base: Items) -> Items:
    value, of = singleton(focus), singleton(base)
    if value is None or of is None:
        return []
    return _result(lambda a, b: round(Decimal(a).ln() / Decimal(b).ln(), 12).normalize(), _number(value), _number(of))


@function("power", least=1)
def power(frame: Frame, focus: Items, exponent: Items) -> Items:
    value, by = singleton(focus), singleton(exponent)
    if value is None or by is None:
        return []
    if abs(_number(by)) > 1000 or abs(_number(value)) > 10**100:
        raise EvaluationError("the power is too large")
    return _result(
        lambda: value**by if type(value) is int and type(by) is int and by >= 0 else Decimal(value) ** Decimal(by)
    )


@function("round", least=0, most=1)
def rounded(frame: Frame, focus: Items, places: Items | None = None) -> Items:
    value, digits = singleton(focus), integer(places or []) or 0
    if value is None:
        return []
    if not 0 <= digits <= 28:
        raise EvaluationError("round needs a precision from 0 to 28")
    return _result(lambda: Decimal(_number(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


@function("precision")
def precision(frame: Frame, focus: Items) -> Items:
    value = singleton(focus)
    if isinstance(value, Temporal):
        return [len(_digits(value))]
    return [] if value is None else [max(0, -int(Decimal(_number(value)).as_tuple().exponent))]


def _digits(value: Temporal) -> str:
    text = value.text.partition("Z")[0]
    text = text[:10] + text[10:].partition("+")[0].partition("-")[0]
    return "".join(mark for mark in text if mark.isdigit())


@function("lowBoundary", least=0, most=1)
def low_boundary(frame: Frame, focus: Items, digits: Items | None = None) -> Items:
    return _boundary(singleton(focus), integer(digits or []), is_low=True)


@function("highBoundary", least=0, most=1)
def high_boundary(frame: Frame, focus: Items, digits: Items | None = None) -> Items:
    return _boundary(singleton(focus), integer(digits or []), is_low=False)


def _boundary(value: Any, digits: int | None, *, is_low: bool) -> Items:
    if isinstance(value, Temporal):
        return _temporal_boundary(value, digits, is_low=is_low)
    if isinstance(value, Quantity):
        made = _decimal_boundary(value.value, digits, is_low=is_low)
        return [Quantity(made[0], value.unit, value.is_calendar)] if made else []
    return [] if value is None else _decimal_boundary(Decimal(_number(value)), digits, is_low=is_low)


def _decimal_boundary(value: Decimal, digits: int | None, *, is_low: bool) -> list[Decimal]:
    places = 8 if digits is None else digits
    if not 0 <= places <= 28:
        return []
    half = Decimal(5).scaleb(int(value.as_tuple().exponent) - 1)
    with localcontext() as context:
        context.prec = 60
        edge = value - half if is_low else value + half
        try:
            return [edge.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR if is_low else ROUND_CEILING)]
        except ArithmeticError:
            return []


# Digits asked for -> fields kept, and the most digits a kind has.
_FIELDS = {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6}
_TIME_FIELDS = {2: 1, 4: 2, 6: 3, 9: 3}


def _temporal_boundary(value: Temporal, digits: int | None, *, is_low: bool) -> Items:
    default = {"Date": 8, "DateTime": 17, "Time": 9}[value.kind]
    wanted = default if digits is None else digits
    count = (_TIME_FIELDS if value.kind == "Time" else _FIELDS).get(wanted)
    if count is None or wanted > default:
        return []
    fields: list[Any] = list(value.fields)
    limits = _edges(fields, is_low=is_low)[3 if value.kind == "Time" else 0 :]
    fields += limits[len(fields) :]
    zone = value.zone
    if value.kind == "DateTime" and zone is None and count > 3:
        zone = 14 * 60 if is_low else -12 * 60
    made = write(value.kind, tuple(fields[:count]), zone if count > 3 else None)
    if wanted in (9, 17) and isinstance(made.fields[-1], int):
        made = Temporal(made.kind, made.fields, made.zone, _with_millis(made, is_low=is_low))
    return [made]


def _edges(fields: list[Any], *, is_low: bool) -> list[Any]:
    if is_low:
        return [1, 1, 1, 0, 0, Decimal("0.000")]
    month = fields[1] if len(fields) > 1 else 12
    year = fields[0] if fields else 2000
    last = (
        29
        if month == 2 and year % 4 == 0 and (year % 100 or year % 400 == 0)
        else [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][int(month - 1) % 12]
    )
    return [9999, 12, last, 23, 59, Decimal("59.999")]


def _with_millis(value: Temporal, *, is_low: bool) -> str:
    head, zone = (value.text[:19], value.text[19:]) if value.kind == "DateTime" else (value.text, "")
    return f"{head}.{'000' if is_low else '999'}{zone}"


@function("now")
def now(frame: Frame, focus: Items) -> Items:
    moment = _now(frame)
    fields = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
    return [write("DateTime", fields, 0)]


@function("today")
def today(frame: Frame, focus: Items) -> Items:
    moment = _now(frame)
    return [write("Date", (moment.year, moment.month, moment.day), None)]


@function("timeOfDay")
def time_of_day(frame: Frame, focus: Items) -> Items:
    moment = _now(frame)
    return [write("Time", (moment.hour, moment.minute, moment.second), None)]


def _now(frame: Frame) -> datetime:
    if frame.now is None:
        frame.now = datetime.now(UTC)
    return frame.now.astimezone(UTC)


@function("comparable", least=1)
def comparable(frame: Frame, focus: Items, other: Items) -> Items:
    a, b = singleton(focus), singleton(other)
    if not isinstance(a, Quantity) or not isinstance(b, Quantity):
        return [False]
    return [a.unit == b.unit or compare([a], [b]) is not None]
