"""A warehouse that follows the change feed ends with exactly the database, whoever writes and whatever is killed."""

import asyncio
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from app.store.database import Database
from examples.warehouse import Warehouse, rows_of
from tests.builders import bundle, entry, observation, patient
from tests.processes import ROOT, Process, free_port, inherited
from tests.repeating import acknowledged

WRITERS, TURNS, SERVERS = 16, 2, 2
# The warehouse is killed until the writers are done.
SHORTEST, LONGEST = 0.5, 1.2
_CURRENT = text(
    "SELECT type, id, version, content.text FROM version LEFT JOIN content ON content.vid = version.vid "
    "WHERE until IS NULL"
)
# More digits than a number of Python has.
LONG = (
    '{"resourceType":"Observation","status":"final","code":{"text":"a"},"valueQuantity":{"value":2.500000000000000001}}'
)
Row = tuple[str, str, int, Any]


async def test_a_warehouse_that_is_killed_again_and_again_ends_with_exactly_the_database(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "warehouse.db"
    with ExitStack() as stack:
        servers = [_server(database_url, tmp_path / f"server-{number}.log") for number in range(SERVERS)]
        for server in servers:
            stack.callback(server.kill)
            server.start(wait=False)
        for server in servers:
            await asyncio.to_thread(server.wait_until_ready)
        writing = asyncio.gather(*(_write(servers[number % SERVERS].base, number) for number in range(WRITERS)))
        chance, kills = random.Random(7), 0
        while not writing.done():
            with _loading(servers[0], file, tmp_path / "warehouse.log"):
                await asyncio.wait([writing], timeout=chance.uniform(SHORTEST, LONGEST))
            kills += 1
        await writing
        await asyncio.to_thread(_load, servers[0], file)
        held = await _held(database_url)
        assert _loaded(file) == held
        async with httpx.AsyncClient(base_url=servers[0].base, timeout=30) as client:
            await acknowledged(client, "DELETE", "/fhir/Patient/w0-0", None)
            await acknowledged(client, "POST", "/fhir/Observation", json.loads(LONG))
        await asyncio.to_thread(_load, servers[0], file)
        assert _loaded(file) == await _held(database_url) != held

    assert kills > 1
    types = {type_ for type_, *_ in held}
    assert {"Patient", "Observation"} < types
    assert sum(content is None for *_, content in held) >= WRITERS


def test_what_is_told_twice_or_late_changes_nothing_and_digits_stay(tmp_path: Path) -> None:
    def line(version: int, resource: str) -> str:
        response = f'{{"status":"200","etag":"W/\\"{version}\\"","lastModified":"2026-05-01T09:30:00Z"}}'
        return f'{{"fullUrl":"http://here/fhir/Observation/a","resource":{resource},"response":{response}}}\n'

    file = tmp_path / "warehouse.db"
    with closing(Warehouse(file, "http://here/fhir")) as warehouse:
        warehouse.write(rows_of(line(1, '{"a":1}') + line(2, LONG)), "second")
        warehouse.write(rows_of(line(1, '{"a":1}')), "third")
        with sqlite3.connect(file) as database:
            assert database.execute("SELECT version, content FROM resource").fetchall() == [(2, LONG)]
        assert warehouse.next == "third"

        warehouse.clear()

        assert warehouse.next.startswith("http://here/fhir/$changes")
        with sqlite3.connect(file) as database:
            assert database.execute("SELECT * FROM resource").fetchall() == []


def _server(database_url: str, log: Path) -> Process:
    return Process("serve", {"PORT": str(free_port()), "DERMATOME_DATABASE_URL": database_url}, log=log)


async def _write(base: str, number: int) -> None:
    """Creates, updates, deletions and transactions, each acknowledged."""
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:
        for turn in range(TURNS):
            name = f"w{number}-{turn}"
            await acknowledged(client, "PUT", f"/fhir/Patient/{name}", patient(name, id=name))
            pair = bundle(
                entry(observation(f"Patient/{name}")),
                entry(patient(f"t{name}")),
                entry(patient("all", id="shared", active=bool(turn % 2)), method="PUT", url="Patient/shared"),
            )
            done = await acknowledged(client, "POST", "/fhir", pair, key=name)
            await acknowledged(client, "PUT", f"/fhir/Patient/{name}", patient(name, id=name, active=False))
            place = done.json()["entry"][turn % 2]["response"]["location"].partition("/fhir/")[2]
            await acknowledged(client, "DELETE", f"/fhir/{place.partition('/_history')[0]}", None)


@contextmanager
def _loading(server: Process, file: Path, log: Path) -> Iterator[None]:
    """The loader as a process, killed at the end."""
    with log.open("ab") as told:
        process = subprocess.Popen(_command(server, file), cwd=ROOT, env=inherited(), stderr=told)
        try:
            yield
            assert process.poll() is None, log.read_text()[-3000:]
        finally:
            process.kill()
            process.wait()


def _load(server: Process, file: Path) -> None:
    """The loader, until nothing is left to tell."""
    subprocess.run([*_command(server, file), "--once"], cwd=ROOT, env=inherited(), check=True, timeout=120)


def _command(server: Process, file: Path) -> list[str]:
    return [sys.executable, "-m", "examples.warehouse", f"{server.base}/fhir", str(file)]


def _loaded(file: Path) -> set[Row]:
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT type, id, version, content FROM resource").fetchall()
    return {(type_, id_, version, content) for type_, id_, version, content in rows}


async def _held(database_url: str) -> set[Row]:
    """The current version of everything, deletions too."""
    async with Database(database_url) as database, database.reading() as connection:
        rows = (await connection.execute(_CURRENT)).all()
    return {(type_, id_, version, content and content.decode()) for type_, id_, version, content in rows}
