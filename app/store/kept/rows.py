"""Every row of every table as one line of JSON, the same on SQLite and PostgreSQL, and back.

What is derived is left out: search values are made anew, and leases end with their workers.
"""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import LargeBinary, Table, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from app.store.index.reindex import VALUES
from app.store.tables import Lease, Reindex, Restoring, SearchIndex

Kept: TypeAlias = Table

_DERIVED = {table.__tablename__ for table in (*VALUES, Lease, Reindex, Restoring, SearchIndex)}
# Rows read at once; of tables with contents, each of which may be as large as a request.
_CHUNK, _CHUNK_OF_CONTENTS = 500, 20
_BYTES = "base64"
_MODULUS = 2**256


def tables() -> dict[str, Table]:
    """The tables that are kept, by name; rows name those of other tables by value only, so any order will do."""
    return {name: table for name, table in sorted(SQLModel.metadata.tables.items()) if name not in _DERIVED}


def most_at_once(table: Table) -> int:
    """How many rows of a table are held in memory."""
    has_contents = any(isinstance(column.type, LargeBinary) for column in table.c)
    return _CHUNK_OF_CONTENTS if has_contents else _CHUNK


async def lines(connection: AsyncConnection, table: Table, columns: Sequence[str] = ()) -> AsyncIterator[bytes]:
    """The rows of a table in the order of its key, each a line; columns: in this order, not in that of the table."""
    key, most = list(table.primary_key), most_at_once(table)
    told = [table.c[name] for name in columns] or list(table.c)
    place: Sequence[Any] = ()
    while True:
        chosen = select(*told).order_by(*key).limit(most)
        if place:
            chosen = chosen.where(tuple_(*key) > tuple_(*place))
        rows = (await connection.execute(chosen)).all()
        for row in rows:
            values = [_told(value) for value in row]
            yield json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if len(rows) < most:
            return
        # The type must be that of the column: a large number is no INTEGER of PostgreSQL.
        place = [literal(rows[-1]._mapping[column], column.type) for column in key]


def row(table: Table, columns: Sequence[str], line: bytes) -> dict[str, Any]:
    """The row of a line. Raises ValueError for a line that is none."""
    values = json.loads(line)
    if not isinstance(values, list) or len(values) != len(columns):
        raise ValueError("a line has another number of values than there are columns")
    pairs = zip(columns, values, strict=True)
    return {name: _held(value, isinstance(table.c[name].type, LargeBinary)) for name, value in pairs}


def _told(value: Any) -> Any:
    """Bytes that are text, as nearly all are, stand as text: a backup can be read without this program."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {_BYTES: base64.b64encode(value).decode()}


def _held(value: Any, is_bytes: bool) -> Any:
    if not is_bytes or value is None:
        return value
    return base64.b64decode(value[_BYTES], validate=True) if isinstance(value, Mapping) else str(value).encode()


@dataclass(slots=True)
class Counted:
    """How many rows were met, and a digest that is the same in whatever order: databases sort text differently."""

    rows: int = 0
    _sum: int = 0

    def add(self, line: bytes) -> None:
        self.rows += 1
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(line).digest())) % _MODULUS

    @property
    def digest(self) -> str:
        """The sum of the SHA-256 of every row."""
        return f"{self._sum:064x}"


async def counted(connection: AsyncConnection, table: Table, columns: Sequence[str] = ()) -> Counted:
    """What a table holds; columns as for lines."""
    found = Counted()
    async for line in lines(connection, table, columns):
        found.add(line)
    return found
