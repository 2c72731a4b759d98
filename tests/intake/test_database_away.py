"""A database that cannot take a write now: told per entry, and nothing of it kept."""

import asyncio
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy.engine import URL, make_url

from app.settings import Settings
from tests.answers import count, issues
from tests.builders import bundle, entry, patient
from tests.conftest import new_database, serving


async def test_a_locked_database_is_told_entry_by_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.database.BUSY_SECONDS", 0.1)
    file = tmp_path / "locked.db"
    async with serving(Settings(database_url=f"sqlite+aiosqlite:///{file}", log_level="error")) as client:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        alone = await client.post("/fhir/Patient", json=patient())
        batch = await client.post("/fhir", json=bundle(entry(patient()), entry(patient()), kind="batch"))
        other.execute("ROLLBACK")
        found = await count(client, "Patient")
        after = await client.post("/fhir/Patient", json=patient())

    assert (alone.status_code, alone.headers["retry-after"], issues(alone)[0]["code"]) == (503, "2", "transient")
    assert [one["response"]["status"] for one in batch.json()["entry"]] == ["503", "503"]
    assert (found, after.status_code) == (0, 201)


async def test_a_connection_that_the_server_cuts_is_told_and_keeps_nothing(
    postgres: URL, postgres_template: str
) -> None:
    name = f"dermatome_{uuid.uuid4().hex[:12]}"
    async with (
        new_database(postgres, postgres_template, name) as url,
        serving(Settings(database_url=url, log_level="error")) as client,
    ):
        cutting = asyncio.create_task(_cut_again_and_again(url))
        answers = [one for some in await asyncio.gather(*(_write(client) for _ in range(8))) for one in some]
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)
        found = await _counted(client)

    told = {answer.status_code for answer in answers}
    assert told == {200, 503}
    assert found == 40 * sum(answer.status_code == 200 for answer in answers)


_CUT_AT_COMMIT = """
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut();
"""


async def test_a_commit_without_an_answer_is_told_as_what_it_is(postgres: URL, postgres_template: str) -> None:
    name = f"dermatome_{uuid.uuid4().hex[:12]}"
    async with (
        new_database(postgres, postgres_template, name) as url,
        serving(Settings(database_url=url, log_level="error")) as client,
    ):
        connection = await _connected(url)
        await connection.execute(_CUT_AT_COMMIT)
        await connection.close()
        answer = await client.post("/fhir/Patient", json=patient())

    assert (answer.status_code, issues(answer)[0]["code"]) == (503, "transient")
    assert "not known" in issues(answer)[0]["diagnostics"]


@pytest.mark.parametrize(
    ("setting", "mode"), [("default_transaction_read_only = on", "ACCESS SHARE"), ("lock_timeout = '20ms'", "SHARE")]
)
async def test_limits_that_the_operator_has_set_are_no_errors_of_ours(
    postgres: URL, postgres_template: str, setting: str, mode: str
) -> None:
    name = f"dermatome_{uuid.uuid4().hex[:12]}"
    async with (
        new_database(postgres, postgres_template, name) as url,
        serving(Settings(database_url=url, log_level="error")) as client,
    ):
        other = await _connected(url)
        await other.execute(f'ALTER DATABASE "{name}" SET {setting}')
        # Connections of the pool keep what they began with.
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        await other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        await other.execute("BEGIN")
        await other.execute(f"LOCK TABLE version IN {mode} MODE")
        answer = await client.post("/fhir/Patient", json=patient())
        await other.close()

    assert (answer.status_code, issues(answer)[0]["code"]) == (503, "transient")


async def _connected(url: str) -> Any:
    server = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return await asyncpg.connect(server)  # type: ignore[no-untyped-call]


async def _write(client: httpx.AsyncClient) -> list[httpx.Response]:
    group = bundle(*(entry(patient(active=True)) for _ in range(40)))
    return [await client.post("/fhir", json=group) for _ in range(12)]


async def _cut_again_and_again(url: str) -> None:
    connection = await _connected(url)
    others = "datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
    try:
        while True:
            await connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others} LIMIT 1")
            await asyncio.sleep(0.03)
    finally:
        await connection.close()


async def _counted(client: httpx.AsyncClient) -> int:
    """How many Patients are here; a connection of the pool may have been cut before."""
    while (answer := await client.get("/fhir/Patient?_summary=count")).status_code == 503:
        continue
    return int(answer.json()["total"])
