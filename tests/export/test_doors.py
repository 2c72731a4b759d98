"""Exports by HTTP: kicked off, watched, fetched in every way, called off, and refused with reasons."""

import asyncio
import base64
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from app.export.asked import Asked
from app.settings import Settings
from app.store.database import Database
from app.store.tables import ExportJob
from tests.builders import Json, bundle, entry, observation, patient
from tests.conftest import serving

ASYNC = {"Prefer": "respond-async"}
FHIR_NDJSON = "application/fhir+ndjson"
PEOPLE = ("a", "b", "c")


async def held(client: httpx.AsyncClient) -> None:
    """Three patients, an Observation of each, and a Group of two of them."""
    people = [entry(patient(id=each), method="PUT", url=f"Patient/{each}") for each in PEOPLE]
    about = [entry(observation(f"Patient/{each}", id=each), method="PUT", url=f"Observation/{each}") for each in PEOPLE]
    members = [{"entity": {"reference": f"Patient/{each}"}} for each in ("a", "b")]
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": members}
    made = await client.post("/fhir", json=bundle(*people, *about, entry(group, method="PUT", url="Group/g")))
    assert made.status_code == 200, made.text


async def manifest(client: httpx.AsyncClient, answer: httpx.Response) -> Json:
    """The manifest of an export that was kicked off, when it is complete."""
    assert answer.status_code == 202, answer.text
    async with asyncio.timeout(60):
        while True:
            status = await client.get(answer.headers["content-location"], headers={"Accept": "application/json"})
            if status.status_code == 200:
                found: Json = status.json()
                return found
            assert status.status_code == 202, status.text
            assert int(status.headers["retry-after"]) > 0
            assert 0 < len(status.headers["x-progress"]) < 100
            await asyncio.sleep(0.05)


async def exported(client: httpx.AsyncClient, path: str, **asked: Any) -> set[str]:
    """Type/id of all that an export has."""
    body = asked.pop("json", None)
    method = "POST" if body else "GET"
    answer = await client.request(method, f"/fhir/{path}", json=body, params=asked, headers=ASYNC)
    found = await manifest(client, answer)
    files = [await client.get(each["url"]) for each in found["output"]]
    trees = [httpx.Response(200, text=line).json() for each in files for line in each.text.splitlines()]
    return {f"{each['resourceType']}/{each['id']}" for each in trees}


async def test_an_export_from_its_kick_off_to_its_end(client: httpx.AsyncClient) -> None:
    await held(client)

    kicked_off = await client.get("/fhir/$export?_type=Patient,Observation", headers=ASYNC)
    found = await manifest(client, kicked_off)
    status = await client.get(kicked_off.headers["content-location"])

    assert kicked_off.headers["preference-applied"] == "respond-async"
    assert kicked_off.json()["resourceType"] == "OperationOutcome"
    assert found["request"] == f"{client.base_url}/fhir/$export?_type=Patient,Observation"
    assert (found["requiresAccessToken"], found["deleted"], found["error"]) == (False, [], [])
    assert {each["type"]: each["count"] for each in found["output"]} == {"Patient": 3, "Observation": 3}
    assert status.headers["content-type"] == "application/json"
    assert "expires" in status.headers
    for each in found["output"]:
        file = await client.get(each["url"], headers={"Accept": FHIR_NDJSON, "Accept-Encoding": "identity"})
        stored = {(await client.get(f"/fhir/{each['type']}/{id_}")).text for id_ in PEOPLE}
        assert file.headers["content-type"] == FHIR_NDJSON
        assert set(file.text.splitlines()) == stored
        assert (len(file.content), hashlib.sha256(file.content).hexdigest()) == tuple(each["extension"].values())

    ended = await client.delete(kicked_off.headers["content-location"])
    after = [await client.get(kicked_off.headers["content-location"]), await client.get(found["output"][0]["url"])]
    again = await client.delete(kicked_off.headers["content-location"])

    assert ended.status_code == 202
    assert [each.status_code for each in (*after, again)] == [404, 404, 404]
    assert {each.json()["resourceType"] for each in after} == {"OperationOutcome"}


