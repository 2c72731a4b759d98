"""Selections as generated Python on plain JSON values, for resources that are known to be what they should be.

What cannot be translated is left to the closures, part by part.
"""

from collections.abc import Callable, Mapping
from textwrap import indent
from typing import Any

from app.fhir.fhirpath.model import r4_model
from app.fhir.fhirpath.native import Untranslatable
from app.fhir.fhirpath.native.cells import CELL_FUNCTIONS, Cells
from app.fhir.fhirpath.nodes import Frame, Node
from app.views import general, rows
from app.views.columns import Column
from app.views.definition import Path, Selection

Plain = Callable[[Frame, Mapping[str, Any]], list[rows.Row]]


def plain_rows(resource: str, selection: Selection, filters: tuple[Path, ...]) -> Plain:
    """The rows of a resource of this type that the filters keep.

    What it is called with is presumed to have the structure of the type; it fails as Python does where that is wrong.
    """
    made = _Generated()
    kept = made.function(" and ".join(made.filter(path, resource) for path in filters) or "True")
    found = made.going(selection, resource)
    made.finish()

    def plain(frame: Frame, value: Mapping[str, Any]) -> list[rows.Row]:
        return found(frame, value) if kept(frame, value) else []

    return plain


class _Generated:
    """The functions of one view, generated together."""

    def __init__(self) -> None:
        self._bodies: dict[tuple[str, str], str] = {}
        self._namespace: dict[str, Any] = dict(CELL_FUNCTIONS)
        self._cells = Cells(r4_model(), self._emit)

    def finish(self) -> None:
        source = "".join(
            f"def {name}({parameters}):\n{indent(body, '    ')}\n" for (parameters, body), name in self._bodies.items()
        )
        # All text that comes from a ViewDefinition stands in it as the literal of a string or number, or not at all.
        exec(compile(source, "<view>", "exec", dont_inherit=True), self._namespace)  # noqa: S102 - written here

    def function(self, code: str) -> rows.Found:
        """The function of an expression, once all is finished."""
        name, namespace = self._emit("c, v", f"return {code}"), self._namespace
        return _later(namespace, name)

    def going(self, selection: Selection, type_: str) -> rows.Rows:
        try:
            return self._over(selection, type_)
        except Untranslatable:
            closures = general.rows_of(selection)
            return lambda frame, value: closures(frame, Node(value, type_))

    def filter(self, path: Path, type_: str) -> str:
        try:
            return self._cells.filter(path.tree, type_)
        except Untranslatable:
            return self._closure(general.holds(path), type_)

    def _over(self, selection: Selection, type_: str) -> rows.Rows:
        if not selection.over:
            return self._at(selection, type_)
        first = [self._cells.elements(path.tree, type_) for path in selection.paths]
        reached = {found for _, found in first if found}
        if len(reached) > 1:
            raise Untranslatable
        below = reached.pop() if reached else type_
        if selection.over == "repeat":
            return self._repeat(selection, [code for code, _ in first], below)
        ways = [self.function(code) for code, _ in first]
        return general.over(selection, ways, self._at(selection, below))

    def _repeat(self, selection: Selection, first: list[str], below: str) -> rows.Rows:
        again = [self._cells.elements(path.tree, below) for path in selection.paths]
        if {found for _, found in again if found} - {below}:
            raise Untranslatable
        ways = [self.function(code) for code, _ in again]
        return rows.repeat(ways, self._at(selection, below), [self.function(code) for code in first])

    def _at(self, selection: Selection, type_: str) -> rows.Rows:
        parts = [self.going(part, type_) for part in selection.parts]
        if selection.union:
            parts.append(rows.union([self.going(branch, type_) for branch in selection.union]))
        cells = "".join(f"{self._cell(column, path, type_)}, " for column, path in selection.columns)
        return rows.at(self.function(f"({cells})"), parts)  # type: ignore[arg-type]

    def _cell(self, column: Column, path: Path, type_: str) -> str:
        try:
            return (self._cells.many if column.collection else self._cells.one)(path.tree, type_)
        except Untranslatable:
            return self._closure(general.cell(column, path), type_)

    def _closure(self, closure: rows.Found, type_: str) -> str:
        name = f"k{len(self._namespace)}"
        self._namespace[name] = lambda frame, value: closure(frame, Node(value, type_))
        return f"{name}(c, v)"

    def _emit(self, parameters: str, body: str) -> str:
        return self._bodies.setdefault((parameters, body), f"q{len(self._bodies)}")


def _later(namespace: Mapping[str, Any], name: str) -> rows.Found:
    """A function that is only generated in the end."""

    def called(frame: Frame, value: Any) -> Any:
        return namespace[name](frame, value)

    return called
