"""Three workers share one target on one PostgreSQL: any may be killed, and that delays its part by one lease."""

import asyncio
import random
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.builders import patient
from tests.processes import Process, free_port
from tests.sync.writers import content, drained, write

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
WRITERS, KILLS, LEASE = 3, 3, 3
# What is sent is sent within half a lease; the rest is for a machine that does other things too.
SPARE_SECONDS = 10


@pytest.fixture
def settings(database_url: str, partner: Process, tmp_path: Path) -> dict[str, str]:
    targets = tmp_path / "targets.toml"
    targets.write_text(f'[[target]]\nname = "partner"\nbase_url = "{partner.base}/fhir"\nbatch_size = 5\n')
    return {
        "PORT": str(free_port()),
        "DERMATOME_DATABASE_URL": database_url,
        "DERMATOME_SYNC_TARGETS": str(targets),
        "DERMATOME_SYNC_LEASE_SECONDS": str(LEASE),
        "DERMATOME_WORKER": "separate",
    }


async def test_nothing_is_lost_or_doubled_and_a_killed_worker_delays_one_lease(
    settings: dict[str, str], partner: Process, tmp_path: Path
) -> None:
    workers = [Process("worker", settings, log=tmp_path / f"worker-{number}.log") for number in range(3)]
    stop = asyncio.Event()
    with ExitStack() as running:
        service = running.enter_context(Process("serve", settings, log=tmp_path / "service.log"))
        await asyncio.gather(*(asyncio.to_thread(running.enter_context, worker) for worker in workers))
        writers = [asyncio.create_task(write(service.base, number, stop)) for number in range(WRITERS)]
        await _kill_any(workers)
        stop.set()
        acknowledged = set().union(*await asyncio.gather(*writers))

        await _burst(service.base)
        workers[0].kill()
        killed = time.monotonic()
        here, there = await drained(service.base, partner.base)
        delay = time.monotonic() - killed

    assert acknowledged <= here.keys()
    assert {key: content(one) for key, one in there.items()} == {key: content(one) for key, one in here.items()}
    once = [one for name, one in there.items() if not name.startswith("Patient/p-")]
    assert {resource["meta"]["versionId"] for resource in once} == {"1"}
    assert delay < LEASE + SPARE_SECONDS


async def _kill_any(workers: list[Process]) -> None:
    chance = random.Random(6)
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        victim = chance.choice(workers)
        victim.kill()
        await asyncio.to_thread(victim.start)


async def _burst(base: str) -> None:
    async with httpx.AsyncClient(base_url=base, timeout=30) as client:
        for number in range(60):
            assert (await client.put(f"/fhir/Patient/b{number}", json=patient(id=f"b{number}"))).is_success