async def test_a_file_is_had_whole_in_part_compressed_or_not_again(client: httpx.AsyncClient) -> None:
    await held(client)
    found = await manifest(client, await client.get("/fhir/$export?_type=Patient", headers=ASYNC))
    url, plain = found["output"][0]["url"], {"Accept-Encoding": "identity"}

    whole = await client.get(url, headers=plain)
    head = await client.head(url, headers=plain)
    part = await client.get(url, headers={"Range": "bytes=3-9"})
    rest = await client.get(url, headers={"Range": "bytes=10-", "If-Range": whole.headers["etag"]})
    other = await client.get(url, headers={**plain, "Range": "bytes=10-", "If-Range": '"another"'})
    beyond = await client.get(url, headers={"Range": f"bytes={len(whole.content)}-"})
    known = await client.get(url, headers={**plain, "If-None-Match": whole.headers["etag"]})
    async with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join([each async for each in packed.aiter_raw()])

    size = len(whole.content)
    digest = base64.b64encode(hashlib.sha256(whole.content).digest()).decode()
    assert whole.headers["content-length"] == str(size)
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["repr-digest"] == part.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")
    assert (part.status_code, part.content) == (206, whole.content[3:10])
    assert part.headers["content-range"] == f"bytes 3-9/{size}"
    assert (rest.status_code, rest.content) == (206, whole.content[10:])
    assert (other.status_code, other.content) == (200, whole.content)
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert beyond.json()["resourceType"] == "OperationOutcome"
    assert (known.status_code, known.content) == (304, b"")
    assert (packed.headers["content-encoding"], gzip.decompress(raw)) == ("gzip", whole.content)
    assert packed.headers["etag"] != whole.headers["etag"]


def patients(*ids: str) -> Json:
    """Parameters that name patients."""
    given = [{"name": "patient", "valueReference": {"reference": f"Patient/{each}"}} for each in ids]
    return {"resourceType": "Parameters", "parameter": given}


async def test_each_level_exports_its_own(client: httpx.AsyncClient) -> None:
    await held(client)
    everyone = {f"{type_}/{each}" for type_ in ("Patient", "Observation") for each in PEOPLE}

    assert {"Group/g", *everyone} <= await exported(client, "$export")
    assert await exported(client, "Patient/$export", _type="Patient,Observation") == everyone
    of_members = {each for each in everyone if not each.endswith("/c")}
    # R4: a Group is in the compartments of its members.
    assert await exported(client, "Group/g/$export") == {"Group/g", *of_members}
    assert await exported(client, "Group/g/$export", json=patients("b")) == {"Group/g", "Patient/b", "Observation/b"}
    assert await exported(client, "Patient/$export", json=patients("c")) == {"Patient/c", "Observation/c"}


@pytest.mark.own_server
async def test_what_cannot_be_exported_is_refused_with_every_reason(client: httpx.AsyncClient) -> None:
    await held(client)
    wrong = "_type=Paitent&_since=2999-01-01T00:00:00Z&_typeFilter=Observation?colour=red&colour=red&patient=Patient/a"
    names = ["colour", "patient", "_type", "_type", "_since", "_typeFilter"]
    cases: list[tuple[str, str, Json | None, dict[str, str], int, list[str]]] = [
        ("GET", f"Patient/$export?{wrong}", None, ASYNC, 400, names),
        ("GET", "$export?_since=yesterday", None, ASYNC, 400, ["_since"]),
        ("GET", "$export?_since=2020-01-01T00:00:00Z&_since=2020-01-01T00:00:00Z", None, ASYNC, 400, ["_since"]),
        ("GET", "$export", None, {}, 400, []),
        ("POST", "$export", patients("a"), ASYNC, 400, ["Parameters.parameter[0]"]),
        ("POST", "Patient/$export", patients("nobody"), ASYNC, 400, ["Parameters.parameter[0]"]),
        ("POST", "Group/g/$export", patients("a", "c"), ASYNC, 400, ["Parameters.parameter[1]"]),
        ("POST", "Patient/$export", patient(), ASYNC, 400, ["resourceType"]),
        ("GET", "Group/nobody/$export", None, ASYNC, 404, []),
        ("GET", "Group/$export", None, ASYNC, 404, []),
        ("GET", "Patient/a/$export", None, ASYNC, 404, []),
        ("GET", "$export?_pseudonymise=true", None, ASYNC, 400, ["_pseudonymise"]),
    ]

    for method, path, body, headers, status, places in cases:
        answer = await client.request(method, f"/fhir/{path}", json=body, headers=headers)
        issues = answer.json()["issue"]
        assert answer.status_code == status, (path, answer.text)
        assert [place for each in issues for place in each.get("expression", ())] == places, (path, answer.text)
    for path in ("nobody", "nobody/Patient.ndjson", "..%2Fx/y", "%00", "a/%00", "%F0%9F%98%80"):
        answer = await client.get(f"/exports/{path}")
        assert (answer.status_code, answer.json()["resourceType"]) == (404, "OperationOutcome"), path


