"""Requests that would make the service call others, leave its folders or write headers that were not meant."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.answers import count, issues
from tests.builders import observation, patient
from tests.conftest import serving
from tests.sync.test_outbound import OUTCOME, answering, listening

HOOK = {
    "hook": "patient-view",
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "context": {"userId": "Practitioner/a", "patientId": "1"},
}


def naming(there: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, address, body) of requests that name a server in places where a careless one would call it."""
    one = patient(id="one")
    entry = {"fullUrl": f"{there}/Patient/9", "resource": patient(), "request": {"method": "POST", "url": "Patient"}}
    linked = observation(f"{there}/Patient/9", id="linked")
    answers = {
        **{"resourceType": "QuestionnaireResponse", "status": "completed", "id": "answers"},
        "questionnaire": f"{there}/Questionnaire/9|1",
    }
    codes = {
        "resourceType": "Parameters",
        "parameter": [{"name": "url", "valueUri": f"{there}/ValueSet/9"}, {"name": "code", "valueCode": "a"}],
    }
    hook = {
        **HOOK,
        "fhirServer": there,
        "fhirAuthorization": {
            "access_token": "t",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "x",
            "subject": "y",
        },
    }
    subscription = {
        **{"resourceType": "Subscription", "status": "requested", "reason": "x", "criteria": "Patient?"},
        "channel": {"type": "rest-hook", "endpoint": f"{there}/hook", "payload": "application/fhir+json"},
    }
    return [
        ("POST", "/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}),
        (
            "POST",
            "/fhir",
            {
                "resourceType": "Bundle",
                "type": "batch",
                "entry": [{**entry, "request": {"method": "GET", "url": f"{there}/Patient/9"}}],
            },
        ),
        ("PUT", "/fhir/Observation/linked", linked),
        ("PUT", "/fhir/QuestionnaireResponse/answers", answers),
        ("PUT", "/fhir/Patient/one", {**one, "meta": {"profile": [f"{there}/StructureDefinition/9"]}}),
        ("PUT", "/fhir/Patient/one", {**one, "photo": [{"url": f"{there}/9.png", "contentType": "image/png"}]}),
        ("PUT", "/fhir/Patient/one", {**one, "implicitRules": f"{there}/rules"}),
        (
            "POST",
            "/fhir/$validate",
            {
                "resourceType": "Parameters",
                "parameter": [
                    {"name": "resource", "resource": linked},
                    {"name": "profile", "valueUri": f"{there}/StructureDefinition/9"},
                ],
            },
        ),
        ("POST", "/fhir/ValueSet/$validate-code", codes),
        ("POST", "/fhir/ValueSet/$expand", {**codes, "parameter": codes["parameter"][:1]}),
        ("POST", "/fhir/Subscription", subscription),
        ("POST", "/cds-services/neuropathic-pain-patient-view", hook),
        ("GET", f"/fhir/Observation?subject={there}/Patient/9&_include=*", {}),
        ("GET", f"/fhir/Observation?code:in={there}/ValueSet/9", {}),
        ("POST", "/sync/targets", {"name": "there", "base_url": there}),
    ]


async def test_nobody_is_called_because_a_request_names_him(tmp_path: Path) -> None:
    called: list[str] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.append((await reader.readline()).decode())
        await answering("200 OK", OUTCOME)(reader, writer)

    # It listens to the world, so what is behind it is nobody's to name.
    database = f"sqlite+aiosqlite:///{tmp_path}/d.db"
    settings = Settings(database_url=database, HOST="203.0.113.5", trusted_network=True, log_level="error")
    statuses: dict[str, int] = {}
    async with listening(note) as port, serving(settings) as client:
        for host in ("127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "localhost"):
            for method, address, body in naming(f"http://{host}:{port}/fhir"):
                answer = await client.request(method, address, json=body or None)
                assert answer.status_code < 500, (address, answer.text)
                statuses[address.partition("?")[0]] = answer.status_code
        await asyncio.sleep(1)

    assert called == []
    assert (statuses["/fhir/Subscription"], statuses["/sync/targets"]) == (422, 422)


PATHS = (
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "..%5c..%5cx",
    "....//x",
    "/etc/passwd",
    "a%00.ndjson",
    "C:%5cx",
    "%c0%ae%c0%ae/x",
    "x" * 5_000,
)


@pytest.mark.parametrize(
    "door",
    [
        "/exports/%s",
        "/exports/%s/x.ndjson",
        "/exports/aaaa/%s",
        "/guide/%s",
        "/docs/%s",
        "/fhir/Patient/%s",
        "/fhir/Patient/1/_history/%s",
        "/sync/targets/%s",
        "/pain/assessments/%s",
    ],
)
async def test_no_address_leads_out_of_a_folder(client: httpx.AsyncClient, door: str) -> None:
    answers = [await client.get(door % path) for path in PATHS]

    assert {each.status_code for each in answers} <= {400, 404, 405}
    assert not [each for each in answers if "root:" in each.text]


SPLIT = "x\r\nSet-Cookie: a=b\r\n\r\n<script>"


async def test_nothing_that_is_sent_becomes_a_header_of_its_own(client: httpx.AsyncClient) -> None:
    quoted = "x%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0a%3Cscript%3E"
    answers = [
        await client.get(f"/fhir/Patient?identifier={quoted}&_count=1"),
        await client.get(f"/fhir/Patient/{quoted}"),
        await client.get(f"/{quoted}"),
        await client.get(f"/fhir/Patient?_format={quoted}"),
        await client.get(f"/fhir/$export?_type={quoted}", headers={"Prefer": "respond-async"}),
        await client.get(f"/fhir/metadata?mode={quoted}"),
        await client.put(f"/fhir/Patient/{quoted}", json=patient(id=SPLIT)),
        await client.post("/fhir/Patient", json=patient(id=SPLIT, identifier=[{"value": SPLIT}])),
        await client.post("/fhir/Patient", json=patient(), headers={"X-Request-Id": "a b; c"}),
        await client.post("/fhir/Patient", json=patient(), headers={"Prefer": 'return=minimal; x="\t"'}),
    ]

    for answer in answers:
        assert answer.status_code < 500
        assert "set-cookie" not in answer.headers
        assert not [each for each in answer.headers.values() if {"\r", "\n", "<"} & {*each}]
        assert answer.headers.get("content-type", "").split(";")[0] in ("", "application/fhir+json", "application/json")
        assert answer.headers["x-request-id"] != "a b; c"


BOMB = json.dumps(patient()).encode()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip"])
async def test_packed_bodies_are_not_unpacked(client: httpx.AsyncClient, encoding: str) -> None:
    headers = {"Content-Type": "application/fhir+json", "Content-Encoding": encoding}

    for door in ("/fhir/Patient", "/fhir", "/fhir/Patient/_search", "/pain/assessments", "/sync/targets"):
        answer = await client.post(door, content=BOMB, headers=headers)
        assert answer.status_code == 415, (door, answer.text)
        assert issues(answer)

    assert await count(client, "Patient") == 0


ENTITIES = {
    "billion laughs": '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>%s',
    "a file": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>%s',
    "a server": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">%s',
    "a parameter": '<!DOCTYPE x [<!ENTITY %% a SYSTEM "file:///etc/passwd"> %%a;]>%s',
    "without a declaration": "%s",
}


@pytest.mark.parametrize("kind", ENTITIES)
async def test_entities_of_xml_are_not_followed(client: httpx.AsyncClient, kind: str) -> None:
    inner = "&b;" if kind == "billion laughs" else "&a;"
    body = ENTITIES[kind] % f'<Patient xmlns="http://hl7.org/fhir"><name><family value="{inner}"/></name></Patient>'

    answer = await client.post("/fhir/Patient", content=body, headers={"Content-Type": "application/fhir+xml"})

    assert answer.status_code == 400
    assert "root:" not in answer.text
    assert await count(client, "Patient") == 0
