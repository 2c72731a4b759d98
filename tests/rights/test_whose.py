"""What is about the erased patient goes, however that is said; what is somebody else's stays, however alike it is."""

import base64
import json
from typing import Any

import httpx
import pytest

from app.keeping_commands.checking import check
from app.rights.person import Person
from app.store.parameters import load_parameters
from tests.builders import MEDICAL_RECORD, Json, bundle, observation, patient
from tests.rights.test_erase import (
    NAME,
    NUMBER,
    WORDS,
    about,
    erase,
    everything,
    in_parts,
    put,
    service_of,
    told,
)

OF_P, OF_Q = "number-of-p", "number-of-q"
PROVENANCE = about("Provenance", agent=[{"who": {"display": "desk"}}], recorded="2026-05-01T09:30:00Z")


def by_number(value: str) -> Json:
    return {"identifier": {"system": MEDICAL_RECORD, "value": value}}


def collected(id_: str, *inside: Json) -> Json:
    entries = [{"fullUrl": f"http://x/{one['resourceType']}/{one['id']}", "resource": one} for one in inside]
    return bundle(kind="collection") | {"id": id_, "entry": entries}


def letter(id_: str, who: str, *files: str) -> Json:
    content = [{"attachment": {"contentType": "text/plain", "url": f"Binary/{each}"}} for each in files]
    return about(
        "DocumentReference", id=id_, status="current", subject={"reference": f"Patient/{who}"}, content=content
    )


def booked(who: str) -> Json:
    return {"actor": {"reference": f"Patient/{who}"}, "status": "accepted"}


PERSONAL = patient(OF_P, id="inner", name=[{"family": NAME}])
FILE = about("Binary", contentType="text/plain", data="AAAA")
TIMES = {"start": "2026-05-01T09:30:00Z", "end": "2026-05-01T10:30:00Z"}
ENCOUNTER = about(
    "Encounter", id="e", status="finished", subject={"reference": "Patient/p"}, **{"class": {"code": "AMB"}}
)
GOES: list[tuple[str, list[Json]]] = [
    ("Observation/contained", [observation("#inner", id="contained", contained=[PERSONAL])]),
    ("Observation/met", [ENCOUNTER, observation(id="met", encounter={"reference": "Encounter/e"})]),
    ("Binary/one", [FILE | {"id": "one"}, FILE | {"id": "one2"}, letter("l", "p", "one"), letter("m", "q", "one2")]),
    ("Communication/c", [about("Communication", id="c", status="completed", subject={"reference": "Patient/p"},
                               recipient=[{"reference": "Patient/q"}])]),
]  # fmt: skip
STAYS: list[tuple[str, list[Json]]] = [
    ("Bundle/both", [collected("both", observation("Patient/p", id="1"), observation("Patient/q", id="2"))]),
    ("Bundle/mixed", [collected("mixed", patient(OF_P, id="p"), observation("Patient/q", id="2"))]),
    ("Bundle/wrong", [collected("wrong", patient(OF_Q, id="inner"))]),
    ("Observation/wrong", [observation(id="wrong") | {"subject": by_number(OF_Q)}]),
    ("Observation/group", [about("Group", id="g", type="person", actual=True),
                           observation("Group/g", id="group", performer=[{"reference": "Patient/p"}])]),
    ("Provenance/both", [observation("Patient/q", id="o"),
                         PROVENANCE | {"id": "both", "target": [{"reference": f"{each}"} for each in
                                                                ("Patient/p", "Observation/o")]}]),
    ("Appointment/both", [about("Appointment", id="both", status="booked", **TIMES,
                                participant=[booked("p"), booked("q")])]),
    ("DetectedIssue/uri", [about("DetectedIssue", id="uri", status="final", patient={"reference": "Patient/q"},
                                 reference="http://dermatome.test/fhir/Patient/p")]),
]  # fmt: skip


async def two(client: httpx.AsyncClient) -> None:
    """p, who had the number of q by mistake, and q."""
    await put(client, patient(OF_Q, id="p"))
    await put(client, patient(OF_P, id="p"))
    await put(client, patient(OF_Q, id="q"))


