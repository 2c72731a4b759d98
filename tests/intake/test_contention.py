"""Transactions that the database gives up for another's sake are done again from clean state; nobody hears of it."""

import asyncio
import hashlib
import uuid
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy.engine import URL, make_url

from app.settings import Settings
from app.store import repository
from app.store.database import LOCKS, Contended
from tests.answers import count, issues
from tests.builders import MEDICAL_RECORD, bundle, entry, observation, patient
from tests.conftest import new_database, serving

PARTNER = "urn:uuid:6f2a1d3e-9c47-4b8a-a1f0-2d4e6c8b0a17"


def contended(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Lets the first attempts to save fail after all was written."""
    left = [times]
    save = repository.save

    async def failing(*given: Any, **more: Any) -> None:
        await save(*given, **more)
        if left[0]:
            left[0] -= 1
            raise Contended("serialization failure")

    monkeypatch.setattr(repository, "save", failing)


async def test_a_transaction_given_up_twice_is_done_once(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = bundle(
        entry(patient("MRN-7"), full_url=PARTNER, ifNoneExist=f"identifier={MEDICAL_RECORD}|MRN-7"),
        entry(observation(PARTNER)),
    )
    contended(monkeypatch, 2)

    answer = await client.post("/fhir", json=asked, headers={"Idempotency-Key": "k"})

    assert [one["response"]["status"] for one in answer.json()["entry"]] == ["201", "201"]
    assert (await count(client, "Patient"), await count(client, "Observation")) == (1, 1)
    told = answer.json()["entry"][0]["response"]["location"].partition("/_history")[0]
    assert (await client.get(told)).status_code == 200


async def test_a_transaction_given_up_again_and_again_is_told_and_keeps_nothing(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        contended(patched, 1000)
        answer = await client.post("/fhir/Patient", json=patient())

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert issues(answer)[0]["code"] == "transient"
    assert await count(client, "Patient") == 0


async def test_a_real_deadlock_is_survived(
    postgres: URL, postgres_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []

    async def counted(done: int) -> None:
        pauses.append(done)

    monkeypatch.setattr("app.intake.accept.pause", counted)
    name = f"dermatome_{uuid.uuid4().hex[:12]}"
    async with new_database(postgres, postgres_template, name) as url:
        answer, total = await _put_in_a_deadlock(url)

    assert answer.status_code == 201
    assert total == 1
    assert pauses == [1]


async def _put_in_a_deadlock(url: str) -> tuple[httpx.Response, int]:
    """What a PUT is answered that gets into a deadlock with another session, and how many versions there are then."""
    # Two of the locks that the PUT takes, in its order.
    first, second = sorted(map(_number, ("Patient/p", "Patient?MRN-7")))
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    other = await asyncpg.connect(plain)  # type: ignore[no-untyped-call]
    try:
        async with serving(Settings(database_url=url, log_level="error")) as client:
            # The other one waits longer, so that the database gives up the service's transaction.
            await other.execute("SET deadlock_timeout = '60s'; BEGIN")
            await other.execute(f"SELECT pg_advisory_xact_lock({second})")
            asked = asyncio.create_task(client.put("/fhir/Patient/p", json=patient("MRN-7", id="p")))
            while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.02)
            await other.execute(f"SELECT pg_advisory_xact_lock({first}); COMMIT")
            answer = await asked
            return answer, (await client.get("/fhir/Patient/p/_history")).json()["total"]
    finally:
        await other.close()


async def test_an_error_of_ours_in_one_entry_of_a_batch_leaves_the_others(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = repository.save

    async def broken(connection: Any, changes: Any, **more: Any) -> None:
        if changes[0].stored.type == "Observation":
            raise RuntimeError("secret text")
        await save(connection, changes, **more)

    monkeypatch.setattr(repository, "save", broken)

    answer = await client.post("/fhir", json=bundle(entry(observation()), entry(patient()), kind="batch"))

    assert [one["response"]["status"] for one in answer.json()["entry"]] == ["500", "201"]
    assert "secret" not in answer.text
    assert (await count(client, "Patient"), await count(client, "Observation")) == (1, 0)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % LOCKS
