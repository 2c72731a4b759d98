"""Whatever is killed, and whenever: the second server ends with exactly what is held here, once each.

Real processes on real databases. Writers go on while the process is killed at random moments and started again;
they repeat what was not acknowledged, as an EHR does, with the same id or the same Idempotency-Key.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import bundle, entry, observation, patient
from tests.processes import Process, free_port

WRITERS = 4
KILLS = 4
SECONDS_BETWEEN_KILLS = (0.3, 1.5)
DRAIN_SECONDS = 60


@pytest.fixture
def partner(other_database_url: str, tmp_path: Path) -> Iterator[Process]:
    """The second server."""
    settings = {"PORT": str(free_port()), "DERMATOME_DATABASE_URL": other_database_url}
    with Process("serve", settings, log=tmp_path / "partner.log") as process:
        yield process


@pytest.fixture
def settings(database_url: str, partner: Process, tmp_path: Path) -> dict[str, str]:
    """Settings of the first server, which tells the second of everything."""
    targets = tmp_path / "targets.toml"
    targets.write_text(f'[[target]]\nname = "partner"\nbase_url = "{partner.base}/fhir"\nbatch_size = 7\n')
    return {
        "PORT": str(free_port()),
        "DERMATOME_DATABASE_URL": database_url,
        "DERMATOME_SYNC_TARGETS": str(targets),
        "DERMATOME_SYNC_LEASE_SECONDS": "1",
    }


@pytest.mark.parametrize("killed", ["service", "worker"])
async def test_after_kill_9_the_second_server_has_everything_once(
    settings: dict[str, str], partner: Process, tmp_path: Path, killed: str
) -> None:
    if killed == "worker":
        settings |= {"DERMATOME_WORKER": "separate"}
    service = Process("serve", settings, log=tmp_path / "service.log")
    worker = Process("worker", settings, log=tmp_path / "worker.log")
    victim = worker if killed == "worker" else service
    stop = asyncio.Event()
    with service:
        if killed == "worker":
            worker.start()
        try:
            writers = [asyncio.create_task(_write(service.base, number, stop)) for number in range(WRITERS)]
            await _kill_again_and_again(victim)
            stop.set()
            acknowledged = set().union(*await asyncio.gather(*writers))
            here, there = await _drained(service.base, partner.base)
        finally:
            worker.kill()

    assert len(acknowledged) > 20
    assert acknowledged <= here.keys()
    assert {key: _content(resource) for key, resource in there.items()} == {
        key: _content(resource) for key, resource in here.items()
    }
    once = [one for name, one in there.items() if not name.startswith("Patient/p-")]
    assert {resource["meta"]["versionId"] for resource in once} == {"1"}


async def _kill_again_and_again(victim: Process) -> None:
    chance = random.Random(20261122)
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(*SECONDS_BETWEEN_KILLS))
        victim.kill()
        await asyncio.to_thread(victim.start)
    await asyncio.sleep(0.5)


async def _write(base: str, number: int, stop: asyncio.Event) -> set[str]:
    """Write until told to stop; answers the references that were acknowledged."""
    acknowledged: set[str] = set()
    async with httpx.AsyncClient(base_url=base, timeout=5) as client:
        turn = 0
        while not stop.is_set():
            turn += 1
            name = f"{number}-{turn}"
            own = await _until_acknowledged(client, "PUT", f"/fhir/Patient/p-{name}", patient(name, id=f"p-{name}"))
            urn = f"urn:uuid:00000000-0000-4000-8000-{number:06d}{turn:06d}"
            group = bundle(entry(observation(f"Patient/p-{name}")), entry(patient(f"t{name}"), full_url=urn))
            pair = await _until_acknowledged(client, "POST", "/fhir", group, key=name)
            acknowledged |= {f"Patient/{own.json()['id']}"}
            made = [_reference(e["response"]["location"]) for e in pair.json()["entry"]]
            changed = patient(name, id=f"p-{name}", active=False)
            await _until_acknowledged(client, "PUT", f"/fhir/Patient/p-{name}", changed)
            if turn % 3 == 0:
                await _until_acknowledged(client, "DELETE", f"/fhir/{made[0]}", None)
                made = made[1:]
            acknowledged |= set(made)
    return acknowledged


async def _until_acknowledged(
    client: httpx.AsyncClient, method: str, address: str, body: dict[str, object] | None, *, key: str = ""
) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    while True:
        try:
            answer = await client.request(method, address, json=body, headers=headers)
        except httpx.HTTPError:
            await asyncio.sleep(0.05)
            continue
        assert answer.status_code in (200, 201, 204), answer.text
        return answer


async def _drained(here: str, there: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything on both servers, once nothing waits to be delivered."""
    deadline = time.monotonic() + DRAIN_SECONDS
    async with httpx.AsyncClient(timeout=30) as client:
        while True:
            status = (await client.get(f"{here}/sync/status")).json()["targets"][0]
            if not status["pending"]:
                break
            assert time.monotonic() < deadline, status
            await asyncio.sleep(0.2)
        assert status["dead"] == 0
        return await _everything(client, here), await _everything(client, there)


async def _everything(client: httpx.AsyncClient, base: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in ("Patient", "Observation"):
        address = f"{base}/fhir/{kind}?_count=500"
        while address:
            page = (await client.get(address)).json()
            found |= {f"{kind}/{e['resource']['id']}": e["resource"] for e in page.get("entry", [])}
            address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return found


def _content(resource: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in resource.items() if name != "meta"}


def _reference(location: str) -> str:
    return location.partition("/fhir/")[2].partition("/_history")[0]
