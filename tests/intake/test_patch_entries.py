"""Entries of Bundles that patch: what a Binary or Parameters brings is read as the PATCH by itself reads it."""

import base64
import json
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.builders import Json, bundle, entry, patient
from tests.conftest import serving

JSON_PATCH = "application/json-patch+json"
ACTIVE = [{"op": "add", "path": "/active", "value": True}]
OWN, SOUGHT = "Patient/one", "Patient?identifier=M1"


def binary(text: bytes | None = None, kind: str = JSON_PATCH, **more: Any) -> Json:
    """A Binary that holds a patch."""
    given = json.dumps(ACTIVE).encode() if text is None else text
    return {"resourceType": "Binary", "contentType": kind, "data": base64.b64encode(given).decode(), **more}


def without(resource: Json, name: str) -> Json:
    return {key: value for key, value in resource.items() if key != name}


def parameters(**more: Any) -> Json:
    """A FHIRPath Patch; more: what else stands in its only operation."""
    parts = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "Patient"},
        {"name": "name", "valueString": "active"},
        {"name": "value", "valueBoolean": True},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts, **more}]}


AS_XML = (
    '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
    '<part><name value="type"/><valueCode value="add"/></part>'
    '<part><name value="path"/><valueString value="Patient"/></part>'
    '<part><name value="name"/><valueString value="active"/></part>'
    '<part><name value="value"/><valueBoolean value="true"/></part></parameter></Parameters>'
)
BROKEN_LINES = " W3sib3AiOiJhZGQiLCJw\n YXRoIjoiL2FjdGl2ZSIs\r\n InZhbHVlIjp0cnVlfV0=\n"

