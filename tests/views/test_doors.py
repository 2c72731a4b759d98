"""The doors of views: ViewDefinitions kept, run over stored and posted resources, and exported as files."""

import csv
import io
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

OBSERVATIONS = 5
KG = {"value": 70, "code": "kg"}
VIEW: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "name": "weights",
    "status": "active",
    "resource": "Observation",
    "constant": [{"name": "unit", "valueCode": "kg"}],
    "select": [
        {
            "column": [
                {"name": "id", "path": "getResourceKey()", "type": "string"},
                {"name": "patient", "path": "subject.getReferenceKey(Patient)", "type": "string"},
                {"name": "kg", "path": "value.ofType(Quantity).where(code = %unit).value", "type": "decimal"},
                {"name": "final", "path": "status = 'final'", "type": "boolean"},
            ]
        }
    ],
}


def observation(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"weight-{number}",
        "status": "final",
        "code": {"text": "Body weight"},
        "subject": {"reference": f"Patient/p{number % 2}"},
        "valueQuantity": {"value": 70 + number, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


async def put(client: httpx.AsyncClient) -> None:
    everybody: list[dict[str, Any]] = [{"resourceType": "Patient", "id": f"p{number}"} for number in range(2)]
    members = [{"entity": {"reference": "Patient/p1"}}]
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": members}
    for each in [*everybody, group, *map(observation, range(OBSERVATIONS))]:
        answer = await client.put(f"/fhir/{each['resourceType']}/{each['id']}", json=each)
        assert answer.is_success, answer.text


def asked(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "viewResource", "resource": VIEW}, *parts]}


async def run(client: httpx.AsyncClient, *parts: dict[str, Any]) -> Any:
    answer = await client.post("/fhir/$viewdefinition-run", json=asked(*parts))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_view_is_run_over_what_is_stored(client: httpx.AsyncClient) -> None:
    await put(client)

    rows = await run(client)
    of_one = await run(client, {"name": "patient", "valueReference": {"reference": "Patient/p0"}})
    of_group = await run(client, {"name": "group", "valueReference": {"reference": "Group/g"}})
    two = await run(client, {"name": "_limit", "valuePositiveInt": 2})
    later = await run(client, {"name": "_since", "valueInstant": "2020-01-01T00:00:00Z"})

    everything = [
        {"id": f"weight-{number}", "patient": f"p{number % 2}", "kg": 70 + number, "final": True}
        for number in range(OBSERVATIONS)
    ]
    assert rows == everything == later
    assert of_one == everything[::2]
    assert of_group == everything[1::2]
    assert two == everything[:2]


async def test_formats(client: httpx.AsyncClient) -> None:
    import pyarrow.parquet

    await put(client)
    answers = {
        name: await client.post(f"/fhir/$viewdefinition-run?_format={name}", json=asked())
        for name in ("json", "ndjson", "csv", "parquet")
    }
    bare = await client.post(
        "/fhir/$viewdefinition-run",
        json=asked({"name": "header", "valueBoolean": False}),
        headers={"Accept": "text/csv"},
    )

    rows = answers["json"].json()
    assert [json.loads(line) for line in answers["ndjson"].text.splitlines()] == rows
    table = list(csv.reader(io.StringIO(answers["csv"].text)))
    assert table[0] == list(rows[0])
    assert table[1:] == list(csv.reader(io.StringIO(bare.text)))
    assert table[1] == ["weight-0", "p0", "70", "true"]
    assert pyarrow.parquet.read_table(io.BytesIO(answers["parquet"].content)).to_pylist() == rows
    types = {name: answer.headers["content-type"].partition(";")[0] for name, answer in answers.items()}
    assert types == {
        "json": "application/json",
        "ndjson": "application/x-ndjson",
        "csv": "text/csv",
        "parquet": "application/vnd.apache.parquet",
    }


