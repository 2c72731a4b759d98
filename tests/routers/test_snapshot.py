"""$snapshot: by url, of what is posted, of what is stored; 4xx with the reason where none can be made."""

from typing import Any

import httpx
import pytest

from tests.intake.test_posted_definitions import DERIVED, FINAL, PROFILE, STATUS, profile, put
from tests.validation.test_profiles import element

PATH = "/fhir/StructureDefinition/$snapshot"
BP = "http://hl7.org/fhir/StructureDefinition/bp"


def parameters(**parameter: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [parameter]}


def elements(response: httpx.Response) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in response.json()["snapshot"]["element"]}


async def test_a_posted_definition_gets_its_snapshot(client: httpx.AsyncClient) -> None:
    plain = await client.post(PATH, json=PROFILE)
    wrapped = await client.post(PATH, json=parameters(name="definition", resource=PROFILE))

    assert plain.status_code == wrapped.status_code == 200
    assert plain.json() == wrapped.json()
    assert plain.json()["differential"] == PROFILE["differential"]
    assert elements(plain)["Observation.status"]["fixedCode"] == "final"
    assert elements(plain)["Observation.status"]["base"] == {"path": "Observation.status", "min": 1, "max": "1"}


async def test_a_stored_definition_gets_its_snapshot_by_id_and_by_url(client: httpx.AsyncClient) -> None:
    await put(client, PROFILE, "final")
    await put(client, profile(DERIVED, element("Observation.method", min=1), baseDefinition=FINAL), "derived")

    answers = [
        await client.get("/fhir/StructureDefinition/derived/$snapshot"),
        await client.post("/fhir/StructureDefinition/derived/$snapshot"),
        await client.get(PATH, params={"url": DERIVED}),
        await client.post(PATH, json=parameters(name="url", valueString=DERIVED)),
    ]

    assert [answer.status_code for answer in answers] == [200] * 4
    for answer in answers:
        assert elements(answer)["Observation.method"]["min"] == 1
        assert elements(answer)["Observation.status"]["fixedCode"] == "final"


@pytest.mark.parametrize("url", [BP, "http://hl7.org/fhir/StructureDefinition/Observation"])
async def test_base_definitions_have_snapshots_that_are_valid(client: httpx.AsyncClient, url: str) -> None:
    answer = await client.get(PATH, params={"url": url})
    verdict = await client.post("/fhir/$validate", json=answer.json())

    errors = [each for each in verdict.json()["issue"] if each["severity"] == "error"]
    # R4 tells the type of ids by an extension where that extension's own definition does not allow it.
    assert [each for each in errors if not each["expression"][0].endswith(".type[0].extension[0]")] == []
    assert elements(answer)["Observation.code"]["min"] == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (profile(FINAL, element("Observation.colour")), 422, "business-rule"),
        (profile(FINAL, STATUS, baseDefinition="https://example.org/x"), 422, "business-rule"),
        ({"resourceType": "Patient"}, 400, "structure"),
        (profile(FINAL, STATUS) | {"status": "x"}, 422, "code-invalid"),
        (parameters(name="url", valueString="https://example.org/x"), 404, "not-found"),
        (parameters(name="url"), 400, "value"),
        (parameters(name="definition", resource=1), 400, "value"),
        (parameters(name="other", valueString="x"), 400, "not-supported"),
        ({"resourceType": "Parameters", "parameter": []}, 400, "value"),
    ],
)
async def test_no_snapshot_is_refused_with_the_reason(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    response = await client.post(PATH, json=body)

    assert response.status_code == status
    assert response.json()["issue"][0]["code"] == code


@pytest.mark.parametrize(
    ("path", "status"),
    [(PATH, 400), (f"{PATH}?url=https://example.org/x", 404), ("/fhir/StructureDefinition/none/$snapshot", 404)],
)
async def test_what_is_not_here_or_not_named_is_refused(client: httpx.AsyncClient, path: str, status: int) -> None:
    response = await client.get(path)

    assert response.status_code == status


async def test_the_capability_statement_names_the_operation(client: httpx.AsyncClient) -> None:
    resources = (await client.get("/fhir/metadata")).json()["rest"][0]["resource"]

    operations = next(each["operation"] for each in resources if each["type"] == "StructureDefinition")
    assert "snapshot" in [each["name"] for each in operations]
