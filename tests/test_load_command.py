"""`dermatome load`, as a user runs it: what stands in files is there afterwards, once, whatever happened."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import Json, bundle, entry, observation, patient
from tests.processes import Process, free_port, inherited

SCORE = "https://w3id.org/dermatome/fhir/StructureDefinition/pain-intensity"
MANY = 600


@pytest.fixture
def server(sqlite_template: Path, tmp_path: Path) -> Iterator[Process]:
    shutil.copy(sqlite_template, tmp_path / "x.db")
    settings = {
        "PORT": str(free_port()),
        "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'x.db'}",
        "DERMATOME_DANGLING_REFERENCES": "strict",
        "DERMATOME_MAX_BUNDLE_ENTRIES": "50",
    }
    with Process("serve", settings, log=tmp_path / "service.log") as process:
        yield process


def command(server: Process, state: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "app", "load", "--into", f"{server.base}/fhir", "--state", str(state), *arguments]


def loaded(server: Process, state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = command(server, state, *arguments)
    return subprocess.run(done, capture_output=True, text=True, timeout=120, env=inherited())


def count(server: Process, query: str) -> int:
    return int(httpx.get(f"{server.base}/fhir/{query}&_summary=count", timeout=30).json()["total"])


def lines(path: Path, resources: list[Json]) -> str:
    path.write_text("".join(json.dumps(each) + "\n" for each in resources))
    return str(path)


def test_what_stands_in_a_folder_is_there(server: Process, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "more").mkdir(parents=True)
    # Named before what it refers to, and larger than the server takes at once.
    lines(folder / "a.ndjson", [observation(f"Patient/p{number}", id=f"o{number}") for number in range(120)])
    lines(folder / "b.ndjson", [patient(id=f"p{number}") for number in range(120)])
    found = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": patient(id="found")}]}
    (folder / "more" / "found.json").write_text(json.dumps(found))
    (folder / "more" / "together.json").write_text(json.dumps(bundle(entry(patient(gender="other")))))
    (folder / "more" / "alone.json").write_text(json.dumps(patient(id="alone")))

    done = loaded(server, tmp_path / "state", str(folder))

    assert (done.returncode, done.stderr) == (0, "")
    assert "243 created" in done.stdout
    assert (count(server, "Patient?_lastUpdated=gt2000"), count(server, "Observation?_lastUpdated=gt2000")) == (
        123,
        120,
    )
    assert not (tmp_path / "state").exists()
    again = loaded(server, tmp_path / "state", str(folder))
    assert "242 updated, or there already" in again.stdout
    assert "1 created" in again.stdout  # what has no id is somebody new in another load


def test_what_is_refused_is_listed_and_stops_nothing_else(server: Process, tmp_path: Path) -> None:
    wrong: list[Any] = [patient(id="x", gender="wrong"), observation("Patient/nobody", id="o"), {"id": "y"}, [], 5]
    file = lines(tmp_path / "some.ndjson", [patient(id="a"), *wrong, patient(id="b")])

    done = loaded(server, tmp_path / "state", file)

    assert done.returncode == 1
    assert "5 refused" in done.stderr
    assert count(server, "Patient?_id=a,b") == 2
    listed = [json.loads(line) for line in (tmp_path / "state" / "refused.ndjson").read_text().splitlines()]
    assert sorted(one["resource"] for one in listed) == ["", "", "", "Observation/o", "Patient/x"]
    assert all(one["issue"][0]["diagnostics"] for one in listed)

    # Whoever mends what was in the way runs the same command again.
    httpx.put(f"{server.base}/fhir/Patient/nobody", json=patient(id="nobody"))
    again = loaded(server, tmp_path / "state", file)
    assert "4 refused" in again.stderr
    assert count(server, "Observation?_id=o") == 1


def test_it_goes_on_where_it_was_killed_and_makes_nothing_twice(server: Process, tmp_path: Path) -> None:
    own = [observation(valueInteger=number) for number in range(MANY)]  # without ids, so that each is created
    file = lines(tmp_path / "many.ndjson", own)
    arguments = command(server, tmp_path / "state", "--size", "20", file)

    for part in (1, 3, 5):
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, env=inherited())
        deadline = time.monotonic() + 60
        while count(server, "Observation?_lastUpdated=gt2000") < part * MANY // 8:
            assert time.monotonic() < deadline
        process.kill()
        process.wait()
    done = loaded(server, tmp_path / "state", "--size", "20", file)

    assert (done.returncode, done.stderr) == (0, "")
    assert count(server, "Observation?_lastUpdated=gt2000") == MANY
    values = httpx.get(f"{server.base}/fhir/Observation?_count=1000", timeout=60).json()["entry"]
    assert sorted(each["resource"]["valueInteger"] for each in values) == list(range(MANY))


def test_what_stands_there_twice_without_an_id_is_created_twice(server: Process, tmp_path: Path) -> None:
    file = lines(tmp_path / "twice.ndjson", [observation(valueInteger=1)] * 4)

    assert loaded(server, tmp_path / "state", "--size", "2", file).returncode == 0
    assert count(server, "Observation?_lastUpdated=gt2000") == 4


def test_a_server_that_is_away_is_said_and_gone_on_with(server: Process, tmp_path: Path) -> None:
    file = lines(tmp_path / "one.ndjson", [patient(id="a")])
    for base, said in ((f"{server.base}/nowhere", "the server answers 4"), ("x", "this is no address")):
        done = subprocess.run(
            [sys.executable, "-m", "app", "load", "--into", base, "--state", str(tmp_path / said), file],
            capture_output=True,
            text=True,
            timeout=60,
            env=inherited(),
        )
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    missing = loaded(server, tmp_path / "state", str(tmp_path / "missing.ndjson"))
    assert (missing.returncode, "missing.ndjson" in missing.stderr) == (2, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "load.json").write_text('{"into": "http://elsewhere.test/fhir"}')
    other = loaded(server, tmp_path / "other", file)
    assert (other.returncode, "name another --state" in other.stderr) == (2, True)
