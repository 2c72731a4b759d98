"""What `dermatome backup` writes, `dermatome restore` brings back, on either kind of database; or nothing of it."""

import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.keeping_commands import work
from app.keeping_commands.archive import Damaged
from app.keeping_commands.checking import check
from app.main import make_service
from app.service import Service
from app.settings import Settings
from app.store.audit.seals import Sealing, verify
from app.store.database import Database, Interrupted
from app.store.kept import filling
from app.store.kept.rows import counted, tables
from tests.builders import MEDICAL_RECORD, bundle, entry, observation, patient
from tests.conftest import fresh, serving

KINDS = ("sqlite", "postgresql")


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An empty database of the other kind."""
    kind = KINDS[request.node.callspec.params["bare_database_url"] == "sqlite"]
    (tmp_path / "empty").mkdir()
    yield from fresh(request, tmp_path / "empty", kind, is_bare=True)


def quiet(_: str, __: int) -> None:
    """Progress is not looked at."""


def settings_of(url: str) -> Settings:
    return Settings(database_url=url, log_level="error", worker="separate")


async def filled(url: str) -> tuple[str, dict[str, Any]]:
    """Write through the service; the place in $changes after it, and the newest Patient."""
    async with serving(settings_of(url)) as client:
        full = "urn:uuid:6f2a1d3e-9c47-4b8a-a1f0-2d4e6c8b0a17"
        asked = bundle(entry(patient("MRN-1", name=[{"family": "Müller"}]), full_url=full), entry(observation(full)))
        made = await client.post("/fhir", json=asked, headers={"Idempotency-Key": "k"})
        assert made.status_code == 200
        await client.put("/fhir/Patient/p", json=patient(id="p", active=True))
        await client.put("/fhir/Patient/p", json=patient(id="p", active=False))
        await client.delete("/fhir/Patient/p")
        place = httpx.URL((await client.get("/fhir/$changes")).json()["link"][-1]["url"]).params["after"]
        await client.put("/fhir/Patient/later", json=patient(id="later"))
        return place, made.json()


async def restored(service: Service, path: Path) -> None:
    await work.restore(service.database, path, quiet)
    await service.reindexer.prepare()
    await service.reindexer.work()


async def test_a_backup_brings_everything_back_on_the_other_kind_of_database(
    bare_database_url: str, empty_url: str, tmp_path: Path
) -> None:
    place, _ = await filled(bare_database_url)
    path = tmp_path / "one.zip"
    async with Database(bare_database_url) as database:
        sealing = Sealing(database, lambda: 1)
        for _ in range(2):
            await sealing.work()
        manifest = await work.back_up(database, path, quiet)
    service = make_service(settings_of(empty_url), works=False)

    async with service.database:
        await service.database.migrate(is_restored=True)
        await restored(service, path)
        found = await check(service.database, service.parameters, "", lambda _: None, repair=False)
        async with service.database.reading() as connection:
            audit = await verify(connection)

    assert (audit.seals, audit.problems) == (1, [])
    assert audit.rows > 5
    assert manifest.tables["version"].rows > 5
    assert not found.has_damage, found
    assert found.compared
    async with serving(settings_of(empty_url)) as client:
        about = (await client.get(f"/fhir/Observation?subject:Patient.identifier={MEDICAL_RECORD}|MRN-1")).json()
        assert about["total"] == 1
        assert (await client.get("/fhir/Patient/p")).status_code == 410
        assert (await client.get("/fhir/Patient/p/_history/1")).json()["active"] is True
        assert (await client.get("/fhir/Patient?name:contains=MÜLL")).json()["total"] == 1
        # What was given before is of a past that may not have been.
        assert (await client.get("/fhir/$changes", params={"after": place})).status_code == 410
        new = await client.put("/fhir/Patient/new", json=patient(id="new"))
        assert new.status_code == 201
        first = (await client.get("/fhir/$changes")).json()["entry"]
        assert {"Patient/new", "Patient/later"} <= {each["fullUrl"].split("/fhir/")[1] for each in first}


async def test_a_backup_holds_one_moment_while_others_write(client: httpx.AsyncClient, tmp_path: Path) -> None:
    service: Service = client._transport.app.state.service  # type: ignore[attr-defined]
    path, written = tmp_path / "one.zip", 0

    async def write() -> None:
        nonlocal written
        written += 1
        answer = await client.put(f"/fhir/Patient/{written}", json=patient(id=str(written)))
        assert answer.status_code == 201

    async with service.database.reading() as connection:
        before = {name: (await counted(connection, table)).rows for name, table in tables().items()}
        for _ in range(5):
            await write()
        after = {name: (await counted(connection, table)).rows for name, table in tables().items()}
    await work.back_up(service.database, path, quiet)

    assert before == after
    with zipfile.ZipFile(path) as archive:
        assert archive.read("version.ndjson").count(b'"Patient"') == 5
    assert path.stat().st_mode & 0o077 == 0


async def _refused(url: str, path: Path) -> str:
    """What a restore is refused with; nothing of it is there afterwards."""
    async with Database(url) as database:
        await database.migrate(is_restored=True)
        with pytest.raises((Damaged, filling.NotEmpty)) as refused:
            await work.restore(database, path, quiet)
    return str(refused.value)


def changed(path: Path, folder: Path, name: str, old: bytes, new: bytes) -> Path:
    """The same archive with another text in one of its files, in this folder."""
    other = folder / f"changed-{name}.zip"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        for each in source.namelist():
            text = source.read(each)
            target.writestr(each, text.replace(old, new) if each == name else text)
    return other


async def test_what_is_not_whole_is_not_restored(bare_database_url: str, empty_url: str, tmp_path: Path) -> None:
    await filled(bare_database_url)
    path = tmp_path / "one.zip"
    async with Database(bare_database_url) as database:
        await work.back_up(database, path, quiet)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(path.read_bytes()[:-500])
    other = changed(path, tmp_path, "content.ndjson", b"MRN-1", b"MRN-2")
    newer = changed(path, tmp_path, "manifest.json", b'"schema": "', b'"schema": "9')

    assert "no whole backup" in await _refused(empty_url, cut)
    assert "content" in await _refused(empty_url, other)
    assert "schema" in await _refused(empty_url, newer)
    assert "version" in await _refused(bare_database_url, path)

    async with Database(empty_url) as database:
        # A file that is no good was found out before, or after the mark was set; there is no row in any case.
        async with database.reading() as connection:
            assert (await counted(connection, tables()["version"])).rows == 0
        with pytest.raises(Interrupted):
            await database.migrate()
        await database.migrate(is_restored=True)
        await work.restore(database, path, quiet)
        await database.migrate()
