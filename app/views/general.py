"""Selections on nodes: the full FHIRPath, on resources of any shape."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.fhir.fhirpath import Node, Quantity, Temporal
from app.fhir.fhirpath.compiler import ROW_INDEX
from app.fhir.fhirpath.errors import EvaluationError
from app.fhir.fhirpath.nodes import Frame
from app.fhir.fhirpath.syntax import Tree
from app.views import rows
from app.views.columns import Column
from app.views.definition import Path, Selection

_ROW_INDEX = Tree("variable", ROW_INDEX)


class PathFailed(EvaluationError):
    """An expression cannot be evaluated on a resource. place: where it stands in the ViewDefinition."""

    def __init__(self, place: str, told: str) -> None:
        super().__init__(told)
        self.place = place


def rows_of(selection: Selection) -> rows.Rows:
    parts = [rows_of(part) for part in selection.parts]
    if selection.union:
        parts.append(rows.union([rows_of(branch) for branch in selection.union]))
    made = rows.at(_columns(selection), parts)
    ways = [_found(path) for path in selection.paths]
    return over(selection, ways, made)


def over(selection: Selection, ways: list[rows.Found], made: rows.Rows) -> rows.Rows:
    """The rows of a selection, of those of one element it goes over."""
    match selection.over:
        case "forEach":
            return rows.for_each(ways[0], made)
        case "forEachOrNull":
            return rows.for_each_or_null(ways[0], made, _nothing(selection))
        case "repeat":
            return rows.repeat(ways, made)
    return made


def _nothing(selection: Selection) -> rows.Row:
    """The row where a selection finds nothing: nulls, and %rowIndex, which is 0 then."""
    return tuple(0 if path.tree == _ROW_INDEX else None for _, path in selection.cells())


def _found(path: Path) -> rows.Found:
    def found(frame: Frame, focus: Any) -> list[Any]:
        return _evaluated(path, frame, focus)

    return found


def _evaluated(path: Path, frame: Frame, focus: Any) -> list[Any]:
    try:
        return path.expression.on(frame, focus)
    except EvaluationError as error:
        raise PathFailed(path.place, str(error)) from None


def _columns(selection: Selection) -> rows.Made:
    cells = [cell(column, path) for column, path in selection.columns]
    return lambda frame, focus: tuple([each(frame, focus) for each in cells])


def cell(column: Column, path: Path) -> rows.Found:
    """The value of a column on one element, as JSON has it: None for nothing, a list for a collection."""

    def values(frame: Frame, focus: Any) -> list[Any]:
        return [made for item in _evaluated(path, frame, focus) if (made := plain(item)) is not None]

    if column.collection:
        return values

    def value(frame: Frame, focus: Any) -> Any:
        found = values(frame, focus)
        if len(found) > 1:
            told = f"the column {column.name} is no collection, and {len(found)} values were found"
            raise PathFailed(path.place, told)
        return found[0] if found else None

    return value


def plain(item: Any) -> Any:
    """An item of FHIRPath as a JSON value."""
    if type(item) is Node:
        return item.value
    if isinstance(item, Temporal):
        return item.text
    if isinstance(item, Quantity):
        return {"value": item.value, "unit": item.unit}
    return item if isinstance(item, str | bool | int | Decimal | Mapping) else None


def holds(path: Path) -> rows.Found:
    """Whether a filter keeps a resource. Raises PathFailed where it gives no Boolean."""

    def kept(frame: Frame, focus: Any) -> Any:
        found = [plain(item) for item in _evaluated(path, frame, focus)]
        if len(found) > 1 or (found and not isinstance(found[0], bool)):
            raise PathFailed(path.place, "a filter gives true or false")
        return bool(found and found[0])

    return kept
