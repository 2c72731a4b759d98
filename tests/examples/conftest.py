"""What the examples read: twelve worked cases, followed for three months, as an export has them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.fhir import json as lossless
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


@pytest.fixture(scope="session")
async def record(tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """Every resource of the cases: posted through the clinic API of a service whose clock goes with them."""
    database = tmp_path_factory.mktemp("cases") / "dermatome.db"
    now = BEGAN
    settings = Settings(database_url=f"sqlite+aiosqlite:///{database}", log_level="error")
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
        return [one for each in patients for one in await _everything(client, each)]


@pytest.fixture(scope="session")
def tables(record: list[Json], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the tables as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet

    folder = tmp_path_factory.mktemp("tables")
    for name in TABLES:
        table = ready_tables()[name]
        rows = list(table.rows(record))
        columns = {one.name: [row[place] for row in rows] for place, one in enumerate(table.columns)}
        made = pa.table({name: pa.array(values, _arrow(pa, values)) for name, values in columns.items()})
        pyarrow.parquet.write_table(made, folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="session")
def files(record: list[Json], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the resources as NDJSON, several files of a type."""
    folder = tmp_path_factory.mktemp("files")
    for number, resource in enumerate(record):
        with (folder / f"{resource['resourceType']}.{number % 2}.ndjson").open("ab") as file:
            file.write(lossless.dumps(resource) + b"\n")
    return folder


def _arrow(pa: Any, values: list[Any]) -> Any:
    return pa.string() if all(each is None for each in values) else None


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


async def _everything(client: httpx.AsyncClient, patient: str) -> list[Json]:
    answer = await client.get(f"/fhir/{patient}/$everything?_count=1000")
    tree = lossless.parse_object(answer.content)
    assert all(link["relation"] != "next" for link in tree["link"])
    return [each["resource"] for each in tree["entry"]]
