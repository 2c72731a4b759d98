"""The index made anew: after other definitions, after the old schema, on demand, while others write."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from sqlalchemy import delete, func, select
from sqlmodel import col

from app.store.audit.rows import Agent
from app.store.database import Database
from app.store.index.definitions import served_definitions
from app.store.index.reindex import VALUES, Reindexer
from app.store.index.state import pending as waiting
from app.store.leases import claim
from app.store.parameters import SearchParameters, load_parameters
from app.store.repository import Change, Stored, save
from app.store.tables import Reindex, SearchIndex, SearchText, SearchToken, Version

MINUTE = 60_000_000


@pytest.fixture
async def database(bare_database_url: str) -> AsyncIterator[Database]:
    async with Database(bare_database_url) as database:
        yield database


def reindexer(
    database: Database, parameters: SearchParameters | None = None, owner: str = "me", now: int = 0
) -> Reindexer:
    return Reindexer(database, parameters or load_parameters(), owner=owner, clock=lambda: now)


async def store(database: Database, ids: Iterable[str], version: int = 1, at: int = 0, **elements: Any) -> None:
    # What an extension refers to is found by no parameter, but is in the index too.
    linked = [{"url": "urn:x", "valueReference": {"reference": "Group/1"}}]
    tree = {
        "resourceType": "Patient",
        "gender": "female",
        "name": [{"family": "Berg"}],
        "extension": linked,
        **elements,
    }
    text = json.dumps(tree).encode()
    changes = [Change(Stored("Patient", each, version, "PUT", at, text), tree) for each in ids]
    async with database.writing() as connection:
        await save(connection, changes, parameters=load_parameters(), agent=Agent("", ""), base="")


async def pending(database: Database) -> dict[str, frozenset[str]]:
    async with database.reading() as connection:
        return dict(await waiting(connection))


async def everything(database: Database) -> dict[str, list[Any]]:
    async with database.reading() as connection:
        return {
            table.__tablename__: sorted(map(tuple, await connection.execute(select(table.__table__))))
            for table in VALUES
        }


async def empty(database: Database) -> None:
    """As the migration from the first schema leaves it."""
    async with database.writing() as connection:
        for table in (*VALUES, SearchIndex):
            await connection.execute(delete(table))


def without(code: str) -> SearchParameters:
    return SearchParameters(each for each in served_definitions() if each["code"] != code)


async def test_a_new_database_has_nothing_to_index(database: Database) -> None:
    worker = reindexer(database)

    await worker.prepare()

    assert await pending(database) == {}
    assert await worker.status() == []


async def test_resources_without_search_values_get_the_same_as_new_ones(database: Database) -> None:
    await reindexer(database).prepare()
    await store(database, map(str, range(120)))
    before = await everything(database)
    await empty(database)
    worker = reindexer(database)

    await worker.prepare()
    refused = await pending(database)
    await worker.work()

    assert {"gender", "_content", "_tag"} <= refused["Patient"]
    assert refused.keys() == {"Patient"}
    assert await everything(database) == before
    assert await pending(database) == {}
    (progress,) = await worker.status()
    assert (progress.type, progress.done, progress.total) == ("Patient", 120, 120)
    assert progress.finished_at is not None


async def test_only_a_new_parameter_waits_to_be_indexed(database: Database) -> None:
    await reindexer(database, without("gender")).prepare()
    await store(database, ["1"])
    async with database.writing() as connection:
        await connection.execute(delete(SearchToken).where(col(SearchToken.param) == "gender"))
    worker = reindexer(database)

    await worker.prepare()
    refused = await pending(database)
    await worker.work()

    assert refused == {"Patient": {"gender"}}
    async with database.reading() as connection:
        found = select(func.count()).where(col(SearchToken.param) == "gender")
        assert await connection.scalar(found) == 1


async def test_it_goes_on_where_another_process_stopped(database: Database) -> None:
    await store(database, map(str, range(120)))
    first = reindexer(database, owner="first")
    await first.prepare()
    await first.step()
    second = reindexer(database, owner="second")
    later = reindexer(database, owner="second", now=2 * MINUTE)
    await second.prepare()

    while_leased = await second.step()
    after = await later.step()

    assert (while_leased, after) == (False, True)
    assert [(each.done, each.finished_at) for each in await later.status()] == [(100, None)]


async def test_unchanged_parameters_are_searchable_while_they_are_indexed_anew(database: Database) -> None:
    worker = reindexer(database)
    await worker.prepare()
    await store(database, ["1", "2"])
    before = await everything(database)

    (started,) = await worker.start(["Patient", "Observation"], ["gender", "_text"])
    refused = await pending(database)
    await worker.work()

    assert (started.type, started.parameters, started.total) == ("Patient", ("_text", "gender"), 2)
    assert refused == {}
    assert await everything(database) == before


async def test_writers_go_on_while_it_works(database: Database) -> None:
    await store(database, map(str, range(150)))
    await empty(database)
    worker = reindexer(database)
    await worker.prepare()

    async def write() -> None:
        for n in range(0, 150, 10):
            await store(database, [str(n)], version=2, gender="male")

    await asyncio.gather(worker.work(), write())

    async with database.reading() as connection:
        current = select(col(SearchToken.value), func.count()).join(Version, col(Version.vid) == col(SearchToken.vid))
        current = current.where(col(Version.until).is_(None), col(SearchToken.param) == "gender").group_by(
            SearchToken.value
        )
        found = {row[0]: row[1] for row in await connection.execute(current)}
    assert found == {"female": 135, "male": 15}
    assert await pending(database) == {}


async def test_a_process_that_started_earlier_learns_when_it_is_finished(database: Database) -> None:
    await store(database, ["1"])
    one, other = reindexer(database, owner="one"), reindexer(database, owner="other")
    await one.prepare()
    await other.prepare()

    refused = await pending(database)
    await one.work()

    assert "gender" in refused["Patient"]
    assert await pending(database) == {}


async def test_what_is_noted_while_the_service_runs_is_done_by_itself(database: Database) -> None:
    worker = reindexer(database)
    await worker.prepare()
    await store(database, ["1"])
    task = asyncio.create_task(worker.run())
    await worker.start()

    async def finished() -> None:
        while not all(each.finished_at is not None for each in await worker.status()):
            await asyncio.sleep(0.01)

    await asyncio.wait_for(finished(), 10)
    task.cancel()
    assert [each.done for each in await worker.status()] == [1]


async def test_a_version_that_cannot_be_read_does_not_stop_the_others(database: Database) -> None:
    broken = Change(
        Stored("Patient", "broken", 1, "PUT", 0, b'{"resourceType":"Patient","id":"broken","x":1e999}'),
        {"resourceType": "Patient"},
    )
    async with database.writing() as connection:
        await save(connection, [broken], parameters=load_parameters(), agent=Agent("", ""), base="")
    await store(database, ["1"])
    worker = reindexer(database)
    await worker.prepare()

    await worker.work()

    (progress,) = await worker.status()
    assert (progress.done, progress.finished_at is not None) == (2, True)


async def test_replaced_versions_lose_their_search_values_after_a_time(database: Database) -> None:
    await store(database, ["1"])
    await store(database, ["1"], version=2, at=5 * MINUTE)
    await store(database, ["1"], version=3, at=9 * MINUTE)

    worker = reindexer(database, now=67 * MINUTE)
    counts = [await worker.forget(), await worker.forget()]

    assert counts == [1, 0]
    async with database.reading() as connection:
        kept = (await connection.execute(select(col(SearchText.vid)).order_by(col(SearchText.vid)))).scalars().all()
        indexed = (
            await connection.execute(select(col(Version.version), col(Version.indexed)).order_by(col(Version.version)))
        ).all()
    assert [(row[0], bool(row[1])) for row in indexed] == [(1, False), (2, True), (3, True)]
    assert len(kept) == 2


async def test_two_processes_that_start_together_note_it_once(database: Database) -> None:
    await store(database, ["1"])

    await asyncio.gather(*(reindexer(database, owner=str(n)).prepare() for n in range(4)))

    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(Reindex)) == 1


async def test_the_lease_is_given_back(database: Database) -> None:
    await store(database, ["1"])
    worker = reindexer(database)
    await worker.prepare()
    await worker.work()

    async with database.writing() as connection:
        assert await claim(connection, "$reindex", "another", now=0, until=MINUTE)
