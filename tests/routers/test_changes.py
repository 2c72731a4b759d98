"""$changes over HTTP: pages that go on for ever, two forms of them, waiting, and what is refused."""

import asyncio
import json
import time
from itertools import count
from typing import Any

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.builders import bundle, entry, observation, patient
from tests.conftest import BASE

Json = dict[str, Any]
CHANGES = "/fhir/$changes"
NDJSON = {"Accept": "application/x-ndjson"}


async def test_creates_updates_and_deletes_are_told_in_order_and_the_link_goes_on(client: httpx.AsyncClient) -> None:
    start = _next(await _end(client, "_type=Patient,Observation"))
    await client.put("/fhir/Patient/a", json=patient("1", id="a"))
    await client.put("/fhir/Patient/a", json=patient("2", id="a"))
    await client.post("/fhir", json=bundle(entry(patient("3")), entry(observation("Patient/a"))))
    assert (await client.put("/fhir/Device/d", json={"resourceType": "Device", "id": "d"})).status_code == 201
    first = (await client.get(f"{start}&_count=2")).json()
    second = await client.get(_next(first))
    third = (await client.get(_next(second.json()))).json()
    await client.put("/fhir/Patient/b", json=patient(id="b"))
    await client.delete("/fhir/Patient/b")
    last = (await client.get(_next(third))).json()

    assert [_told(each) for each in first["entry"]] == ["PUT 201 Patient 1", "PUT 200 Patient 2"]
    assert [_told(each) for each in second.json()["entry"]] == ["POST 201 Patient 1", "POST 201 Observation 1"]
    assert (first["type"], first["link"][0]["relation"], "entry" in third) == ("history", "self", False)
    assert [_told(each) for each in last["entry"]] == ["PUT 201 Patient 1", "DELETE 204 - 2"]
    assert last["entry"][1] | {"response": ""} == {
        "fullUrl": f"{BASE}/fhir/Patient/b",
        "request": {"method": "DELETE", "url": "Patient/b"},
        "response": "",
    }
    assert second.links["next"]["url"] == _next(second.json())
    assert (await client.get(_next(first))).json() == second.json()


async def test_lines_are_the_entries_of_the_bundle(client: httpx.AsyncClient) -> None:
    whole = (await client.get(f"{CHANGES}?_count=3")).json()
    lines = await client.get(f"{CHANGES}?_count=3", headers=NDJSON)
    asked = await client.get(f"{CHANGES}?_count=3&_format=application/ndjson&content=id-only")
    following = await client.get(asked.links["next"]["url"])
    xml = await client.get(f"{CHANGES}?_count=3&_format=xml")

    assert [json.loads(line) for line in lines.text.splitlines()] == whole["entry"]
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert [list(json.loads(line)) for line in asked.text.splitlines()] == [["fullUrl", "request", "response"]] * 3
    assert following.headers["content-type"].startswith("application/ndjson")
    assert [list(json.loads(line)) for line in following.text.splitlines()] == [["fullUrl", "request", "response"]] * 3
    assert xml.text.count("<entry>") == 3


async def test_who_waits_is_told_at_once_and_other_types_do_not_end_it(client: httpx.AsyncClient) -> None:
    address = _next(await _end(client, "_type=Patient")) + "&wait=20"
    began = time.monotonic()
    waiting = asyncio.create_task(client.get(address))
    await asyncio.sleep(0.3)
    await client.post("/fhir/Observation", json=observation())
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await client.put("/fhir/Patient/a", json=patient(id="a"))
    found = (await waiting).json()
    took = time.monotonic() - began

    assert [_told(each) for each in found["entry"]] == ["PUT 201 Patient 1"]
    assert took < 5
    assert "wait=20" in _next(found)
    nothing = (await client.get(_next(found).replace("wait=20", "wait=1"))).json()
    assert "entry" not in nothing
    assert _next(nothing)


