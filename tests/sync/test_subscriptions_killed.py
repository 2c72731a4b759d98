"""Whatever of the service is killed, and whenever: each event comes, under one number, and the numbers have no gaps."""

import asyncio
import random
from pathlib import Path

import httpx

from tests.builders import patient
from tests.processes import Process, free_port
from tests.sync.subscriber import Subscriber
from tests.sync.test_subscriptions import SCORES, by_topic, create, score, subscribed

WRITES, KILLS = 45, 2


async def test_after_kill_9_of_workers_every_event_has_come(database_url: str, tmp_path: Path) -> None:
    """Two workers share the work, and are killed in turn; the subscriber fails now and then too."""
    settings = {
        "PORT": str(free_port()),
        "DERMATOME_DATABASE_URL": database_url,
        "DERMATOME_SYNC_LEASE_SECONDS": "1",
        "DERMATOME_SUBSCRIPTION_ATTEMPTS": "50",
    }
    is_shared = database_url.startswith("postgresql")
    if is_shared:
        settings["DERMATOME_WORKER"] = "separate"
    service = Process("serve", settings, log=tmp_path / "service.log")
    workers = [Process("worker", settings, log=tmp_path / f"worker-{n}.log") for n in range(2 if is_shared else 0)]
    with Subscriber() as subscriber, service:
        for worker in workers:
            worker.start()
        try:
            async with httpx.AsyncClient(base_url=service.base, timeout=60) as client:
                person = await create(client, patient("a"))
                await subscribed(client, by_topic(subscriber.endpoint, SCORES, timeout=2))
                subscriber.answers = [200, 0, 200, 503, 200, 0] * 5
                written = await _written(client, person, workers or [service])
                await subscriber.until(lambda s: len(set(s.numbers)) >= len(written), seconds=90)
        finally:
            for worker in workers:
                worker.kill()

    events = {int(e["event-number"]): e["focus"]["reference"] for one in subscriber.taken for e in one.events}
    assert sorted(events) == list(range(1, len(written) + 1))
    assert sorted(each.partition("/fhir/")[2] for each in events.values()) == sorted(written)
    told = [(e["event-number"], e["focus"]["reference"]) for one in subscriber.taken for e in one.events]
    assert len(set(told)) == len(events)


async def _written(client: httpx.AsyncClient, person: str, victims: list[Process]) -> set[str]:
    """The scores that were written, while the victims are killed and started again."""
    chance, written = random.Random(6), set[str]()
    for turn in range(WRITES):
        if turn and turn % (WRITES // (KILLS + 1)) == 0:
            victim = chance.choice(victims)
            victim.kill()
            await asyncio.to_thread(victim.start)
        written.add(await create(client, score(person)))
    return written
