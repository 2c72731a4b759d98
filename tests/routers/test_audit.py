"""Who did what: every access and every change, allowed or refused, is noted, and is read as an AuditEvent."""

import asyncio
import base64
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fhir.audit_events import audit_event
from app.routers.noting import _interaction
from app.store.audit.recorder import Recorder
from app.store.database import Unavailable
from app.validation import load_validator
from tests.builders import Json, bundle, entry, observation, patient
from tests.security.limited import limited
from tests.security.sides import protected

_DEVICE = "Dermatome"
_NAME = "Mustermann"


async def events(client: httpx.AsyncClient, **parameters: str) -> list[Json]:
    """What was noted of clients, oldest first."""
    answer = await client.get("/fhir/AuditEvent", params={"_sort": "date", "_count": "1000", **parameters})
    assert answer.status_code == 200, answer.text
    found = [each["resource"] for each in answer.json().get("entry", ())]
    return [each for each in found if each["agent"][0]["who"] != {"display": "system"}]


def said(event: Json) -> tuple[str, str, str, list[str]]:
    """Interaction, action, outcome, and what and whom it was about."""
    about = [each["what"]["reference"] for each in event["entity"] if "reference" in each.get("what", {})]
    subtype = event.get("subtype", [{"code": ""}])[-1]["code"]
    return subtype, event["action"], event["outcome"], about


async def made(client: httpx.AsyncClient) -> None:
    """Two patients, the first with an observation."""
    for id_ in ("a", "b"):
        await client.put(f"/fhir/Patient/{id_}", json=patient(id=id_, name=[{"family": _NAME}]))
    await client.put("/fhir/Observation/o", json=observation("Patient/a", id="o"))


async def test_changes_and_reads_of_one_patient(client: httpx.AsyncClient) -> None:
    await made(client)
    await client.get("/fhir/Observation/o")
    await client.get("/fhir/Observation/o/_history/1")
    await client.get("/fhir/Observation/o/_history")
    await client.get("/fhir/Observation?subject=Patient/a")
    await client.get("/fhir/Patient/a/$everything")
    await client.patch(
        "/fhir/Observation/o",
        json=[{"op": "replace", "path": "/status", "value": "amended"}],
        headers={"Content-Type": "application/json-patch+json"},
    )
    await client.delete("/fhir/Observation/o")
    await client.get("/fhir/Observation/o")

    assert [said(each) for each in await events(client, patient="a")] == [
        ("update", "U", "0", ["Patient/a/_history/1", "Patient/a"]),
        ("update", "U", "0", ["Observation/o/_history/1", "Patient/a"]),
        ("read", "R", "0", ["Observation/o", "Patient/a"]),
        ("vread", "R", "0", ["Observation/o", "Patient/a"]),
        ("history-instance", "R", "0", ["Observation/o", "Patient/a"]),
        ("search-type", "E", "0", ["Patient/a"]),
        ("operation", "E", "0", ["Patient/a", "Patient/a"]),
        ("patch", "U", "0", ["Observation/o/_history/2", "Patient/a"]),
        ("delete", "D", "0", ["Observation/o/_history/3", "Patient/a"]),
    ]
    (refused,) = await events(client, entity="Observation/o", outcome="4")
    assert said(refused) == ("read", "R", "4", ["Observation/o"])
    assert refused["outcomeDesc"] == "HTTP 410"


async def test_a_search_is_noted_for_each_patient_it_shows(client: httpx.AsyncClient) -> None:
    await made(client)
    await client.get(f"/fhir/Patient?family={_NAME}&birthdate=le1980-05-01&identifier=1.2|123&_count=5&active=true")

    found = await events(client, subtype="search")

    assert [each for each in map(said, found) if each[3]] == [
        ("search-type", "E", "0", ["Patient/a"]),
        ("search-type", "E", "0", ["Patient/b"]),
    ] or not found[0]["entity"][0].get("what")
    (query,) = {each["query"] for event in found for each in event["entity"] if "query" in each}
    asked = base64.b64decode(query).decode()
    assert asked == "Patient?family=***&birthdate=***&identifier=***&_count=5&active=true"


