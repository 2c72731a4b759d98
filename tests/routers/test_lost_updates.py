"""Of those who change the same version at the same time one is first, and all others are told, by whichever door."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.mapping.clinic import KINDS
from tests.answers import issues
from tests.builders import MEDICAL_RECORD, Json, bundle, entry, patient
from tests.routers.test_examinations import sent as examination
from tests.routers.test_pain import AMENDED, DN4_KEYS, KIND, RECORDS, assessment, diagnosis, plan, record

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


def _content(body: Any) -> bytes | None:
    return None if body is None else json.dumps(body).encode()


def _binary(kind: str, body: Any) -> Any:
    data = base64.b64encode(json.dumps(body).encode()).decode()
    return {"resourceType": "Binary", "contentType": kind, "data": data}


async def _alone(client: httpx.AsyncClient, sent: Sent, number: int) -> int:
    method, address, kind, body = sent
    headers = {"If-Match": TAG} | ({"Content-Type": kind} if kind else {})
    answer = await client.request(method, f"/fhir/{address}", content=_content(body(number)), headers=headers)
    return answer.status_code


async def _inside(client: httpx.AsyncClient, sent: Sent, number: int, kind: str) -> int:
    """The status that its entry got: of a transaction that was refused that of all of it."""
    method, address, content_type, body = sent
    # What stands in an entry of a Bundle is a resource.
    resource = body(number) if content_type in ("", FHIR) else _binary(content_type, body(number))
    asked = bundle(entry(resource, method=method, url=address, ifMatch=TAG), kind=kind)
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
@pytest.mark.parametrize("name", CHANGES)
async def test_so_is_one_in_a_bundle(client: httpx.AsyncClient, name: str, kind: str) -> None:
    await _one_is_first(client, lambda number: _inside(client, CHANGES[name], number, kind))


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


def _day(number: int) -> str:
    return f"2026-04-{10 + number}"


# What each client amends a record to, with a day by which its version is told from those of the others.
OWN_BODIES: dict[str, Callable[[int], Json]] = {
    "assessments": lambda number: assessment(
        taken_at=f"{_day(number)}T09:30:00+02:00",
        answers={key: place == number for place, key in enumerate(DN4_KEYS)},
    ),
    "diagnoses": lambda number: diagnosis(
        recorded_at=f"{_day(number)}T09:30:00+02:00",
        evidence={**diagnosis()["evidence"], "confirmatory_test": ("positive", "negative")[number % 2]},
    ),
    "treatment-plans": lambda number: plan(
        goals=[{"measure": "nrs", "reduction_percent": 30, "due": _day(number)}],
        activities=plan()["activities"][: 2 + number % 3],
        review_on=_day(number),
    ),
    "examinations": lambda number: examination(
        taken_at=f"{_day(number)}T09:30:00+02:00",
        results=[{**examination()["results"][0], "value": 1 + number}, examination()["results"][1]],
    ),
}
# What is of each client alone: the record is all of one of them, and no mixture.
MARKS = {
    "assessments": ("taken_at", "answers"),
    "diagnoses": ("evidence",),
    "treatment-plans": ("review_on", "goals"),
    "examinations": ("taken_at", "results"),
}
EVERY_KIND = pytest.mark.parametrize("kind", OWN_BODIES)


async def _made(client: httpx.AsyncClient, kind: str) -> str:
    made = await client.post(f"/pain/{kind}", json=OWN_BODIES[kind](AT_ONCE))
    assert made.status_code == 201, made.text
    return f"/pain/{kind}/{made.json()['id']}"


async def _require_kept(client: httpx.AsyncClient, kind: str, address: str, acknowledged: list[int]) -> None:
    """The versions are those of the creation and of who was told that his is kept; the last one is shown as a whole."""
    anchor = f"/fhir/{KINDS[kind].anchor}/{address.rpartition('/')[2]}"
    past = (await client.get(f"{anchor}/_history?_count=50")).json()
    texts = [json.dumps(one["resource"]) for one in past["entry"]]
    days = [next(n for n in range(AT_ONCE + 1) if _day(n) in text) for text in texts]
    shown = (await client.get(address)).json()
    last = OWN_BODIES[kind](days[0])
    assert sorted(days) == sorted([AT_ONCE, *acknowledged])
    assert past["total"] == len(days)
    assert {key: shown[key] for key in MARKS[kind]} == {key: last[key] for key in MARKS[kind]}


@EVERY_KIND
async def test_of_those_who_amend_a_record_at_once_who_is_told_so_is_kept(client: httpx.AsyncClient, kind: str) -> None:
    address = await _made(client, kind)

    answers = await asyncio.gather(*(client.put(address, json=OWN_BODIES[kind](n)) for n in range(AT_ONCE)))

    acknowledged = [number for number, answer in enumerate(answers) if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert acknowledged
    for answer in answers:
        if answer.status_code == 409:
            assert [one["diagnostics"] for one in issues(answer)] == [
                "The record has changed since it was read; read it again."
            ]
    await _require_kept(client, kind, address, acknowledged)


@EVERY_KIND
async def test_who_reads_again_whenever_he_is_told_to_loses_nothing(client: httpx.AsyncClient, kind: str) -> None:
    address = await _made(client, kind)

    async def amend(number: int) -> int:
        """How often it had to be tried."""
        for tries in range(1, 50):
            tag = (await client.get(address)).headers["etag"]
            answer = await client.put(address, json=OWN_BODIES[kind](number), headers={"If-Match": tag})
            if answer.status_code == 200:
                return tries
            assert answer.status_code == 412, answer.text
        raise AssertionError("never its turn")

    tries = await asyncio.gather(*(amend(number) for number in range(AT_ONCE)))

    assert sum(tries) >= AT_ONCE
    await _require_kept(client, kind, address, list(range(AT_ONCE)))
