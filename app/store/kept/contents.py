"""Checks of every version one by one: its content, and whether its search values are those of the content."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, cast, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from app.fhir import json as lossless
from app.fhir.outcomes import Refused
from app.fhir.references import references
from app.store.index.columns import Words
from app.store.index.reindex import VALUES
from app.store.inserting import insert_all
from app.store.kept.found import Findings
from app.store.parameters import SearchParameters
from app.store.tables import Content, SearchText, Version

_VERSION: Any = Version.__table__.c  # type: ignore[attr-defined]
_CONTENT: Any = Content.__table__.c  # type: ignore[attr-defined]
# Versions looked at at once: each may be as large as a request.
PIECE = 50
Rows = Mapping[type[SQLModel], Counter[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Checking:
    """How contents are judged. base: absolute references that start with it are to this server; unindexed: types whose
    search values are being made anew, so that nothing can be said of them."""

    parameters: SearchParameters
    base: str
    unindexed: frozenset[str]

    async def look(self, connection: AsyncConnection, after: int, found: Findings) -> tuple[int, list[int]]:
        """Look at the versions behind a row. Answers the last one (0: none), and whose values are wrong."""
        chosen = select(*_VERSION, _CONTENT.text, _CONTENT.digest).where(_CONTENT.vid == _VERSION.vid)
        rows = (await connection.execute(chosen.where(_VERSION.vid > after).order_by(_VERSION.vid).limit(PIECE))).all()
        if not rows:
            return 0, []
        found.versions += len(rows)
        trees = {row.vid: tree for row in rows if (tree := _read(row, found)) is not None}
        current = {row.vid: row for row in rows if row.until is None and row.type not in self.unindexed}
        stored = await _stored(connection, [vid for vid in trees if vid in current])
        wrong = []
        for vid in (each for each in trees if each in current):
            found.compared += 1
            if not self._is_same(trees[vid], stored[vid]):
                wrong.append(vid)
                found.add("wrong-values", f"{current[vid].type}/{current[vid].id} version {current[vid].version}")
        return rows[-1].vid, wrong

    def _is_same(self, tree: dict[str, Any], stored: Rows) -> bool:
        """A reference by a whole address is ours by the address we were asked at, which may be another one now."""
        held = {table: found for table, found in stored.items() if found}
        bases = dict.fromkeys((self.base, "", *_bases(tree)))
        return any(_comparable(self._made(tree, base)) == held for base in bases)

    def _made(self, tree: dict[str, Any], base: str) -> Mapping[type[SQLModel], list[dict[str, Any]]]:
        try:
            return self.parameters.rows(tree, base=base)
        except Refused:
            # What was stored under other rules has no values.
            return {}

    async def repair(self, connection: AsyncConnection, vids: Sequence[int]) -> int:
        """Make the search values of current versions anew; answers of how many."""
        chosen = select(_VERSION.vid, _VERSION.type, _CONTENT.text).where(_CONTENT.vid == _VERSION.vid)
        own = (_VERSION.vid.in_(vids), _VERSION.until.is_(None))
        rows = (await connection.execute(chosen.where(*own))).all()
        made: dict[type[SQLModel], list[dict[str, Any]]] = {}
        for row in rows:
            for table, values in self._made(lossless.parse_object(row.text), self.base).items():
                made.setdefault(table, []).extend({"type": row.type, "vid": row.vid, **value} for value in values)
        await forget(connection, [row.vid for row in rows])
        await insert_all(connection, made)
        return len(rows)


async def forget(connection: AsyncConnection, vids: Sequence[int]) -> None:
    """Remove the search values of these versions."""
    for table in VALUES:
        await connection.execute(delete(table).where(table.vid.in_(vids)))


def _read(row: Any, found: Findings) -> dict[str, Any] | None:
    """The content of a version; None, and it is noted, if it is not what was stored or not of this version."""
    place = f"{row.type}/{row.id} version {row.version}"
    if row.digest is not None and hashlib.sha256(row.text).digest() != row.digest:
        found.add("changed-content", place)
    try:
        tree = lossless.parse_object(row.text)
        told = tree["resourceType"], tree["id"], tree["meta"]["versionId"]
    except (Refused, ValueError, KeyError, TypeError):
        told, tree = None, None
    if told != (row.type, row.id, str(row.version)):
        found.add("unreadable-content", place)
        return None
    return tree


def _bases(tree: dict[str, Any]) -> Iterable[str]:
    """The addresses of servers that stand in references."""
    return {link.rsplit("/", 2)[0] for link in references(tree) if link.startswith(("http:", "https:"))}


async def _stored(connection: AsyncConnection, vids: Sequence[int]) -> Mapping[int, Rows]:
    """The search values there are of these versions."""
    found: dict[int, dict[type[SQLModel], Counter[tuple[Any, ...]]]] = {vid: defaultdict(Counter) for vid in vids}
    for table in VALUES if vids else ():
        names = _names(table)
        rows = await connection.execute(
            select(table.vid, *(_shown(table, name, connection.dialect.name) for name in names)).where(
                table.vid.in_(vids)
            )
        )
        for vid, *values in rows:
            found[vid][table][_key(table, values)] += 1
    return found


def _names(table: Any) -> list[str]:
    return sorted(column.key for column in table.__table__.c if column.key not in ("type", "vid", "rowid"))


def _shown(table: Any, name: str, dialect: str) -> Any:
    """Of words of PostgreSQL which there are: their places are of no use here."""
    column = getattr(table, name)
    is_words = isinstance(table.__table__.c[column.key].type, Words)
    return cast(func.tsvector_to_array(column), Text) if is_words and dialect == "postgresql" else column


def _comparable(made: Mapping[type[SQLModel], list[dict[str, Any]]]) -> Rows:
    """Made rows as the stored ones are compared."""
    return {
        table: Counter(_key(table, [row[name] for name in _names(table)]) for row in rows)
        for table, rows in made.items()
        if rows
    }


def _key(table: Any, values: Sequence[Any]) -> tuple[Any, ...]:
    if table is not SearchText:
        return tuple(values)
    # An array of PostgreSQL as text, which quotes the word null; or words between spaces.
    return tuple(frozenset(str(each).strip("{}").replace(",", " ").replace('"', "").split()) for each in values)