async def test_what_names_people_is_not_noted(client: httpx.AsyncClient) -> None:
    await made(client)
    await client.get(f"/fhir/Patient?name={_NAME}")
    await client.get(f"/fhir/Observation?subject:Patient.name={_NAME}")
    await client.get(f"/fhir/Observation?patient:identifier=urn:x|{_NAME}")
    await client.post("/fhir/Patient/_search", data={"family": _NAME})
    await client.get(f"/fhir/Patient?_content={_NAME}")
    await client.get(f"/fhir/Patient?_filter=name eq {_NAME}")
    await client.get(f"/fhir/Observation?_has:Provenance:target:agent={_NAME}")
    await client.get(f"/fhir/{_NAME}/{_NAME}")
    await client.get(f"/pain/assessments/{_NAME}")

    parts = client._transport.app.state.service  # type: ignore[attr-defined]
    async with parts.database.reading() as connection:
        rows = (await connection.exec_driver_sql("SELECT type, query, interaction FROM audit")).all()

    assert len(rows) > 9
    assert [row for row in rows if _NAME in f"{row.type} {row.query} {row.interaction}"] == []


async def test_what_came_to_nothing_is_noted(client: httpx.AsyncClient) -> None:
    await made(client)
    text = (await client.get("/fhir/Observation/o")).text
    await client.put("/fhir/Observation/o", content=text, headers={"Content-Type": "application/json"})
    await client.post("/fhir/Patient", json=patient(), headers={"If-None-Exist": "_id=a"})
    await client.put("/fhir/Observation/o", json={"resourceType": "Observation", "id": "o"})
    await client.delete("/fhir/Patient/a", headers={"If-Match": 'W/"7"'})

    found = await events(client, patient="a")

    assert [said(each) for each in found[3:]] == [
        ("update", "U", "0", ["Observation/o", "Patient/a"]),
        ("create", "C", "0", ["Patient/a", "Patient/a"]),
        ("update", "U", "4", ["Observation/o", "Patient/a"]),
        ("delete", "D", "4", ["Patient/a", "Patient/a"]),
    ]


async def test_each_entry_of_a_bundle_is_noted(client: httpx.AsyncClient) -> None:
    await made(client)
    batch = bundle(
        entry(None, method="GET", url="Observation/o"),
        entry(None, method="GET", url="Observation?subject=Patient/b"),
        entry(observation("Patient/b"), method="POST"),
        entry({"resourceType": "Observation"}, method="POST"),
        entry(None, method="DELETE", url="Patient/a?x=1"),
        kind="batch",
    )
    await client.post("/fhir", json=batch, headers={"X-Request-Id": "one-batch"})
    await client.post("/fhir", json=bundle(entry(None, method="GET", url="Patient/b")))
    await client.post("/fhir", json=bundle(entry(observation("Patient/nobody"))))

    found = [each for each in await events(client) if each["action"] != "E" or each["outcome"] != "0"][3:]

    assert [said(each)[:3] for each in found][:4] == [
        ("create", "C", "0"),
        ("read", "R", "0"),
        ("create", "C", "4"),
        ("read", "R", "0"),
    ]
    own = [each for each in await events(client) if {"value": "one-batch"} in _identifiers(each)]
    assert {said(each)[0] for each in own} == {"read", "search-type", "create"}


def _identifiers(event: Json) -> list[Any]:
    return [each["what"].get("identifier") for each in event["entity"] if "what" in each]


async def test_the_clinic_api_is_noted(client: httpx.AsyncClient) -> None:
    await made(client)
    answer = await client.get("/pain/assessments/none")
    assert answer.status_code == 404

    (found,) = await events(client, outcome="4")

    assert found["type"]["code"] == "110100"
    assert [each["name"] for each in found["entity"] if "name" in each] == ["GET /pain/assessments"]


async def test_who_takes_an_export_away_is_noted(client: httpx.AsyncClient) -> None:
    await made(client)
    taken_on = await client.get("/fhir/$export?_type=Patient", headers={"Prefer": "respond-async"})
    place = taken_on.headers["content-location"]
    await client.delete(place)

    found = [each for each in await events(client) if each["action"] == "E"]

    asked = [base64.b64decode(one["query"]).decode() for each in found for one in each["entity"] if "query" in one]
    assert asked == [f"exports/{place.rpartition('/')[2]}"] * 2


WRITES = [
    ("POST", "/fhir/AuditEvent"),
    ("PUT", "/fhir/AuditEvent/1"),
    ("PUT", "/fhir/AuditEvent?_id=1"),
    ("PATCH", "/fhir/AuditEvent/1"),
    ("DELETE", "/fhir/AuditEvent/1"),
    ("DELETE", "/fhir/AuditEvent?_id=1"),
]


