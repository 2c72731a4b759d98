"""What keeping the data takes: `python -m bench.keeping [--resources N] [--database URL --other URL]`.

A service is filled with Observations about 200 patients, by Bundles of 200. Then, with a tenth of them and with all,
`dermatome backup`, `check` and `restore` (into an empty database) run as processes of their own, and one patient is
erased through the service: seconds, and resident memory at most. Ends with 1 where memory grows with what is held.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from bench.fixtures import observation
from tests.builders import bundle, entry, patient
from tests.processes import Process, free_port

_PATIENTS, _AT_ONCE = 200, 200
# Beyond what caches take; never what is held.
_MOST_GROWTH_MB = 64.0


def main() -> int:
    """Fill, keep, fill, keep. Answers the exit code."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--resources", type=int, default=50_000)
    asked.add_argument("--database", default="", help="an empty database; unset: a SQLite file of its own")
    asked.add_argument("--other", default="", help="an empty database to restore into")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        url = given.database or f"sqlite+aiosqlite:///{folder}/dermatome.db"
        settings = {"PORT": str(free_port()), "DERMATOME_DATABASE_URL": url}
        with Process("serve", settings, log=folder / "service.log") as server:
            few = _round(server.base, url, "", folder, 0, given.resources // 10)
            all_ = _round(server.base, url, given.other, folder, given.resources // 10, given.resources)
    growth = {name: all_[name] - few[name] for name in few}
    print("memory grew by " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in growth.items()))
    return int(max(growth.values()) > _MOST_GROWTH_MB)


def _round(base: str, url: str, other: str, folder: Path, held: int, wanted: int) -> dict[str, float]:
    """Fill up to so many, and run each command. Answers the megabytes each had at most."""
    began = time.monotonic()
    _fill(base, held, wanted)
    print(f"{wanted} Observations after {time.monotonic() - began:.0f} s", flush=True)
    file = folder / f"{wanted}.zip"
    empty = other or f"sqlite+aiosqlite:///{folder}/restored-{wanted}.db"
    most = {
        "backup": _run(url, "backup", str(file)),
        "check": _run(url, "check"),
        "restore": _run(empty, "restore", str(file)),
    }
    _erase(base, f"p{wanted}-7")
    print(f"  backup file {file.stat().st_size / 1e6:.0f} MB")
    return most


def _fill(base: str, held: int, wanted: int) -> None:
    with httpx.Client(base_url=base, timeout=120) as client:
        for number in range(_PATIENTS):
            client.put(f"/fhir/Patient/p{wanted}-{number}", json=patient(id=f"p{wanted}-{number}"))
        for start in range(held, wanted, _AT_ONCE):
            # It stands for itself: a reference that leads nowhere is refused.
            alone = {name: value for name, value in observation().items() if name not in ("derivedFrom", "performer")}
            made = [
                alone | {"id": f"o{number}", "subject": {"reference": f"Patient/p{wanted}-{number % _PATIENTS}"}}
                for number in range(start, min(wanted, start + _AT_ONCE))
            ]
            puts = (entry(each, method="PUT", url=f"Observation/{each['id']}") for each in made)
            client.post("/fhir", json=bundle(*puts)).raise_for_status()


def _run(url: str, *command: str) -> float:
    """Run a command to its end; megabytes at most."""
    began = time.monotonic()
    environment = {**os.environ, "DERMATOME_DATABASE_URL": url}
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    print(f"  {command[0]}: {time.monotonic() - began:.1f} s, {used.ru_maxrss / 1024:.0f} MB at most", flush=True)
    return used.ru_maxrss / 1024


def _erase(base: str, name: str) -> None:
    """The dry run, and the erasure."""
    with httpx.Client(base_url=base, timeout=600) as client:
        began = time.monotonic()
        dry = client.post(f"/fhir/Patient/{name}/$erase").raise_for_status().json()
        looked = time.monotonic()
        confirm = next(each for each in dry["parameter"] if each["name"] == "confirm")
        body = {"resourceType": "Parameters", "parameter": [confirm]}
        client.post(f"/fhir/Patient/{name}/$erase", json=body).raise_for_status()
        count = [each["part"][1]["valueUnsignedInt"] for each in dry["parameter"] if each["name"] == "erased"]
        took = f"{looked - began:.1f} s looked, {time.monotonic() - looked:.1f} s erased"
        print(f"  $erase of {sum(count)} resources: {took}")


if __name__ == "__main__":
    sys.exit(main())
