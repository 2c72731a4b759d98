"""One file of an export: which lines it takes, and how it comes to be."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from app.export.files import Files
from app.export.parts import Part, fitting
from app.export.shapes import Measured, Shape
from app.store.database import Connection, Database
from app.store.departed import Departed, departed
from app.store.exported import Chosen, Line, blocks, lines, texts

_DELETIONS = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a file ends."""

    rows: int = 50_000
    bytes: int = 64_000_000


@dataclass(frozen=True, slots=True)
class Due:
    """What the next file of a part holds: stored resources, or texts that are made already. after: where the file after
    it begins, None when the part is done."""

    lines: Sequence[Line] = ()
    texts: Sequence[bytes] = ()
    after: int | None = None

    def __bool__(self) -> bool:
        return bool(self.lines or self.texts)


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is in its place."""

    name: str
    count: int
    bytes: int
    sha256: str
    removed: dict[str, int] = field(default_factory=dict)


class Opened(Protocol):
    """How a shape is opened for a sink."""

    def __call__(self, sink: Measured) -> Shape: ...


async def due(database: Database, chosen: Chosen, part: Part, after: int, limits: Limits) -> Due:
    """The lines of the next file of a part of resources."""
    async with database.reading() as connection:
        if not part.in_blocks:
            found = await lines(connection, chosen, part.types, after=after, limit=limits.rows + 1)
            return _cut(found, limits)
        gathered: list[Line] = []
        place: int | None = after
        while place is not None and not _is_full(gathered, limits):
            more, place = await blocks(connection, chosen, part.types, after=place)
            gathered += more
    cut = _cut(gathered, limits)
    # All that was gathered fits, and there may be more patients.
    return cut if cut.after is not None or place is None else Due(cut.lines, after=place)


def _cut(found: Sequence[Line], limits: Limits) -> Due:
    count = fitting(found, limits.rows, limits.bytes)
    return Due(found[:count], after=found[count - 1].after if count < len(found) else None)


def _is_full(found: Sequence[Line], limits: Limits) -> bool:
    return len(found) > limits.rows or sum(line.size for line in found) > limits.bytes


async def deletions_due(
    database: Database,
    chosen: Chosen,
    after: int,
    limits: Limits,
    told: Callable[[Departed], bytes],
    whose: Callable[[Connection, Sequence[Departed]], Awaitable[Sequence[Departed]]],
) -> Due:
    """The deletions of the next file, as they are told. whose: answers those that are about the patients exported."""
    found: list[bytes] = []
    while len(found) < limits.rows:
        wanted = min(_DELETIONS, limits.rows - len(found))
        async with database.reading() as connection:
            some = await departed(connection, chosen, after=after, limit=wanted)
            found += [told(each) for each in await whose(connection, some)]
        if len(some) < wanted:
            return Due(texts=found)
        after = some[-1].vid
    return Due(texts=found, after=after)


async def write_lines(
    database: Database,
    files: Files,
    name: str,
    found: Sequence[Line],
    opened: Opened,
    between: Callable[[], Awaitable[None]],
) -> Written:
    """Write the stored texts of the lines. between: is called between pieces, and may raise to give the file up."""
    async with _file(files, name) as sink:
        shape = opened(sink)
        async for piece in texts(database, found):
            await shape.take(piece)
            await between()
        await shape.finish()
    return Written(name, shape.count, sink.bytes, sink.sha256, dict(shape.removed))


async def write_texts(files: Files, name: str, made: Sequence[bytes]) -> Written:
    """Write lines that are made already."""
    async with _file(files, name) as sink:
        await sink.write(b"".join(text + b"\n" for text in made))
    return Written(name, len(made), sink.bytes, sink.sha256)


@asynccontextmanager
async def _file(files: Files, name: str) -> AsyncIterator[Measured]:
    async with files.writing(name) as sink:
        yield Measured(sink)
