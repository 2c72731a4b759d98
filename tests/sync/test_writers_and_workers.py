"""Writers that change the same resources again and again while workers claim and note them: nobody is in the way."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from app.settings import Settings
from app.store import outbox, sync_state
from app.store.database import Database
from app.store.enqueue import enqueue_current
from app.store.ledger import Held
from app.store.outbox import Became, Item, Noted
from tests.builders import bundle, entry, observation, patient
from tests.conftest import serving

WRITERS, ROUNDS, RESOURCES = 8, 12, 12


async def test_writers_and_workers_do_not_wait_for_each_other_for_ever(database_url: str, tmp_path: Path) -> None:
    targets = tmp_path / "targets.toml"
    targets.write_text('[[target]]\nname = "partner"\nbase_url = "http://127.0.0.1:9/fhir"\n')
    settings = Settings(database_url=database_url, log_level="error", sync_targets=targets, worker="separate")
    stop, told = asyncio.Event(), dict[tuple[str, str], int]()
    server = serving(settings)
    async with server as client:
        # On SQLite the worker is within the service, and shares its one writer.
        database: Database = server.app.state.service.database
        before = await _deadlocks(database)
        workers = [asyncio.create_task(_tell(database, str(number), told, stop)) for number in range(2)]

        answers = await asyncio.gather(*(_write(client, number) for number in range(WRITERS)))
        stop.set()
        await asyncio.gather(*workers)

        assert {status for statuses in answers for status in statuses} <= {200, 201}
        assert await _deadlocks(database) == before
        current = [entry["resource"] for kind in ("Patient", "Observation") for entry in await _all(client, kind)]
        assert told == {(one["resourceType"], one["id"]): int(one["meta"]["versionId"]) for one in current}


async def _write(client: httpx.AsyncClient, number: int) -> list[int]:
    """Transactions that name many resources, each in another order."""
    chance, statuses = random.Random(number), []
    for turn in range(ROUNDS):
        ids = [f"r{each}" for each in range(RESOURCES)]
        chance.shuffle(ids)
        entries = [
            entry(patient(str(chance.random()), id=each), method="PUT", url=f"Patient/{each}")
            if turn % 2
            else entry(observation(id=each, valueString=str(chance.random())), method="PUT", url=f"Observation/{each}")
            for each in ids[: RESOURCES // 2]
        ]
        statuses.append((await client.post("/fhir", json=bundle(*entries))).status_code)
    return statuses


async def _tell(database: Database, owner: str, told: dict[tuple[str, str], int], stop: asyncio.Event) -> None:
    """What a worker does, with a target that takes everything at once; answers to some get lost."""
    chance = random.Random(owner)
    while True:
        is_last = stop.is_set()
        async with database.writing() as connection:
            await sync_state.hold(connection, "partner")
            items = await outbox.claim(connection, "partner", owner, lease_seconds=30, limit=7)
        noted = [_sent(item, told, chance) for item in items]
        async with database.writing() as connection:
            await outbox.note(connection, "partner", owner, noted)
            await sync_state.count(connection, "partner", sent=len(items))
        if is_last and not items:
            return
        if not is_last:
            async with database.writing() as connection:
                await enqueue_current(connection, "partner", [("Patient", "r1"), ("Observation", "r2")], "")
        await asyncio.sleep(0.01)


def _sent(item: Item, told: dict[tuple[str, str], int], chance: random.Random) -> Noted:
    if chance.random() < 0.2:
        return Noted(item, Became.LATER, reason="lost")
    if chance.random() < 0.1:
        return Noted(item, Became.BLOCKED, wait=0.05, blocked_by=("Patient", "r1"))
    version = json.loads(item.content or b"{}")["meta"]["versionId"]
    told[item.key] = int(version)
    assert told[item.key] == item.version
    return Noted(item, Became.DELIVERED, Held(*item.key, item.version, remote_id=item.id))


async def _deadlocks(database: Database) -> int:
    """How many the database has broken up so far."""
    if database.is_sqlite:
        return 0
    counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    async with database.reading() as connection:
        return int(await connection.scalar(text(counted)) or 0)


async def _all(client: httpx.AsyncClient, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/fhir/{kind}?_count=500")).json()["entry"]
    return found
