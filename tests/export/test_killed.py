"""Workers of exports that are killed: what they had finished stays, and what they had not is done by the next.

Real processes on real databases. Writers go on meanwhile: what is exported is what there was when the export began.
"""

import asyncio
import hashlib
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from app.store.database import Database
from tests.builders import bundle, entry, observation
from tests.processes import Process, free_port
from tests.repeating import acknowledged

RESOURCES, ROWS, KILLS = 240, 4, 2
ASYNC = {"Prefer": "respond-async"}
SECONDS_BEFORE_A_KILL = (0.05, 0.3)


async def test_an_export_whose_worker_is_killed_is_the_store_and_begins_nowhere_anew(
    database_url: str, tmp_path: Path
) -> None:
    settings = {
        "PORT": str(free_port()),
        "DERMATOME_DATABASE_URL": database_url,
        "DERMATOME_WORKER": "separate",
        "DERMATOME_SYNC_LEASE_SECONDS": "1",
        "DERMATOME_EXPORT_FILES": str(tmp_path / "files"),
        "DERMATOME_EXPORT_FILE_RESOURCES": str(ROWS),
    }
    worker = Process("worker", settings, log=tmp_path / "worker.log")
    with Process("serve", settings, log=tmp_path / "service.log") as service:
        async with httpx.AsyncClient(base_url=service.base, timeout=30) as client:
            await _fill(client)
            before = await _held(database_url)
            status = (await client.get("/fhir/$export?_type=Observation", headers=ASYNC)).headers["content-location"]
            try:
                finished = await _kill_again_and_again(worker, tmp_path / "files", client, status)
                worker.start()
                manifest = await _complete(client, status)
            finally:
                worker.kill()
            lines = [
                line for each in manifest["output"] for line in (await client.get(each["url"])).content.splitlines()
            ]

    assert _digest(lines) == _digest(before)
    assert sum(each["count"] for each in manifest["output"]) == RESOURCES
    # Nobody began anew: what was finished before a kill is what is there now.
    assert len(finished) == KILLS
    assert len({len(each) for each in finished}) > 1
    assert len(finished[-1]) < len(manifest["output"])
    for earlier, later in pairwise(finished):
        assert len(earlier.items() - later.items()) <= 1
    # One file may have been put in its place and not noted before the last kill: it was written again, the same.
    assert len(finished[-1].items() - _files(tmp_path / "files").items()) <= 1
    assert not list((tmp_path / "files").rglob(".*"))


async def _fill(client: httpx.AsyncClient) -> None:
    for start in range(0, RESOURCES, 120):
        made = (observation(id=f"o{n}", valueInteger=n) for n in range(start, start + 120))
        put = bundle(*(entry(each, method="PUT", url=f"Observation/{each['id']}") for each in made))
        assert (await client.post("/fhir", json=put)).status_code == 200


async def _held(database_url: str) -> list[bytes]:
    """The text of every Observation as it is stored."""
    chosen = text("SELECT text FROM content JOIN version ON version.vid = content.vid WHERE type = 'Observation'")
    async with Database(database_url) as database, database.reading() as connection:
        return list((await connection.execute(chosen)).scalars())


async def _kill_again_and_again(
    worker: Process, folder: Path, client: httpx.AsyncClient, status: str
) -> list[dict[str, int]]:
    """Answers the files that were there after each kill, with when they were written."""
    chance = random.Random(20261123)
    found: list[dict[str, int]] = []
    for turn in range(KILLS):
        await asyncio.to_thread(worker.start)
        # Whoever was killed keeps the job for a lease; then something is done, and what is begun is cut off.
        async with asyncio.timeout(30):
            while len(_files(folder)) == len(found[-1] if found else ()):
                await asyncio.sleep(0.01)
        await asyncio.sleep(chance.uniform(*SECONDS_BEFORE_A_KILL))
        worker.kill()
        found.append(_files(folder))
        changed = observation(id=f"o{turn * 7}", status="amended")
        await acknowledged(client, "PUT", f"/fhir/Observation/o{turn * 7}", changed)
        await acknowledged(client, "DELETE", f"/fhir/Observation/o{RESOURCES - 1 - turn}", None)
    return found


def _files(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mtime_ns for each in folder.glob("*/[!.]*")}


async def _complete(client: httpx.AsyncClient, status: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (answer := await client.get(status)).status_code == 202:
            await asyncio.sleep(0.1)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _digest(lines: list[bytes]) -> tuple[int, str]:
    return len(lines), hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()
