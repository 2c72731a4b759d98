"""What one client, and all of them together, may take of the service: room, time and turns, and no more."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.routers.limits import MOST_CLIENTS, Room, Turns
from app.security.grants import EVERYONE, Principal
from app.settings import Settings
from app.store.database import Database, TooSlow
from app.store.patience import within
from tests.answers import count, issues
from tests.builders import observation, patient
from tests.conftest import serving
from tests.security.limited import limited

SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000000) SELECT count(*) FROM n"


def scope(**more: Any) -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "path": "/fhir",
        "headers": [],
        "query_string": b"",
        "client": ("192.0.2.1", 1),
        "state": {"principal": EVERYONE},
        **more,
    }


async def asked(app: Callable[[Scope, Receive, Send], Awaitable[None]], asking: Scope, receive: Receive) -> int:
    """The status of an answer."""
    status = 0

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(asking, receive, send)
    return status


async def whole() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize(
    ("settings", "client", "sent", "served"),
    [
        ({}, "", 500, 500),
        ({"auth": "smart"}, "one", 500, 200),
        ({"requests_per_second": 10, "request_burst": 5}, "", 20, 5),
        ({"requests_per_second": 10, "request_burst": 5}, "one", 20, 5),
        ({"auth": "smart", "requests_per_second": 0}, "one", 500, 500),
    ],
    ids=str,
)
async def test_a_client_has_so_many_turns(settings: dict[str, Any], client: str, sent: int, served: int) -> None:
    turns = Turns(fine, Settings(**settings))
    state = {"principal": Principal("x", client_id=client)}

    statuses = [await asked(turns, scope(state=state), whole) for _ in range(sent)]

    assert statuses.count(200) in range(served, served + 10)
    assert set(statuses) <= {200, 429}


async def test_one_client_does_not_take_the_turns_of_another_nor_of_whoever_looks_after_it() -> None:
    turns = Turns(fine, Settings(requests_per_second=1, request_burst=1))
    one, two = ({"principal": Principal("x", client_id=each)} for each in "ab")
    await asked(turns, scope(state=one), whole)

    statuses = [
        await asked(turns, scope(state=one), whole),
        await asked(turns, scope(state=two), whole),
        await asked(turns, scope(state=one, path="/health/ready"), whole),
        await asked(turns, scope(state={**one, "is_inside": True}), whole),
    ]

    assert statuses == [429, 200, 200, 200]


async def test_clients_without_number_are_remembered_in_bounded_memory() -> None:
    turns = Turns(fine, Settings(requests_per_second=1))

    for number in range(MOST_CLIENTS + 500):
        await asked(turns, scope(client=(f"2001:db8::{number:x}", 1)), whole)

    assert len(turns.buckets) == MOST_CLIENTS


async def test_more_requests_than_there_is_room_for_are_answered_at_once() -> None:
    gate = asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await fine(scope, receive, send)

    room = Room(waits, Settings(max_requests=2))
    inside = [asyncio.create_task(asked(room, scope(), whole)) for _ in range(2)]
    await asyncio.sleep(0)

    async with asyncio.timeout(10):
        refused = await asked(room, scope(), whole)
    gate.set()

    assert refused == 503
    assert await asyncio.gather(*inside) == [200, 200]
    assert await asked(room, scope(), whole) == 200
    assert (room.held.requests, room.held.size) == (0, 0)


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A service with small limits."""
    settings = Settings(
        database_url=f"sqlite+aiosqlite:///{tmp_path}/d.db",
        upload_seconds=0.3,
        max_bodies_bytes=100_000,
        max_export_jobs=2,
        max_client_export_jobs=1,
        max_search_parameters=3,
        max_search_values=5,
        max_search_links=1,
        max_search_included=1,
        max_body_values=1_000,
        max_body_depth=10,
        requests_per_second=2,
        request_burst=20,
        # Nobody works on exports, so none ends.
        worker="separate",
        log_level="error",
    )
    async with serving(settings) as client:
        yield client


