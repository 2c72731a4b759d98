"""What each kind of work takes of a core: `python -m bench.capacity [--write]`.

One service on a PostgreSQL that keeps what it acknowledges, a second one as the partner that is synced with. For each
kind of work the CPU seconds of the service's process and of all of PostgreSQL's, by operation, while some clients ask
at once; and bytes stored by resource. `--write` puts them into bench/capacity.toml, which `python -m bench.scaling`
reads.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from sqlalchemy.engine import make_url

from bench.fixtures import observation
from tests.builders import bundle, entry, patient
from tests.postgres import new_database, server
from tests.processes import Process, free_port

FIGURES = Path(__file__).parent / "capacity.toml"
_PATIENTS, _AT_ONCE, _BUNDLE = 400, 8, 100
_TICKS = os.sysconf("SC_CLK_TCK")
Ask = Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]


@dataclass
class Cost:
    """CPU seconds of one operation, in the service and in the database."""

    service: float
    database: float


def main() -> int:
    """Measure all and tell. Answers the exit code."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--count", type=int, default=1_500, help="operations of each kind")
    asked.add_argument("--write", action="store_true", help="keep the figures for the simulation")
    given = asked.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(server())
        url = new_database(postgres)
        partner = _process(folder, "partner", {"DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/partner.db"})
        stack.enter_context(partner)
        here = _process(folder, "here", {"DERMATOME_DATABASE_URL": url})
        stack.enter_context(here)
        costs, stored = asyncio.run(_measure(here, url, given.count))
        here.stop()
        targets = folder / "targets.toml"
        targets.write_text(f'[[target]]\nname = "partner"\nbase_url = "{partner.base}/fhir"\n')
        told = {"DERMATOME_DATABASE_URL": url, "DERMATOME_SYNC_TARGETS": str(targets)}
        telling = _process(folder, "telling", told)
        stack.enter_context(telling)
        costs["sync"] = asyncio.run(_synced(telling, url, given.count, costs["transaction entry"]))
    text = _told(costs, stored)
    print(text)
    if given.write:
        FIGURES.write_text(text, "utf-8")
    return 0


def _process(folder: Path, name: str, settings: dict[str, str]) -> Process:
    own = {"PORT": str(free_port()), "DERMATOME_EXPORT_FILES": str(folder / f"{name}-exports")}
    return Process("serve", own | settings, log=folder / f"{name}.log")