async def test_posted_resources_are_not_validated(client: httpx.AsyncClient) -> None:
    strange = {"resourceType": "Observation", "id": "x", "valueQuantity": {"value": 1.50, "code": "kg"}, "nonsense": 1}

    rows = await run(client, {"name": "resource", "resource": strange})

    assert rows == [{"id": "x", "patient": None, "kg": 1.5, "final": None}]


WRONG: dict[str, Any] = {
    "resource": "Nothing",
    "constant": [{"name": "1"}],
    "select": [{"column": [{"name": "a-b", "path": "id.."}], "forEach": "x", "repeat": ["y"]}],
    "where": [{"path": ""}],
}


async def test_a_malformed_view_is_refused_with_all_that_is_wrong(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fhir/ViewDefinition", json={"resourceType": "ViewDefinition", **WRONG})

    assert answer.status_code == 400
    assert {each["expression"][0] for each in answer.json()["issue"]} == {
        "ViewDefinition.resource",
        "ViewDefinition.constant[0].name",
        "ViewDefinition.constant[0]",
        "ViewDefinition.select[0]",
        "ViewDefinition.select[0].column[0].name",
        "ViewDefinition.select[0].column[0].path",
        "ViewDefinition.where[0].path",
    }


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([{"name": "_format", "valueCode": "xls"}], 400),
        ([{"name": "_since", "valueInstant": "2999-01-01T00:00:00Z"}], 400),
        ([{"name": "patient", "valueReference": {"reference": "Patient/nobody"}}], 400),
        ([{"name": "viewReference", "valueReference": {"reference": "ViewDefinition/x"}}], 400),
        ([{"name": "source", "valueString": "x"}], 400),
        ([{"name": "resource", "resource": {"resourceType": "Observation", "valueQuantity": [KG, KG]}}], 422),
    ],
)
async def test_what_cannot_be_done_is_refused(client: httpx.AsyncClient, parts: list[Any], status: int) -> None:
    answer = await client.post("/fhir/$viewdefinition-run", json=asked(*parts))

    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_views_are_kept(client: httpx.AsyncClient) -> None:
    made = await client.post("/fhir/ViewDefinition", json=VIEW)
    place = f"/fhir/ViewDefinition/{made.json()['id']}"
    changed = await client.put(place, json=made.json() | {"title": "Weights"}, headers={"If-Match": 'W/"1"'})
    stale = await client.put(place, json=made.json(), headers={"If-Match": 'W/"1"'})
    read = await client.get(place)
    listed = await client.get("/fhir/ViewDefinition?name=weights")
    rows = await client.get(f"{place}/$viewdefinition-run?_format=csv")
    removed = await client.delete(place)
    gone = await client.get(place)

    assert made.status_code == 201
    assert made.headers["location"].endswith(place)
    assert (changed.status_code, stale.status_code) == (200, 412)
    assert read.json()["title"] == "Weights"
    assert [each["resource"]["id"] for each in listed.json()["entry"]] == [made.json()["id"]]
    assert rows.text == "id,patient,kg,final\r\n"
    assert (removed.status_code, gone.status_code) == (204, 404)


async def test_ready_views_are_read_only(client: httpx.AsyncClient) -> None:
    listed = await client.get("/fhir/ViewDefinition?name=scores")
    ready = listed.json()["entry"][0]["resource"]
    place = f"/fhir/ViewDefinition/{ready['id']}"

    rows = await client.get(f"{place}/$viewdefinition-run")

    assert (await client.get(place)).json() == ready
    assert rows.json() == []
    assert (await client.put(place, json=ready)).status_code == 403
    assert (await client.delete(place)).status_code == 403


def test_numbers_keep_their_digits() -> None:
    from app.views import compile_view

    view = compile_view(VIEW)
    value = {"resourceType": "Observation", "id": "x", "valueQuantity": {"value": Decimal("7.50"), "code": "kg"}}

    assert [str(row[2]) for row in view.rows(value, is_plain=True)] == ["7.50"]
