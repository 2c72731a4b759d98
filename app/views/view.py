"""A ViewDefinition, compiled: resources in, rows out."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from app.fhir.fhirpath import EvaluationError, Frame, Node, r4_model
from app.fhir.fhirpath.inference import Types
from app.fhir.outcomes import Issue, Refused, Unprocessable
from app.views import general
from app.views.columns import Column
from app.views.definition import Path, Reading, Selection
from app.views.general import PathFailed
from app.views.plain import Plain, plain_rows
from app.views.profiles import claimed, top
from app.views.rows import Row

_PLACE = "ViewDefinition"
# What the presumption that a resource has the structure of its type can fail with.
_PRESUMED = (TypeError, AttributeError, LookupError, ArithmeticError, ValueError, RecursionError, EvaluationError)


class View:
    """resource: the type of the resources the rows are made of. warnings: what is allowed and hardly meant."""

    __slots__ = ("_filters", "_plain", "_rows", "columns", "resource", "warnings")

    def __init__(
        self, resource: str, selection: Selection, filters: tuple[Path, ...], warnings: tuple[Issue, ...]
    ) -> None:
        self.resource, self.warnings = resource, warnings
        self.columns: tuple[Column, ...] = selection.all_columns()
        self._filters = [general.holds(path) for path in filters]
        self._rows = general.rows_of(selection)
        self._plain: Plain = plain_rows(resource, selection, filters)

    def rows(self, resource: Mapping[str, Any], *, is_plain: bool = False) -> list[Row]:
        """The rows of a resource; none of one of another type. Numbers with a fraction are Decimals, else ints.

        is_plain: it is known to have the structure of its type, and no primitive with extensions (`_birthDate`): then
        it is read as it is, which is many times faster. Raises Unprocessable where an expression fails on it.
        """
        if resource.get("resourceType") != self.resource:
            return []
        node = Node(resource, self.resource)
        if is_plain:
            try:
                return self._plain(Frame(r4_model(), node, node, node), resource)
            except _PRESUMED:
                # What is wrong, if it is, is told below.
                pass
        try:
            return self._on(Frame(r4_model(), node, node, node), node)
        except EvaluationError as error:
            raise Unprocessable([_failed(error)]) from None

    def _on(self, frame: Frame, node: Node) -> list[Row]:
        kept = all(holds(frame, node) for holds in self._filters)
        return self._rows(frame, node) if kept else []


def _failed(error: EvaluationError) -> Issue:
    place = error.place if isinstance(error, PathFailed) else _PLACE
    return Issue("processing", f"The view cannot be made of one of the resources: {error}.", place)


def compile_view(definition: Mapping[str, Any]) -> View:
    """The view of a ViewDefinition. Raises Refused with all that is wrong in it."""
    reading = Reading()
    top(reading, definition)
    resource = definition.get("resource")
    model = r4_model()
    types: Types = frozenset({resource}) if isinstance(resource, str) and resource in model.resources else None
    if types is None:
        reading.wrong("required", f"{_PLACE}.resource", "A ViewDefinition names the resource type of R4 it is about.")
    reading.constants_of(definition)
    selects = reading.selections(definition, "select", _PLACE, types, 0)
    if not definition.get("select"):
        reading.wrong("required", f"{_PLACE}.select", "A ViewDefinition has at least one select.")
    filters = _filters(reading, definition, types)
    selection = Selection(parts=tuple(selects))
    _once(reading, selection)
    claimed(reading, definition, selection)
    if reading.issues:
        raise Refused(reading.issues)
    return View(str(resource), selection, filters, tuple(reading.unknown))


def _filters(reading: Reading, definition: Mapping[str, Any], types: Types) -> tuple[Path, ...]:
    found = []
    for place, one in reading.objects(definition, "where", _PLACE):
        reading.known(one, place, ("path", "description"))
        path, given = reading.path(one.get("path"), f"{place}.path", types)
        if given and "boolean" not in given and "Boolean" not in given:
            reading.wrong("value", f"{place}.path", f"A filter gives true or false; this one gives {min(given)}.")
        found += [path] if path else []
    return tuple(found)


def _once(reading: Reading, selection: Selection) -> None:
    counted = Counter(column.name for column in selection.all_columns() if column.name)
    for name, count in counted.items():
        if count > 1:
            reading.wrong("invariant", f"{_PLACE}.select", f"There are {count} columns with the name {name}.")
