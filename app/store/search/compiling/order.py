"""The order of matches, and where a page begins in it (R4 3.1.1.5.1).

A resource with several values is placed by its least one, or going down by its greatest; one without a value comes
last both ways. Where all keys are equal, the row number of the version decides.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, select

from app.store.search.compiling.rows import rows_of
from app.store.search.results import Key
from app.store.search.tree import Field

# kind -> the columns that tell a value, going up and going down.
_COLUMNS: Mapping[str, tuple[str, str]] = {
    "date": ("low", "high"),
    "number": ("low", "high"),
    "quantity": ("low", "high"),
    "reference": ("target_id", "target_id"),
}
_VALUE = ("value", "value")


def sort_value(key: Key, version: Any) -> Any:
    """What a version is placed by."""
    if key.field is None:
        return version.id if key.code == "_id" else version.last_updated
    written = _extreme(key.field, version, is_greatest=key.is_descending)
    if key.field.kind != "quantity":
        return written
    # Amounts in different units compare in their canonical unit; the others as they are written.
    return func.coalesce(_extreme(key.field, version, is_greatest=key.is_descending, suffix=":canonical"), written)


def _extreme(field: Field, version: Any, *, is_greatest: bool, suffix: str = "") -> Any:
    row = rows_of(field.kind)
    name = _COLUMNS.get(field.kind, _VALUE)[is_greatest]
    chosen = func.max if is_greatest else func.min
    own = (row.vid == version.vid, row.param == field.param + suffix)
    return select(chosen(row[name])).where(*own).scalar_subquery()


def ordering(keys: Sequence[Key], columns: Sequence[Any], vid: Any) -> list[Any]:
    """ORDER BY of the columns that sort_value made."""
    found: list[Any] = []
    for key, column in zip(keys, columns, strict=True):
        # What every version has needs no place for those without it, and then an index can give the order.
        last = [] if key.field is None else [column.is_(None)]
        found += [*last, column.desc() if key.is_descending else column.asc()]
    return [*found, vid.asc()]


def after(keys: Sequence[Key], columns: Sequence[Any], vid: Any, place: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a row comes after a place: the sort values and row number of another."""
    *values, last = place
    alternatives: list[ColumnElement[bool]] = []
    same: list[ColumnElement[bool]] = []
    for key, column, value in zip(keys, columns, values, strict=True):
        alternatives.append(and_(*same, _follows(key, column, value)))
        same.append(column.is_(None) if value is None else column == value)
    return or_(*alternatives, and_(*same, vid > last))


def _follows(key: Key, column: Any, value: Any) -> ColumnElement[bool]:
    if value is None:
        return false()
    return or_(column.is_(None), column < value if key.is_descending else column > value)
