"""A patient is erased: after it nothing of them stands in the database, and nothing of anybody else is missing."""

import asyncio
import base64
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from app.keeping_commands.checking import check
from app.service import Service
from app.store.audit.seals import verify
from tests.builders import MEDICAL_RECORD, Json, bundle, observation, patient
from tests.forms import COMPLETE, assessment
from tests.security.limited import limited

# What must not be found afterwards, in any spelling of JSON.
NAME, EARLIER, NUMBER, WORDS = "Zyxwvut", "Qponmlk", "MRN-48151623", "remembersthesea"
CLINIC = {"instrument": "dn4", "answers": COMPLETE["dn4"]}


def service_of(client: httpx.AsyncClient) -> Service:
    service: Service = client._transport.app.state.service  # type: ignore[attr-defined]
    return service


def about(resource_type: str, **fields: Any) -> Json:
    return {"resourceType": resource_type, **fields}


def member(name: str) -> Json:
    return {"entity": {"reference": f"Patient/{name}"}}


async def put(client: httpx.AsyncClient, resource: Json, **headers: str) -> httpx.Response:
    answer = await client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource, headers=headers)
    assert answer.status_code in (200, 201), answer.text
    return answer


async def filled(client: httpx.AsyncClient) -> None:
    """The patient "p" with all that comes to be about one, and another one, "q"."""
    person = patient(NUMBER, id="p", name=[{"family": EARLIER}])
    await put(client, person)
    await put(client, person | {"name": [{"family": NAME, "given": ["Erika"]}]})
    await put(client, patient("other", id="q", link=[{"other": {"reference": "Patient/p"}, "type": "seealso"}]))
    for who in ("p", "q"):
        answer = await client.post(
            "/pain/assessments", json=assessment("dn4", COMPLETE["dn4"], patient=f"Patient/{who}")
        )
        assert answer.status_code == 201, answer.text
    noted = observation("Patient/p", id="noted", note=[{"text": WORDS}])
    await put(
        client,
        noted,
        **{
            "X-Provenance": json.dumps(
                about("Provenance", agent=[{"who": {"display": "desk"}}], recorded="2026-05-01T09:30:00Z")
            )
        },
    )
    await put(client, noted | {"valueInteger": 2})
    # Moved from one patient to the other, and the other way.
    await put(client, observation("Patient/p", id="moved-away", note=[{"text": WORDS}]))
    await put(client, observation("Patient/q", id="moved-away"))
    await put(client, observation("Patient/p", id="deleted", note=[{"text": WORDS}]))
    await client.delete("/fhir/Observation/deleted")
    by_number = {"identifier": {"system": MEDICAL_RECORD, "value": NUMBER}}
    await put(client, observation(id="logical", note=[{"text": WORDS}]) | {"subject": by_number})
    await put(client, about("Group", id="study", type="person", actual=True, member=[member("p"), member("q")]))
    file = about("Binary", id="file", contentType="text/plain", data=base64.b64encode(WORDS.encode()).decode())
    await put(client, file)
    attached = [{"attachment": {"contentType": "text/plain", "url": "Binary/file"}}]
    document = about(
        "DocumentReference", id="letter", status="current", subject={"reference": "Patient/p"}, content=attached
    )
    await put(client, document)
    await put(
        client,
        about(
            "List", id="list", status="current", mode="working", entry=[{"item": {"reference": "Observation/noted"}}]
        ),
    )
    stored = bundle(kind="collection") | {
        "id": "copy",
        "entry": [
            {
                "fullUrl": "urn:uuid:6f0b3c9e-7f7e-4d6c-9a55-0d5f0c4b8a11",
                "resource": person | {"name": [{"family": NAME}]},
            }
        ],
    }
    await put(client, stored)
    answer = await client.post(
        "/fhir/Observation",
        json=observation("Patient/p", note=[{"text": WORDS}]),
        headers={"Idempotency-Key": "again", "Prefer": "return=representation"},
    )
    assert answer.status_code == 201
    async with service_of(client).database.writing() as connection:
        await connection.execute(text(_QUARANTINE), {"content": json.dumps(person).encode(), "no": False})
        await connection.execute(text(_CONFLICT), {"content": json.dumps(noted).encode()})


_QUARANTINE = (
    "INSERT INTO quarantine (target, type, remote_id, remote_version, remote_updated, content, issues, attempts, "
    "not_before, discarded, created_at) VALUES ('t', 'Patient', 'there', '1', 0, :content, '{}', 1, 0, :no, 0)"
)
_CONFLICT = (
    "INSERT INTO sync_conflict (cid, target, type, id, version, base_version, base, remote_id, remote_version, "
    "remote_etag, remote_updated, content, differences, issues, state, resolution, decided_by, result, created_at, "
    "settled_at) VALUES ('c', 't', 'Observation', 'noted', 2, 1, :content, 'noted', '1', '', 0, :content, '[]', '[]', "
    "'settled', 'ours', 'rule', 2, 0, 0)"
)


