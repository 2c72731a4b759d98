"""Whatever is killed, and whenever: the second server ends with exactly what is held here, once each.

Real processes on real databases. Writers go on while the process is killed at random moments and started again;
they repeat what was not acknowledged, as an EHR does, with the same id or the same Idempotency-Key.
"""

import asyncio
import random
from pathlib import Path

import pytest

from tests.processes import Process, free_port
from tests.sync.writers import content, drained, write

WRITERS = 4
KILLS = 4
SECONDS_BETWEEN_KILLS = (0.3, 1.5)


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
            writers = [asyncio.create_task(write(service.base, number, stop)) for number in range(WRITERS)]
            await _kill_again_and_again(victim)
            stop.set()
            acknowledged = set().union(*await asyncio.gather(*writers))
            here, there = await drained(service.base, partner.base)
        finally:
            worker.kill()

    assert len(acknowledged) > 20
    assert acknowledged <= here.keys()
    assert {key: content(resource) for key, resource in there.items()} == {
        key: content(resource) for key, resource in here.items()
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
