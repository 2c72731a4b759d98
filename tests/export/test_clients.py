"""A bulk client others wrote, as it is, against a running server; and one that falls asleep while it reads."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.builders import Json, bundle, entry, observation, patient
from tests.processes import Process, free_port
from tests.security.sides import clients_file
from tests.security.signers import private_keys

SMART_FETCH = Path(sys.executable).parent / "smart-fetch"
SURVEY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}]}
PATIENCE = 1.0
WAREHOUSE = "system/Patient.rs system/Observation.rs"


@pytest.fixture(scope="module")
def server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One process for this module: what its clients see is the same on both databases (tests/export/test_doors.py)."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(sqlite_template, folder / "x.db")
    settings = {
        "PORT": str(free_port()),
        "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'x.db'}",
        "DERMATOME_EXPORT_FILES": str(folder / "exports"),
        "DERMATOME_EXPORT_PATIENCE_SECONDS": str(PATIENCE),
    }
    with Process("serve", settings, log=folder / "service.log") as process:
        yield process


@pytest.fixture(scope="module")
def protected(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The same, and it asks for tokens: one client may read two types, the other one everything."""
    folder, port = tmp_path_factory.mktemp("protected"), free_port()
    shutil.copy(sqlite_template, folder / "x.db")
    settings = {
        "PORT": str(port),
        "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'x.db'}",
        "DERMATOME_EXPORT_FILES": str(folder / "exports"),
        "DERMATOME_AUTH": "smart",
        "DERMATOME_KEYS": str(folder / "keys"),
        "DERMATOME_CLIENTS": str(clients_file(folder, {"ehr": "system/*.cruds", "warehouse": WAREHOUSE})),
    }
    with Process("serve", settings, log=folder / "service.log") as process:
        yield process


def fetched(folder: Path, base: str, *arguments: str) -> dict[str, Json]:
    """Type/id -> each resource that smart-fetch has written."""
    command = [str(SMART_FETCH), "bulk", "--fhir-url", base, "--no-compression", *arguments, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    files = [each for each in folder.glob("*.ndjson") if each.name != "log.ndjson"]
    trees = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
    return {f"{each['resourceType']}/{each['id']}": each for each in trees}


def test_smart_fetch_exports_what_is_stored(server: Process, tmp_path: Path) -> None:
    base = f"{server.base}/fhir"
    people = [entry(patient(id=str(each), gender="other"), method="PUT", url=f"Patient/{each}") for each in range(300)]
    about = [entry(observation(f"Patient/{each}", category=[SURVEY], valueInteger=each)) for each in range(300)]
    # By default it asks for Observations of some categories only, in a _typeFilter with encoded commas.
    about.append(entry(observation("Patient/1", note=[{"text": "of no category"}])))
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True}
    group["member"] = [{"entity": {"reference": f"Patient/{each}"}} for each in range(7)]
    sent = bundle(*people, *about, entry(group, method="PUT", url="Group/g"))
    assert httpx.post(base, json=sent, timeout=60).status_code == 200

    found = fetched(tmp_path / "all", base, "--type", "Patient,Observation")
    members = fetched(tmp_path / "group", base, "--group", "g")

    stored = {name: tree for type_ in ("Patient", "Observation") for name, tree in searched(base, type_).items()}
    assert len(stored) == len(people) + len(about)
    assert found == {name: tree for name, tree in stored.items() if "note" not in tree}
    assert {name for name in members if name.startswith("Patient")} == {f"Patient/{each}" for each in range(7)}
    assert len(members) == 7 + 7


def test_smart_fetch_signs_in_and_exports_what_its_scopes_name(protected: Process, tmp_path: Path) -> None:
    """It asks for a scope of every type that it knows, and gets those that are registered for it."""
    base = f"{protected.base}/fhir"
    jwks = tmp_path / "own.jwks"
    jwks.write_text(private_keys("ehr"))
    asking = [sys.executable, "-m", "app", "access", "token", "ehr", "--key", str(jwks), "--url", base]
    token = subprocess.run(
        [*asking, "--scope", "system/*.cruds"], capture_output=True, text=True, timeout=60
    ).stdout.strip()
    sent = bundle(
        entry(patient(id="1"), method="PUT", url="Patient/1"), entry(observation("Patient/1", category=[SURVEY]))
    )
    stored = httpx.post(base, json=sent, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    jwks.write_text(private_keys("warehouse"))
    signing = ("--smart-client-id", "warehouse", "--smart-key", str(jwks))

    found = fetched(tmp_path / "all", base, "--type", "Patient,Observation", *signing)
    without = subprocess.run(
        [str(SMART_FETCH), "bulk", "--fhir-url", base, str(tmp_path / "none")],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert stored.status_code == 200
    assert sorted(name.partition("/")[0] for name in found) == ["Observation", "Patient"]
    assert without.returncode != 0


def searched(base: str, type_: str) -> dict[str, Json]:
    """Type/id -> each resource of a type, by search."""
    answer = httpx.get(f"{base}/{type_}?_count=1000", timeout=60).json()
    return {f"{type_}/{each['resource']['id']}": each["resource"] for each in answer["entry"]}


async def test_a_reader_that_falls_asleep_keeps_no_file_open(server: Process) -> None:
    """More than the buffers between two processes take, so that the server has to wait for the reader."""
    text = "a long note " * 50_000
    for _ in range(3):
        made = [entry(observation(code={"coding": [{"code": "asleep"}]}, note=[{"text": text}])) for _ in range(10)]
        assert httpx.post(f"{server.base}/fhir", json=bundle(*made), timeout=60).status_code == 200
    url = await exported(server.base, "code=asleep")

    with socket.create_connection(("127.0.0.1", urlsplit(server.base).port or 0)) as asleep:
        asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asleep.sendall(f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        asleep.recv(1000)
        was_open = await until(lambda: bool(open_exports(server)), 5)
        is_closed = await until(lambda: not open_exports(server), 10 * PATIENCE)
    whole = httpx.get(url, timeout=60)

    assert was_open
    assert is_closed
    assert len(whole.text.splitlines()) == 30


async def exported(base: str, query: str) -> str:
    """The address of the one file of an export of some Observations."""
    headers, asked = {"Prefer": "respond-async"}, {"_type": "Observation", "_typeFilter": f"Observation?{query}"}
    status = httpx.get(f"{base}/fhir/$export", params=asked, headers=headers).headers["content-location"]
    assert await until(lambda: httpx.get(status).status_code == 200, 60)
    (output,) = httpx.get(status).json()["output"]
    url: str = output["url"]
    return url


def open_exports(server: Process) -> list[str]:
    """The export files that the server has open."""
    assert server._process is not None
    found = []
    for each in Path(f"/proc/{server._process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(each.readlink()))
    return [each for each in found if "/exports/" in each]


async def until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Whether something comes to be so in that time."""
    deadline = time.monotonic() + seconds
    while not (found := is_so()) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return found
