"""How fast a second instance is pulled from, and how much memory that takes: `python -m bench.pull [--resources N]`.

The partner is a real process with small Observations about a few patients; a process of its own pulls them by HTTP
into an empty database, and tells its resident memory as it goes. Fails where memory grows with what is pulled.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from app.settings import Settings
from app.sync.capabilities import Plan, plan
from app.sync.conflicts.settling import Conflicts
from app.sync.pull.pulling import Puller
from app.sync.pull.remote import Getter
from tests.builders import bundle, entry, observation, patient
from tests.conftest import serving
from tests.processes import ROOT, Process, free_port
from tests.sync.pulling import Partner

_PATIENTS = 100
_AT_ONCE = 500
# Between a twentieth of the way and its end: caches that fill up, never what was pulled.
_MOST_GROWTH_MB = 64.0


def main() -> int:
    """Fill, pull, tell. Answers the exit code."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--resources", type=int, default=100_000)
    asked.add_argument("--pull-from", help=argparse.SUPPRESS)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.pull_from:
            return asyncio.run(_pull(given.pull_from, Path(folder), given.resources))
        settings = {"PORT": str(free_port()), "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/partner.db"}
        partner = Process("serve", settings, log=Path(folder) / "partner.log")
        partner.start()
        try:
            began = time.monotonic()
            _fill(f"{partner.base}/fhir", given.resources)
            print(f"filled with {given.resources} resources in {time.monotonic() - began:.0f} s", flush=True)
            own = ["--resources", str(given.resources), "--pull-from", f"{partner.base}/fhir"]
            return subprocess.run([sys.executable, "-m", "bench.pull", *own], cwd=ROOT, check=False).returncode
        finally:
            partner.kill()


def _fill(base: str, count: int) -> None:
    """Patients and, about them, Observations: so many together."""
    made = [patient(id=f"p{number}") for number in range(_PATIENTS)]
    about = (f"Patient/p{number % _PATIENTS}" for number in range(count - _PATIENTS))
    made += [observation(subject, id=f"o{number}") for number, subject in enumerate(about)]
    for start in range(0, count, _AT_ONCE):
        some = made[start : start + _AT_ONCE]
        entries = [entry(one, method="PUT", url=f"{one['resourceType']}/{one['id']}") for one in some]
        httpx.post(base, json=bundle(*entries), timeout=60).raise_for_status()


async def _pull(base: str, folder: Path, count: int) -> int:
    target = Partner(base_url=base, page_size=200)
    settings = Settings(database_url=f"sqlite+aiosqlite:///{folder}/own.db", log_level="error", worker="separate")
    server = serving(settings)
    async with server, httpx.AsyncClient(trust_env=False) as http:
        service = server.app.state.service
        stated = (await http.get(f"{base}/metadata", timeout=60)).json()

        async def read() -> Plan:
            return plan(stated, target)

        puller = Puller(service.intake, Conflicts(service.intake), service.validator.resource_types)
        early, began = 0.0, time.monotonic()
        async with puller.open(target, Getter(http, 60), read, "bench") as job:
            while not await job.step():
                async with service.database.reading() as connection:
                    held = await connection.exec_driver_sql("SELECT pulled FROM sync_state")
                    done = int(held.scalar() or 0)
                if not early and done >= count / 20:
                    early = _resident_mb()
        seconds = time.monotonic() - began
    told = {
        "resources": done,
        "seconds": round(seconds, 1),
        "per_second": round(done / seconds),
        "resident_mb_at_a_twentieth": round(early),
        "resident_mb_at_the_end": round(_resident_mb()),
        "resident_mb_at_most": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(told), flush=True)
    return int(done != count or told["resident_mb_at_most"] - early > _MOST_GROWTH_MB)


def _resident_mb() -> float:
    """What this process holds now."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