@pytest.mark.parametrize(("method", "url"), WRITES)
async def test_nobody_writes_one(client: httpx.AsyncClient, method: str, url: str) -> None:
    before = await events(client)

    answer = await client.request(method, url, json={"resourceType": "AuditEvent"})
    within = await client.post(
        "/fhir", json=bundle(entry({"resourceType": "AuditEvent"}, method=method, url=url.removeprefix("/fhir/")))
    )

    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert within.status_code in (400, 405)
    assert len([each for each in await events(client) if each["id"] in {one["id"] for one in before}]) == len(before)


async def test_the_database_keeps_what_was_noted(client: httpx.AsyncClient) -> None:
    await made(client)
    database = client._transport.app.state.service.database  # type: ignore[attr-defined]

    for statement in ("UPDATE audit SET actor = 'other'", "DELETE FROM audit", "DELETE FROM audit WHERE aid = 1"):
        with pytest.raises(Exception, match="not altered"):
            async with database.writing() as connection:
                await connection.exec_driver_sql(statement)


async def test_only_a_scope_of_its_own_shows_them(client: httpx.AsyncClient) -> None:
    await made(client)
    all_else = limited(client, "system/*.cruds dermatome/admin")
    auditor = limited(client, "system/AuditEvent.rs")
    herself = limited(client, "patient/AuditEvent.rs", "a")
    narrowed = limited(client, "system/AuditEvent.rs?action=R")

    assert (await all_else.get("/fhir/AuditEvent")).status_code == 403
    assert (await narrowed.get("/fhir/AuditEvent")).status_code == 403
    assert (await auditor.get("/fhir/AuditEvent")).status_code == 200
    assert (await auditor.get("/fhir/Patient/a")).status_code == 403
    shown = await events(herself)
    assert [said(each)[3] for each in shown] == [
        ["Patient/a/_history/1", "Patient/a"],
        ["Observation/o/_history/1", "Patient/a"],
        ["Patient/a", "Patient/a"],
    ]
    (other,) = await events(client, entity="Patient/b")
    assert (await herself.get(f"/fhir/AuditEvent/{other['id']}")).status_code == 404
    assert (await herself.get(f"/fhir/AuditEvent/{shown[0]['id']}")).status_code == 200


async def test_pages_and_parameters(client: httpx.AsyncClient) -> None:
    await made(client)
    for _ in range(5):
        await client.get("/fhir/Patient/b")

    page = (await client.get("/fhir/AuditEvent?patient=Patient/b&_count=2&_total=accurate")).json()
    found = [each["resource"]["id"] for each in page["entry"]]
    assert page["total"] == 6
    while following := [each["url"] for each in page["link"] if each["relation"] == "next"]:
        page = (await client.get(following[0])).json()
        found += [each["resource"]["id"] for each in page.get("entry", ())]
    assert len(found) == len(set(found)) == 6
    assert found == sorted(found, key=int, reverse=True)
    assert len(await events(client, patient="b", action="R")) == 5
    assert len(await events(client, patient="b", subtype="read", outcome="0", agent="anonymous")) == 5
    assert await events(client, date="lt2020") == []
    assert len(await events(client, date="ge2020", patient="b", address="127.0.0.1")) == 6
    assert (await client.get("/fhir/AuditEvent?patient=b&_summary=count")).json()["total"] == 6
    assert (await client.get(f"/fhir/AuditEvent/{found[0]}/_history/1")).status_code == 200
    assert len((await client.get("/fhir/Patient/b/AuditEvent?action=R")).json()["entry"]) == 5
    assert (
        len((await client.post("/fhir/AuditEvent/_search", data={"patient": "b", "action": "U"})).json()["entry"]) == 1
    )


@pytest.mark.parametrize(
    "asked",
    ["name=x", "date=today", "date=sa2020", "action=X", "outcome=12", "subtype=x", "entity=x", "patient=a/b/c",
     "_sort=agent", "_count=-1", "_include=*", "_cursor=x", "patient=a&patient=b", "date=ge9999-12-31T23:59:60Z"],
)  # fmt: skip
async def test_what_is_not_understood_is_refused(client: httpx.AsyncClient, asked: str) -> None:
    answer = await client.get(f"/fhir/AuditEvent?{asked}")

    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [asked.partition("=")[0]]