TAKEN = {
    "a JSON Patch": binary(),
    "in lines, as base64 may be": binary(data=BROKEN_LINES),
    "media types have no large letters": binary(kind="Application/JSON-Patch+json; charset=UTF-8"),
    "a merge patch": binary(b'{"active": true}', "application/merge-patch+json"),
    "FHIRPath Patch": parameters(),
    "FHIRPath Patch in a Binary": binary(json.dumps(parameters()).encode(), "application/fhir+json"),
    "FHIRPath Patch in XML": binary(AS_XML.encode(), "application/fhir+xml"),
    "what has no meaning of its own": parameters(
        id="a", extension=[{"url": "https://example.org/x", "valueCode": "a"}]
    ),
}
# What is brought, and where below its entry that is told.
REFUSED: dict[str, tuple[Json, str]] = {
    "no base64": (binary(data="%%%"), ".data"),
    "base64 that is cut off": (binary(data="W3s"), ".data"),
    "data that is no text": (binary(data=5), ".data"),
    "no data": (without(binary(), "data"), ".data"),
    "empty data": (binary(b""), ".data"),
    "no JSON": (binary(b"[{"), ".data"),
    "no UTF-8": (binary(b"\xff\xfe"), ".data"),
    "a name twice": (binary(b'[{"op":"add","op":"remove","path":"/active"}]'), ".data"),
    "nested too deeply": (binary(b"[" * 200 + b"]" * 200), ".data"),
    "no list of operations": (binary(b"{}"), ".data"),
    "an operation that is none": (binary(b'[{"op":"improve","path":"/active"}]'), ".data"),
    "no XML": (binary(b"<Parameters", "application/fhir+xml"), ".data"),
    "no contentType": (without(binary(), "contentType"), ".contentType"),
    "an element that Binary does not have": (binary(color="red"), ""),
    "an element that Parameters do not have": ({**parameters(), "color": "red"}, ""),
    "an element that an operation does not have": (parameters(color="red"), ".parameter[0]"),
    "a value beside the parts": (parameters(valueString="red"), ".parameter[0]"),
    "a modifier": (parameters(modifierExtension=[{"url": "https://example.org/not"}]), ".parameter[0]"),
    "a part without a value": (parameters(part=[{"name": "type"}]), ".parameter[0].part[0]"),
    "a resource that is no patch": (patient(active=True), ""),
}
OTHER_TYPES = ["text/plain", f"{JSON_PATCH}; charset=latin-1", "application/fhir+json; fhirVersion=3.0"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize("address", [OWN, SOUGHT])
@pytest.mark.parametrize("name", TAKEN)
async def test_a_patch_is_done(client: httpx.AsyncClient, name: str, address: str, kind: str) -> None:
    await client.put("/fhir/Patient/one", json=patient("M1", id="one"))

    answer = await client.post("/fhir", json=bundle(entry(TAKEN[name], method="PATCH", url=address), kind=kind))

    found = (await client.get("/fhir/Patient/one")).json()
    assert [one["response"]["status"] for one in answer.json()["entry"]] == ["200"], answer.text
    assert (found["active"], found["meta"]["versionId"]) == (True, "2")


@pytest.mark.parametrize("name", REFUSED)
async def test_a_transaction_with_a_patch_that_is_none_does_nothing(client: httpx.AsyncClient, name: str) -> None:
    await client.put("/fhir/Patient/one", json=patient("M1", id="one"))
    resource, place = REFUSED[name]

    answer = await client.post("/fhir", json=bundle(entry(patient("N")), entry(resource, method="PATCH", url=OWN)))

    issues = answer.json()["issue"]
    assert (answer.status_code, await _versions(client)) == (400, 1), answer.text
    assert f"Bundle.entry[1].resource{place}" in [where for issue in issues for where in issue["expression"]]
    assert (await client.get("/fhir/Patient?identifier=N")).json()["total"] == 0


@pytest.mark.parametrize("name", REFUSED)
async def test_a_batch_does_its_other_entries(client: httpx.AsyncClient, name: str) -> None:
    await client.put("/fhir/Patient/one", json=patient("M1", id="one"))
    asked = bundle(entry(REFUSED[name][0], method="PATCH", url=OWN), entry(patient("N")), kind="batch")

    answer = await client.post("/fhir", json=asked)

    assert [one["response"]["status"] for one in answer.json()["entry"]] == ["400", "201"]
    assert await _versions(client) == 1


@pytest.mark.parametrize("kind", OTHER_TYPES)
async def test_a_type_that_is_no_patch_is_told_as_in_a_patch_by_itself(client: httpx.AsyncClient, kind: str) -> None:
    await client.put("/fhir/Patient/one", json=patient("M1", id="one"))
    resource = binary(kind=kind)

    answer = await client.post("/fhir", json=bundle(entry(resource, method="PATCH", url=OWN)))
    alone = await client.patch(f"/fhir/{OWN}", json=ACTIVE, headers={"Content-Type": kind})

    assert (answer.status_code, alone.status_code, await _versions(client)) == (415, 415, 1)
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[0].resource.contentType"]


MATCHES = {
    "nothing": ("Patient?identifier=nobody", {}, 404),
    "several": ("Patient?identifier=M2", {}, 412),
    "another version, by id": (OWN, {"ifMatch": 'W/"7"'}, 412),
    "another version, by condition": (SOUGHT, {"ifMatch": 'W/"7"'}, 412),
    "this version, by id": (OWN, {"ifMatch": 'W/"1"'}, 200),
    "this version, by condition": (SOUGHT, {"ifMatch": 'W/"1"'}, 200),
    "any version, by condition": (SOUGHT, {"ifMatch": "*"}, 200),
    "no version at all": (OWN, {"ifMatch": "one"}, 400),
    "a parameter that is none": ("Patient?colour=red", {}, 400),
    "no condition": ("Patient?", {}, 400),
    "a condition of creations": (OWN, {"ifNoneExist": "identifier=M1"}, 400),
}


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize("name", MATCHES)
async def test_what_a_patch_is_about(client: httpx.AsyncClient, name: str, kind: str) -> None:
    for id_, value in (("one", "M1"), ("two", "M2"), ("three", "M2")):
        await client.put(f"/fhir/Patient/{id_}", json=patient(value, id=id_))
    address, conditions, status = MATCHES[name]
    asked = bundle(entry(patient("N")), entry(binary(), method="PATCH", url=address, **conditions), kind=kind)

    answer = await client.post("/fhir", json=asked)

    is_done = status == 200
    told = str(answer.status_code) if "issue" in answer.json() else answer.json()["entry"][1]["response"]["status"]
    assert (told, await _versions(client)) == (str(status), 2 if is_done else 1)
    is_other_kept = is_done or kind == "batch"
    assert (await client.get("/fhir/Patient?identifier=N")).json()["total"] == is_other_kept


async def test_the_patches_of_a_bundle_hold_no_more_than_a_body_may(database_url: str) -> None:
    async with serving(Settings(database_url=database_url, max_body_values=2_000, log_level="error")) as client:
        many = binary(json.dumps([{"op": "test", "path": "/x", "value": [0] * 900}]).encode())
        one, three = (bundle(*[entry(many, method="PATCH", url=OWN)] * count) for count in (1, 3))

        answers = [await client.post("/fhir", json=asked) for asked in (one, three)]

    assert [answer.status_code for answer in answers] == [404, 413]


async def _versions(client: httpx.AsyncClient) -> int:
    total: int = (await client.get("/fhir/Patient/one/_history")).json()["total"]
    return total
