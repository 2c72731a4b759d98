"""Runs every row of the conformance suite on both databases."""

import shutil
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
_MOST_SERVERS = 6
KNOWN = {"base": f"{BASE}/fhir"}
Serve = Callable[[str, Row], Coroutine[Any, Any, httpx.AsyncClient]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def serve(
    postgres: URL, postgres_template: str, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Serve]:
    """A server for a row: the one of its file, database and settings, started when it is first asked for.

    Only the last few go on running: PostgreSQL has connections for so many.
    """
    started: dict[tuple[object, ...], tuple[AsyncExitStack, httpx.AsyncClient]] = {}

    async def give(kind: str, row: Row) -> httpx.AsyncClient:
        name = (kind, row.file, *sorted(row.settings.items()))
        if name not in started:
            if len(started) == _MOST_SERVERS:
                await started.pop(next(iter(started)))[0].aclose()
            stack, folder = AsyncExitStack(), tmp_path_factory.mktemp("conformance")
            template = sqlite_template if kind == "sqlite" else postgres_template
            url = await _database(stack, folder, postgres, template)
            client = await stack.enter_async_context(serving(_settings(url, row.settings)))
            started[name] = stack, client
            assert await run(client, TABLES[row.file].setup, KNOWN) == []
        return started[name][1]

    yield give
    for stack, _ in started.values():
        await stack.aclose()


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


async def _database(stack: AsyncExitStack, folder: Path, server: URL, template: Path | str) -> str:
    if isinstance(template, Path):
        return f"sqlite+aiosqlite:///{shutil.copy(template, folder / 'dermatome.db')}"
    name = f"dermatome_{uuid.uuid4().hex[:12]}"
    return await stack.enter_async_context(new_database(server, template, name))


def _settings(url: str, more: Mapping[str, Any]) -> Settings:
    return Settings(database_url=url, log_level="error", **more)
