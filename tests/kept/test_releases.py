"""What an earlier release kept is kept by this one: its backup is restored, its tables are upgraded, all is as it was.

The files in releases/ are made by `python -m tools.stored_release` when a version is released, and never changed.
"""

import hashlib
import json
from pathlib import Path

import pytest

from app.keeping_commands.archive import Damaged
from app.keeping_commands.checking import check
from app.main import make_service
from app.store import schema
from app.store.audit.seals import verify
from app.store.kept.rows import counted, tables
from tests.conftest import serving
from tests.kept.test_backup import changed, restored, settings_of
from tools.stored_release import ASKED, KEY, RELEASES

BACKUPS = sorted(RELEASES.glob("*.zip"))
pytestmark = pytest.mark.parametrize("backup", BACKUPS, ids=lambda path: path.stem)


async def test_every_version_is_read_as_before(bare_database_url: str, backup: Path) -> None:
    told = json.loads(backup.with_suffix(".json").read_text("utf-8"))
    await _restored(bare_database_url, backup)

    async with serving(settings_of(bare_database_url)) as client:
        found = {name: (await client.get(f"/fhir/{name}")).content for name in told["versions"]}
        again = await client.post("/fhir/Patient", json=ASKED, headers=KEY)
        gone = [(await client.get(f"/fhir/Patient/{name}")).status_code for name in ("gone", "erased")]
        merged = (await client.get("/fhir/Patient/merged")).json()
        patients = (await client.get("/fhir/Patient?_summary=count")).json()["total"]
        waiting = (await client.get("/sync/status")).json()["targets"]

    assert {name: hashlib.sha256(body).hexdigest() for name, body in found.items()} == told["versions"]
    # What was answered under a key is answered again, and nothing made.
    assert (again.status_code, again.text) == (201, told["once"])
    assert gone == [410, 410]
    assert merged["link"][0]["type"] == "replaced-by"
    assert patients == len({name.split("/")[1] for name in told["versions"] if name.startswith("Patient/")} - {"gone"})
    assert [(one["target"], one["pending"] > 100) for one in waiting] == [("nobody", True)]


async def test_it_fits_together_and_what_was_noted_is_sealed_as_before(bare_database_url: str, backup: Path) -> None:
    await _restored(bare_database_url, backup)

    service = make_service(settings_of(bare_database_url), works=False)
    async with service.database as database:
        found = await check(database, service.parameters, "", lambda _: None, repair=False)
        async with database.reading() as connection:
            audit = await verify(connection)

    assert not found.has_damage, found
    assert audit.seals
    assert audit.problems == []


async def _restored(url: str, backup: Path) -> None:
    service = make_service(settings_of(url), works=False)
    async with service.database as database:
        await database.migrate(is_restored=True)
        await restored(service, backup)


@pytest.mark.parametrize(("claimed", "told"), [("0001", "there are no backups"), ("0010", "its tables are not those")])
async def test_what_claims_an_earlier_schema_than_it_has_leaves_nothing(
    bare_database_url: str, backup: Path, claimed: str, told: str, tmp_path: Path
) -> None:
    schemas = (f'"schema": "{each}"'.encode() for each in (backup.stem, claimed))
    wrong = changed(backup, tmp_path, "manifest.json", *schemas)
    service = make_service(settings_of(bare_database_url), works=False)

    async with service.database as database:
        await database.migrate(is_restored=True)
        with pytest.raises(Damaged, match=told):
            await restored(service, wrong)
        async with database.reading() as connection:
            assert await database.revision(connection) == schema.newest()
            assert (await counted(connection, tables()["version"])).rows == 0
        await restored(service, backup)
        async with database.reading() as connection:
            assert (await counted(connection, tables()["version"])).rows > 0
