"""Rows as text of a format, piece by piece: JSON, NDJSON, CSV and Parquet; and a file with the rows of a view."""

import asyncio
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from app.export.files import Sink
from app.export.parquet import ParquetTable
from app.export.shapes import Piece, Pseudonyms, under
from app.fhir.fhirpath.model import r4_model
from app.fhir.json import parse_object
from app.fhir.outcomes import Issue, Refused
from app.views import Column, View, compile_view

Row = tuple[Any, ...]
MEDIA_TYPES: Mapping[str, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
# How the name of an extension begins where a primitive has one: `"_birthDate"`.
_EXTENDED = b'"_'
_encode = msgspec.json.Encoder(decimal_format="number").encode
# A thousandth of a dose is written as it was.
_exact = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class Table(Protocol):
    """A table that is being written. What is given back goes into the file, in this order."""

    def rows(self, rows: Sequence[Row]) -> bytes: ...

    def end(self) -> bytes: ...


class _Lines:
    """NDJSON: a row a line, with every column by its name."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]

    def rows(self, rows: Sequence[Row]) -> bytes:
        return b"".join([_encode(dict(zip(self._names, row, strict=True))) + b"\n" for row in rows])

    def end(self) -> bytes:
        return b""


class _Array:
    """One JSON array."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names, self._before = [column.name for column in columns], b"["

    def rows(self, rows: Sequence[Row]) -> bytes:
        made = b",\n".join([_encode(dict(zip(self._names, row, strict=True))) for row in rows])
        if not made:
            return b""
        before, self._before = self._before, b",\n"
        return before + made

    def end(self) -> bytes:
        return b"[]" if self._before == b"[" else b"]"


class _Csv:
    """CSV (RFC 4180). Nothing is an empty field: FHIR has no empty strings."""

    def __init__(self, columns: Sequence[Column], *, header: bool) -> None:
        self._head = [column.name for column in columns] if header else None
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text)
        self._booleans = [at for at, column in enumerate(columns) if column.type == "boolean"]

    def rows(self, rows: Sequence[Row]) -> bytes:
        if self._head is not None:
            self._writer.writerow(self._head)
            self._head = None
        self._writer.writerows(map(self._told, rows) if self._booleans else rows)
        made = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return made

    def _told(self, row: Row) -> Iterable[Any]:
        values = list(row)
        for at in self._booleans:
            if values[at] is not None:
                values[at] = "true" if values[at] else "false"
        return values

    def end(self) -> bytes:
        return self.rows(())


def table(format_: str, columns: Sequence[Column], *, header: bool = True) -> Table:
    """A table of a format of MEDIA_TYPES. Raises Refused where the format cannot hold the columns."""
    makers: Mapping[str, Callable[[], Table]] = {
        "json": lambda: _Array(columns),
        "ndjson": lambda: _Lines(columns),
        "csv": lambda: _Csv(columns, header=header),
        "parquet": lambda: ParquetTable(columns),
    }
    _require_fitting(format_, columns)
    return makers[format_]()


def _require_fitting(format_: str, columns: Sequence[Column]) -> None:
    """CSV has no lists, and neither it nor Parquet, here, has elements with parts."""
    if format_ not in ("csv", "parquet"):
        return
    model = r4_model()
    wrong = [
        Issue("not-supported", f"The column {one.name} is a collection, which CSV cannot hold: ask for another format.")
        for one in columns
        if one.collection and format_ == "csv"
    ]
    wrong += [
        Issue("not-supported", f"The column {one.name} is a {one.type}: {format_} takes primitive values only.")
        for one in columns
        if one.type not in model.primitives and one.type != "integer64" and model.has(one.type)
    ]
    if wrong:
        raise Refused(wrong)


@lru_cache(64)
def compiled(text: str | bytes) -> View:
    """The view of the text of a ViewDefinition. Raises Refused."""
    return compile_view(parse_object(text.encode() if isinstance(text, str) else text))


def rows_of(view: View, text: bytes) -> list[Row]:
    """The rows of a stored resource, which was looked at when it came in. Raises Unprocessable."""
    return view.rows(parsed(text), is_plain=is_plain(text))


def parsed(text: bytes) -> dict[str, Any]:
    """A stored resource, its decimals with their digits."""
    return _exact.decode(text)


def is_plain(text: bytes) -> bool:
    """Whether no primitive of it has extensions."""
    return _EXTENDED not in text


class ViewRows:
    """One file with the rows of a view."""

    def __init__(self, view: View, format_: str, sink: Sink, pseudonyms: Pseudonyms | None = None) -> None:
        self.count, self.removed, self._pseudonyms = 0, Counter[str](), pseudonyms
        self._view, self._sink, self._table = view, sink, table(format_, view.columns)

    async def take(self, piece: Piece) -> None:
        if made := await asyncio.to_thread(self._made, piece):
            await self._sink.write(made)

    async def finish(self) -> None:
        if made := await asyncio.to_thread(self._table.end):
            await self._sink.write(made)

    def _made(self, piece: Piece) -> bytes:
        texts = (under(self._pseudonyms, text, self.removed) for _, text in piece)
        rows = [row for text in texts if text for row in rows_of(self._view, text)]
        self.count += len(rows)
        return self._table.rows(rows)
