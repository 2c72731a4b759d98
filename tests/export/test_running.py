"""Exports while others write, while workers fail, and when they are called off: all of it or nothing of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from app.export.clearing import Clearing
from app.export.files import FilesUnavailable, FolderFiles, NoRoom, Sink
from app.export.running import Exporting
from app.store import exports
from app.store.index.reindex import purge
from tests.builders import bundle, entry, observation, patient
from tests.export.jobs import Side, cleared, digest, side, work
from tests.repeating import acknowledged

WRITERS, EXPORTS, TURNS = 8, 3, 5


async def write(here: Side, number: int, stop: asyncio.Event) -> None:
    """Pairs that are always written together, with the same count in both; and some that come and go. So many turns at
    least."""
    turn = 0
    while turn < TURNS or not stop.is_set():
        turn += 1
        pair = [observation(id=f"{number}-{side}", valueInteger=turn) for side in ("left", "right")]
        made = bundle(*(entry(each, method="PUT", url=f"Observation/{each['id']}") for each in pair))
        await acknowledged(here.client, "POST", "/fhir", made, key=f"{number}-{turn}")
        name = f"{number}-{turn % 5}"
        if turn % 2:
            await acknowledged(here.client, "PUT", f"/fhir/Patient/{name}", patient(id=name))
        else:
            await acknowledged(here.client, "DELETE", f"/fhir/Patient/{number}-{(turn - 1) % 5}", None)


async def test_each_export_shows_one_state_and_what_follows_its_time_misses_nothing(
    database_url: str, tmp_path: Path
) -> None:
    async with side(database_url, tmp_path / "files", rows=7) as here:
        stop, copy, since = asyncio.Event(), dict[str, bytes](), None
        writers = [asyncio.create_task(write(here, number, stop)) for number in range(WRITERS)]
        for turn in range(EXPORTS + 1):
            if turn == EXPORTS:
                stop.set()
                await asyncio.gather(*writers)
                # Whether a writer was stopped with or without a patient is chance.
                await here.put(patient(id="last"))
            found = await here.export(since=since)
            assert found.job.state == "complete", found.job.reason
            changed = {_key(line): line for line in found.lines()}
            gone = [json.loads(line)["entry"][0]["request"]["url"] for line in found.lines("deleted")]
            assert not set(gone) & changed.keys()
            _require_pairs(changed, copy)
            copy = {key: line for key, line in (copy | changed).items() if key not in gone}
            since = found.job.transaction_time
        stored = await here.stored()

    assert len(copy) > 2 * WRITERS
    assert await digest(list(copy.values())) == await digest(stored)


def _key(line: bytes) -> str:
    tree = json.loads(line)
    return f"{tree['resourceType']}/{tree['id']}"


def _require_pairs(changed: dict[str, bytes], before: dict[str, bytes]) -> None:
    """Nothing was exported that half a transaction has made."""
    now = before | changed
    for number in range(WRITERS):
        pair = [now.get(f"Observation/{number}-{side}") for side in ("left", "right")]
        assert len({json.loads(each)["valueInteger"] if each else None for each in pair}) == 1


@pytest.fixture
async def here(database_url: str, tmp_path: Path) -> AsyncIterator[Side]:
    """A server with seven patients, whose exports take three in a file."""
    async with side(database_url, tmp_path / "files") as found:
        await found.put(*(patient(id=each) for each in "abcdefg"))
        yield found


class Failing(FolderFiles):
    """Files of which something happens to each when all of it is written, and it is not in its place yet."""

    def __init__(self, folder: Path, fail: Callable[[str], Awaitable[None]]) -> None:
        super().__init__(folder)
        self._fail = fail

    @asynccontextmanager
    async def writing(self, name: str) -> AsyncIterator[Sink]:
        async with super().writing(name) as sink:
            yield sink
            await self._fail(name)


def left(here: Side) -> list[str]:
    return sorted(str(each) for each in here.folder.rglob("*"))


async def test_a_full_disk_ends_the_job_with_a_reason_and_nothing_is_left(here: Side) -> None:
    async def full(name: str) -> None:
        if ".3." in name:
            raise NoRoom

    job = await here.kick_off()
    # Two files that are whole, and a third that is not.
    await Exporting(here.means).step()
    await Exporting(here.means).step()
    assert len([each for each in left(here) if each.endswith(".ndjson")]) == 2
    await work(replace(here.means, files=Failing(here.folder, full)))
    await cleared(here.means)

    found = await here.exported(job)
    assert (found.job.state, found.job.reason) == ("failed", "There is no room left where export files are kept.")
    assert (found.files, left(here)) == ([], [])


async def test_files_that_cannot_be_written_now_are_written_later_but_not_for_ever(here: Side) -> None:
    told = FilesUnavailable("The place cannot be written.")
    failing = [told, told, told]

    async def away(name: str) -> None:
        if failing:
            raise failing.pop()

    async def never(name: str) -> None:
        raise told

    jobs = [await here.kick_off()]
    await _without_pauses(here, Failing(here.folder, away))
    jobs.append(await here.kick_off())
    await _without_pauses(here, Failing(here.folder, never))
    first, second = [await here.exported(job) for job in jobs]

    assert (first.job.state, sorted(first.lines())) == ("complete", await here.stored())
    assert (second.job.state, second.job.reason) == ("failed", str(told))


async def _without_pauses(here: Side, files: FolderFiles) -> None:
    """Do all there is to do, and wait for nothing."""
    doing = Exporting(replace(here.means, files=files))
    while await doing.step() != float("inf"):
        async with here.service.database.writing() as connection:
            await connection.execute(text("UPDATE export_job SET not_before = 0"))


async def test_a_job_that_is_called_off_while_a_file_is_written_leaves_nothing(here: Side) -> None:
    async def call_off(name: str) -> None:
        async with here.service.database.writing() as connection:
            assert await exports.cancel(connection, job)

    job = await here.kick_off()
    await Exporting(here.means).step()
    await Exporting(replace(here.means, files=Failing(here.folder, call_off))).step()
    await cleared(here.means)

    async with here.service.database.reading() as connection:
        assert await exports.read(connection, job) is None
        assert await connection.scalar(text("SELECT count(*) FROM export_job")) == 0
        assert await connection.scalar(text("SELECT count(*) FROM export_file")) == 0
        assert not await exports.cancel(connection, job)
    assert left(here) == []


async def test_what_has_expired_is_cleared_away_and_told_to_have_expired(here: Side) -> None:
    kept = await here.export()
    short = replace(here.means, keep_seconds=-1)
    job = await here.kick_off()
    await work(short)
    await cleared(here.means)

    assert (await here.exported(job)).job.state == "expired"
    assert (await here.exported(job)).files == []
    assert {each.parent.name for each in here.folder.rglob("*.ndjson")} == {kept.job.id}
    async with here.service.database.writing() as connection:
        await connection.execute(text("UPDATE export_job SET expires_at = 1"))
    await Clearing(here.means).step()
    await Clearing(here.means).step()
    assert await _jobs(here) == {kept.job.id: "expired"}
    assert left(here) == []


async def test_operators_see_jobs_by_state_and_what_waits(here: Side) -> None:
    done = await here.export()
    await here.kick_off()

    told = (await here.client.get("/metrics")).text.splitlines()

    waiting = next(float(each.split()[1]) for each in told if each.startswith("dermatome_export_oldest_seconds "))
    assert 0 <= waiting < 60
    assert 'dermatome_export_jobs{state="accepted"} 1.0' in told
    assert 'dermatome_export_jobs{state="complete"} 1.0' in told
    assert "dermatome_export_failing 0.0" in told
    assert f'dermatome_export_file_bytes{{state="complete"}} {sum(each.bytes for each in done.files):.1f}' in told


async def test_operators_see_exports_whose_files_cannot_be_written(here: Side) -> None:
    async def never(name: str) -> None:
        raise FilesUnavailable("The place cannot be written.")

    await here.kick_off()
    await Exporting(replace(here.means, files=Failing(here.folder, never))).step()

    told = (await here.client.get("/metrics")).text.splitlines()
    assert "dermatome_export_failing 1.0" in told
    assert "dermatome_export_done 0.0" in told


async def _jobs(here: Side) -> dict[str, str]:
    async with here.service.database.reading() as connection:
        return {row.id: row.state for row in await connection.execute(text("SELECT id, state FROM export_job"))}


async def test_several_workers_share_the_jobs_and_each_file_is_written_once(here: Side) -> None:
    jobs = [await here.kick_off() for _ in range(4)]
    written: list[str] = []

    class Noting(FolderFiles):
        @asynccontextmanager
        async def writing(self, name: str) -> AsyncIterator[Sink]:
            async with super().writing(name) as sink:
                written.append(name)
                yield sink

    async def worker(owner: str) -> None:
        doing = Exporting(replace(here.means, owner=owner, files=Noting(here.folder)))
        while (wait := await doing.step()) != float("inf"):
            await asyncio.sleep(min(wait, 0.02))

    await asyncio.gather(*(worker(each) for each in ("one", "two", "three")))

    stored = await here.stored()
    for job in jobs:
        assert sorted((await here.exported(job)).lines()) == stored
    assert len(written) == len(set(written)) == 4 * 3


async def test_an_export_still_finds_what_was_replaced_long_ago(here: Side) -> None:
    """Search values of versions that were replaced are forgotten, but not while an export shows them."""
    await here.put(observation("Patient/a", id="x"), *(observation("Patient/b", id=f"y{n}") for n in range(3)))
    asked = {"level": "patient", "types": ("Observation", "Patient"), "patients": ("a", "b")}
    job = await here.kick_off(**asked)
    await Exporting(here.means).step()
    await here.put(*(observation("Patient/c", id=each) for each in ("x", "y0", "y1", "y2")))
    async with here.service.database.writing() as connection:
        forgotten = await purge(connection, here.service.clock() + 60_000_000)
    await work(here.means)
    async with here.service.database.writing() as connection:
        after = await purge(connection, here.service.clock() + 60_000_000)

    found = sorted(_key(line) for line in (await here.exported(job)).lines())
    assert found == ["Observation/x", "Observation/y0", "Observation/y1", "Observation/y2", "Patient/a", "Patient/b"]
    assert (forgotten, after) == (0, 4)


async def test_a_search_that_means_something_else_meanwhile_ends_the_job(here: Side) -> None:
    def value_set(code: str) -> dict[str, object]:
        include = [{"system": "https://example.org/codes", "concept": [{"code": code}]}]
        made = {"resourceType": "ValueSet", "id": "v", "url": "https://example.org/v", "status": "active"}
        return made | {"compose": {"include": include}}

    await here.put(value_set("a"), *(observation(id=f"o{n}") for n in range(4)))
    asked = {"types": ("Observation",), "filters": {"Observation": ("code:in=https://example.org/v",)}}
    job = await here.kick_off(**asked)
    await Exporting(here.means).step()
    await here.put(value_set("b"))
    await work(here.means)

    found = (await here.exported(job)).job
    assert (found.done, found.state) == (3, "failed")
    assert found.reason.startswith("A value set or code system of its searches, or the key")
