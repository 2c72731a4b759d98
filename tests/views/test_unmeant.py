"""Paths that find nothing are never silently empty columns: wherever a view is run, exported or stored."""

from pathlib import Path
from typing import Any

import pytest

from tests.builders import observation, patient
from tests.export.jobs import side, work

LENIENT = {"Prefer": "handling=lenient, respond-async"}
MISSPELT: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "name": "misspelt",
    "resource": "Observation",
    "select": [{"column": [{"name": "id", "path": "id"}, {"name": "status", "path": "statuss"}]}],
}
PLACE = "ViewDefinition.select[0].column[1].path"
POSTED = {"resourceType": "Parameters", "parameter": [{"name": "viewResource", "resource": MISSPELT}]}
DOORS = [
    ("/fhir/$viewdefinition-run", POSTED, 200),
    ("/fhir/$viewdefinition-export", POSTED, 202),
    ("/fhir/ViewDefinition", MISSPELT, 201),
]


@pytest.fixture
async def clinic(database_url: str, tmp_path: Path) -> Any:
    async with side(database_url, tmp_path / "files") as found:
        await found.put(patient(id="a"), observation("Patient/a", id="o", status="final"))
        yield found


@pytest.mark.parametrize(("door", "body", "status"), DOORS)
async def test_a_misspelt_path_is_refused_unless_lenient(clinic: Any, door: str, body: Any, status: int) -> None:
    strict = await clinic.client.post(door, json=body, headers={"Prefer": "respond-async"})
    lenient = await clinic.client.post(door, json=body, headers=LENIENT)

    assert strict.status_code == 422
    assert [each["expression"] for each in strict.json()["issue"]] == [[PLACE]]
    assert "Observation has no element statuss" in strict.text
    assert lenient.status_code == status, lenient.text


async def test_whoever_is_lenient_is_told(clinic: Any) -> None:
    run = await clinic.client.post(DOORS[0][0], json=POSTED, headers=LENIENT)
    kicked = await clinic.client.post(DOORS[1][0], json=POSTED, headers=LENIENT)
    await work(clinic.means)
    manifest = (await clinic.client.get(kicked.headers["content-location"])).json()
    errors = [(await clinic.client.get(each["url"])).json() for each in manifest["error"]]
    kept = await clinic.client.post(
        DOORS[2][0], json=MISSPELT, headers={"Prefer": "handling=lenient, return=OperationOutcome"}
    )

    assert run.headers["preference-applied"] == "handling=lenient"
    assert run.json() == [{"id": "o", "status": None}]
    assert PLACE in kicked.text
    assert [(one["issue"][0]["severity"], PLACE in one["issue"][0]["diagnostics"]) for one in errors] == [
        ("warning", True)
    ]
    assert kept.json()["issue"][0]["expression"] == [PLACE]
