"""What a client says of its request in X-Provenance is stored with what the request made, and what the service made of
it or took over has a Provenance of its own."""

import json
from typing import Any

import httpx
import pytest

from tests.builders import Json, bundle, entry, patient
from tests.forms import COMPLETE, answered
from tests.security.limited import limited

WHO = {"agent": [{"who": {"display": "Referral desk"}}], "recorded": "2026-05-01T09:30:00Z"}
SAID = {"resourceType": "Provenance", **WHO}
HEADERS = {"X-Provenance": json.dumps(SAID)}
META = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "seen"}]}}]}
PATCH = [{"op": "replace", "path": "/active", "value": False}]


async def provenances(client: httpx.AsyncClient, **asked: str) -> list[Json]:
    answer = await client.get("/fhir/Provenance", params=asked)
    assert answer.status_code == 200, answer.text
    return [each["resource"] for each in answer.json().get("entry", ())]


def targets(found: Json) -> list[str]:
    return [each["reference"] for each in found["target"]]


WRITES: list[tuple[str, str, Any, list[str]]] = [
    ("PUT", "/fhir/Patient/there", patient("changed", id="there"), ["Patient/there/_history/2"]),
    ("PUT", "/fhir/Patient?identifier=there", patient("there", active=True), ["Patient/there/_history/2"]),
    ("PATCH", "/fhir/Patient/there", PATCH, ["Patient/there/_history/2"]),
    ("DELETE", "/fhir/Patient/there", None, ["Patient/there/_history/1"]),
    ("POST", "/fhir", bundle(entry(patient(id="there", active=True), method="PUT", url="Patient/there")),
     ["Patient/there/_history/2"]),
    ("POST", "/fhir", bundle(entry(patient(id="there", active=True), method="PUT", url="Patient/there"), kind="batch"),
     ["Patient/there/_history/2"]),
    ("POST", "/fhir/Patient/there/$meta-add", META, ["Patient/there/_history/2"]),
]  # fmt: skip


@pytest.mark.parametrize(("method", "url", "body", "about"), WRITES)
async def test_it_is_stored_with_the_change(
    client: httpx.AsyncClient, method: str, url: str, body: Any, about: list[str]
) -> None:
    await client.put("/fhir/Patient/there", json=patient("there", id="there", active=True, gender="other"))
    more = {"Content-Type": "application/json-patch+json"} if method == "PATCH" else {}

    answer = await client.request(method, url, json=body, headers=HEADERS | more)

    assert answer.status_code < 300, answer.text
    (found,) = await provenances(client)
    assert targets(found) == about
    assert {name: found[name] for name in WHO} == WHO


async def test_a_creation_and_what_came_to_nothing(client: httpx.AsyncClient) -> None:
    made = await client.post("/fhir/Patient", json=patient("one"), headers=HEADERS)
    id_ = made.json()["id"]
    again = {"If-None-Exist": "identifier=one", **HEADERS}
    existing = await client.post("/fhir/Patient", json=patient("one"), headers=again)
    same = await client.put(f"/fhir/Patient/{id_}", content=made.content, headers={
        "Content-Type": "application/fhir+json", **HEADERS})  # fmt: skip

    assert (existing.status_code, same.status_code) == (200, 200)
    (found,) = await provenances(client, target=f"Patient/{id_}")
    assert targets(found) == [f"Patient/{id_}/_history/1"]


async def test_one_for_a_transaction_and_one_for_each_entry_of_a_batch(client: httpx.AsyncClient) -> None:
    entries = [entry(patient(id=each), method="PUT", url=f"Patient/{each}") for each in "abc"]
    await client.post("/fhir", json=bundle(*entries), headers=HEADERS)

    (found,) = await provenances(client)
    assert sorted(targets(found)) == [f"Patient/{each}/_history/1" for each in "abc"]

    others = [entry(patient(id=each), method="PUT", url=f"Patient/{each}") for each in "de"]
    await client.post("/fhir", json=bundle(*others, kind="batch"), headers=HEADERS)
    assert len(await provenances(client)) == 3