async def _measure(here: Process, url: str, count: int) -> tuple[dict[str, Cost], dict[str, float]]:
    async with httpx.AsyncClient(base_url=f"{here.base}/fhir", timeout=120) as client:
        people = [entry(patient(id=f"p{one}"), method="PUT", url=f"Patient/p{one}") for one in range(_PATIENTS)]
        (await client.post("", json=bundle(*people))).raise_for_status()
        empty = await _size(url)
        costs = {
            "transaction entry": await _cost(here, url, client, count // _BUNDLE + 5, _transaction, by=_BUNDLE),
            "create": await _cost(here, url, client, count, _create),
        }
        held = (count // _BUNDLE + 5) * _BUNDLE + count
        stored = {"bytes by resource": (await _size(url) - empty) / held, "bytes sent": len(json.dumps(_about(0)))}
        asked: dict[str, Ask] = {"read": _read, "search": _search, "summary of a patient": _everything}
        for name, ask in asked.items():
            costs[name] = await _cost(here, url, client, count, ask)
        costs["exported resource"] = await _exported(here, url, client, held)
    return costs, stored


async def _cost(here: Process, url: str, client: httpx.AsyncClient, count: int, ask: Ask, *, by: int = 1) -> Cost:
    """Of one of so many operations, several asked at once; by: of one part of them."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            _right(await ask(client, number))

    _right(await ask(client, 0))
    service, database = _cpu(here.pid), _postgres_cpu(url)
    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    done = count * by
    return Cost((_cpu(here.pid) - service) / done, (_postgres_cpu(url) - database) / done)


def _right(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise SystemExit(answer.text[:2_000])
    return answer


def _about(number: int) -> dict[str, Any]:
    made = observation()
    # What it refers to besides is not here.
    for name in ("id", "performer", "derivedFrom", "encounter"):
        made.pop(name, None)
    made["subject"] = {"reference": f"Patient/p{number % _PATIENTS}"}
    made["effectiveDateTime"] = datetime.fromtimestamp(1_750_000_000 + number * 977, UTC).isoformat()
    return made


async def _create(client: httpx.AsyncClient, number: int) -> httpx.Response:
    return await client.post("/Observation", json=_about(number))


async def _transaction(client: httpx.AsyncClient, number: int) -> httpx.Response:
    entries = (entry(_about(number * _BUNDLE + place)) for place in range(_BUNDLE))
    return await client.post("", json=bundle(*entries))


async def _read(client: httpx.AsyncClient, number: int) -> httpx.Response:
    return await client.get(f"/Patient/p{number % _PATIENTS}")


async def _search(client: httpx.AsyncClient, number: int) -> httpx.Response:
    who = random.Random(number).randrange(_PATIENTS)
    return await client.get(f"/Observation?subject=Patient/p{who}&date=ge2025&_sort=-date&_count=20")


async def _everything(client: httpx.AsyncClient, number: int) -> httpx.Response:
    return await client.get(f"/Patient/p{number % _PATIENTS}/$everything?_count=20")


async def _exported(here: Process, url: str, client: httpx.AsyncClient, held: int) -> Cost:
    service, database = _cpu(here.pid), _postgres_cpu(url)
    taken = await client.get("/$export?_type=Observation", headers={"Prefer": "respond-async"})
    while (answer := await client.get(taken.headers["content-location"])).status_code == 202:  # noqa: ASYNC110 (another process)
        await asyncio.sleep(0.05)
    answer.raise_for_status()
    return Cost((_cpu(here.pid) - service) / held, (_postgres_cpu(url) - database) / held)


async def _synced(here: Process, url: str, count: int, written: Cost) -> Cost:
    """From the writing of many to the delivery of the last one, without what the writing takes."""
    async with httpx.AsyncClient(base_url=f"{here.base}/fhir", timeout=120) as client:
        before = _cpu(here.pid), _postgres_cpu(url)
        for number in range(count // _BUNDLE):
            _right(await _transaction(client, number))
        while (await client.get(f"{here.base}/sync/status")).json()["targets"][0]["pending"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    done = count // _BUNDLE * _BUNDLE
    used = (_cpu(here.pid) - before[0]) / done, (_postgres_cpu(url) - before[1]) / done
    return Cost(max(0.0, used[0] - written.service), max(0.0, used[1] - written.database))


async def _size(url: str) -> int:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)  # type: ignore[no-untyped-call]
    size: int = await connection.fetchval("SELECT pg_database_size(current_database())")
    await connection.close()
    return size


def _postgres_cpu(url: str) -> float:
    """CPU seconds of every process of the database's server, those that have ended too."""
    return sum(_cpu(pid, children=True) for pid in _postmasters(url))


def _postmasters(url: str) -> Iterator[int]:
    """The server's first process and those below it."""
    folder = Path(str(make_url(url).query["host"]))
    first = int((folder / "postmaster.pid").read_text().split()[0])
    yield first
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == first:
            yield int(place.parent.name)


def _cpu(pid: int, *, children: bool = False) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11 : 15 if children else 13])) / _TICKS


def _told(costs: dict[str, Cost], stored: dict[str, float]) -> str:
    """The figures as TOML."""
    lines = [
        "# What each kind of work takes: CPU seconds of one operation in the service and in PostgreSQL, and what a",
        f"# resource of {stored['bytes sent']:.0f} bytes takes on its disk, with history, search values and audit.",
        "# Written by `python -m bench.capacity --write`; read by `python -m bench.scaling`.",
        f'machine = "{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"',
        f"bytes_by_resource = {stored['bytes by resource']:.0f}",
        f"bytes_sent = {stored['bytes sent']:.0f}",
    ]
    for name, cost in costs.items():
        lines += ["", f'[cost."{name}"]', f"service = {cost.service:.6f}", f"database = {cost.database:.6f}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
