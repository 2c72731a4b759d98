"""The rows of a view over what is stored, at one moment, piece by piece."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any

from app.export.joined import Gathered
from app.export.tables import Row, Table, rows_of
from app.fhir.outcomes import Issue, Refused
from app.store.database import Database
from app.store.exported import Chosen, blocks, lines, texts
from app.store.repository import Key, read_all
from app.views import View
from app.views.ready import SqlTable

# Lines that are looked up at once.
_LINES = 1_000


@dataclass(slots=True)
class Limited:
    """How many rows may still come; None for any number."""

    left: int | None

    def of(self, rows: list[Row]) -> list[Row]:
        if self.left is None:
            return rows
        rows = rows[: self.left]
        self.left -= len(rows)
        return rows

    @property
    def is_over(self) -> bool:
        return self.left == 0


async def stored(
    database: Database, chosen: Chosen, view: View, table: Table, limit: int | None
) -> AsyncGenerator[bytes, None]:
    """The text of a table of all that is chosen. Raises Unprocessable where the view fails on a resource."""
    limited, after = Limited(limit), 0
    while not limited.is_over:
        async with database.reading() as connection:
            found = await lines(connection, chosen, (view.resource,), after=after, limit=_LINES)
        async for piece in texts(database, found):
            made = await asyncio.to_thread(_of_texts, view, table, [text for _, text in piece], limited)
            if made:
                yield made
        if len(found) < _LINES:
            break
        after = found[-1].after
    yield await asyncio.to_thread(table.end)


async def joined(
    database: Database, chosen: Chosen, source: SqlTable, table: Table, limit: int | None
) -> AsyncGenerator[bytes, None]:
    """The same of a table whose rows are made of several resources of a patient, patient by patient."""

    async def look(keys: Sequence[Key]) -> list[bytes]:
        async with database.reading() as connection:
            found = await read_all(connection, keys, chosen.snapshot)
        return [one.content for one in found.values() if one.content is not None]

    limited, gathered = Limited(limit), Gathered(source, look)
    after: int | None = 0
    while after is not None and not limited.is_over:
        async with database.reading() as connection:
            found, after = await blocks(connection, chosen, source.resources, after=after)
        async for piece in texts(database, found):
            if made := table.rows(limited.of(await gathered.rows(piece))):
                yield made
        if made := table.rows(limited.of(await gathered.rest())):
            yield made
    yield await asyncio.to_thread(table.end)


async def posted(
    resources: Sequence[Mapping[str, Any]], view: View | SqlTable, table: Table, limit: int | None, *, seconds: float
) -> AsyncGenerator[bytes, None]:
    """The same of resources that were posted, whatever their shape. Raises Refused where it takes longer than that."""
    limited, until = Limited(limit), monotonic() + (seconds or inf)
    made = await asyncio.to_thread(lambda: list(_of_resources(resources, view, table, limited, until)))
    for each in made:
        yield each
    yield await asyncio.to_thread(table.end)


def _of_texts(view: View, table: Table, found: Sequence[bytes], limited: Limited) -> bytes:
    rows: list[Row] = []
    for text in found:
        if limited.is_over:
            break
        rows += limited.of(rows_of(view, text))
    return table.rows(rows)


def _of_resources(
    resources: Sequence[Mapping[str, Any]], view: View | SqlTable, table: Table, limited: Limited, until: float
) -> Iterator[bytes]:
    if isinstance(view, SqlTable):
        yield table.rows(limited.of(list(view.rows(resources))))
        return
    for resource in resources:
        if limited.is_over:
            return
        if monotonic() > until:
            # A thread that goes on and on is one that others wait for.
            told = "The rows of these resources take too long: post fewer at once, or a simpler view."
            raise Refused([Issue("too-costly", told)])
        yield table.rows(limited.of(view.rows(resource)))
