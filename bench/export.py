"""How fast a million Observations are exported and viewed: `python -m bench.export [--resources N] [--database URL]`.

A real service with its worker, on SQLite or an empty PostgreSQL database. Some scores come in by the clinic API; the
rest are copies of their rows, with ids of their own. Beside each figure, in the same run: a plain sequential read of
the same rows by the database's driver, written to a file, and a loop by hand that makes the same table. CPU is of the
service's process, memory what it holds resident, at a twentieth and at most.
"""

import argparse
import csv
import hashlib
import json
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from app.profiles import shared_json
from bench.databases import Driver, opened
from tests.builders import patient
from tests.processes import Process, free_port

_PATIENTS = 200
# A view of one type, and one that is joined of several.
_VIEW, _JOINED = "ViewDefinition/scores", "Library/pain-scores"
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ANSWERS = {"burning": True, "electric_shocks": True, "numbness": True, "tingling": False, "painful_cold": False}
# Beyond what caches take; never what was exported.
_MOST_GROWTH_MB = 64.0


@dataclass
class Used:
    """What one piece of work took."""

    seconds: float = 0
    cpu: float = 0
    first_mb: float = 0
    most_mb: float = 0
    told: dict[str, Any] = field(default_factory=dict)


def main() -> int:
    """Fill, export, view, tell. Answers the exit code: 1 where memory grows, or the files are not what is stored."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--resources", type=int, default=1_000_000)
    asked.add_argument("--database", default="", help="an empty database; unset: a SQLite file of its own")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        url = given.database or f"sqlite+aiosqlite:///{folder}/dermatome.db"
        settings = {
            "PORT": str(free_port()),
            "DERMATOME_DATABASE_URL": url,
            "DERMATOME_EXPORT_FILES": str(folder / "exports"),
        }
        server = Process("serve", settings, log=folder / "service.log")
        with server:
            began = time.monotonic()
            _post(server.base)
            server.stop()
            with closing(opened(url)) as database:
                count = _multiply(database, given.resources)
            print(f"{count} Observations after {time.monotonic() - began:.0f} s", flush=True)
            server.start()
            with closing(opened(url)) as database:
                plain = _plain_read(database, folder / "plain.ndjson")
            return _measure(server, folder, count, plain)


def _measure(server: Process, folder: Path, count: int, plain: Used) -> int:
    _tell("plain read by the driver, to a file", count, plain)
    exported, sums = _exported(server, folder)
    _tell("export, kick-off to the last file", count, exported)
    fetched = _fetched(server, folder, exported.told["manifest"])
    _tell("files over HTTP", count, fetched)
    by_hand = _by_hand(folder / "plain.ndjson", folder / "by_hand.csv")
    _tell("table by hand, orjson and csv", count, by_hand)
    viewed = [_viewed(server, name, folder / "view.csv") for name in (_VIEW, _JOINED)]
    for name, each in zip((_VIEW, _JOINED), viewed, strict=True):
        _tell(f"$viewdefinition-run {name}, csv over HTTP", each.told["rows"], each)
    is_equal = sums == _line_sums([folder / "plain.ndjson"])
    print(f"export equals store: {is_equal}, {sums[0]} lines, {sums[1]:064x} (sum of the lines' SHA-256)")
    growth = max(each.most_mb - each.first_mb for each in (exported, *viewed))
    print(f"memory grew by {growth:.0f} MB at most")
    return int(not is_equal or growth > _MOST_GROWTH_MB)


def _post(base: str) -> None:
    """Scores of some patients, by the clinic API."""
    with httpx.Client(base_url=base, timeout=60) as client:
        for number in range(_PATIENTS):
            client.put(f"/fhir/Patient/p{number}", json=patient(id=f"p{number}")).raise_for_status()
            body = {
                "patient": f"Patient/p{number}",
                "instrument": "dn4",
                "taken_at": "2026-05-01T09:30:00Z",
                "answers": _ANSWERS,
            }
            client.post("/pain/assessments", json=body).raise_for_status()


def _multiply(database: Driver, wanted: int) -> int:
    """Copy every Observation until there are so many: all its rows, under other ids. Answers how many there are."""
    database.run(["CREATE TEMP TABLE model AS SELECT vid FROM version WHERE type = 'Observation'"])
    models = _number(database, "SELECT count(*) FROM model")
    tables = {name: columns for name, columns in database.tables() if "vid" in columns}
    for copy in range(1, -(-wanted // models)):
        shift = _number(database, "SELECT max(vid) FROM version")
        prefix = f"c{copy}-"
        database.run(_copying(name, columns, shift, prefix, database) for name, columns in tables.items())
    database.settle()
    return _number(database, "SELECT count(*) FROM version WHERE type = 'Observation'")


def _number(database: Driver, statement: str) -> int:
    [[(found,)]] = database.rows(statement)
    return int(found)


def _copying(table: str, columns: list[str], shift: int, prefix: str, database: Driver) -> str:
    made = {"vid": f"vid + {shift}"}
    if table == "version":
        made["id"] = f"'{prefix}' || id"
    if table == "content":
        made["text"] = database.renamed(prefix)
    names = ", ".join(f'"{each}"' for each in columns)
    values = ", ".join(made.get(each, f'"{each}"') for each in columns)
    return f'INSERT INTO "{table}" ({names}) SELECT {values} FROM "{table}" WHERE vid IN (SELECT vid FROM model)'


def _plain_read(database: Driver, target: Path) -> Used:
    def read() -> None:
        with target.open("wb") as file:
            rows = database.rows(
                "SELECT content.text FROM version JOIN content USING (vid)"
                " WHERE version.type = 'Observation' AND version.until IS NULL ORDER BY version.vid"
            )
            for some in rows:
                file.write(b"\n".join(row[0] for row in some) + b"\n")

    return _own(read)


def _exported(server: Process, folder: Path) -> tuple[Used, tuple[int, int]]:
    with httpx.Client(timeout=600) as client, _watched(server) as used:
        taken = client.get(f"{server.base}/fhir/$export?_type=Observation", headers={"Prefer": "respond-async"})
        taken.raise_for_status()
        while (answer := client.get(taken.headers["content-location"])).status_code == 202:
            time.sleep(0.2)
        answer.raise_for_status()
        used.told["manifest"] = answer.json()
    return used, _line_sums(sorted((folder / "exports").rglob("*.ndjson")))


def _fetched(server: Process, folder: Path, manifest: dict[str, Any]) -> Used:
    with httpx.Client(timeout=600) as client, _watched(server) as used:
        for each in manifest["output"]:
            with (
                client.stream("GET", each["url"], headers={"Accept-Encoding": "identity"}) as answer,
                (folder / "fetched").open("wb") as file,
            ):
                for part in answer.iter_raw(1_048_576):
                    file.write(part)
    return used


def _viewed(server: Process, name: str, target: Path) -> Used:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "viewReference", "valueReference": {"reference": name}},
            {"name": "_format", "valueCode": "csv"},
        ],
    }
    with (
        httpx.Client(timeout=3_600) as client,
        _watched(server) as used,
        client.stream("POST", f"{server.base}/fhir/$viewdefinition-run", json=body) as answer,
        target.open("wb") as file,
    ):
        if not answer.is_success:
            raise SystemExit(answer.read().decode()[:2000])
        for part in answer.iter_raw():
            file.write(part)
    with target.open(newline="") as file:
        used.told["rows"] = sum(1 for _ in csv.reader(file)) - 1
    return used


def _by_hand(source: Path, target: Path) -> Used:
    """What an analyst writes in ten minutes: as many columns as the view has, each of them a path into the resource."""
    columns = len(
        [column for select in shared_json("views")["scores"]["select"] for column in select.get("column", [])]
    )

    def read() -> None:
        with source.open("rb") as file, target.open("w", newline="") as out:
            writer = csv.writer(out)
            for line in file:
                one = orjson.loads(line)
                quantity, coding = one.get("valueQuantity", {}), one["code"]["coding"][0]
                row = [one["id"], one["subject"]["reference"], coding["code"], quantity.get("value"), one["status"]]
                writer.writerow([*row, *[one.get("effectiveDateTime")] * (columns - len(row))])

    return _own(read)


def _line_sums(paths: list[Path]) -> tuple[int, int]:
    """How many lines there are, and the sum of their SHA-256: the same in whatever order they stand."""
    count = total = 0
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                count += 1
                total += int.from_bytes(hashlib.sha256(line.rstrip(b"\n")).digest())
    return count, total % 2**256


def _own(work: Callable[[], None]) -> Used:
    before, began = time.process_time(), time.monotonic()
    work()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Used(time.monotonic() - began, time.process_time() - before, most, most)


@contextmanager
def _watched(server: Process) -> Iterator[Used]:
    """What the service takes while this is done."""
    used, is_over = Used(), threading.Event()
    held: list[float] = []

    def look() -> None:
        while not is_over.wait(0.1):
            held.append(_resident(server))

    watching = threading.Thread(target=look)
    cpu, began = _cpu(server), time.monotonic()
    watching.start()
    try:
        yield used
    finally:
        used.seconds, used.cpu = time.monotonic() - began, _cpu(server) - cpu
        is_over.set()
        watching.join()
        used.first_mb = held[len(held) // 20] if held else 0
        used.most_mb = max(held, default=0)


def _cpu(server: Process) -> float:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident(server: Process) -> float:
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * _PAGE / 1_048_576


def _tell(what: str, rows: int, used: Used) -> None:
    told = {
        "what": what,
        "rows": rows,
        "seconds": round(used.seconds, 1),
        "rows_per_second": round(rows / used.seconds),
        "cpu_seconds": round(used.cpu, 1),
        "rows_per_cpu_second": round(rows / max(used.cpu, 0.01)),
        "mb_at_a_twentieth": round(used.first_mb),
        "mb_at_most": round(used.most_mb),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    sys.exit(main())
