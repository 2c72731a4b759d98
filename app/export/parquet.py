"""Parquet, written row group by row group through pyarrow, which is an extra: it is larger than all the rest together.

Decimals are doubles, as every reader expects numbers to be: 15 digits are exact, and a resource has the rest. Instants
are timestamps in UTC. A date may be a year or a month only, so dates and dateTimes are text as they were written.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.fhir.instants import period
from app.fhir.outcomes import Issue, NotSupported, Unprocessable
from app.views.columns import Column

# Of one row group: what is held in memory before it is written.
_MOST_ROWS, _MOST_TEXT = 20_000, 16_000_000
_MISSING = "Parquet needs the extra dermatome[parquet], which is not installed on this server: ask for csv or ndjson."


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | Decimal):
        return str(value)
    raise TypeError


def _whole(value: Any) -> int:
    if isinstance(value, bool) or value != int(value):
        raise TypeError
    return int(value)


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError


def _number(value: Any) -> float:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return float(value)
    raise TypeError


# Type of a column -> type of Arrow, by the name of its maker, and how a value is given to it. All else is text.
_KINDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "boolean": ("bool_", _truth),
    "integer": ("int32", _whole),
    "positiveInt": ("int32", _whole),
    "unsignedInt": ("int32", _whole),
    "integer64": ("int64", _whole),
    "decimal": ("float64", _number),
    "instant": ("timestamp", lambda value: period(value)[0]),
}
_TEXT = ("string", _text)


class ParquetTable:
    """A Parquet file in the making. Raises NotSupported where pyarrow is not installed."""

    def __init__(self, columns: Sequence[Column]) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise NotSupported([Issue("not-supported", _MISSING)]) from None
        self._arrow: Any = pyarrow
        self._columns = columns
        self._kinds = [_KINDS.get(column.type, _TEXT) for column in columns]
        fields = [
            (column.name, self._type(column, kind)) for column, (kind, _) in zip(columns, self._kinds, strict=True)
        ]
        self._file = _Drained()
        self._schema = pyarrow.schema(fields)
        self._writer: Any = pyarrow.parquet.ParquetWriter(self._file, self._schema, compression="zstd")
        self._waiting: list[tuple[Any, ...]] = []
        self._size = 0

    def _type(self, column: Column, kind: str) -> Any:
        made = self._arrow.timestamp("us", tz="UTC") if kind == "timestamp" else getattr(self._arrow, kind)()
        return self._arrow.list_(made) if column.collection else made

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> bytes:
        for row in rows:
            self._waiting.append(row)
            self._size += sum(len(value) for value in row if type(value) is str)
            if len(self._waiting) >= _MOST_ROWS or self._size >= _MOST_TEXT:
                self._write()
        return self._file.drain()

    def end(self) -> bytes:
        self._write()
        self._writer.close()
        return self._file.drain()

    def _write(self) -> None:
        if not self._waiting:
            return
        values = zip(*self._waiting, strict=True)
        arrays = [self._array(*each) for each in zip(self._columns, self._schema, self._kinds, values, strict=True)]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._waiting, self._size = [], 0

    def _array(self, column: Column, field: Any, kind: tuple[str, Callable[[Any], Any]], values: Sequence[Any]) -> Any:
        convert = kind[1]
        try:
            if column.collection:
                made: list[Any] = [[convert(each) for each in value] for value in values]
            else:
                made = [None if value is None else convert(value) for value in values]
            return self._arrow.array(made, field.type)
        except (TypeError, ValueError, ArithmeticError):
            told = f"A value of the column {column.name} does not fit its type {column.type}."
            raise Unprocessable([Issue("value", told)]) from None


class _Drained(io.RawIOBase):
    """A file whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._place += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._place

    def drain(self) -> bytes:
        made = b"".join(self._pieces)
        self._pieces.clear()
        return made
