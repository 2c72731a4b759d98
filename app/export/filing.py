"""The next file of a job, and where the one after it begins."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.export.asked import Asked
from app.export.choosing import base_of
from app.export.means import Means
from app.export.notes import deletion, outcomes
from app.export.parts import Part, parts
from app.export.shapes import Measured, Pseudonyms, Resources, Shape, Tables
from app.export.writing import Due, Written, deletions_due, due, write_lines, write_texts
from app.fhir.outcomes import Issue, Refused
from app.store import exporting, repository
from app.store.departed import of_patients
from app.store.exported import Chosen
from app.store.repository import Key
from app.store.tables import ExportFile, ExportJob

# Of what heads the name of a file: a name may have 128 characters.
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Filed:
    """A file that is in its place, None where nothing was left, and what is to be noted with it. is_last: the job is
    done."""

    file: ExportFile | None
    noted: dict[str, Any]
    is_last: bool


@dataclass(frozen=True, slots=True)
class Filing:
    """A job as it was taken up. pseudonyms: None where none were asked for. keep: is called now and then, and raises
    where the job is no more this worker's."""

    means: Means
    job: ExportJob
    asked: Asked
    chosen: Chosen
    pseudonyms: Pseudonyms | None
    keep: Callable[[], Awaitable[None]]

    async def next(self) -> Filed:
        """Write the next file. A part that has nothing makes none."""
        every = parts(self.asked, [self._viewed(name, text) for name, text in self.asked.views])
        place, after = self.job.part, self.job.after_vid
        while place < len(every):
            found = await self._due(every[place], after)
            behind = (place + 1, 0) if found.after is None else (place, found.after)
            if found:
                written = await self._write(every[place], found)
                return self._filed(every, place, behind, found, written)
            place, after = behind
            await self.keep()
        return Filed(None, {"part": place, "after_vid": 0}, is_last=True)

    async def _due(self, part: Part, after: int) -> Due:
        database, limits, asked = self.means.database, self.means.limits, self.asked
        if part.kind == "error":
            return Due(texts=outcomes(asked.ignored, json.loads(self.job.removed)))
        if part.kind == "output":
            return await due(database, self.chosen, part, after, limits)
        parameters, base = self.means.searcher.parameters, base_of(asked)
        return await deletions_due(
            database,
            self.chosen,
            after,
            limits,
            told=lambda one: deletion(one, self.pseudonyms),
            whose=lambda connection, some: of_patients(connection, self.chosen, some, parameters, base),
        )

    async def _write(self, part: Part, found: Due) -> Written:
        async with self.means.database.reading() as connection:
            number = await exporting.number_of_files(connection, self.job.id) + 1
        ending = self.asked.table_format if part.view else "ndjson"
        name = f"{self.job.id}/{part.name[:_LONGEST_NAME]}.{number}.{ending}"
        if not found.lines:
            return await write_texts(self.means.files, name, found.texts)

        def opened(sink: Measured) -> Shape:
            if part.view:
                return self._tables.shape(part.view, self.asked.table_format, sink, self._look, self.pseudonyms)
            return Resources(sink, self.asked, self.pseudonyms)

        return await write_lines(self.means.database, self.means.files, name, found.lines, opened, self.keep)

    def _viewed(self, name: str, text: str) -> Part:
        tables = self._tables
        return Part("output", tables.types_of(text), name, name, view=text, in_blocks=tables.is_joined(text))

    async def _look(self, keys: Sequence[Key]) -> list[bytes]:
        async with self.means.database.reading() as connection:
            found = await repository.read_all(connection, keys, self.chosen.snapshot)
        return [one.content for one in found.values() if one.content is not None]

    @property
    def _tables(self) -> Tables:
        if self.means.tables is None:
            raise Refused([Issue("not-supported", "This server makes no tables.")])
        return self.means.tables

    def _filed(
        self, every: tuple[Part, ...], place: int, behind: tuple[int, int], found: Due, written: Written
    ) -> Filed:
        name = written.name.partition("/")[2]
        part = every[place]
        file = ExportFile(
            job=self.job.id,
            number=int(name.split(".")[-2]),
            kind=part.kind,
            type=part.type,
            name=name,
            count=written.count,
            bytes=written.bytes,
            sha256=written.sha256,
            after_vid=found.after or 0,
        )
        removed = Counter(json.loads(self.job.removed)) + Counter(written.removed)
        noted = {"part": behind[0], "after_vid": behind[1], "done": self.job.done + len(found.lines)}
        return Filed(file, noted | {"removed": json.dumps(removed)}, is_last=behind[0] == len(every))
