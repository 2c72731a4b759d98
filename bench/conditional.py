"""Concurrent conditional transactions against several server processes on one database: `python -m bench.conditional`.

Each transaction has a Patient with If-None-Exist and two Observations that refer to it by its urn. Many carry the same
identifier at the same time. Afterwards everything that was stored is read back and compared with what was acknowledged.
Exit code 1 if a Patient is there twice, an Observation refers to another patient, or a 2xx is not stored.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.builders import MEDICAL_RECORD, bundle, entry, observation, patient
from tests.processes import Process, free_port

_URN = "urn:uuid:6f2a1d3e-9c47-4b8a-a1f0-2d4e6c8b0a17"
_MARK = "urn:conditional"


def transaction(name: str, number: int) -> dict[str, Any]:
    """A Patient that may be there already, and two Observations about it that say which patient is meant."""
    about = [
        observation(_URN, identifier=[{"system": _MARK, "value": f"{number}-{part}"}], note=[{"text": name}])
        for part in range(2)
    ]
    return bundle(
        entry(patient(name), full_url=_URN, ifNoneExist=f"identifier={MEDICAL_RECORD}|{name}"), *map(entry, about)
    )


async def send(
    clients: list[httpx.AsyncClient], total: int, people: int, at_once: int
) -> tuple[Counter[int], set[int]]:
    """Send all of them, so many at once. Answers the statuses, and the numbers of those acknowledged."""
    statuses: Counter[int] = Counter()
    done: set[int] = set()
    # Neighbours mean the same patients, so that they meet.
    order = [f"P{number % people}" for number in range(total)]
    random.Random(8).shuffle(order)
    left = iter(enumerate(order))

    async def work(client: httpx.AsyncClient) -> None:
        for number, name in left:
            answer = await client.post("", json=transaction(name, number))
            statuses[answer.status_code] += 1
            if answer.status_code == 200:
                done.add(number)

    await asyncio.gather(*(work(clients[each % len(clients)]) for each in range(at_once)))
    return statuses, done


async def pages(client: httpx.AsyncClient, address: str) -> AsyncIterator[dict[str, Any]]:
    """Every resource of a search."""
    following: str | None = address
    while following:
        found = (await client.get(following)).raise_for_status().json()
        for each in found.get("entry", ()):
            yield each["resource"]
        following = next((link["url"] for link in found["link"] if link["relation"] == "next"), None)


async def compare(client: httpx.AsyncClient, done: set[int]) -> dict[str, int]:
    """What is stored, against what was acknowledged."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    async for one in pages(client, "Patient?_count=1000"):
        names[f"Patient/{one['id']}"] = one["identifier"][0]["value"]
        counts[one["identifier"][0]["value"]] += 1
    wrong, held = 0, Counter[int]()
    async for one in pages(client, "Observation?_count=1000"):
        held[int(one["identifier"][0]["value"].partition("-")[0])] += 1
        wrong += names.get(one["subject"]["reference"]) != one["note"][0]["text"]
    return {
        "patients": len(counts),
        "duplicates": sum(count - 1 for count in counts.values()),
        "wrong references": wrong,
        "acknowledged and not stored": sum(held[number] != 2 for number in done),
        "stored and not acknowledged": sum(number not in done for number in held),
    }


async def measured(bases: list[str], total: int, people: int, at_once: int) -> dict[str, Any]:
    """Send and compare."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=f"{base}/fhir", timeout=300)) for base in bases
        ]
        started = time.perf_counter()
        statuses, done = await send(clients, total, people, at_once)
        seconds = time.perf_counter() - started
        found = await compare(clients[0], done)
    told = {"transactions": total, "statuses": dict(statuses), "seconds": round(seconds, 1)}
    return told | {"per second": round(total / seconds, 1)} | found


def is_right(found: dict[str, Any]) -> bool:
    """Whether nothing is there twice, wrong or missing."""
    return not any(found[name] for name in ("duplicates", "wrong references", "acknowledged and not stored"))


def run(url: str, *, processes: int, total: int, people: int, at_once: int, folder: Path) -> dict[str, Any]:
    """Start the processes on the database, which must hold nothing yet, and measure."""
    with ExitStack() as stack:
        started = []
        for number in range(processes):
            settings = {"PORT": str(free_port()), "DERMATOME_DATABASE_URL": url, "DERMATOME_WORKER": "separate"}
            started.append(Process("serve", settings, log=folder / f"{number}.log"))
            stack.callback(started[-1].kill)
            # One after the other: what a first start stores is there when the others come.
            started[-1].start()
        return asyncio.run(measured([one.base for one in started], total, people, at_once))


def main() -> None:
    """Measure on the database that is given, else on a SQLite file of its own."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--database", default="", help="an empty database; unset: a SQLite file of its own")
    asked.add_argument("--processes", type=int, default=4)
    asked.add_argument("--at-once", type=int, default=16)
    asked.add_argument("--transactions", type=int, default=10_000)
    asked.add_argument("--patients", type=int, default=500)
    given = asked.parse_args()
    with TemporaryDirectory() as name:
        url = given.database or f"sqlite+aiosqlite:///{name}/conditional.db"
        found = run(
            url,
            processes=given.processes,
            total=given.transactions,
            people=given.patients,
            at_once=given.at_once,
            folder=Path(name),
        )
    print(json.dumps(found, indent=1))
    sys.exit(0 if is_right(found) else 1)


if __name__ == "__main__":
    main()
