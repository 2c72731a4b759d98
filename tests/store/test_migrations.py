"""The migrations make what the tables declare, and keep what was stored before."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from app.settings import Settings
from app.store import migrations
from app.store.database import Database
from app.store.schema import Newer
from tests.conftest import serving

_META = b'"meta":{"versionId":"2","lastUpdated":"2026-01-02T00:00:00.000Z"}'
_PATIENT = b'{"resourceType":"Patient","id":"p",' + _META + b',"active":true,"name":[{"family":"Berg"}]}'


def _to_revision(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", migrations.__path__[0])
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _differences(connection: Connection) -> list[Any]:
    # The full text of SQLite is a virtual table with tables of its own beneath: alembic cannot compare it.
    def is_compared(name: str | None, kind: str, _: Any) -> bool:
        return connection.dialect.name != "sqlite" or not str(name).startswith("search_text")

    options = {"include_name": is_compared, "include_object": lambda _, name, kind, *__: is_compared(name, kind, None)}
    context = MigrationContext.configure(connection, opts=options)
    found: list[Any] = compare_metadata(context, SQLModel.metadata)
    return found


async def test_migrations_make_the_declared_tables(database_url: str) -> None:
    async with Database(database_url) as database:
        await database.migrate()

        async with database.writing() as connection:
            assert await connection.run_sync(_differences) == []


async def test_a_schema_of_a_later_version_is_left_alone_and_said(database_url: str) -> None:
    async with Database(database_url) as database:
        await database.migrate()
        async with database.writing() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

        with pytest.raises(Newer, match="a later version of Dermatome made its schema"):
            await database.migrate()


@pytest.fixture
async def first_schema(database_url: str) -> str:
    """A database of the first schema with one Patient in two versions, and another that was deleted."""
    if database_url.startswith("sqlite"):
        Path(database_url.partition("///")[2]).unlink()
    engine = create_async_engine(database_url)
    rows = [
        {"vid": 1, "id": "p", "version": 1, "method": "PUT", "at": 1_000_000, "content": _PATIENT},
        {"vid": 2, "id": "p", "version": 2, "method": "PUT", "at": 2_000_000, "content": _PATIENT},
        {"vid": 3, "id": "d", "version": 1, "method": "POST", "at": 3_000_000, "content": _PATIENT},
        {"vid": 4, "id": "d", "version": 2, "method": "DELETE", "at": 4_000_000, "content": None},
    ]
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
        await connection.run_sync(_to_revision, "0001")
        await connection.execute(
            text(
                "INSERT INTO version (vid, type, id, version, method, last_updated, content)"
                " VALUES (:vid, 'Patient', :id, :version, :method, :at, :content)"
            ),
            rows,
        )
    await engine.dispose()
    return database_url


async def test_what_the_first_schema_held_is_read_as_before(first_schema: str) -> None:
    async with serving(Settings(database_url=first_schema, log_level="error")) as client:
        read = await client.get("/fhir/Patient/p")
        old = await client.get("/fhir/Patient/p/_history/1")
        deleted = await client.get("/fhir/Patient/d")
        history = (await client.get("/fhir/Patient/d/_history")).json()

    assert (read.status_code, read.headers["etag"], read.content) == (200, 'W/"2"', _PATIENT)
    assert old.status_code == 200
    assert deleted.status_code == 410
    assert [one["request"]["method"] for one in history["entry"]] == ["DELETE", "POST"]


async def test_what_the_first_schema_held_is_found_by_search_after_a_while(first_schema: str) -> None:
    """Nobody needs to ask for it: the service indexes by itself what it finds without search values."""
    async with serving(Settings(database_url=first_schema, log_level="error")) as client:
        statuses = set()
        async with asyncio.timeout(10):
            while (found := await client.get("/fhir/Patient?active=true&_content=berg")).status_code != 200:
                statuses.add(found.status_code)
                await asyncio.sleep(0.01)

    assert statuses <= {503}
    assert [one["resource"]["id"] for one in found.json()["entry"]] == ["p"]
