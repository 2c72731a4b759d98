"""INSERT, or UPDATE of the row with the same key: both databases spell it alike, SQLAlchemy by dialect."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

Changed = Callable[[Any], Mapping[str, Any]]
Where = Callable[[Any], Any]


def upsert(
    connection: AsyncConnection,
    table: type[SQLModel],
    rows: Sequence[Mapping[str, Any]],
    key: Sequence[str],
    *,
    changed: Changed | None = None,
    where: Where | None = None,
) -> Any:
    """One statement for some rows, which have the same columns and different keys.

    changed: the values set where the key is there, made from the row that was to be inserted; default: all of it.
    where: the condition under which they are set at all.
    """
    names = [name for name in rows[0] if name not in key]
    return _statement(connection, table, key, names, changed, where).values(list(rows))


def upserting(
    connection: AsyncConnection,
    table: type[SQLModel],
    key: Sequence[str],
    *,
    changed: Changed | None = None,
    where: Where | None = None,
) -> Any:
    """The same for any number of rows with every column, to be executed with them: it is compiled once."""
    columns: Any = table.__table__.c  # type: ignore[attr-defined]
    names = [each.name for each in columns if each.name not in key]
    return _statement(connection, table, key, names, changed, where)


def _statement(
    connection: AsyncConnection,
    table: type[SQLModel],
    key: Sequence[str],
    names: Sequence[str],
    changed: Changed | None,
    where: Where | None,
) -> Any:
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    new = statement.excluded
    values = changed(new) if changed else {name: new[name] for name in names}
    return statement.on_conflict_do_update(index_elements=list(key), set_=values, where=where(new) if where else None)
