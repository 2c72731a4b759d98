"""Dates, numbers and quantities: a range of the search against a range of the resource (R4 3.1.1.4.5).

Rows of dates are half-open, [low, high); those of numbers and quantities are closed. Where both ends are asked about,
the first condition is one that an index can begin with.
"""

from typing import Any

from sqlalchemy import ColumnElement, and_, or_

from app.store.search.tree import Amount, Range


def date(row: Any, value: Range) -> ColumnElement[bool]:
    """Whether a row of SearchDate compares so with the time."""
    start: ColumnElement[float] = row.low
    end: ColumnElement[float] = row.high
    low, high = int(value.low), int(value.high)
    match value.prefix:
        case "eq":
            return and_(start >= low, start < high, end <= high)
        case "ne":
            return or_(start < low, end > high)
        case "gt":
            return end > high
        case "ge":
            return and_(end > low, or_(start >= low, end > high))
        case "lt":
            return start < low
        case "le":
            return and_(start < high, or_(start < low, end <= high))
        case "sa":
            return start >= high
        case "eb":
            return end <= low
    return and_(start < high, end > low)


def number(row: Any, value: Range) -> ColumnElement[bool]:
    """Whether a row of SearchNumber or SearchQuantity compares so; only eq, ne and ap have ends that differ."""
    start: ColumnElement[float] = row.low
    end: ColumnElement[float] = row.high
    low, high = value.low, value.high
    match value.prefix:
        case "eq":
            return and_(start >= low, start < high, end < high)
        case "ne":
            return or_(start < low, end >= high)
        case "gt":
            return end > high
        case "ge":
            return end >= low
        case "lt":
            return start < low
        case "le":
            return start <= high
        case "sa":
            return start > high
        case "eb":
            return end < low
    return and_(start <= high, end >= low)


def quantity(row: Any, value: Amount) -> ColumnElement[bool]:
    """Whether a row of SearchQuantity compares so, in its unit."""
    conditions = [row.code == value.unit] if value.unit else []
    if value.system is not None:
        conditions.append(row.system == value.system)
    return and_(*conditions, number(row, value.range))


def moment(column: ColumnElement[int], value: Range) -> ColumnElement[bool]:
    """Whether an instant, kept in one column, compares so."""
    low, high = int(value.low), int(value.high)
    match value.prefix:
        case "eq" | "ap":
            return and_(column >= low, column < high)
        case "ne":
            return or_(column < low, column >= high)
        case "gt" | "sa":
            return column >= high
        case "ge":
            return column >= low
        case "le":
            return column < high
    return column < low
