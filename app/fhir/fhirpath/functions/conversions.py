"""Conversions (FHIRPath 2.0.0, section 5.5): toX gives empty where convertsToX gives false."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from app.fhir.fhirpath.functions.table import Items, function
from app.fhir.fhirpath.nodes import Frame, Node, Quantity, singleton
from app.fhir.fhirpath.operators import is_number
from app.fhir.fhirpath.syntax import CALENDAR_WORDS
from app.fhir.fhirpath.temporal import Temporal, read_date, read_time

_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?", re.ASCII)
_QUANTITY = re.compile(r"([+-]?\d{1,30}(?:\.\d{1,30})?)\s*(?:'([^']+)'|([a-zA-Z]+))?", re.ASCII)


def to_boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if is_number(value):
        return {1: True, 0: False}.get(value)
    if not isinstance(value, str):
        return None
    return True if value.lower() in _TRUE else False if value.lower() in _FALSE else None


def to_integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return int(value)
    if type(value) is int:
        return value
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else None


def to_decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool | int):
        return Decimal(int(value))
    if isinstance(value, Decimal):
        return value
    return Decimal(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def to_string(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Temporal):
        return value.text
    if isinstance(value, Quantity):
        return f"{value.value} {value.unit if value.is_calendar else repr(value.unit)}"
    if is_number(value):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    return value if isinstance(value, str) else None


def to_date(value: Any) -> Temporal | None:
    if isinstance(value, Temporal) and value.kind in ("Date", "DateTime"):
        return read_date(value.text.partition("T")[0])
    return read_date(value, "Date") if isinstance(value, str) else None


def to_date_time(value: Any) -> Temporal | None:
    if isinstance(value, Temporal):
        return read_date(value.text, "DateTime")
    return read_date(value, "DateTime") if isinstance(value, str) else None


def to_time(value: Any) -> Temporal | None:
    if isinstance(value, Temporal):
        return value if value.kind == "Time" else None
    return read_time(value.removeprefix("T")) if isinstance(value, str) else None


def to_quantity(value: Any) -> Quantity | None:
    if isinstance(value, Quantity):
        return value
    if is_number(value) or isinstance(value, bool):
        return Quantity(Decimal(value), "1")
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if not match or (match[3] and match[3] not in CALENDAR_WORDS):
        return None
    return Quantity(Decimal(match[1]), match[2] or match[3] or "1", bool(match[3]))


def _register(name: str, convert: Callable[[Any], Any], most: int = 0) -> None:
    @function("to" + name, most=most)
    def to(frame: Frame, focus: Items, *arguments: Items) -> Items:
        value = _value(focus)
        made = None if value is None else convert(value)
        return [] if made is None else [made]

    @function("convertsTo" + name, most=most)
    def converts(frame: Frame, focus: Items, *arguments: Items) -> Items:
        value = _value(focus)
        return [] if value is None and not focus else [value is not None and convert(value) is not None]


def _value(focus: Items) -> Any:
    value = singleton(focus)
    return None if isinstance(value, Node) else value


for _name, _convert in {
    "Boolean": to_boolean,
    "Integer": to_integer,
    "Decimal": to_decimal,
    "String": to_string,
    "Date": to_date,
    "DateTime": to_date_time,
    "Time": to_time,
}.items():
    _register(_name, _convert)
_register("Quantity", to_quantity, most=1)
