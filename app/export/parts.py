"""What an export consists of: parts that are done one after the other, each of which may make several files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.export.asked import Asked
from app.store.exported import Line

Kind = Literal["output", "deleted", "error"]
# What heads the names of files that hold more than one type.
_BLOCKS, _DELETED, _NOTES = "Blocks", "Bundle", "OperationOutcome"


@dataclass(frozen=True, slots=True)
class Part:
    """types: of the resources it reads. name: of its files and of what stands in them; type: the same for the manifest,
    "" where they hold several types. view: the text of the ViewDefinition that makes its rows. blocks: by patient."""

    kind: Kind
    types: tuple[str, ...]
    name: str
    type: str
    view: str = ""
    in_blocks: bool = False


def parts(asked: Asked, views: Sequence[Part] = ()) -> tuple[Part, ...]:
    """The parts of an export in their order. views: those of its views.

    What is deleted, and what is to be told, comes last: it is known only then.
    """
    return (*(views or _output(asked)), *_deleted(asked), Part("error", (), _NOTES, _NOTES))


def _output(asked: Asked) -> Sequence[Part]:
    if asked.organize_by:
        return [Part("output", asked.types, _BLOCKS, "", in_blocks=True)]
    return [Part("output", (each,), each, each) for each in asked.types]


def _deleted(asked: Asked) -> Sequence[Part]:
    """A row of a view cannot be told to be deleted: it has no name."""
    is_told = asked.since is not None and not asked.views
    return [Part("deleted", asked.types, _DELETED, _DELETED)] if is_told else []


def fitting(lines: Sequence[Line], most_rows: int, most_bytes: int) -> int:
    """How many of the lines a file takes: at least one, and at least one block, since no block is split."""
    size, whole = 0, 0
    for number, line in enumerate(lines):
        if number and not (line.head and line.head == lines[number - 1].head):
            whole = number
        size += line.size + 1
        if whole and (number >= most_rows or size > most_bytes):
            return whole
    return len(lines)
