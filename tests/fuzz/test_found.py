"""What attacks have found: each request was once answered with an error of ours, and none is any more."""

import asyncio
import json
import time

import httpx
import pytest

from tests.fuzz.http import Answer, Request
from tests.fuzz.judge import complaints

HUGE = "999999999999999999999999999999"
FOUND = [
    # Numbers no database can be asked for.
    Request("GET", f"/sync/quarantine/{HUGE}"),
    Request("DELETE", f"/sync/quarantine/{HUGE}"),
    Request("POST", f"/sync/quarantine/{HUGE}/retry"),
    Request("DELETE", f"/sync/dead-letters/{2**63}"),
    Request("POST", f"/sync/dead-letters/{2**63}/replay"),
    Request("GET", f"/sync/queue?after={HUGE}"),
    Request("GET", f"/sync/quarantine?after={HUGE}"),
    Request("GET", f"/sync/conflicts?after={HUGE}"),
    # PostgreSQL keeps no such letter.
    Request("GET", "/sync/conflicts/%00"),
    Request("POST", "/sync/conflicts/%00", (("Content-Type", "application/json"),), b'{"resolution": "ours"}'),
    Request("GET", "/sync/targets/%00"),
    Request("DELETE", "/sync/targets/%00"),
    Request("POST", "/sync/targets/%00/replay"),
    Request("POST", "/sync/targets/%00/pull"),
    Request("POST", "/sync/notifications/%00"),
    Request("GET", "/exports/%00"),
    Request("GET", "/exports?after=%00"),
    Request("GET", "/fhir/ViewDefinition/%00"),
    Request("DELETE", "/fhir/ViewDefinition/%00"),
    Request("GET", "/pain/assessments/%00"),
]


@pytest.mark.parametrize("request_", FOUND, ids=lambda one: f"{one.method} {one.url[:60]}")
async def test_what_was_found_is_answered(client: httpx.AsyncClient, request_: Request) -> None:
    sent = await client.request(
        request_.method, request_.url, headers=list(request_.headers), content=request_.body or None
    )

    answer = Answer(sent.status_code, dict(sent.headers), sent.content)
    assert sent.status_code < 500
    assert complaints(request_, answer) == []


async def test_a_large_resource_does_not_make_the_others_wait(client: httpx.AsyncClient) -> None:
    """Its search values are made beside the loop, like its check: each made all other requests wait for seconds.

    Compared is the loop's own processor time at a stretch with that of the whole: no other process changes it.
    """
    names = [f"name {number}" for number in range(40_000)]
    body = json.dumps({"resourceType": "Patient", "name": [{"given": names}]})
    whole, worst = time.process_time(), 0.0

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(client.post("/fhir/Patient", content=body, timeout=60))
        while not writing.done():
            before = time.thread_time()
            await asyncio.sleep(0.01)
            worst = max(worst, time.thread_time() - before)

    assert writing.result().status_code == 201
    assert worst < (time.process_time() - whole) / 4


async def test_large_resources_that_are_indexed_anew_do_not_make_the_others_wait(client: httpx.AsyncClient) -> None:
    """Compared like above: what the loop itself takes at a stretch, with all that the process takes."""
    names = [f"name {number}" for number in range(20_000)]
    for number in range(3):
        body = json.dumps({"resourceType": "Patient", "id": f"p{number}", "name": [{"given": names}]})
        assert (await client.put(f"/fhir/Patient/p{number}", content=body, timeout=60)).status_code == 201
    whole, worst, is_done = time.process_time(), 0.0, False

    assert (await client.post("/fhir/$reindex?type=Patient")).status_code == 202
    while not is_done:
        before = time.thread_time()
        await asyncio.sleep(0.01)
        worst = max(worst, time.thread_time() - before)
        told = (await client.get("/fhir/$reindex-status")).json()["parameter"]
        is_done = all(any(part["name"] == "finished" for part in one["part"]) for one in told)

    assert worst < (time.process_time() - whole) / 4
