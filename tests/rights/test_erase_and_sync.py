"""What is erased here is deleted at the targets, whatever they hold of it, and does not come back from them; nobody who
writes meanwhile leaves anything behind."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text

from app.service import Service
from app.settings import Settings
from tests.builders import observation, patient
from tests.rights.test_erase import NAME, WORDS, erase, everything, put, service_of, told
from tests.sync.pulling import PARTNER, both
from tests.sync.pulling import Sides as Pulling
from tests.sync.sides import Sides, two_sides

KEPT = ("sync_conflict", "quarantine")


@pytest.fixture
async def sides(
    database_url: str, other_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sides]:
    async with two_sides(database_url, other_database_url, tmp_path_factory.mktemp("targets")) as made:
        yield made


@pytest.fixture
async def pulling(
    database_url: str, other_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pulling]:
    targets = tmp_path_factory.mktemp("targets") / "targets.toml"
    targets.write_text(f'[[target]]\nname = "partner"\nbase_url = "{PARTNER}"\ndirection = "both"\n')
    own = Settings(database_url=database_url, log_level="error", worker="separate", sync_targets=targets)
    async with both(own, Settings(database_url=other_database_url, log_level="error", worker="separate")) as made:
        yield made


async def forget(client: httpx.AsyncClient) -> None:
    dry = told(await erase(client))
    told(await erase(client, confirm=dry["confirm"][0]["valueString"]))


async def held(service: Service) -> dict[str, int]:
    """How many rows there are that may hold what came from a target."""
    async with service.database.reading() as connection:
        return {name: int(await connection.scalar(text(f"SELECT count(*) FROM {name}")) or 0) for name in KEPT}


async def test_what_a_target_has_changed_meanwhile_is_deleted_there_all_the_same(sides: Sides) -> None:
    await put(sides.here, patient(id="p"))
    await put(sides.here, observation("Patient/p", id="o"))
    await sides.deliver()
    await put(sides.wire.partner, patient(id="p", name=[{"family": NAME}]))
    await put(sides.wire.partner, observation("Patient/p", id="o", note=[{"text": WORDS}]))

    await forget(sides.here)
    for _ in range(6):
        await sides.deliver()
        await sides.let_pass()

    for reference in ("Patient/p", "Observation/o"):
        assert (await sides.wire.partner.get(f"/fhir/{reference}")).status_code == 410, reference
    assert await sides.rows() == {}
    assert await held(sides.service) == dict.fromkeys(KEPT, 0)
    found = await everything(sides.service)
    assert NAME.encode() not in found
    assert WORDS.encode() not in found


async def test_what_a_target_still_has_does_not_come_back(pulling: Pulling) -> None:
    await put(pulling.partner, patient(id="p"))
    await put(pulling.partner, observation("Patient/p", id="o"))
    await put(pulling.partner, patient(id="q"))
    await pulling.pull()
    assert (await pulling.here.get("/fhir/Observation/o")).status_code == 200

    await forget(pulling.here)
    await put(pulling.partner, patient(id="p", name=[{"family": NAME}]))
    await put(pulling.partner, observation("Patient/p", id="o", note=[{"text": WORDS}]))
    await put(pulling.partner, patient(id="q", active=True))
    await pulling.pull()

    assert (await pulling.here.get("/fhir/Patient/p")).status_code == 410
    assert (await pulling.here.get("/fhir/Observation/o")).status_code == 410
    assert (await pulling.here.get("/fhir/Patient/q")).json()["active"] is True
    assert await held(pulling.service) == dict.fromkeys(KEPT, 0)
    found = await everything(pulling.service)
    assert NAME.encode() not in found
    assert WORDS.encode() not in found


@pytest.mark.own_server
async def test_writers_meanwhile_leave_nothing_behind(client: httpx.AsyncClient) -> None:
    await put(client, patient(id="p", name=[{"family": NAME}]))
    done = asyncio.Event()

    async def write(number: int) -> set[int]:
        """Post and change Observations until the patient is gone; what was answered."""
        answers, turn = set(), 0
        while not done.is_set():
            turn += 1
            noted = observation("Patient/p", id=f"{number}-{turn % 3}", note=[{"text": f"{WORDS} {turn}"}])
            await asyncio.sleep(0.1)
            answers.add((await client.put(f"/fhir/Observation/{noted['id']}", json=noted)).status_code)
        return answers

    async def forget_at_last() -> list[int]:
        tried = []
        while 200 not in tried:
            dry = told(await erase(client))
            answer = await erase(client, confirm=dry["confirm"][0]["valueString"])
            tried.append(answer.status_code)
            if len(tried) == 5:
                done.set()
        done.set()
        return tried

    *answers, tried = await asyncio.gather(*(write(number) for number in range(4)), forget_at_last())

    assert set(tried) <= {200, 409, 412}
    assert {status for each in answers if isinstance(each, set) for status in each} <= {200, 201, 400, 409, 410, 422}
    # Whoever knows an id may still write about it: what has come since goes like the rest.
    again = await erase(client)
    if again.status_code == 200:
        told(await erase(client, confirm=told(again)["confirm"][0]["valueString"]))
    found = await everything(service_of(client))
    assert NAME.encode() not in found
    assert WORDS.encode() not in found
    assert (await erase(client)).status_code == 410
