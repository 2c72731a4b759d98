"""What the examples read: twelve worked cases, followed for three months, exported by a service."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.fhir.instants import microseconds
from app.main import create_app
from app.settings import Settings
from app.views.ready import ready_tables
from examples import demo
from tests.conftest import BASE

Json = dict[str, Any]
BEGAN = datetime(2026, 5, 1, 12, tzinfo=UTC)
# Weeks after the plan, and what is left of the pain then, in a patient of an even and of an odd number.
COURSE = ((4, 0.9, 0.8), (8, 0.6, 0.8), (12, 0.4, 0.7))
TABLES = ("pain_scores", "treatment_steps", "responses")
_LONGEST_SECONDS = 120


@dataclass(frozen=True)
class Exports:
    """Folders with the files of the two exports."""

    tables: Path
    files: Path


@pytest.fixture(scope="session")
async def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """The cases, posted through the clinic API of a service whose clock goes with them; then what it exports."""
    place = tmp_path_factory.mktemp("cases")
    now = BEGAN
    settings = Settings(
        database_url=f"sqlite+aiosqlite:///{place / 'dermatome.db'}",
        export_files=str(place / "exports"),
        log_level="error",
    )
    app = create_app(settings, now=lambda: microseconds(now))
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        cases = json.loads(demo.CASES.read_text("utf-8"))["cases"]
        patients = [await _begin(client, case) for case in cases]
        for weeks, *left in COURSE:
            now = BEGAN + timedelta(weeks=weeks)
            for number, (patient, case) in enumerate(zip(patients, cases, strict=True)):
                answers = {key: round(points * left[number % 2]) for key, points in case["pain"]["nrs"].items()}
                again = demo._nrs(case) | {"taken_at": (now - timedelta(hours=1)).isoformat(), "answers": answers}
                await _post(client, "/pain/assessments", {"patient": patient, **again, **demo._place(case)})
        # Files are kept by the clock of the database.
        now = datetime.now(UTC)
        made = Exports(tmp_path_factory.mktemp("tables"), tmp_path_factory.mktemp("files"))
        await _export(client, "$viewdefinition-export", _views(), made.tables)
        await _export(client, "$export", {"resourceType": "Parameters"}, made.files)
        return made


@pytest.fixture(scope="session")
def tables(exports: Exports) -> Path:
    """The folder with the tables as Parquet."""
    return exports.tables


@pytest.fixture(scope="session")
def files(exports: Exports) -> Path:
    """The folder with the resources as NDJSON."""
    return exports.files


def _views() -> Json:
    """All tables in one export."""
    urls = [ready_tables()[name].definition["url"] for name in TABLES]
    named = [{"name": "viewReference", "valueReference": {"reference": url}} for url in urls]
    return {"resourceType": "Parameters", "parameter": [*named, {"name": "_format", "valueCode": "parquet"}]}


async def _export(client: httpx.AsyncClient, operation: str, body: Json, folder: Path) -> None:
    """Fetch every file of an export, as its manifest has them."""
    kicked = await client.post(f"/fhir/{operation}", json=body, headers={"Prefer": "respond-async"})
    assert kicked.status_code == 202, kicked.text
    manifest = await _manifest(client, kicked.headers["content-location"])
    assert manifest["error"] == []
    for each in manifest["output"]:
        answer = await client.get(each["url"])
        assert len(answer.content) == each["extension"]["bytes"]
        (folder / each["url"].rpartition("/")[2]).write_bytes(answer.content)


async def _manifest(client: httpx.AsyncClient, place: str) -> Mapping[str, Any]:
    async with asyncio.timeout(_LONGEST_SECONDS):
        while (answer := await client.get(place)).status_code == 202:
            await asyncio.sleep(0.1)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def _begin(client: httpx.AsyncClient, case: Json) -> str:
    """The record of a case up to its plan."""
    patient = f"Patient/{(await _post(client, '/fhir/Patient', demo._patient(case)))['id']}"
    for one in demo._record(case, patient):
        await _post(client, f"/fhir/{one['resourceType']}", one)
    who, place = {"patient": patient}, demo._place(case)
    await _post(client, "/pain/assessments", {**who, **demo._dn4(case), **place})
    await _post(client, "/pain/assessments", {**who, **demo._nrs(case), **place})
    diagnosis = await _post(client, "/pain/diagnoses", {**who, **demo._diagnosis(case), **place})
    plan = {**who, "diagnosis": f"Condition/{diagnosis['id']}", **demo._plan(case)}
    plan["activities"] = [each | {"started_on": f"{BEGAN:%Y-%m-%d}"} for each in plan["activities"]]
    raised = (await client.post("/pain/treatment-plans", json=plan)).json().get("findings", [])
    blocks = [one["rule"] for one in raised if one["severity"] == "block"]
    if blocks:
        await _post(client, "/pain/treatment-plans", plan | {"override": dict.fromkeys(blocks, "An example.")})
    return patient


async def _post(client: httpx.AsyncClient, address: str, body: Json) -> Json:
    answer = await client.post(address, json=body)
    assert answer.status_code == 201, f"{address}: {answer.text}"
    found: Json = answer.json()
    return found
