"""Many searches for one identifier each, answered together: transactions may hold thousands of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.store import sight
from app.store.index.state import require_indexed
from app.store.index.values import indexed
from app.store.keys import chunks
from app.store.search.compiling.criteria import Compiler
from app.store.search.escapes import split, unescape
from app.store.search.needs import needs_of_sight
from app.store.tables import SearchToken, Version

_IDENTIFIER = "identifier"


@dataclass(frozen=True, slots=True)
class Sought:
    """One identifier of resources of one type. system: "" where there must be none, None where it does not matter."""

    type: str
    value: str
    system: str | None


def sought(resource_type: str, name: str, value: str) -> Sought | None:
    """The identifier a search parameter asks for, None if it asks for anything else than just one."""
    parts = split(value, "|")
    if name != _IDENTIFIER or len(split(value)) > 1 or len(parts) > 2 or not parts[-1] or "\0" in value:
        return None
    *system, code = (unescape(part) for part in parts)
    return Sought(resource_type, code, system[0] if system else None)


async def holders(connection: AsyncConnection, asked: Iterable[Sought]) -> dict[Sought, list[str]]:
    """The ids of the current resources that have each of the identifiers, in the order of their versions."""
    found: dict[Sought, list[str]] = {one: [] for one in asked}
    by_type: dict[str, list[Sought]] = {}
    for one in found:
        by_type.setdefault(one.type, []).append(one)
    await require_indexed(connection, [(resource_type, _IDENTIFIER) for resource_type in by_type])
    for resource_type, ones in by_type.items():
        if looking := sight.current():
            looking.require("s", [resource_type])
            await require_indexed(connection, needs_of_sight([resource_type]))
        for chunk in chunks(ones):
            await _look(connection, resource_type, chunk, found)
    return found


def _seen(connection: AsyncConnection, resource_type: str) -> list[ColumnElement[bool]]:
    """What the one who looks may find of a type."""
    return Compiler(is_sqlite=connection.dialect.name == "sqlite").seen(Version, [resource_type])


async def _look(
    connection: AsyncConnection, resource_type: str, asked: Sequence[Sought], found: dict[Sought, list[str]]
) -> None:
    values = sorted({indexed(one.value) for one in asked})
    statement = (
        select(SearchToken.value, SearchToken.system, Version.id)  # type: ignore[call-overload]
        .join(Version, col(Version.vid) == col(SearchToken.vid))
        .where(
            col(SearchToken.type) == resource_type,
            col(SearchToken.param) == _IDENTIFIER,
            col(SearchToken.value).in_(values),
            col(Version.until).is_(None),
            *_seen(connection, resource_type),
        )
        .order_by(col(Version.vid))
    )
    held: dict[tuple[str, str | None], dict[str, None]] = {}
    for value, system, resource_id in await connection.execute(statement):
        for key in ((value, system), (value, None)):
            held.setdefault(key, {})[resource_id] = None
    for one in asked:
        system = indexed(one.system) if one.system is not None else None
        found[one] = list(held.get((indexed(one.value), system), ()))
