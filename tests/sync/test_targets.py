"""Targets by the admin API: made, shown, changed, taken away; and what is refused of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.answers import issues
from tests.builders import observation, patient
from tests.conftest import serving

Json = dict[str, Any]
TARGET: Json = {"name": "registry", "base_url": "https://registry.example.org/fhir"}


@pytest.fixture
async def here(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A server with one target in its file, a secret, and no worker."""
    file, secrets = tmp_path / "targets.toml", tmp_path / "secrets"
    file.write_text('[[target]]\nname = "partner"\nbase_url = "http://10.1.2.3/fhir"\ntypes = ["Observation"]\n')
    secrets.mkdir()
    (secrets / "registry-key").write_text("not to be shown\n")
    settings = Settings(
        database_url=database_url, log_level="error", worker="separate", sync_targets=file, secrets=secrets
    )
    async with serving(settings) as client:
        yield client


async def test_a_target_is_made_told_changed_and_taken_away(here: httpx.AsyncClient) -> None:
    auth = {"kind": "bearer", "secret": "registry-key"}

    made = await here.post("/sync/targets", json={**TARGET, "auth": auth})
    await here.put("/fhir/Patient/p", json=patient(id="p"))
    changed = await here.put("/sync/targets/registry", json={**TARGET, "direction": "pull"})
    await here.put("/fhir/Patient/later", json=patient(id="later"))
    queue = (await here.get("/sync/queue?target=registry")).json()["items"]
    kept = await here.delete("/sync/targets/registry")
    gone = await here.delete("/sync/targets/registry?force=true")

    assert (made.status_code, made.headers["location"]) == (201, "http://dermatome.test/sync/targets/registry")
    assert made.json()["auth"] == auth
    assert "not to be shown" not in made.text
    assert (changed.status_code, changed.json()["direction"]) == (200, "pull")
    assert [one["reference"] for one in queue] == ["Patient/p"]
    assert (kept.status_code, gone.status_code) == (409, 204)
    assert (await here.get("/sync/targets/registry")).status_code == 404
    assert (await here.get("/sync/queue?target=registry")).json()["items"] == []


async def test_a_condition_on_a_target_is_refused_and_not_passed_over(here: httpx.AsyncClient) -> None:
    await here.post("/sync/targets", json=TARGET)
    tag = {"If-Match": 'W/"1"'}

    answers = [
        await here.post("/sync/targets", json={**TARGET, "name": "other"}, headers=tag),
        await here.put("/sync/targets/registry", json={**TARGET, "direction": "pull"}, headers=tag),
        await here.delete("/sync/targets/registry", headers=tag),
    ]

    assert [(each.status_code, issues(each)[0]["code"]) for each in answers] == [(400, "not-supported")] * 3
    assert (await here.get("/sync/targets/registry")).json()["direction"] == TARGET.get("direction", "push")
    assert (await here.get("/sync/targets/other")).status_code == 404


async def test_a_new_target_is_told_of_what_is_here_unless_that_is_not_wanted(here: httpx.AsyncClient) -> None:
    await here.put("/fhir/Patient/p", json=patient(id="p"))

    await here.post("/sync/targets", json=TARGET)
    await here.post("/sync/targets?backfill=false", json={**TARGET, "name": "quiet"})

    status = {one["target"]: one for one in (await here.get("/sync/status")).json()["targets"]}
    assert (status["registry"]["backfilling"], status["quiet"]["backfilling"]) == (True, False)


async def test_what_stands_in_the_file_is_changed_there(here: httpx.AsyncClient) -> None:
    shown = {one["name"]: one["origin"] for one in (await here.get("/sync/targets")).json()["targets"]}
    answers = [
        await here.post("/sync/targets", json={**TARGET, "name": "partner"}),
        await here.put("/sync/targets/partner", json={**TARGET, "name": "partner"}),
        await here.delete("/sync/targets/partner"),
    ]

    assert shown == {"partner": "file"}
    assert [one.status_code for one in answers] == [409, 409, 409]
    assert all("OperationOutcome" in one.text for one in answers)


BAD: list[tuple[Json, list[str]]] = [
    ({"base_url": "ftp://registry.example.org/fhir"}, ["base_url"]),
    ({"base_url": "https://user:word@registry.example.org/fhir"}, ["base_url"]),
    ({"base_url": "https://registry.example.org/fhir?x=1"}, ["base_url"]),
    ({"base_url": "http://10.0.0.5/fhir"}, ["base_url"]),
    ({"base_url": "http://169.254.169.254/latest"}, ["base_url"]),
    ({"base_url": "http://[::ffff:192.168.0.1]/fhir"}, ["base_url"]),
    ({"base_url": "http://127.1:8000/fhir"}, ["base_url"]),
    ({"base_url": "http://2130706433:8000/fhir"}, ["base_url"]),
    ({"base_url": "http://localhost.:8000/fhir"}, ["base_url"]),
    ({"name": "Not A Name"}, ["name"]),
    ({"colour": "red"}, ["colour"]),
    ({"direction": "sideways", "batch_size": 0}, ["batch_size", "direction"]),
    ({"types": ["Patience"], "filters": ["Observation?colour=red"]}, ["filters[0]", "types[0]"]),
    ({"filters": ["Observation"]}, ["filters"]),
    ({"auth": {"kind": "bearer", "secret": "unheard-of"}}, ["auth.secret"]),
    ({"auth": {"kind": "smart", "client_id": "x"}}, ["auth.key"]),
    ({"tls": {"certificate": "registry-key"}}, ["tls"]),
    ({"conflict": {"elements": {"Observation.colour": "ours"}}}, ["conflict.elements"]),
]


@pytest.mark.parametrize(("change", "where"), BAD, ids=lambda value: str(value)[:60])
async def test_a_definition_that_cannot_be_used_is_refused_with_all_that_is_wrong(
    here: httpx.AsyncClient, change: Json, where: list[str]
) -> None:
    answer = await here.post("/sync/targets", json={**TARGET, **change})

    found = issues(answer)
    assert answer.status_code == 422, answer.text
    assert sorted(issue["expression"][0] for issue in found) == where
    assert "word" not in answer.text
    assert [one["name"] for one in (await here.get("/sync/targets")).json()["targets"]] == ["partner"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"name":', b"\xff"])
async def test_a_body_that_is_no_definition_is_refused(here: httpx.AsyncClient, body: bytes) -> None:
    answer = await here.post("/sync/targets", content=body)

    assert answer.status_code == 422, answer.text


async def test_a_target_made_by_another_process_is_told_from_its_next_write_on(
    here: httpx.AsyncClient, database_url: str
) -> None:
    await here.put("/fhir/Observation/o", json=observation(id="o"))
    settings = Settings(database_url=database_url, log_level="error", worker="separate")
    async with serving(settings) as other:
        # A process without the file, as one of another release, forgets what no file holds any more.
        await other.post("/sync/targets?backfill=false", json=TARGET)
        await here.put("/fhir/Patient/p", json=patient(id="p"))

    queue = (await here.get("/sync/queue?target=registry")).json()["items"]
    assert [one["reference"] for one in queue] == ["Patient/p"]