@pytest.mark.parametrize(
    "url",
    [
        "/fhir?_type=AuditEvent",
        "/fhir/Patient?_has:AuditEvent:patient:action=R",
        "/fhir/Patient?_revinclude=AuditEvent:patient",
        "/fhir/Patient/a/$everything?_type=AuditEvent",
        "/fhir/$changes?_type=AuditEvent",
        "/fhir/$export?_type=AuditEvent",
        "/fhir/Practitioner/a/AuditEvent",
        "/fhir/AuditEvent/_history",
        "/fhir/AuditEvent/1/_history",
    ],
)
async def test_they_are_nowhere_else(client: httpx.AsyncClient, url: str) -> None:
    answer = await client.get(url, headers={"Prefer": "respond-async, handling=strict"})

    assert 400 <= answer.status_code < 500


def test_an_audit_event_is_sound() -> None:
    validator = load_validator()
    base = {"aid": 7, "at": 1_780_000_000_000_000, "actor": "dr", "request_id": "r", "client": "ehr", "issuer": "",
            "address": "10.0.0.1", "method": "GET", "query": "", "patient": "", "type": "", "id": "", "version": 0,
            "status": 0}  # fmt: skip

    for interaction in ("read", "create", "search-type", "$everything", "GET /pain/assessments", "login", "batch"):
        for more in ({}, {"query": "Patient?active=true"}, {"patient": "p", "type": "Patient", "id": "p", "version": 1},
                     {"status": 404, "client": "", "actor": "anonymous", "address": ""}):  # fmt: skip
            row = type("Row", (), {**base, "interaction": interaction, **more})
            found = validator.check(audit_event(row, "https://here.example/fhir", _DEVICE))  # type: ignore[arg-type]
            assert [each for each in found if each.is_error] == []


@given(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]), st.lists(st.text(min_size=1), max_size=5))
def test_any_address_has_an_interaction(method: str, parts: list[str]) -> None:
    found = _interaction(method, parts)

    assert found
    assert len(found) <= 64
    assert found.isascii()


async def test_nothing_is_shown_that_cannot_be_noted(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made(client)

    def full(*_: object) -> None:
        raise Unavailable("SQLITE_FULL")

    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "_write", full)
        shown = await client.get("/fhir/Patient/a")
        missing = await client.get("/fhir/Patient/none")
        written = await client.put("/fhir/Patient/c", json=patient(id="c"))

    assert shown.status_code == 503
    assert "Mustermann" not in shown.text
    assert "Retry-After" in shown.headers
    assert missing.status_code == 404
    # A change is noted in its own transaction.
    assert written.status_code == 201
    assert len(await events(client, entity="Patient/c")) == 1


async def test_many_at_once_are_noted_together(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await made(client)
    lots: list[int] = []
    write = Recorder._write

    async def counted(self: Recorder, accesses: Any) -> None:
        lots.append(len(accesses))
        await write(self, accesses)

    monkeypatch.setattr(Recorder, "_write", counted)
    await asyncio.gather(*(client.get("/fhir/Observation/o") for _ in range(100)))

    assert sum(lots) == 100
    assert len(lots) < 50
    assert len(await events(client, entity="Observation/o", action="R")) == 100


async def test_who_is_refused_is_noted(database_url: str, tmp_path: Any) -> None:
    scopes = {"ehr": "system/Patient.rs", "auditor": "system/AuditEvent.rs"}
    async with protected(database_url, tmp_path, scopes) as service:
        await service.http.get("/fhir/Patient")
        await service.http.get("/fhir/Patient", headers={"Authorization": "Bearer x"})
        ehr = await service.headers("ehr")
        await service.http.get("/fhir/Observation", headers=ehr)
        await service.http.get("/fhir/Patient", headers=ehr)
        auditor = await service.headers("auditor")
        answer = await service.http.get("/fhir/AuditEvent?_count=6", headers=auditor)

    found = [each["resource"] for each in reversed(answer.json()["entry"])]
    told = [
        (each["agent"][0]["who"].get("identifier", {}).get("value", "nobody"), each.get("outcomeDesc", ""))
        for each in found
    ]
    assert told == [
        ("nobody", "HTTP 401"),
        ("nobody", "HTTP 401"),
        ("ehr", ""),
        ("ehr", "HTTP 403"),
        ("ehr", ""),
        ("auditor", ""),
    ]
