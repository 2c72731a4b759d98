"""What noting every access costs a reader: `python -m bench.audit`.

The same reads of one resource and of a page of twenty, one after the other and many at once, of two services on
databases of their own that are alike: one notes before it answers (`DERMATOME_AUDIT_READS=before`), the other beside.
In turns, so that both meet the same machine. Exit code 1 if an access is not noted afterwards.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.builders import bundle, entry, observation, patient
from tests.processes import Process, free_port

WAYS = ("before", "beside")
READS = {"read": "Observation/o0", "page of 20": "Observation?subject=Patient/p&_count=20"}


async def fill(client: httpx.AsyncClient) -> None:
    """A patient with observations."""
    about = [observation("Patient/p", id=f"o{number}") for number in range(100)]
    resources = [patient(id="p"), *about]
    made = bundle(*(entry(one, method="PUT", url=f"{one['resourceType']}/{one['id']}") for one in resources))
    (await client.post("", json=made)).raise_for_status()


async def timed(client: httpx.AsyncClient, address: str, count: int, at_once: int) -> tuple[float, list[float]]:
    """Seconds for all, and milliseconds of each."""
    left, took = iter(range(count)), list[float]()

    async def work() -> None:
        for _ in left:
            started = time.perf_counter()
            (await client.get(address)).raise_for_status()
            took.append((time.perf_counter() - started) * 1_000)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return time.perf_counter() - started, took


async def noted(client: httpx.AsyncClient) -> int:
    """How many accesses of these kinds are noted."""
    address = "AuditEvent?_summary=count&patient=Patient/p&subtype=read,search-type"
    return int((await client.get(address)).raise_for_status().json()["total"])


async def measured(bases: dict[str, str], count: int, rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {way: {} for way in WAYS}
    async with AsyncExitStack() as stack:
        clients = {
            way: await stack.enter_async_context(httpx.AsyncClient(base_url=f"{base}/fhir", timeout=60))
            for way, base in bases.items()
        }
        for client in clients.values():
            await fill(client)
        for name, address in READS.items():
            for at_once in (1, 16):
                runs: dict[str, list[tuple[float, list[float]]]] = {way: [] for way in WAYS}
                for _ in range(rounds):
                    for way in WAYS:
                        runs[way].append(await timed(clients[way], address, count, at_once))
                for way in WAYS:
                    each = sorted(one for _, took in runs[way] for one in took)
                    found[way][f"{name}, {at_once} at once"] = {
                        "per second": round(count * rounds / sum(seconds for seconds, _ in runs[way])),
                        "median ms": round(statistics.median(each), 1),
                        "p99 ms": round(each[int(len(each) * 0.99)], 1),
                    }
        asked = count * rounds * len(READS) * 2
        return found | {"asked": asked, "noted": {way: await noted(clients[way]) for way in WAYS}}


def main() -> None:
    """Measure on SQLite, or on two PostgreSQL databases that are given."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--database", nargs=2, default=(), help="two empty databases; unset: SQLite files of its own")
    asked.add_argument("--reads", type=int, default=300)
    asked.add_argument("--rounds", type=int, default=5)
    given = asked.parse_args()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        urls = given.database or [f"sqlite+aiosqlite:///{folder}/{way}.db" for way in WAYS]
        bases = {}
        for way, url in zip(WAYS, urls, strict=True):
            own = {"PORT": str(free_port()), "DERMATOME_DATABASE_URL": url, "DERMATOME_AUDIT_READS": way}
            process = Process("serve", {**own, "DERMATOME_WORKER": "separate"}, log=Path(folder) / f"{way}.log")
            stack.callback(process.kill)
            process.start()
            bases[way] = process.base
        found = asyncio.run(measured(bases, given.reads, given.rounds))
    print(json.dumps(found, indent=1))
    sys.exit(0 if set(found["noted"].values()) == {found["asked"]} else 1)


if __name__ == "__main__":
    main()
