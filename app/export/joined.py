"""The rows of the ready tables that are made of several resources of a patient: patients come whole, and are joined."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from app.export.files import Sink
from app.export.shapes import Look, Piece, Pseudonyms, under
from app.export.tables import Row, Table, is_plain, parsed
from app.fhir.compartments import compartments
from app.fhir.references import local, references
from app.store.repository import Key
from app.views.ready import SqlTable

_PATIENT, _PATIENT_COLUMN = "Patient", "patient_id"
# Patients are joined together when their text is so large; one patient may have more.
_BYTES = 4_000_000


class Gathered:
    """Gathers texts as they come, block by block, and makes the rows of the patients who are whole.

    look: reads what is shared by patients, such as Medications, by its references: those that are stored, so that
    pseudonyms come after it. removed: what they take out; of what is shared, each time it is read.
    """

    def __init__(self, source: SqlTable, look: Look, pseudonyms: Pseudonyms | None = None) -> None:
        self._source, self._look, self._pseudonyms = source, look, pseudonyms
        self.removed = Counter[str]()
        self._patient = [column.name for column in source.columns].index(_PATIENT_COLUMN)
        self._shared = frozenset(source.resources) - compartments()[_PATIENT].keys()
        self._texts: dict[int, bytes] = {}
        self._heads: set[str] = set()
        self._last, self._size = "", 0

    async def rows(self, piece: Piece) -> list[Row]:
        """The rows of those patients who are whole, now that this has come."""
        made: list[Row] = []
        for line, text in piece:
            if line.head != self._last and self._size > _BYTES:
                made += await self.rest()
            self._last = line.head
            self._heads.add(line.head)
            self._texts[line.vid] = text
            self._size += len(text)
        return made

    async def rest(self) -> list[Row]:
        """The rows of all who are left: they are whole."""
        texts, heads = list(self._texts.values()), frozenset(self._heads)
        self._texts, self._heads, self._size = {}, set(), 0
        if self._shared:
            texts += await self._look(await asyncio.to_thread(self._referred, texts))
        return await asyncio.to_thread(self._made, texts, heads)

    def _referred(self, texts: Sequence[bytes]) -> Sequence[Key]:
        """What these refer to of the types that are no patient's."""
        found = (local(link, "") for text in texts for link in references(parsed(text)))
        return sorted({one[:2] for one in found if one and one[0] in self._shared})

    def _made(self, texts: Sequence[bytes], heads: frozenset[str]) -> list[Row]:
        """Something may be in the compartments of two patients: its rows come with the one they are about."""
        given = [one for text in texts if (one := under(self._pseudonyms, text, self.removed))]
        rows = self._source.rows([parsed(one) for one in given], is_plain=all(map(is_plain, given)))
        named = {self._named(head) for head in heads}
        return [row for row in rows if row[self._patient] in named]

    def _named(self, patient: str) -> str:
        if self._pseudonyms is None:
            return patient
        return self._pseudonyms.reference(f"{_PATIENT}/{patient}").removeprefix(f"{_PATIENT}/")


class JoinedRows:
    """One file with the rows of such a table."""

    def __init__(
        self, source: SqlTable, table: Table, sink: Sink, look: Look, pseudonyms: Pseudonyms | None = None
    ) -> None:
        self._gathered, self._table, self._sink = Gathered(source, look, pseudonyms), table, sink
        self.count, self.removed = 0, self._gathered.removed

    async def take(self, piece: Piece) -> None:
        await self._write(await self._gathered.rows(piece))

    async def finish(self) -> None:
        await self._write(await self._gathered.rest())
        await self._sink.write(await asyncio.to_thread(self._table.end))

    async def _write(self, rows: Sequence[Row]) -> None:
        self.count += len(rows)
        await self._sink.write(await asyncio.to_thread(self._table.rows, rows))