async def erase(client: httpx.AsyncClient, who: str = "p", **given: Any) -> httpx.Response:
    parts = [
        {"name": name, ("valueBoolean" if isinstance(value, bool) else "valueString"): value}
        for name, value in given.items()
    ]
    body = {"resourceType": "Parameters", **({"parameter": parts} if parts else {})}
    return await client.post(f"/fhir/Patient/{who}/$erase", json=body)


def told(answer: httpx.Response) -> dict[str, list[Json]]:
    assert answer.status_code == 200, answer.text
    found: dict[str, list[Json]] = {}
    for each in answer.json()["parameter"]:
        found.setdefault(each["name"], []).append(each)
    return found


def in_parts(each: Json) -> dict[str, Any]:
    return {one["name"]: next(value for name, value in one.items() if name.startswith("value")) for one in each["part"]}


async def everything(service: Service) -> bytes:
    """All that the database holds: the file of SQLite with its log, the rows of PostgreSQL."""
    url = make_url(service.database.url)
    if service.database.is_sqlite:
        with closing(sqlite3.connect(str(url.database))) as own:
            own.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return b"".join(
            path.read_bytes() for path in Path(str(url.database)).parent.glob(f"{Path(str(url.database)).name}*")
        )
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)  # type: ignore[no-untyped-call]
    names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = []
    for (name,) in names:
        for row in await connection.fetch(f'SELECT * FROM public."{name}"'):
            found += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    await connection.close()
    return b"\n".join(found)


@pytest.mark.own_server
async def test_nothing_of_the_patient_is_left_and_all_of_the_others(client: httpx.AsyncClient) -> None:
    service = service_of(client)
    await filled(client)
    kept = (await client.get("/fhir/Patient/q/$everything", params={"_count": "100"})).json()

    dry = told(await erase(client))
    refused = await erase(client, confirm=dry["confirm"][0]["valueString"])
    assert NAME.encode() in await everything(service)
    done = told(await erase(client, confirm=dry["confirm"][0]["valueString"], references=True))

    assert dry["done"][0]["valueBoolean"] is False
    assert done["done"][0]["valueBoolean"] is True
    assert {in_parts(each)["where"] for each in dry["copy"]} == {"quarantine", "conflict", "answer"}
    assert {in_parts(each)["resource"]["reference"] for each in dry["reference"]} == {
        "Group/study",
        "List/list",
        "Patient/q",
    }
    assert refused.status_code == 409
    assert len(refused.json()["issue"]) == 3
    held = await everything(service)
    for word in (NAME, NUMBER, WORDS, WORDS[:12], EARLIER, "Erika"):
        assert word.encode() not in held, word
        assert word.lower().encode() not in held, word
    assert (await client.get("/fhir/Patient/p")).status_code == 410
    history = (await client.get("/fhir/Patient/p/_history")).json()["entry"]
    assert [each["request"]["method"] for each in history] == ["DELETE"]
    for past in ("Observation/noted/_history/1", "Observation/moved-away/_history/1", "Group/study/_history/1"):
        assert (await client.get(f"/fhir/{past}")).status_code == 404, past
    assert (await client.get("/fhir/Binary/file")).status_code == 410
    assert (await client.get("/fhir/Observation/moved-away")).json()["meta"]["versionId"] == "2"
    assert (await client.get("/fhir/Group/study")).json()["member"] == [member("q")]
    assert "link" not in (await client.get("/fhir/Patient/q")).json()
    after = (await client.get("/fhir/Patient/q/$everything", params={"_count": "100"})).json()
    assert {each["fullUrl"] for each in after["entry"]} == {each["fullUrl"] for each in kept["entry"]}
    found = await check(service.database, service.parameters, "", lambda _: None, repair=False)
    assert not found.has_damage, found
    assert not found.counts["dangling"], found
    async with service.database.reading() as connection:
        assert not (await verify(connection)).problems


async def test_what_was_erased_does_not_come_back(client: httpx.AsyncClient) -> None:
    await filled(client)
    dry = told(await erase(client, references=True))
    told(await erase(client, confirm=dry["confirm"][0]["valueString"], references=True))

    again = await client.put("/fhir/Patient/p", json=patient(NUMBER, id="p"))
    repeated = await client.post(
        "/fhir/Observation",
        json=observation("Patient/p", note=[{"text": WORDS}]),
        headers={"Idempotency-Key": "again", "Prefer": "return=representation"},
    )
    twice = await erase(client)
    new = await client.post("/fhir/Patient", json=patient(NUMBER))

    assert again.status_code == 410
    assert "erased" in again.json()["issue"][0]["diagnostics"]
    assert repeated.status_code == 410
    assert twice.status_code == 410
    # Whoever comes back is a patient like any other.
    assert new.status_code == 201