@pytest.mark.parametrize(
    ("name", "resources", "status"), [(*one, 410) for one in GOES] + [(*one, 200) for one in STAYS]
)
async def test_each_goes_or_stays_by_whom_it_is_about(
    client: httpx.AsyncClient, name: str, resources: list[Json], status: int
) -> None:
    await two(client)
    for each in resources:
        await put(client, each)

    dry = told(await erase(client, references=True))
    done = await erase(client, confirm=dry["confirm"][0]["valueString"], references=True)

    is_in_the_way = any(not in_parts(each)["removable"] for each in dry.get("reference", ()))
    assert done.status_code == (409 if is_in_the_way else 200), done.text
    assert (await client.get(f"/fhir/{name}")).status_code == status
    service = service_of(client)
    found = await check(service.database, service.parameters, "", lambda _: None, repair=False)
    assert not found.has_damage, found


async def test_a_file_that_somebody_else_has_too_stays_however_it_is_spelled(client: httpx.AsyncClient) -> None:
    await two(client)
    await put(client, FILE | {"id": "shared"})
    await put(client, letter("l", "p", "shared"))
    spelled = json.dumps(letter("m", "q", "shared")).replace("/", "\\/")
    sent = {"Content-Type": "application/fhir+json"}
    assert (await client.put("/fhir/DocumentReference/m", content=spelled, headers=sent)).status_code == 201

    told(await erase(client, confirm=told(await erase(client))["confirm"][0]["valueString"]))

    assert (await client.get("/fhir/Binary/shared")).status_code == 200


@pytest.mark.own_server
async def test_a_file_goes_with_its_record_and_the_answer_that_was_kept_and_what_was_searched_for(
    client: httpx.AsyncClient,
) -> None:
    await put(client, patient(NUMBER, id="p", name=[{"family": NAME}]))
    data = base64.b64encode(WORDS.encode() * 3).decode()
    kept = {"Idempotency-Key": "k", "Prefer": "return=representation", "X-Provenance": json.dumps(PROVENANCE)}
    made = await client.post("/fhir/Binary", json=FILE | {"data": data}, headers=kept)
    await put(client, letter("l", "p", made.json()["id"]))
    asked, later = {"_typeFilter": f"Patient?family={NAME}"}, {"Prefer": "respond-async"}
    assert (await client.get("/fhir/Patient/$export", params=asked, headers=later)).status_code == 202
    service = service_of(client)
    async with service.database.writing() as connection:
        await connection.exec_driver_sql("UPDATE export_job SET state = 'complete'")

    told(await erase(client, confirm=told(await erase(client))["confirm"][0]["valueString"]))

    assert (await client.get(f"/fhir/Binary/{made.json()['id']}")).status_code == 410
    held = await everything(service)
    for word in (NAME, NUMBER, data[:30]):
        assert word.encode() not in held, word


async def test_where_else_the_patient_is_named_is_told(client: httpx.AsyncClient) -> None:
    await two(client)
    await put(client, patient(OF_P, id="q"))
    await put(client, patient(OF_Q, id="q"))
    channel = {"type": "rest-hook", "endpoint": "http://127.0.0.1:1/x"}
    criteria = f"Observation?subject:identifier={MEDICAL_RECORD}|{OF_P}"
    await put(client, about("Subscription", id="s", status="off", reason="x", criteria=criteria, channel=channel))
    await put(client, STAYS[-1][1][0])

    dry = told(await erase(client))

    assert {in_parts(each)["resource"]["reference"] for each in dry["named"]} == {
        "Patient/q",  # the number that p had by mistake
        "Patient/q/_history/1",
        "Patient/q/_history/2",
        "Subscription/s",
        "DetectedIssue/uri",
    }


@pytest.mark.parametrize("value", [["1"], {"a": 1}, 1, None])
def test_what_has_a_value_of_another_kind_is_no_identifier(value: Any) -> None:
    base = "http://dermatome.test/fhir"
    person = Person("p", frozenset({("", "number-1")}), load_parameters(), base)

    assert person.places({"resourceType": "Basic", "a": {"system": ["x"], "value": value}}) == []
    assert person.places({"resourceType": "Basic", "a": {"value": "number-1"}}) == ["Basic.a"]
