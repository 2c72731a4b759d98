"""Runs every row of the conformance suite on both databases."""

import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy.engine import URL

from app.settings import Settings
from tests.conformance.rows import FOLDER, Row, Table, read_table, run
from tests.conftest import BASE, DATABASES, new_database, serving

TABLES: dict[str, Table] = {path.stem: read_table(path) for path in sorted(FOLDER.glob("*.toml"))}
ROWS = [row for table in TABLES.values() for row in table.rows]
KNOWN = {"base": f"{BASE}/fhir"}
Serve = Callable[[str, Row], Coroutine[Any, Any, httpx.AsyncClient]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def serve(
    postgres: URL, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Serve]:
    """A server for a row: the one of its file, database and settings, started when it is first asked for."""
    started: dict[tuple[object, ...], httpx.AsyncClient] = {}
    async with AsyncExitStack() as stack:

        async def give(kind: str, row: Row) -> httpx.AsyncClient:
            name = (kind, row.file, *sorted(row.settings.items()))
            if name not in started:
                folder = tmp_path_factory.mktemp("conformance")
                url = await _database(stack, kind, folder, postgres, postgres_template)
                started[name] = await stack.enter_async_context(serving(_settings(url, row.settings)))
                problems = await run(started[name], TABLES[row.file].setup, KNOWN)
                assert problems == []
            return started[name]

        yield give


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("kind", DATABASES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
async def test_row(serve: Serve, kind: str, row: Row) -> None:
    client = await serve(kind, row)

    problems = await run(client, row.steps, {**KNOWN, "row": row.key})

    assert problems == [], f"{row.section}: {row.name}"


def test_the_suite_is_whole() -> None:
    names = [row.name for row in ROWS]

    assert len(ROWS) >= 300
    assert {name for name in names if names.count(name) > 1} == set()
    assert [row.key for row in ROWS if not row.section] == []


async def _database(stack: AsyncExitStack, kind: str, folder: Path, server: URL, template: str) -> str:
    if kind == "sqlite":
        return f"sqlite+aiosqlite:///{folder / 'dermatome.db'}"
    name = f"dermatome_{uuid.uuid4().hex[:12]}"
    return await stack.enter_async_context(new_database(server, template, name))


def _settings(url: str, more: Mapping[str, Any]) -> Settings:
    return Settings(database_url=url, log_level="error", **more)