async def test_the_dry_run_binds_what_is_erased(client: httpx.AsyncClient) -> None:
    await put(client, patient("one", id="p"))
    dry = told(await erase(client))
    await put(client, observation("Patient/p", id="later"))

    late = await erase(client, confirm=dry["confirm"][0]["valueString"])

    assert late.status_code == 412
    assert (await client.get("/fhir/Patient/p")).status_code == 200
    now = told(await erase(client))
    assert in_parts(now["erased"][0]) == {"type": "Observation", "resources": 1, "versions": 1}
    told(await erase(client, confirm=now["confirm"][0]["valueString"]))
    assert (await client.get("/fhir/Observation/later")).status_code == 410


async def test_one_that_was_deleted_before_can_be_erased(client: httpx.AsyncClient) -> None:
    await put(client, patient("one", id="p", name=[{"family": NAME}]))
    await client.delete("/fhir/Patient/p")

    dry = told(await erase(client))
    told(await erase(client, confirm=dry["confirm"][0]["valueString"]))

    assert (await client.get("/fhir/Patient/p/_history/1")).status_code == 404
    assert (await client.put("/fhir/Patient/p", json=patient("one", id="p"))).status_code == 410


async def test_an_id_that_says_a_record_number_needs_a_word(client: httpx.AsyncClient) -> None:
    await put(client, patient("mrn-777", id="MRN-777"))
    dry = told(await erase(client, "MRN-777"))

    silent = await erase(client, "MRN-777", confirm=dry["confirm"][0]["valueString"])
    agreed = await erase(client, "MRN-777", confirm=dry["confirm"][0]["valueString"], ids=True)

    assert dry["outcome"][0]["resource"]["issue"][0]["expression"] == ["Patient.id"]
    assert silent.status_code == 409
    assert agreed.status_code == 200


async def test_what_cannot_be_without_the_patient_stands_in_the_way(client: httpx.AsyncClient) -> None:
    await put(client, patient("one", id="p"))
    await put(client, patient("two", id="q"))
    both = {
        "resourceType": "Bundle",
        "id": "both",
        "type": "collection",
        "entry": [
            {"fullUrl": f"http://x/Patient/{name}", "resource": patient(value, id=name)}
            for name, value in (("p", "one"), ("q", "two"))
        ],
    }
    await put(client, both)

    dry = told(await erase(client, references=True))
    refused = await erase(client, confirm=dry["confirm"][0]["valueString"], references=True)

    assert in_parts(dry["reference"][0])["removable"] is False
    assert refused.status_code == 409
    assert (await client.get("/fhir/Patient/p")).status_code == 200


@pytest.mark.parametrize(("who", "given", "status"), [
    ("nobody", {}, 404), ("p", {"confirm": "wrong"}, 412), ("p", {"unknown": "x"}, 400), ("p", {"references": "y"}, 400)
])  # fmt: skip
async def test_bad_requests_change_nothing(
    client: httpx.AsyncClient, who: str, given: dict[str, Any], status: int
) -> None:
    await put(client, patient("one", id="p"))

    answer = await erase(client, who, **given)

    assert answer.status_code == status, answer.text
    assert (await client.get("/fhir/Patient/p")).status_code == 200


async def test_it_leaves_no_provenance_and_says_so(client: httpx.AsyncClient) -> None:
    await put(client, patient("one", id="p"))

    answer = await client.post("/fhir/Patient/p/$erase", headers={"X-Provenance": json.dumps(about("Provenance"))})

    assert answer.status_code == 400
    assert (await client.get("/fhir/Patient/p")).status_code == 200


async def test_only_administrators_may(client: httpx.AsyncClient) -> None:
    await put(client, patient("one", id="p"))

    answer = await erase(limited(client, "system/*.cruds"))

    assert answer.status_code == 403


@pytest.mark.own_server
async def test_whoever_reads_just_now_is_waited_for_until_nothing_is_left(client: httpx.AsyncClient) -> None:
    database = service_of(client).database
    if not database.is_sqlite:
        assert await database.scrub()
        return
    await put(client, patient(id="p", name=[{"family": NAME}]))

    async def read() -> None:
        async with database.reading() as connection:
            await connection.exec_driver_sql("SELECT count(*) FROM version")
            await asyncio.sleep(1)

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.3)
    done = await erase(client, confirm=told(await erase(client))["confirm"][0]["valueString"])
    left = [path.read_bytes() for path in Path(str(make_url(database.url).database)).parent.glob("*-wal")]
    await reading

    assert done.status_code == 200
    assert [NAME.encode() in each for each in left] == [False] * len(left)
