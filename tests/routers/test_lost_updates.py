"""Of those who change the same version at the same time one is first, and all others are told, by whichever door."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.builders import MEDICAL_RECORD, bundle, entry, patient
from tests.routers.test_pain import AMENDED, KIND, RECORDS, record

TAG = 'W/"1"'
AT_ONCE = 6
OWN, SOUGHT = "Patient/one", f"Patient?identifier={MEDICAL_RECORD}|M1"
JSON_PATCH, FHIR = "application/json-patch+json", "application/fhir+json"
# One change after the other: method, address, Content-Type and body, made of the number of the client.
Sent = tuple[str, str, str, Callable[[int], Any]]


def whole(number: int) -> Any:
    return patient("M1", id="one", name=[{"family": f"f{number}"}])


def json_patch(number: int) -> Any:
    return [{"op": "add", "path": "/name", "value": [{"family": f"f{number}"}]}]


def merge_patch(number: int) -> Any:
    return {"name": [{"family": f"f{number}"}]}


def fhirpath_patch(number: int) -> Any:
    parts = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "Patient"},
        {"name": "name", "valueString": "name"},
        {"name": "value", "valueHumanName": {"family": f"f{number}"}},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def nothing(_: int) -> Any:
    return None


CHANGES: dict[str, Sent] = {
    "PUT": ("PUT", OWN, FHIR, whole),
    "conditional PUT": ("PUT", SOUGHT, FHIR, whole),
    "JSON Patch": ("PATCH", OWN, JSON_PATCH, json_patch),
    "merge patch": ("PATCH", OWN, "application/merge-patch+json", merge_patch),
    "FHIRPath Patch": ("PATCH", OWN, FHIR, fhirpath_patch),
    "conditional PATCH": ("PATCH", SOUGHT, JSON_PATCH, json_patch),
    "DELETE": ("DELETE", OWN, "", nothing),
    "conditional DELETE": ("DELETE", SOUGHT, "", nothing),
}
# What stands in an entry of a Bundle is a resource.
ENTRIES = {name: sent for name, sent in CHANGES.items() if sent[2] in ("", FHIR)}


def _content(body: Any) -> bytes | None:
    return None if body is None else json.dumps(body).encode()


async def _alone(client: httpx.AsyncClient, sent: Sent, number: int) -> int:
    method, address, kind, body = sent
    headers = {"If-Match": TAG} | ({"Content-Type": kind} if kind else {})
    answer = await client.request(method, f"/fhir/{address}", content=_content(body(number)), headers=headers)
    return answer.status_code


async def _inside(client: httpx.AsyncClient, sent: Sent, number: int, kind: str) -> int:
    """The status that its entry got: of a transaction that was refused that of all of it."""
    method, address, _, body = sent
    asked = bundle(entry(body(number), method=method, url=address, ifMatch=TAG), kind=kind)
    answer = await client.post("/fhir", json=asked)
    if answer.status_code != 200:
        return answer.status_code
    return int(answer.json()["entry"][0]["response"]["status"][:3])


async def _one_is_first(client: httpx.AsyncClient, send: Callable[[int], Any]) -> None:
    (await client.put("/fhir/Patient/one", json=patient("M1", id="one"))).raise_for_status()

    statuses = sorted(await asyncio.gather(*(send(number) for number in range(AT_ONCE))))

    past = (await client.get("/fhir/Patient/one/_history")).json()
    assert (statuses[0] in (200, 204), statuses[1:]) == (True, [412] * (AT_ONCE - 1))
    assert past["total"] == 2


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_of_what_others_have_changed_is_refused(client: httpx.AsyncClient, name: str) -> None:
    await _one_is_first(client, lambda number: _alone(client, CHANGES[name], number))


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize("name", ENTRIES)
async def test_so_is_one_in_a_bundle(client: httpx.AsyncClient, name: str, kind: str) -> None:
    await _one_is_first(client, lambda number: _inside(client, ENTRIES[name], number, kind))


@KIND
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_so_is_one_of_a_record_of_the_clinic(client: httpx.AsyncClient, kind: str, method: str) -> None:
    made = await record(client, kind)
    address = f"/pain/{kind}/{made['id']}"
    tag = {"If-Match": (await client.get(address)).headers["etag"]}
    body = RECORDS[kind](**AMENDED[kind]) if method == "PUT" else None

    answers = await asyncio.gather(*(client.request(method, address, json=body, headers=tag) for _ in range(AT_ONCE)))
    late = await client.put(address, json=RECORDS[kind](), headers=tag)

    statuses = sorted(answer.status_code for answer in answers)
    # Whoever comes after a deletion finds nothing any more to be compared.
    is_told = {412} if method == "PUT" else {410, 412}
    assert statuses[0] == (200 if method == "PUT" else 204)
    assert {*statuses[1:], late.status_code} <= is_told
