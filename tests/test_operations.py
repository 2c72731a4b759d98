"""How the service runs: logs without patient data, health, a stop that finishes its work, a start that says why."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.builders import bundle, entry, patient
from tests.conftest import serving
from tests.processes import ROOT, Process, free_port, inherited

SECRET = ("Xanthippe", "MRN-secret-4711", "felt a burning sting")


async def test_logs_have_a_request_id_and_no_patient_data(database_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    name, record, words = SECRET
    person = patient(record, name=[{"family": name}], gender=words)
    async with serving(Settings(database_url=database_url, log_level="debug")) as client:
        headers = {"X-Request-Id": "visit-1"}
        await client.post("/fhir/Patient", json={**person, "gender": "female"}, headers=headers)
        await client.post("/fhir/Patient", json=person, headers=headers)
        await client.get(f"/fhir/Patient?identifier={record}", headers=headers)
        await client.post("/pain/assessments", json={"patient": {"system": "urn:x", "value": record}, "mood": words})
        answer = await client.post("/fhir/Patient", json=person, headers=headers)

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert answer.headers["x-request-id"] == "visit-1"
    assert {line["request_id"] for line in lines if line.get("route") == "/fhir/{resource_type}"} == {"visit-1"}
    assert not any(secret in json.dumps(line) for line in lines for secret in SECRET)
    assert not any(secret in answer.text for secret in SECRET)


async def test_an_error_of_ours_tells_its_id_and_nothing_else(
    database_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET[0])

    async with serving(Settings(database_url=database_url)) as client:
        monkeypatch.setattr("app.routers.search.search", broken)
        answer = await client.get("/fhir/Patient")

    assert answer.status_code == 500
    assert answer.json()["issue"][0]["code"] == "exception"
    assert answer.headers["x-request-id"] in answer.text
    assert SECRET[0] not in answer.text + capfd.readouterr().err


async def test_an_error_of_ours_in_a_batch_is_found_in_the_log_by_its_id(
    database_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET[0])

    async with serving(Settings(database_url=database_url)) as client:
        monkeypatch.setattr("app.intake.saving.next_version", broken)
        answer = await client.post("/fhir", json=bundle(entry(patient()), kind="batch"))

    logged = capfd.readouterr().err
    (error,) = (line for line in map(json.loads, logged.splitlines()) if line["level"] == "error")
    assert answer.json()["entry"][0]["response"]["status"] == "500"
    assert error["request_id"] in answer.text
    assert error["kind"] == "RuntimeError"
    assert SECRET[0] not in answer.text + logged


async def test_health_tells_live_and_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/live")).json() == {"status": "live"}
    assert (await client.get("/health/ready")).json() == {"status": "ready"}


async def test_sigterm_lets_a_request_finish(database_url: str, tmp_path: Path) -> None:
    settings = {"PORT": str(free_port()), "DERMATOME_DATABASE_URL": database_url}
    with Process("serve", settings, log=tmp_path / "service.log") as process:
        big = bundle(*(entry(patient(f"MRN-{n}")) for n in range(1500)))
        async with httpx.AsyncClient(base_url=process.base, timeout=30) as client:
            request = asyncio.create_task(client.post("/fhir", json=big))
            await asyncio.sleep(0.15)
            await asyncio.to_thread(process.stop)
            answer = await request
        assert answer.status_code == 200

        process.start()
        async with httpx.AsyncClient(base_url=process.base, timeout=30) as client:
            assert (await client.get("/fhir/Patient?_count=0")).json()["total"] == 1500


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"PORT": "no"}, "PORT"),
        ({"HOST": "0.0.0.0"}, "HOST"),
        ({"DERMATOME_SYNC_TARGETS": "{folder}/targets.toml"}, "retries"),
        ({"DERMATOME_DATABASE_URL": "sqlite+aiosqlite:////proc/none/x.db"}, "DERMATOME_DATABASE_URL"),
        ({"DERMATOME_DATABASE_URL": "postgresql+asyncpg://x@127.0.0.1:1/x"}, "DERMATOME_DATABASE_URL"),
    ],
)
def test_a_start_that_cannot_be_says_why_in_a_sentence(tmp_path: Path, settings: dict[str, str], told: str) -> None:
    (tmp_path / "targets.toml").write_text('[[target]]\nname="a"\nbase_url="http://x/fhir"\nretries=3')
    given = {"PORT": str(free_port()), "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/x.db"}
    own = {k: v.format(folder=tmp_path) for k, v in (given | settings).items()}

    ended = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        cwd=ROOT,
        env=inherited() | own,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith("Dermatome cannot start:\n")
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    settings = {"PORT": str(free_port()), "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/x.db"}
    with Process("serve", settings, log=tmp_path / "one.log"):
        other = Process("serve", settings, log=tmp_path / "two.log")
        other.start(wait=False)
        assert other._process is not None
        code = other._process.wait(30)

    assert code != 0
    assert "address already in use" in (tmp_path / "two.log").read_text()
