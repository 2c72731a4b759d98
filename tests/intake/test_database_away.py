"""A database that cannot take a write now: told per entry, and nothing of it kept."""

import sqlite3
from pathlib import Path

import pytest

from app.settings import Settings
from tests.answers import count, issues
from tests.builders import bundle, entry, patient
from tests.conftest import serving


async def test_a_locked_database_is_told_entry_by_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.database.BUSY_SECONDS", 0.1)
    file = tmp_path / "locked.db"
    async with serving(Settings(database_url=f"sqlite+aiosqlite:///{file}", log_level="error")) as client:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        alone = await client.post("/fhir/Patient", json=patient())
        batch = await client.post("/fhir", json=bundle(entry(patient()), entry(patient()), kind="batch"))
        found = await count(client, "Patient")
        other.execute("ROLLBACK")
        after = await client.post("/fhir/Patient", json=patient())

    assert (alone.status_code, alone.headers["retry-after"], issues(alone)[0]["code"]) == (503, "2", "transient")
    assert [one["response"]["status"] for one in batch.json()["entry"]] == ["503", "503"]
    assert (found, after.status_code) == (0, 201)