async def test_a_lenient_client_is_told_what_is_left_out_twice(client: httpx.AsyncClient) -> None:
    await held(client)
    lenient = {"Prefer": "respond-async, handling=lenient"}

    kicked_off = await client.get("/fhir/$export?_type=Patient,Paitent&colour=red", headers=lenient)
    found = await manifest(client, kicked_off)
    errors = "".join([(await client.get(each["url"])).text for each in found["error"]])

    told = [each["diagnostics"] for each in kicked_off.json()["issue"] if each["severity"] == "warning"]
    assert kicked_off.headers["preference-applied"] == "respond-async, handling=lenient"
    assert len(told) == 2
    assert all(each in errors for each in told)
    assert {each["type"] for each in found["error"]} == {"OperationOutcome"}
    assert [each["type"] for each in found["output"]] == ["Patient"]


FAR = 2**52
ASKED = Asked("system", ("Patient",), "http://x/fhir/$export").text
STATES: dict[str, tuple[dict[str, Any], int, str]] = {
    "accepted": ({"state": "accepted", "leased_until": FAR}, 202, "accepted"),
    "active": ({"state": "active", "leased_until": FAR, "done": 1_000, "total": 2_500}, 202, "1,000 of 2,500"),
    "more": ({"state": "active", "leased_until": FAR, "done": 1_000, "total": 999}, 202, "1,000 of 1,000"),
    "failed": ({"state": "failed", "expires_at": FAR, "reason": "There is no room."}, 500, "There is no room."),
    "over": ({"state": "complete", "expires_at": 1}, 404, "its time is over"),
    "expired": ({"state": "expired", "expires_at": FAR}, 404, "its time is over"),
    "cancelled": ({"state": "cancelled", "expires_at": FAR}, 404, "was called off"),
}


async def test_a_job_tells_how_it_stands(client: httpx.AsyncClient, database_url: str) -> None:
    rows = [ExportJob(id=name, asked=ASKED, requested_at=0, **given) for name, (given, _, _) in STATES.items()]
    async with Database(database_url) as database, database.writing() as connection:
        await connection.execute(insert(ExportJob), [row.model_dump() for row in rows])

    answers = {name: await client.get(f"/exports/{name}") for name in STATES}
    files = [await client.get(f"/exports/{name}/Patient.ndjson") for name in STATES]

    for name, (_, status, told) in STATES.items():
        answer = answers[name]
        assert answer.status_code == status, (name, answer.text)
        assert told in (answer.headers["x-progress"] if status == 202 else answer.json()["issue"][0]["diagnostics"])
    assert answers["active"].headers["retry-after"] == "60"
    assert {each.status_code for each in files} == {404}


async def test_a_kick_off_inside_a_bundle_is_refused(client: httpx.AsyncClient) -> None:
    asked = bundle(entry(None, method="GET", url="$export"), kind="batch")

    answer = await client.post("/fhir", json=asked, headers=ASYNC)

    assert answer.json()["entry"][0]["response"]["status"].startswith("405")


@pytest.mark.own_server
async def test_a_pseudonymised_export_has_nobody_in_it_and_calls_the_same_people_the_same(
    database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "pseudonyms").write_text("k" * 40)
    settings = Settings(
        database_url=database_url,
        secrets=tmp_path / "secrets",
        export_files=str(tmp_path / "exports"),
        log_level="error",
    )
    async with serving(settings) as client:
        await held(client)
        named = {"name": [{"family": "Nightingale"}], "birthDate": "1961-05-12"}
        told = observation("Patient/a", note=[{"text": "Nightingale cannot sleep"}], effectiveDateTime="2026-05-01")
        assert (await client.put("/fhir/Patient/a", json=patient(id="a") | named)).is_success
        assert (await client.put("/fhir/Observation/a", json=told | {"id": "a"})).is_success

        runs = [await _lines(client, "$export?_type=Patient,Observation&_pseudonymise=true") for _ in range(2)]

    assert runs[0] == runs[1]
    people = {one["id"] for one in runs[0] if one["resourceType"] == "Patient"}
    about = {one["subject"]["reference"] for one in runs[0] if one["resourceType"] == "Observation"}
    assert (len(people), {f"Patient/{each}" for each in people}) == (len(PEOPLE), about)
    text = json.dumps(runs[0])
    assert not [word for word in ("Nightingale", "sleep", "1961-05-12", "2026-05-01", '"Patient/a"') if word in text]


async def _lines(client: httpx.AsyncClient, path: str) -> list[Json]:
    found = await manifest(client, await client.get(f"/fhir/{path}", headers=ASYNC))
    assert not [each for each in found["error"] if each["count"] < 1]
    files = [await client.get(each["url"]) for each in found["output"]]
    return sorted((json.loads(line) for each in files for line in each.text.splitlines()), key=lambda one: one["id"])