async def test_it_is_done_once_for_each_key(client: httpx.AsyncClient) -> None:
    keyed = {**HEADERS, "Idempotency-Key": "k"}
    first = await client.post("/fhir/Patient", json=patient("one"), headers=keyed)
    second = await client.post("/fhir/Patient", json=patient("one"), headers=keyed)
    other = await client.post("/fhir/Patient", json=patient("one"), headers={"Idempotency-Key": "k"})

    assert first.content == second.content
    assert other.status_code == 422
    assert len(await provenances(client)) == 1


WRONG = {
    "no JSON": "{",
    "no object": "[]",
    "another resource": '{"resourceType": "Patient"}',
    "a target": json.dumps({**SAID, "target": [{"reference": "Patient/1"}]}),
    "an id": json.dumps({**SAID, "id": "a"}),
    "no agent": '{"resourceType": "Provenance", "recorded": "2026-05-01T09:30:00Z"}',
    "an unknown element": json.dumps({**SAID, "who": "me"}),
}


@pytest.mark.parametrize("header", WRONG.values(), ids=WRONG.keys())
async def test_what_is_no_provenance_is_refused_and_nothing_is_written(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.post("/fhir/Patient", json=patient("new"), headers={"X-Provenance": header})

    assert answer.status_code in (400, 422), answer.text
    assert (await client.get("/fhir/Patient?_summary=count")).json()["total"] == 0
    assert await provenances(client) == []


async def test_whoever_is_not_here_is_told(client: httpx.AsyncClient) -> None:
    said = {**SAID, "agent": [{"who": {"reference": "Practitioner/nobody"}}]}
    headers = {"X-Provenance": json.dumps(said), "Prefer": "return=OperationOutcome"}

    answer = await client.post("/fhir/Patient", json=patient("new"), headers=headers)

    assert answer.status_code == 201
    assert ["Provenance.agent[0].who"] in [each["expression"] for each in answer.json()["issue"]]


async def test_it_takes_the_right_to_create_one(client: httpx.AsyncClient) -> None:
    writer = limited(client, "system/Patient.cruds")
    both = limited(client, "system/Patient.cruds system/Provenance.c")

    assert (await writer.post("/fhir/Patient", json=patient(), headers=HEADERS)).status_code == 403
    assert (await both.post("/fhir/Patient", json=patient(), headers=HEADERS)).status_code == 201


async def test_what_is_computed_of_a_response_says_so(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=patient(id="p"))
    for answers in (COMPLETE["dn4"], {**COMPLETE["dn4"], "burning": False}):
        made = await client.put("/fhir/QuestionnaireResponse/q", json=answered("dn4", answers, id="q"))
        assert made.status_code in (200, 201), made.text

    scores = (await client.get("/fhir/Observation?derived-from=QuestionnaireResponse/q")).json()["entry"]
    first, second = sorted(await provenances(client), key=lambda each: each["meta"]["lastUpdated"])

    assert {link for link in targets(first) if link.startswith("Observation")} == {
        f"Observation/{each['resource']['id']}/_history/1" for each in scores
    }
    assert [each["what"]["reference"] for each in first["entity"]] == ["QuestionnaireResponse/q/_history/1"]
    assert [each["what"]["reference"] for each in second["entity"]] == ["QuestionnaireResponse/q/_history/2"]
    checked = await client.post("/fhir/Provenance/$validate", json=first)
    assert "error" not in {each["severity"] for each in checked.json()["issue"]}, checked.text


async def test_letters_beyond_ascii(client: httpx.AsyncClient) -> None:
    said = {**SAID, "agent": [{"who": {"display": "Zürich"}}]}
    header = json.dumps(said, ensure_ascii=False).encode()

    answer = await client.post("/fhir/Patient", json=patient(), headers=[(b"X-Provenance", header)])

    assert answer.status_code == 201, answer.text
    assert (await provenances(client))[0]["agent"] == said["agent"]


async def test_who_writes_no_resource_takes_none(client: httpx.AsyncClient) -> None:
    view = {"resourceType": "ViewDefinition", "resource": "Patient", "status": "active",
            "select": [{"column": [{"name": "id", "path": "id"}]}]}  # fmt: skip

    assert (await client.post("/fhir/ViewDefinition", json=view, headers=HEADERS)).status_code == 400
    export = await client.get("/fhir/$export", headers={**HEADERS, "Prefer": "respond-async"})
    assert export.status_code == 400
