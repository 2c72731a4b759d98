"""Tables made by SQL of the rows of other tables, where one resource does not say enough.

The rows go into a private SQLite, so that the same definition gives the same rows whatever database the server runs on:
SQLite keeps it in memory while it is small and in a temporary file, which nobody else can open, when it is not.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.views.columns import Column
from app.views.content_tables import FUNCTIONS

Row = tuple[Any, ...]
Convert = Callable[[Any], Any]
_AFFINITIES = {"boolean": "INTEGER", "integer": "INTEGER", "decimal": "NUMERIC"}
# A value as SQLite takes it, and as it is told, by the type of its column; other types are the same on both sides.
_BOUND: Mapping[str, Convert] = {"decimal": str}
_TOLD: Mapping[str, Convert] = {"decimal": lambda value: _number(value), "boolean": bool}
_MOST_WAITING = 500


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Rows of a table that are not inserted yet: many at once take less than half the time."""

    rows: list[Row]
    bound: Callable[[Iterable[Row]], Iterator[Row]]
    marks: str


class Joining:
    """A private database that tables are put into and asked for."""

    def __init__(self) -> None:
        self._tables: dict[str, _Waiting] = {}
        # One caller at a time, but a reader may be moved on by one thread after the other.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        for name, function in FUNCTIONS.items():
            self._database.create_function(name, function.arguments, function.call, deterministic=True)

    def close(self) -> None:
        self._database.close()

    def create(self, name: str, columns: Sequence[Column]) -> None:
        told = ", ".join(f'"{one.name}" {_AFFINITIES.get(one.type, "TEXT")}' for one in columns)
        self._database.execute(f'CREATE TABLE "{name}" ({told})')
        self._tables[name] = _Waiting([], _converting(columns, _BOUND), ", ".join("?" * len(columns)))

    def add(self, name: str, rows: Iterable[Row]) -> None:
        waiting = self._tables[name].rows
        waiting += rows
        if len(waiting) >= _MOST_WAITING:
            self._insert(name)

    def fill(self, name: str, sql: str) -> None:
        """A table, already created, with what a query finds."""
        self._insert_all()
        self._database.execute(f'INSERT INTO "{name}" {sql}')

    def rows(self, sql: str, columns: Sequence[Column]) -> Iterator[Row]:
        """What a query finds, each value of its column's type."""
        self._insert_all()
        yield from _converting(columns, _TOLD)(self._database.execute(sql))

    def _insert_all(self) -> None:
        for name in self._tables:
            self._insert(name)

    def _insert(self, name: str) -> None:
        one = self._tables[name]
        insert = f'INSERT INTO "{name}" VALUES ({one.marks})'  # noqa: S608 (names of ours)
        self._database.executemany(insert, one.bound(one.rows))
        one.rows.clear()


def _converting(columns: Sequence[Column], by_type: Mapping[str, Convert]) -> Callable[[Iterable[Row]], Iterator[Row]]:
    """Rows with the values of some columns converted, where there are values."""
    places = [(place, by_type[one.type]) for place, one in enumerate(columns) if one.type in by_type]

    def converted(rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            values = list(row)
            for place, convert in places:
                if values[place] is not None:
                    values[place] = convert(values[place])
            yield tuple(values)

    return converted


def _number(value: int | float) -> Decimal:
    is_whole = isinstance(value, int) or value.is_integer()
    return Decimal(int(value)) if is_whole else Decimal(repr(value))
