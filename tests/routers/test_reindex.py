"""While resources are indexed anew, nobody gets an answer that lacks some of them."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import delete
from sqlmodel import col

from app.settings import Settings
from app.store.audit.rows import Agent
from app.store.database import Database
from app.store.index.definitions import served_definitions
from app.store.index.state import adopt
from app.store.leases import claim, release
from app.store.parameters import SearchParameters, load_parameters
from app.store.repository import Change, Stored, save
from app.store.tables import SearchToken
from tests.conftest import serving

PATIENT = b'{"resourceType":"Patient","id":"1","gender":"female","identifier":[{"value":"9"}]}'
FAR = 2**62


@pytest.fixture
async def waiting(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The application after an update that knows Patient.gender anew, while another process holds the work."""
    older = SearchParameters(each for each in served_definitions() if each["code"] != "gender")
    tree = {"resourceType": "Patient", "id": "1", "gender": "female", "identifier": [{"value": "9"}]}
    async with Database(database_url) as database:
        await database.migrate()
        async with database.writing() as connection:
            await adopt(database, connection, older, now=0)
            change = Change(Stored("Patient", "1", 1, "PUT", 0, PATIENT), tree)
            await save(connection, [change], parameters=load_parameters(), agent=Agent("", ""), base="")
            await connection.execute(delete(SearchToken).where(col(SearchToken.param) == "gender"))
            await claim(connection, "$reindex", "another", now=0, until=FAR)
    async with serving(Settings(database_url=database_url, log_level="error")) as client:
        yield client


async def finish(client: httpx.AsyncClient, database_url: str) -> None:
    """The other process gives its lease back, and $reindex wakes this one."""
    async with Database(database_url) as database, database.writing() as connection:
        await release(connection, "$reindex", "another")
    assert (await client.post("/fhir/$reindex")).status_code == 202
    for _ in range(500):
        found = (await client.get("/fhir/Patient?gender=female")).status_code
        if found == 200:
            return
        await asyncio.sleep(0.01)
    pytest.fail("it was not finished")


ASKED = [
    "Patient?gender=female",
    "Patient?gender:missing=true",
    "Patient?_sort=gender",
    "Patient?identifier=9&gender:not=male",
    "Observation?subject:Patient.gender=female",
    "Patient?_filter=gender eq female",
]


async def test_a_search_that_needs_what_is_not_indexed_is_refused_until_it_is(
    waiting: httpx.AsyncClient, database_url: str
) -> None:
    refused = [await waiting.get(f"/fhir/{each}") for each in ASKED]
    other = await waiting.get("/fhir/Patient?identifier=9")
    await finish(waiting, database_url)
    answered = [await waiting.get(f"/fhir/{each}") for each in ASKED]

    assert [each.status_code for each in refused] == [503] * len(ASKED)
    issue = refused[0].json()["issue"][0]
    assert (issue["code"], issue["expression"]) == ("transient", ["Patient:gender"])
    assert other.json()["total"] == 1
    assert [each.status_code for each in answered] == [200] * len(ASKED)
    assert answered[0].json()["total"] == 1


async def test_a_condition_that_cannot_be_told_changes_nothing(waiting: httpx.AsyncClient, database_url: str) -> None:
    body = {"resourceType": "Patient", "gender": "female"}
    headers = {"If-None-Exist": "gender=female"}

    refused = await waiting.post("/fhir/Patient", json=body, headers=headers)
    await finish(waiting, database_url)
    answered = await waiting.post("/fhir/Patient", json=body, headers=headers)

    assert refused.status_code == 503
    assert answered.status_code == 200
    assert (await waiting.get("/fhir/Patient")).json()["total"] == 1
