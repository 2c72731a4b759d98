"""Our definitions are resources of the server: stored at start, found like any, changed by nobody else."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.fhir import json as lossless
from app.intake.own import Own
from app.intake.seeding import seed
from app.intake.writes import Caller, Write
from app.mapping.definitions import own_definitions
from app.pain.content import load_content
from app.profiles import canonical
from app.service import Service
from app.settings import Settings
from app.store.audit.rows import Agent
from app.store.idempotency import Answer
from tests.answers import count, issues
from tests.conftest import serving

OWN = own_definitions(load_content())
TYPES = sorted({one["resourceType"] for one in OWN})
LOGICAL = {"resourceType": "ValueSet", "status": "draft"}


async def test_every_definition_is_there_and_found_by_its_url(client: httpx.AsyncClient) -> None:
    for type_ in TYPES:
        wanted = {one["url"]: one["id"] for one in OWN if one["resourceType"] == type_}

        found = (await client.get(f"/fhir/{type_}", params={"_count": "1000", "publisher": "Dermatome"})).json()

        assert {one["resource"]["url"]: one["resource"]["id"] for one in found["entry"]} == wanted
        url = next(iter(wanted))
        (one,) = (await client.get(f"/fhir/{type_}", params={"url": url})).json()["entry"]
        assert one["resource"]["id"] == wanted[url]


@pytest.mark.parametrize(
    "search",
    [
        {"url": canonical("Questionnaire", "dn4")},
        {"title": "DN4 neuropathic"},
        {"name": "dn4"},
        {"code": f"{canonical('CodeSystem', 'np-instrument')}|dn4"},
        {"_id": "dn4"},
    ],
    ids=lambda each: next(iter(each)),
)
async def test_a_questionnaire_is_found(client: httpx.AsyncClient, search: dict[str, str]) -> None:
    found = (await client.get("/fhir/Questionnaire", params=search)).json()

    assert "dn4" in [one["resource"]["id"] for one in found["entry"]]


async def test_operations_work_on_them(client: httpx.AsyncClient) -> None:
    expanded = await client.get("/fhir/ValueSet/np-grade/$expand")
    snapshot = await client.get("/fhir/StructureDefinition/pain-intensity/$snapshot")
    known = await client.get(
        "/fhir/CodeSystem/$lookup", params={"system": canonical("CodeSystem", "np-grade"), "code": "definite"}
    )
    valid = await client.post(
        "/fhir/Questionnaire/$validate", json=(await client.get("/fhir/Questionnaire/dn4")).json()
    )

    assert "definite" in [one["code"] for one in expanded.json()["expansion"]["contains"]]
    assert snapshot.json()["snapshot"]["element"]
    assert known.status_code == 200
    assert [one for one in issues(valid) if one["severity"] == "error"] == []


async def test_nobody_else_changes_them(client: httpx.AsyncClient) -> None:
    taken = canonical("Questionnaire", "dn4")
    patch = [{"op": "replace", "path": "/status", "value": "retired"}]
    as_patch = {"Content-Type": "application/json-patch+json"}
    form = {"resourceType": "Questionnaire", "status": "draft"}

    replies = [
        await client.put("/fhir/ValueSet/np-grade", json=LOGICAL | {"id": "np-grade"}),
        await client.delete("/fhir/ValueSet/np-grade"),
        await client.patch("/fhir/ValueSet/np-grade", json=patch, headers=as_patch),
        await client.put(f"/fhir/ValueSet?url={canonical('ValueSet', 'np-grade')}", json=LOGICAL),
        await client.delete(f"/fhir/Questionnaire?url={taken}"),
        await client.post("/fhir/Questionnaire", json=form | {"url": taken}),
        await client.put("/fhir/Questionnaire/mine", json=form | {"id": "mine", "url": taken}),
    ]

    assert [one.status_code for one in replies] == [403] * len(replies), [one.text for one in replies]
    assert {one["details"]["coding"][0]["code"] for reply in replies for one in issues(reply)} == {"dmt-own-definition"}
    assert (await client.get("/fhir/ValueSet/np-grade")).json()["meta"]["versionId"] == "1"
    assert (await client.post("/fhir/ValueSet", json=LOGICAL | {"url": "https://example.org/vs"})).status_code == 201


async def test_a_second_start_stores_nothing_and_says_nothing(database_url: str) -> None:
    settings = Settings(database_url=database_url, log_level="info")
    with capture_logs() as logs:
        async with serving(settings) as client:
            history = (await client.get("/fhir/Questionnaire/_history?_count=100")).json()["entry"]

    assert {one["resource"]["meta"]["versionId"] for one in history} == {"1"}
    assert [one for one in logs if "definition" in str(one)] == []


async def test_another_package_changes_what_differs_and_takes_away_what_is_gone(tmp_path: Any) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path / 'one.db'}", log_level="error")
    async with serving(settings) as client:
        everything = await count(client, "Questionnaire")
        service: Service = client._transport.app.state.service  # type: ignore[attr-defined]
        fewer = [one for one in OWN if (one["resourceType"], one["id"]) != ("Questionnaire", "dn4")]
        changed = [one | {"title": "Another"} if one["id"] == "nrs" else one for one in fewer]

        await seed(replace(service.intake, own=Own(changed)))

        assert await count(client, "Questionnaire") == everything - 1
        assert (await client.get("/fhir/Questionnaire/dn4")).status_code == 410
        nrs, vas = [(await client.get(f"/fhir/Questionnaire/{name}")).json() for name in ("nrs", "vas")]
        assert (nrs["title"], nrs["meta"]["versionId"], vas["meta"]["versionId"]) == ("Another", "2", "1")


async def test_what_others_had_under_an_id_of_ours_is_kept_in_history_and_told(tmp_path: Any) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path / 'one.db'}", log_level="warning")
    async with serving(settings) as client:
        service: Service = client._transport.app.state.service  # type: ignore[attr-defined]
        await seed(replace(service.intake, own=Own([one for one in OWN if one["id"] != "np-grade"])))
        theirs = LOGICAL | {"id": "np-grade", "url": "https://example.org/grade"}
        write = Write("PUT", "ValueSet", "np-grade", lossless.dumps(theirs), theirs)
        await service.intake.accept([write], Caller(Agent("system", "1"), is_system=True), lambda _: Answer(204, b""))

        with capture_logs() as logs:
            await seed(service.intake)

        assert [one["resources"] for one in logs if one["log_level"] == "warning"] == [["ValueSet/np-grade"]]
        history = (await client.get("/fhir/ValueSet/np-grade/_history")).json()["entry"]
        assert "https://example.org/grade" in [one["resource"]["url"] for one in history if "resource" in one]


async def test_no_target_is_told_of_them(tmp_path: Any) -> None:
    targets = tmp_path / "targets.toml"
    targets.write_text('[[target]]\nname = "partner"\nbase_url = "http://partner.test/fhir"\n', "utf-8")
    url = f"sqlite+aiosqlite:///{tmp_path / 'one.db'}"
    settings = Settings(database_url=url, log_level="error", sync_targets=targets, worker="separate")
    async with serving(settings) as client:
        await client.post("/fhir/Patient", json={"resourceType": "Patient"})

        (status,) = (await client.get("/sync/status")).json()["targets"]

    assert status["pending"] == 1


async def test_processes_that_start_at_once_store_everything_once(database_url: str) -> None:
    settings = Settings(database_url=database_url, log_level="error")
    changed = Own([one | {"description": "Another"} if one["id"] == "nrs" else one for one in OWN])
    async with serving(settings) as one, serving(settings) as other:
        services: list[Service] = [each._transport.app.state.service for each in (one, other)]  # type: ignore[attr-defined]

        await asyncio.gather(*(seed(replace(each.intake, own=changed)) for each in services))

        history = (await other.get("/fhir/Questionnaire/nrs/_history")).json()
        assert history["total"] == 2
        assert history["entry"][0]["resource"]["description"] == "Another"
