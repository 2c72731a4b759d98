"""Keeps what this release stores, so that later ones are tried on it: `python -m tools.stored_release`.

To be run when a version is released. A service takes the worked cases, changes, deletions, a merge and an erasure, with
a sync target that is not there; then its backup goes to tests/kept/releases/SCHEMA.zip, beside it what every version
is read as: tests/kept/test_releases.py restores it on either database and compares.
"""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from app.main import clock
from app.store import schema
from app.store.audit.seals import Sealing
from app.store.database import Database
from examples.demo import post_cases, server

RELEASES = Path(__file__).parent.parent / "tests" / "kept" / "releases"
_NOBODY = '[[target]]\nname = "nobody"\nbase_url = "http://127.0.0.1:9/fhir"\n'
KEY = {"Idempotency-Key": "kept"}
ASKED: dict[str, Any] = {"resourceType": "Patient", "active": True, "extension": [{"url": "http://example.org/n"}]}
ASKED["extension"][0]["valueString"] = "once"


def main() -> int:
    """Write both files; answers the exit code."""
    backup, told = RELEASES / f"{schema.newest()}.zip", RELEASES / f"{schema.newest()}.json"
    RELEASES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        targets = folder / "targets.toml"
        targets.write_text(_NOBODY)
        url = f"sqlite+aiosqlite:///{folder}/kept.db"
        settings = {"DERMATOME_SYNC_TARGETS": str(targets), "DERMATOME_DATABASE_URL": url}
        with server(folder, "kept", settings) as here:
            once = _fill(here)
            versions = dict(_versions(here))
        asyncio.run(_seal(url))
        told.write_text(json.dumps({"once": once, "versions": versions}, indent=1, sort_keys=True) + "\n", "utf-8")
        backup.unlink(missing_ok=True)
        command = [sys.executable, "-m", "app", "backup", str(backup)]
        subprocess.run(command, env=os.environ | {"DERMATOME_DATABASE_URL": url}, check=True)
    return 0


async def _seal(url: str) -> None:
    async with Database(url) as database:
        await Sealing(database, clock).work()


def _fill(here: httpx.Client) -> str:
    """Write in every way. Answers the body that was answered to what was asked under a key."""
    post_cases(here)
    once = here.post("/fhir/Patient", json=ASKED, headers=KEY)
    for name in ("changed", "gone", "merged", "erased"):
        for is_active in (True, False):
            body = {"resourceType": "Patient", "id": name, "active": is_active}
            assert here.put(f"/fhir/Patient/{name}", json=body).status_code in (200, 201)
    assert here.delete("/fhir/Patient/gone").status_code == 204
    both = [("source-patient", "Patient/merged"), ("target-patient", "Patient/changed")]
    asked = [{"name": name, "valueReference": {"reference": reference}} for name, reference in both]
    _operate(here, "/fhir/Patient/$merge", asked)
    would = _operate(here, "/fhir/Patient/erased/$erase", [])["parameter"]
    _operate(here, "/fhir/Patient/erased/$erase", [one for one in would if one["name"] == "confirm"])
    return once.text


def _operate(here: httpx.Client, address: str, parameters: list[dict[str, Any]]) -> Any:
    answer = here.post(address, json={"resourceType": "Parameters", "parameter": parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def _versions(here: httpx.Client) -> list[tuple[str, str]]:
    """Every version that can be read, and the SHA-256 of what is answered."""
    found: list[tuple[str, str]] = []
    address = "/fhir/_history?_count=500"
    while address:
        page = here.get(address).json()
        for one in page["entry"]:
            if resource := one.get("resource"):
                name = f"{resource['resourceType']}/{resource['id']}/_history/{resource['meta']['versionId']}"
                found.append((name, hashlib.sha256(here.get(f"/fhir/{name}").content).hexdigest()))
        address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return found


if __name__ == "__main__":
    sys.exit(main())