async def pieces(size: int, pause: float) -> AsyncIterator[bytes]:
    yield b'{"resourceType":"Patient"'
    for _ in range(size // 1_000):
        await asyncio.sleep(pause)
        yield b" " * 1_000
    yield b"}"


async def test_a_body_has_its_time_and_all_bodies_their_room(small: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/fhir+json"}
    post = [
        small.post("/fhir/Patient", content=pieces(size, pause), headers=headers)
        for size, pause in ((2_000, 0.4), (300_000, 0.0), (2_000, 0.0))
    ]

    answers = [await each for each in post]

    assert [each.status_code for each in answers] == [408, 503, 201]
    assert [issues(each)[0]["code"] for each in answers[:2]] == ["timeout", "throttled"]
    assert answers[0].headers["connection"] == "close"
    assert answers[1].headers["retry-after"] == "2"


COSTLY = {
    "Patient?gender=male&gender=male&gender=male&gender=male": "3 search parameters",
    "Patient?_id=a,b,c,d,e,f": "5 values",
    "Observation?subject:Patient.organization.name=a": "1 links",
    "Observation?_filter=subject.organization.name eq a": "1 links",
    "Patient?_has:Observation:subject:_has:Provenance:target:agent=a": "1 links",
    "Patient?_revinclude=Observation:subject": "1 resources",
}


async def test_a_search_asks_for_so_much(small: httpx.AsyncClient) -> None:
    entries = [{"resource": patient(id="one"), "request": {"method": "PUT", "url": "Patient/one"}}]
    for name in "ab":
        request = {"method": "PUT", "url": f"Observation/{name}"}
        entries.append({"resource": observation("Patient/one", id=name), "request": request})
    stored = await small.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert stored.status_code == 200

    for asked, told in COSTLY.items():
        answer = await small.get(f"/fhir/{asked}")
        assert (answer.status_code, issues(answer)[0]["code"]) == (400, "too-costly"), asked
        assert told in issues(answer)[0]["diagnostics"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"resourceType":"Patient","extension":' + "[" * 12 + "]" * 12 + "}", 400),
        ('{"resourceType":"Patient","name":[' + ",".join(["{}"] * 600) + "]}", 413),
        ('<Patient xmlns="http://hl7.org/fhir">' + "<name/>" * 1_100 + "</Patient>", 413),
    ],
    ids=["deep", "many", "many in XML"],
)
async def test_a_body_holds_so_much(small: httpx.AsyncClient, body: str, status: int) -> None:
    kind = "application/fhir+xml" if body.startswith("<") else "application/fhir+json"

    answer = await small.post("/fhir/Patient", content=body, headers={"Content-Type": kind})

    assert answer.status_code == status, answer.text
    assert await count(small, "Patient") == 0


async def test_exports_are_so_many_at_once(small: httpx.AsyncClient) -> None:
    small.headers["Prefer"] = "respond-async"
    begun = [await small.get("/fhir/$export") for _ in range(3)]

    await small.delete(begun[0].headers["content-location"])
    after = await small.get("/fhir/$export")

    assert [each.status_code for each in begun] == [202, 202, 429]
    assert (issues(begun[2])[0]["code"], after.status_code) == ("throttled", 202)
    assert int(begun[2].headers["retry-after"]) > 0


async def test_one_client_leaves_room_for_the_exports_of_others(small: httpx.AsyncClient) -> None:
    one, other = limited(small, "system/*.rs"), limited(small, "system/*.cruds")
    for client in (one, other):
        client.headers["Prefer"] = "respond-async"
    begun, refused, others = [await client.get("/fhir/$export") for client in (one, one, other)]
    foreign = await other.delete(begun.headers["content-location"])
    still = await one.get("/fhir/$export")

    await one.delete(begun.headers["content-location"])
    after = await one.get("/fhir/$export")

    assert [each.status_code for each in (begun, refused, others, foreign, still, after)] == [
        202,
        429,
        202,
        404,
        429,
        202,
    ]
    assert "of this client" in issues(refused)[0]["diagnostics"]


async def test_a_burst_is_answered_429_and_what_comes_later_again(small: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(small.get("/fhir/Patient/none") for _ in range(40)))
    refused = [each for each in answers if each.status_code == 429]
    await asyncio.sleep(int(refused[0].headers["retry-after"]))

    assert {each.status_code for each in answers} == {404, 429}
    assert issues(refused[0])[0]["code"] == "throttled"
    assert (await small.get("/fhir/Patient/none")).status_code == 404


async def test_a_statement_of_a_request_ends_in_its_time_and_one_of_the_background_does_not(database_url: str) -> None:
    async with Database(database_url, query_seconds=0.3) as database:
        started = time.monotonic()
        with pytest.raises(TooSlow), within(0.3):
            async with database.reading() as connection:
                await connection.exec_driver_sql(SLOW)
        took = time.monotonic() - started
        async with database.reading() as connection:
            counted = await connection.exec_driver_sql(SLOW.replace("300000000", "3000000"))
            assert counted.scalar() == 3_000_000
        with within(0.3):
            async with database.reading() as connection:
                assert (await connection.exec_driver_sql("SELECT 1")).scalar() == 1

    assert took < 3


async def test_a_search_that_takes_too_long_is_told_so_and_the_next_is_answered(database_url: str) -> None:
    is_sqlite = database_url.startswith("sqlite")
    # PostgreSQL waits for a table; SQLite, which never does, for so little that whatever has many steps is too long.
    settings = Settings(database_url=database_url, query_seconds=0.000_001 if is_sqlite else 0.3, log_level="error")
    asking = "&".join(f"name:contains={chr(97 + n)}" for n in range(20))
    people = [patient(id=f"p{n}", name=[{"family": "abcdefghijklmnopqrst"}]) for n in range(200)]
    entries = [{"resource": each, "request": {"method": "PUT", "url": f"Patient/{each['id']}"}} for each in people]

    async with serving(settings.model_copy(update={"query_seconds": 30})) as client:
        await client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    async with serving(settings) as client, Database(database_url) as other, AsyncExitStack() as stack:
        if not is_sqlite:
            connection = await stack.enter_async_context(other.writing())
            await connection.exec_driver_sql("LOCK TABLE search_string IN ACCESS EXCLUSIVE MODE")
        slow = await client.get(f"/fhir/Patient?{asking}")
        quick = await client.get("/fhir/Patient/p1")

    assert (slow.status_code, issues(slow)[0]["code"]) == (503, "too-costly")
    assert "retry-after" in slow.headers
    assert quick.status_code == 200