@pytest.mark.own_server
async def test_only_so_many_may_wait_and_none_holds_a_connection(database_url: str) -> None:
    app = create_app(Settings(database_url=database_url, log_level="error", changes_waiters=40, worker="separate"))
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        address = _next(await _end(client, "")) + "&wait=30"
        waiting = [asyncio.create_task(client.get(address)) for _ in range(40)]
        async with asyncio.timeout(20):
            while app.state.service.waiters.count < len(waiting):
                await asyncio.sleep(0.02)
        refused = await client.get(address)
        # Forty wait; there are eight connections at most.
        async with asyncio.timeout(10):
            others = await asyncio.gather(*(client.get("/fhir/Patient") for _ in range(20)))
        app.state.service.waiters.end()
        async with asyncio.timeout(10):
            ended = await asyncio.gather(*waiting)
        async with asyncio.timeout(10):
            late = await client.get(address)

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    assert refused.json()["issue"][0]["code"] == "throttled"
    assert {each.status_code for each in others} == {200}
    assert {(each.status_code, "entry" in each.json()) for each in ended} == {(200, False)}
    assert late.status_code == 200


@pytest.mark.own_server
async def test_a_clock_that_is_set_back_makes_nothing_be_left_out(database_url: str) -> None:
    backwards = count(1_800_000_000_000_000, -3_600_000_000)
    app = create_app(Settings(database_url=database_url, log_level="error"), now=lambda: next(backwards))
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        page = await _end(client, "_type=Patient")
        told = []
        for number in range(6):
            written = await client.put("/fhir/Patient/a", json=patient(str(number), id="a"))
            assert written.is_success, written.text
            page = (await client.get(_next(page))).json()
            told += [_told(each) for each in page["entry"]]

    assert told == ["PUT 201 Patient 1", *(f"PUT 200 Patient {number}" for number in range(2, 7))]


@pytest.mark.parametrize(
    ("query", "status", "places"),
    [
        ("after=AAAA", 400, ["after"]),
        ("after=", 400, ["after"]),
        ("_type=Patient&after={all}", 400, ["after"]),
        ("after={all}x", 400, ["after"]),
        ("_type=Pain", 400, ["_type"]),
        ("_count=0&wait=61&content=empty&_type=Pain", 400, ["_count", "_type", "content", "wait"]),
        ("_since=2026-05-01T09:30:00Z", 400, ["_since"]),
        ("wait=1&wait=2", 400, ["wait"]),
        ("_format=application/fhir%2Bndjson", 406, [""]),
    ],
)
async def test_what_is_wrong_is_told_all_at_once(
    client: httpx.AsyncClient, query: str, status: int, places: list[str]
) -> None:
    everything = _next((await client.get(f"{CHANGES}?_count=1")).json()).partition("after=")[2]

    answer = await client.get(f"{CHANGES}?{query.format(all=everything)}")

    assert answer.status_code == status, answer.text
    assert sorted(each.get("expression", [""])[0] for each in answer.json()["issue"]) == places


async def test_a_lenient_client_is_told_what_was_ignored(client: httpx.AsyncClient) -> None:
    lenient = {"Prefer": "handling=lenient"}

    answer = await client.get(f"{CHANGES}?_count=1&_since=2026", headers=lenient)
    wrong = await client.get(f"{CHANGES}?_count=none&_since=2026", headers=lenient)

    told = answer.json()["entry"][-1]["response"]["outcome"]["issue"][0]
    assert (told["severity"], told["expression"]) == ("warning", ["_since"])
    assert answer.headers["preference-applied"] == "handling=lenient"
    assert "_since" not in _next(answer.json())
    assert [each["expression"] for each in wrong.json()["issue"]] == [["_count"]]


async def test_it_has_no_place_in_a_bundle(client: httpx.AsyncClient) -> None:
    asked = bundle(entry(None, method="GET", url="$changes?wait=60"), kind="batch")

    answer = (await client.post("/fhir", json=asked)).json()

    assert answer["entry"][0]["response"]["status"].startswith("405")


async def _end(client: httpx.AsyncClient, query: str) -> Json:
    """The first page with nothing to tell."""
    page = (await client.get(f"{CHANGES}?{query}")).json()
    while "entry" in page:
        page = (await client.get(_next(page))).json()
    found: Json = page
    return found


def _next(page: Json) -> str:
    return next(str(link["url"]) for link in page["link"] if link["relation"] == "next")


def _told(entry_: Json) -> str:
    version = entry_["response"]["etag"].strip('W/"')
    type_ = entry_.get("resource", {}).get("resourceType", "-")
    assert entry_.get("resource", {}).get("meta", {}).get("versionId", version) == version
    return f"{entry_['request']['method']} {entry_['response']['status']} {type_} {version}"
