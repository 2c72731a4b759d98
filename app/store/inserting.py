"""Inserting many rows of several tables by the driver itself: SQLAlchemy takes longer than the database for them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Dialect, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from app.store.sqlite import SqliteConnection

_Row = Mapping[str, Any]


class _Into:
    """The statement for one table, as SQLAlchemy makes it for one kind of database, and rows as it takes them."""

    def __init__(self, table: type[SQLModel], names: Sequence[str], dialect: Dialect) -> None:
        compiled: Any = insert(table).compile(dialect=dialect, column_keys=names)
        self.sql = str(compiled)
        self._values = itemgetter(*compiled.positiontup)
        types = [compiled.binds[name].type.dialect_impl(dialect) for name in compiled.positiontup]
        self._made = [(place, make) for place, type_ in enumerate(types) if (make := type_.bind_processor(dialect))]

    def work(self, rows: Sequence[_Row]) -> tuple[str, Sequence[Sequence[Any]]]:
        """The statement, and for each row its values, as the driver takes them."""
        if not self._made:
            return self.sql, [self._values(row) for row in rows]
        found = [list(self._values(row)) for row in rows]
        for values in found:
            for place, make in self._made:
                values[place] = make(values[place])
        return self.sql, found


async def insert_all(connection: AsyncConnection, tables: Mapping[type[SQLModel], Sequence[_Row]]) -> None:
    """Insert rows of each table, within the transaction that is going on.

    All rows of a table have the same columns: nothing is filled in that a row lacks.
    """
    work = [_into(table, tuple(rows[0]), connection.dialect).work(rows) for table, rows in tables.items() if rows]
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        if isinstance(driver, SqliteConnection):
            await driver.do_all(work)
        else:
            for sql, values in work:
                await driver.executemany(sql, values)
    except OSError:
        raise
    except Exception as error:
        raise DBAPIError.instance("INSERT", None, error, Exception, hide_parameters=True) from error


@lru_cache(maxsize=200)
def _into(table: type[SQLModel], names: Sequence[str], dialect: Dialect) -> _Into:
    return _Into(table, names, dialect)
