"""Views as export jobs: files of rows, done by workers."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import httpx

from app.export.asked import Asked
from app.store import exports
from tests.builders import observation, patient
from tests.export.jobs import side, work

VIEW: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "name": "observed",
    "resource": "Observation",
    "select": [{"column": [{"name": "id", "path": "id", "type": "id"}, {"name": "status", "path": "status"}]}],
}
NAMES: dict[str, Any] = VIEW | {"name": "people", "resource": "Patient", "select": VIEW["select"][:1]}
ASYNC = {"Prefer": "respond-async"}


async def test_views_are_exported_as_files_of_rows(database_url: str, tmp_path: Path) -> None:
    people: dict[str, Any] = NAMES | {"select": [{"column": [{"name": "id", "path": "id", "type": "id"}]}]}
    posted = [{"name": "viewResource", "resource": each} for each in (VIEW, people)]
    parameters = {"resourceType": "Parameters", "parameter": [*posted, {"name": "_format", "valueCode": "csv"}]}
    async with side(database_url, tmp_path / "files", rows=3) as clinic:
        await clinic.put(patient(id="a"), *(observation("Patient/a", id=f"o{n}", status="final") for n in range(5)))

        kicked = await clinic.client.post("/fhir/$viewdefinition-export", json=parameters, headers=ASYNC)
        await work(clinic.means)
        place = kicked.headers["content-location"]
        manifest = (await clinic.client.get(place)).json()
        rows = {
            each["url"].rpartition("/")[2]: list(csv.reader(io.StringIO((await clinic.client.get(each["url"])).text)))
            for each in manifest["output"]
        }

    assert kicked.status_code == 202
    assert [(each["type"], each["count"]) for each in manifest["output"]] == [
        ("observed", 3),
        ("observed", 2),
        ("people", 1),
    ]
    assert [table[0] for table in rows.values()] == [["id", "status"], ["id", "status"], ["id"]]
    assert [row for table in rows.values() for row in table[1:]] == [*([f"o{n}", "final"] for n in range(5)), ["a"]]


async def test_a_view_that_fails_on_a_resource_fails_its_job_and_says_why(database_url: str, tmp_path: Path) -> None:
    column = {"name": "code", "path": "code.coding.code", "type": "code"}
    view = VIEW | {"select": [{"column": [column]}]}
    codings = [{"system": "http://a.example", "code": "x"}, {"system": "http://b.example", "code": "y"}]
    async with side(database_url, tmp_path / "files") as clinic:
        await clinic.put(patient(id="a"), observation("Patient/a", id="o", code={"coding": codings}))
        job = await clinic.kick_off(
            types=("Observation",), views=(("observed", json.dumps(view)),), table_format="ndjson"
        )
        await work(clinic.means)
        async with clinic.service.database.reading() as connection:
            found = await exports.read(connection, job)

    assert found is not None
    assert found.state == "failed"
    assert "the column code is no collection, and 2 values were found" in found.reason
    assert Asked.parse(found.asked).table_format == "ndjson"


async def test_what_cannot_be_exported_is_refused_at_once(database_url: str, tmp_path: Path) -> None:
    lists = VIEW | {"select": [{"column": [{"name": "codes", "path": "code.coding.code", "collection": True}]}]}
    parts = [{"name": "viewResource", "resource": lists}, {"name": "_format", "valueCode": "csv"}]
    async with side(database_url, tmp_path / "files") as clinic:
        answer = await clinic.client.post(
            "/fhir/$viewdefinition-export", json={"resourceType": "Parameters", "parameter": parts}, headers=ASYNC
        )
        sync = await clinic.client.post(
            "/fhir/$viewdefinition-export", json={"resourceType": "Parameters", "parameter": parts[:1]}
        )

    assert answer.status_code == 400
    assert "codes is a collection, which CSV cannot hold" in answer.text
    assert sync.status_code == 400
    assert "respond-async" in sync.text


async def test_a_view_by_itself_is_exported_in_the_format_of_the_address(client: httpx.AsyncClient) -> None:
    address = "/fhir/ViewDefinition/scores/$viewdefinition-export?_format="

    for asked in ("csv", "text/csv", "parquet", "ndjson"):
        kicked = await client.get(address + asked, headers=ASYNC)
        assert kicked.status_code == 202, kicked.text
    assert (await client.get(f"{address}pdf", headers=ASYNC)).status_code in (400, 406)
