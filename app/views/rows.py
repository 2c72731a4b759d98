"""How the rows of a selection come about, whatever it runs on: nodes of FHIRPath, or plain JSON values.

A focus is one element; both kinds are gone through by the same code.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from app.fhir.fhirpath.errors import EvaluationError
from app.fhir.fhirpath.nodes import Frame

Row = tuple[Any, ...]
Rows = Callable[[Frame, Any], list[Row]]
Found = Callable[[Frame, Any], list[Any]]
Made = Callable[[Frame, Any], Row]
# Of one resource: far above any real use, a bound on selects that multiply each other.
MOST_ROWS = 100_000
_MOST_DEPTH = 200


def at(own: Made, parts: Sequence[Rows]) -> Rows:
    """The rows of one element: its own columns with every combination of the rows of the parts."""
    if not parts:
        return lambda frame, focus: [own(frame, focus)]

    def rows(frame: Frame, focus: Any) -> list[Row]:
        made = [own(frame, focus)]
        for part in parts:
            more = part(frame, focus)
            if len(made) * len(more) > MOST_ROWS:
                raise EvaluationError(f"one resource has more than {MOST_ROWS} rows")
            made = [a + b for a in made for b in more]
        return made

    return rows


def union(branches: Sequence[Rows]) -> Rows:
    return lambda frame, focus: [row for branch in branches for row in branch(frame, focus)]


def for_each(found: Found, rows: Rows) -> Rows:
    """The rows of every element that is found; %rowIndex counts them."""

    def each(frame: Frame, focus: Any) -> list[Row]:
        return _numbered(frame, found(frame, focus), rows)

    return each


def for_each_or_null(found: Found, rows: Rows, nothing: Row) -> Rows:
    """The same, and one row where nothing is found."""

    def each(frame: Frame, focus: Any) -> list[Row]:
        elements = found(frame, focus)
        return _numbered(frame, elements, rows) if elements else [nothing]

    return each


def repeat(found: Sequence[Found], rows: Rows, first: Sequence[Found] = ()) -> Rows:
    """The rows of all that is found, and of what is found from there, and so on: each before what is below it.

    first: how the first level is found, where that is another way.
    """

    def each(frame: Frame, focus: Any) -> list[Row]:
        return _numbered(frame, list(_below(frame, focus, first or found, found, 0)), rows)

    return each


def _below(frame: Frame, focus: Any, ways: Sequence[Found], found: Sequence[Found], depth: int) -> Iterator[Any]:
    if depth > _MOST_DEPTH:
        raise EvaluationError(f"repeat finds more than {_MOST_DEPTH} levels")
    for way in ways:
        elements = way(frame, focus)
        frame.spend(len(elements))
        for element in elements:
            yield element
            yield from _below(frame, element, found, found, depth + 1)


def _numbered(frame: Frame, elements: Sequence[Any], rows: Rows) -> list[Row]:
    made: list[Row] = []
    before = frame.row
    for frame.row, element in enumerate(elements):
        made += rows(frame, element)
        if len(made) > MOST_ROWS:
            raise EvaluationError(f"one resource has more than {MOST_ROWS} rows")
    frame.row = before
    return made
