"""The examinations of the clinic API, end to end, on both databases."""

import json
from typing import Any

import httpx

from app.profiles import json_files
from tests.answers import count, expressions, issues
from tests.pain.cases import CASES
from tests.pain.examinations import CASE_TESTS

Json = dict[str, Any]
SENT: Json = json_files("examples/requests")["examinations"]
PLACE = "/pain/examinations"


def sent(**changes: Any) -> Json:
    body: Json = json.loads(json.dumps(SENT, default=float))
    return body | changes


async def test_an_examination_is_recorded_shown_amended_and_withdrawn(client: httpx.AsyncClient) -> None:
    shown = await client.post(f"{PLACE}?dry_run=true", json=sent())
    nothing = await count(client, "DiagnosticReport")
    made = await client.post(PLACE, json=sent())
    address = f"{PLACE}/{made.json()['id']}"
    view = await client.get(address)

    assert (shown.status_code, nothing) == (200, 0)
    assert made.status_code == 201, made.text
    assert [one["interpretation"] for one in made.json()["interpretations"]] == ["low", "low"]
    assert {key: view.json()[key] for key in SENT if key != "patient"} == {
        key: one for key, one in sent().items() if key != "patient"
    }
    assert view.headers["etag"] == made.headers["etag"]

    for reference in made.json()["resources"]:
        resource = (await client.get(f"/fhir/{reference}")).json()
        checked = issues(await client.post("/fhir/$validate", json=resource))
        assert [issue for issue in checked if issue["severity"] == "error"] == []

    results = sent()["results"]
    changed = view.json() | {"results": [results[0] | {"value": 3}]}
    amended = await client.put(address, json=changed, headers={"if-match": view.headers["etag"]})
    late = await client.put(address, json=changed, headers={"if-match": view.headers["etag"]})
    again = (await client.get(address)).json()

    assert amended.status_code == 200, amended.text
    assert late.status_code == 412
    assert [one["value"] for one in again["results"]] == [3]
    assert again["status"] == "amended"
    report = (await client.get(f"/fhir/DiagnosticReport/{again['id']}")).json()
    assert f"{report['result'][0]['reference']}" in made.json()["resources"]
    states = {one: (await client.get(f"/fhir/{one}")).json().get("status") for one in made.json()["resources"]}
    assert sorted(str(one) for name, one in states.items() if name.startswith("Observation/")) == [
        "amended",
        "entered-in-error",
    ]

    gone = await client.delete(address)

    assert (gone.status_code, (await client.get(address)).status_code) == (204, 410)
    assert (await client.get(f"/fhir/DiagnosticReport/{again['id']}")).json()["status"] == "entered-in-error"


async def test_the_tests_of_the_worked_cases_are_recorded_and_found(client: httpx.AsyncClient) -> None:
    patient = {"system": "urn:oid:1.2.3", "value": "MRN-8"}
    payloads = [payload for case in CASES for payload, _ in CASE_TESTS.get(case["id"], [])]

    answers = [
        await client.post(PLACE, json={"patient": patient, "taken_at": "2026-05-01T09:30:00Z"} | payload)
        for payload in payloads
    ]

    assert [one.status_code for one in answers] == [201] * len(payloads), [one.text for one in answers]
    for payload, answer in zip(payloads, answers, strict=True):
        view = (await client.get(f"{PLACE}/{answer.json()['id']}")).json()
        for one in view["results"]:
            if "body_site" in one:
                one["body_site"] = one["body_site"]["code"]
        assert {key: view[key] for key in payload if key != "procedure"} == {
            key: one for key, one in payload.items() if key != "procedure"
        }
        assert payload.get("procedure", {}).items() <= view.get("procedure", {}).items()
    assert await count(client, "DiagnosticReport") == len(payloads)
    assert await count(client, "Procedure") == 2


async def test_what_cannot_be_meant_is_refused_with_its_place_and_the_lists_are_told(client: httpx.AsyncClient) -> None:
    results = [sent()["results"][0] | {"unit": "ms"}, {"parameter": "palm-reading"}]

    refused = await client.post(PLACE, json=sent(results=results))
    listed = (await client.get("/pain/examination-types")).json()["examination_types"]
    one = await client.get("/pain/examination-types/qst")
    none = await client.get("/pain/examination-types/palm-reading")

    assert refused.status_code == 422
    assert expressions(refused) == ["results[0].unit", "results[1].parameter"]
    assert await count(client, "DiagnosticReport") == 0
    assert one.json() in listed
    assert len(one.json()["parameters"]) == 13
    assert none.status_code == 404
