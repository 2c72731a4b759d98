"""Rows of the index that match a criterion: which table, which param, which values.

`row` and `version` are the columns of a table or of an alias of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select
from sqlmodel import SQLModel

from app.store.search.compiling import ranges, references, texts, tokens
from app.store.search.tree import Amount, Field, Group, Match, Text, Unlike, Value
from app.store.tables import (
    SearchDate,
    SearchNumber,
    SearchQuantity,
    SearchReference,
    SearchString,
    SearchToken,
    SearchUri,
)

_Compile = Callable[[Any, Any], ColumnElement[bool]]
_KINDS: Mapping[str, tuple[type[SQLModel], _Compile]] = {
    "token": (SearchToken, tokens.token),
    "reference": (SearchReference, references.reference),
    "string": (SearchString, texts.string),
    "uri": (SearchUri, texts.uri),
    "date": (SearchDate, ranges.date),
    "number": (SearchNumber, ranges.number),
    "quantity": (SearchQuantity, ranges.quantity),
}


def columns_of(table: type[SQLModel]) -> Any:
    """The columns of a new alias of a table."""
    return table.__table__.alias().c  # type: ignore[attr-defined]


def rows_of(kind: str) -> Any:
    """The columns of a new alias of the table of a type of parameters."""
    return columns_of(_KINDS[kind][0])


def one_of(column: Any, values: Sequence[str]) -> ColumnElement[bool]:
    """Whether the column is one of the values."""
    found: ColumnElement[bool] = column == values[0] if len(values) == 1 else column.in_(values)
    return found


def listed(match: Match, types: Sequence[str], vid: Any) -> ColumnElement[bool]:
    """Whether a version is one of those with a row that matches, all of which are found by the index first."""
    found = [select(row.vid).where(one_of(row.type, types), condition) for row, condition in _ways(match)]
    return vid.in_(found[0] if len(found) == 1 else found[0].union_all(*found[1:]))  # type: ignore[no-any-return]


def has_match(match: Match, vid: Any) -> ColumnElement[bool]:
    """The same, looked up for one version at a time."""
    return or_(*(exists(select(1).where(row.vid == vid, condition)) for row, condition in _ways(match)))


def has_value(field: Field, vid: Any) -> ColumnElement[bool]:
    """Whether a version has any row of a field."""
    row = rows_of(field.kind)
    return exists(select(1).where(row.vid == vid, row.param == field.param))


def _ways(match: Match) -> list[tuple[Any, ColumnElement[bool]]]:
    """Each way to match: the columns of a row, and what must be so of it."""
    groups = [value for value in match.values if isinstance(value, Group)]
    if groups:
        return [_of_group(group) for group in groups]
    row = rows_of(match.field.kind)
    return [(row, _is_match(row, match))]


def _is_match(row: Any, match: Match) -> ColumnElement[bool]:
    """Whether a row is under the param, and is one of the values."""
    by_param: dict[tuple[str, ...], list[ColumnElement[bool]]] = {}
    for value in match.values:
        params = tuple(match.field.param + suffix for suffix in _suffixes(value))
        by_param.setdefault(params, []).append(_is(row, match.field.kind, value))
    return or_(*(and_(one_of(row.param, params), or_(*found)) for params, found in by_param.items()))


def _is(row: Any, kind: str, value: Value) -> ColumnElement[bool]:
    if isinstance(value, Unlike):
        return not_(_is(row, kind, value.value))
    return _KINDS[kind][1](row, value)


def _suffixes(value: Value) -> tuple[str, ...]:
    """Under which params a value stands (app/store/index/)."""
    match value:
        case Amount(is_canonical=True):
            return (":canonical",)
        case Text(how="contains"):
            return ("", ":part")
    return ("",)


def _of_group(group: Group) -> tuple[Any, ColumnElement[bool]]:
    """Rows of all components, of the same version and the same item."""
    first, *others = group.parts
    start = rows_of(first.field.kind)
    conditions = [_is_match(start, first)]
    for other in others:
        row = rows_of(other.field.kind)
        # Without its type: no other index than that by version is to be thought of.
        conditions.append(exists(select(1).where(row.vid == start.vid, row.item == start.item, _is_match(row, other))))
    return start, and_(*conditions)
