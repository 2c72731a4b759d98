"""Rows that go to the driver directly: what it refuses is told as SQLAlchemy would, and nothing of it is kept."""

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.settings import Settings
from app.store.database import Database, Unavailable
from app.store.inserting import insert_all
from app.store.tables import Content, SearchText, SearchToken
from tests.builders import patient
from tests.conftest import serving

_TOKEN = {"type": "Patient", "param": "gender", "value": "female", "system": "", "vid": 7, "item": 0}


async def test_rows_of_several_tables_stand_as_they_were_given(bare_database_url: str) -> None:
    words = {"vid": 7, "type": "Patient", "narrative": "anna berg", "content": "anna berg anna"}
    # In another order than the columns have, and bytes.
    rows: Any = {
        SearchToken: [dict(reversed(_TOKEN.items()))],
        SearchText: [words],
        Content: [{"text": b"{}", "vid": 7}],
    }
    async with Database(bare_database_url) as database:
        await database.migrate()
        async with database.writing() as connection:
            await insert_all(connection, rows)
        async with database.reading() as connection:
            token = (await connection.execute(select(SearchToken.__table__))).mappings().one()  # type: ignore[attr-defined]
            content = (await connection.execute(select(Content.__table__))).mappings().one()  # type: ignore[attr-defined]

    assert dict(token) == _TOKEN
    assert (content["vid"], bytes(content["text"])) == (7, b"{}")


async def test_a_row_that_is_refused_takes_all_with_it(bare_database_url: str) -> None:
    async with Database(bare_database_url) as database:
        await database.migrate()
        with pytest.raises(IntegrityError if database.is_sqlite else DBAPIError):
            await _insert(database, {Content: [{"vid": 7, "text": b"{}"}], SearchToken: [_TOKEN, _TOKEN]})
        async with database.reading() as connection:
            left = await connection.scalar(select(func.count()).select_from(Content))

    assert left == 0


async def test_a_connection_that_breaks_is_told_as_unavailable(database_url: str) -> None:
    async with Database(database_url) as database:
        await database.migrate()
        with pytest.raises(Unavailable):
            await _insert(database, {SearchToken: [_TOKEN]}, is_breaking=True)
        if not database.is_sqlite:
            await _insert(database, {SearchToken: [_TOKEN]})


async def test_writes_that_are_given_up_leave_nothing_half_done(database_url: str) -> None:
    chance = random.Random(7)
    async with serving(Settings(database_url=database_url, log_level="error")) as client:
        for turn in range(60):
            task = asyncio.create_task(client.post("/fhir/Patient", json=patient(gender="female")))
            # Longer and longer: on a machine that does other things too, the first are all given up early.
            await asyncio.sleep(chance.uniform(0, 0.002 * turn))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        after = await client.post("/fhir/Patient", json=patient(gender="female"))
        every, indexed = [
            (await client.get("/fhir/Patient", params={"_summary": "count", **search})).json()["total"]
            for search in ({}, {"gender": "female"})
        ]

    assert after.status_code == 201
    assert every == indexed
    assert every > 1


async def _insert(database: Database, rows: Any, *, is_breaking: bool = False) -> None:
    async with database.writing() as connection:
        # SQLAlchemy begins a transaction of PostgreSQL with the first statement.
        await connection.execute(text("SELECT 1"))
        if is_breaking:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            breaking = "PRAGMA query_only=ON" if database.is_sqlite else "SELECT pg_terminate_backend(pg_backend_pid())"
            with suppress(Exception):
                await driver.execute(breaking)
        await insert_all(connection, rows)
