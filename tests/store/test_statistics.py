"""Searches that follow references are fast as soon as there is something to follow."""

import asyncio

import pytest
from sqlalchemy import text

from app.settings import Settings
from app.store.database import Database
from app.store.listening import Bell
from app.store.statistics import Statistics
from tests.builders import bundle, entry, observation, patient
from tests.conftest import serving

# SQLite has other ways to plan, which need no statistics for this.
pytestmark = pytest.mark.parametrize("bare_database_url", ["postgresql"], indirect=True)
_PLANNED = text("SELECT reltuples FROM pg_class WHERE relname = 'search_reference'")


async def test_what_was_written_is_known_to_the_planner(bare_database_url: str) -> None:
    people = [entry(patient(id=f"p{number}"), method="PUT", url=f"Patient/p{number}") for number in range(50)]
    about = [entry(observation(f"Patient/p{number}")) for number in range(50)]
    async with serving(Settings(database_url=bare_database_url, log_level="error", worker="separate")) as client:
        assert (await client.post("/fhir", json=bundle(*people, *about))).status_code == 200
        async with Database(bare_database_url) as database, asyncio.timeout(30):
            while await _planned(database) < 50:
                await asyncio.sleep(0.05)


async def test_what_did_not_grow_is_not_looked_at_again(bare_database_url: str) -> None:
    async with Database(bare_database_url) as database:
        await database.migrate()
        statistics = Statistics(database, Bell(database, listens=False))
        async with database.writing() as connection:
            await connection.execute(text("CREATE TABLE of_others AS SELECT 1 AS one"))
            await connection.execute(text("INSERT INTO instance SELECT 'x' WHERE NOT EXISTS (SELECT * FROM instance)"))

        found = await statistics.work()

        assert "instance" in found
        assert "of_others" not in found
        assert await statistics.work() == []


async def _planned(database: Database) -> float:
    async with database.reading() as connection:
        return float(await connection.scalar(_PLANNED) or 0)
