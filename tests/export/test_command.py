"""`dermatome export` as an analyst runs it: through a network that fails, killed in the middle, run again."""

import asyncio
import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.builders import bundle, entry, observation, patient
from tests.faults.proxy import Proxy
from tests.processes import ROOT, Process, free_port, inherited

PATIENTS, LONG = 40, "x" * 20_000
FAULTS = ("request lost", "answer lost after commit", "reset in the body", "truncated body", "429 or 503", "500")


@pytest.fixture(scope="module")
def server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One process with some resources for this module, which only reads."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(sqlite_template, folder / "x.db")
    settings = {
        "PORT": str(free_port()),
        "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'x.db'}",
        "DERMATOME_EXPORT_FILES": str(folder / "exports"),
        "DERMATOME_EXPORT_FILE_RESOURCES": "10",
    }
    with Process("serve", settings, log=folder / "service.log") as process:
        people = [entry(patient(id=f"p{each}"), method="PUT", url=f"Patient/p{each}") for each in range(PATIENTS)]
        about = [entry(observation(f"Patient/p{each}", note=[{"text": LONG}])) for each in range(PATIENTS)]
        httpx.post(f"{process.base}/fhir", json=bundle(*people, *about), timeout=60).raise_for_status()
        yield process


def command(folder: Path, base: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "app", "export", str(folder), "--from", f"{base}/fhir", *words]


def ran(folder: Path, base: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, base, *words), cwd=ROOT, env=inherited(), capture_output=True, text=True, timeout=120
    )


def lines(folder: Path, type_: str) -> set[str]:
    return {line for path in folder.glob(f"{type_}.*.ndjson") for line in path.read_text("utf-8").splitlines()}


def stored(base: str, type_: str) -> dict[str, object]:
    page = httpx.get(f"{base}/fhir/{type_}?_count=1000", timeout=60).json()
    return {each["resource"]["id"]: each["resource"] for each in page["entry"]}


def assert_whole(folder: Path, base: str) -> None:
    for type_ in ("Patient", "Observation"):
        assert {one["id"]: one for one in map(json.loads, lines(folder, type_))} == stored(base, type_)
    pairs = (line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines())
    sums = {name: sum_ for sum_, name in pairs}
    assert sums.keys() == {path.name for path in folder.glob("*.ndjson")}
    assert sums == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sums}


def test_it_leaves_whole_files_with_checksums_and_nothing_on_the_server(server: Process, tmp_path: Path) -> None:
    done = ran(tmp_path / "out", server.base, "--type", "Patient", "--type", "Observation")

    assert done.returncode == 0, done.stderr
    assert_whole(tmp_path / "out", server.base)
    place = json.loads((tmp_path / "out" / "export.json").read_text())["place"]
    assert httpx.get(place, timeout=60).status_code == 404
    assert f"{PATIENTS} Observation" in done.stdout


def test_it_goes_on_where_it_was_and_takes_no_folder_of_another_export(server: Process, tmp_path: Path) -> None:
    own = ("--type", "Patient,Observation", "--keep")
    assert ran(tmp_path, server.base, *own).returncode == 0
    state = json.loads((tmp_path / "export.json").read_text())
    victim = next(name for name in state["sums"] if name.startswith("Observation"))
    whole = (tmp_path / victim).read_bytes()
    (tmp_path / f"{victim}.part").write_bytes(whole[: len(whole) // 2])
    (tmp_path / victim).unlink()
    del state["sums"][victim]
    (tmp_path / "export.json").write_text(json.dumps(state))

    again = ran(tmp_path, server.base, *own)
    other = ran(tmp_path, server.base, "--type", "Patient")

    assert again.returncode == 0, again.stderr
    assert (tmp_path / victim).read_bytes() == whole
    assert (other.returncode, "another export" in other.stderr) == (2, True)


async def test_through_a_network_that_fails_and_killed_every_file_comes_whole(server: Process, tmp_path: Path) -> None:
    own = ("--type", "Patient", "--type", "Observation")
    async with Proxy(server.base, random.Random(7), 0.3, FAULTS) as proxy:
        first = subprocess.Popen(command(tmp_path, proxy.base, *own), cwd=ROOT, env=inherited(), stderr=subprocess.PIPE)
        while not (tmp_path / "export.json").exists():
            await asyncio.sleep(0.02)
        first.kill()
        await asyncio.to_thread(first.communicate)
        done = await asyncio.to_thread(ran, tmp_path, proxy.base, *own)

    assert done.returncode == 0, done.stderr
    assert proxy.counts.total() > 0
    assert_whole(tmp_path, server.base)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--type", "Nothing"], "Nothing is no R4 resource type"),
        (["--since", "2999-01-01T00:00:00Z"], "future"),
        (["--group", "none"], "none"),
    ],
)
def test_what_the_server_refuses_is_told_in_its_words(
    server: Process, tmp_path: Path, words: list[str], said: str
) -> None:
    done = ran(tmp_path / "out", server.base, *words)

    assert done.returncode == 2
    assert said in done.stderr
    assert not list((tmp_path / "out").glob("*.ndjson"))
