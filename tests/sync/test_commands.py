"""`dermatome sync`, on the database of a service, with another service as target."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app import cli
from app.settings import Settings
from tests.builders import observation, patient
from tests.conftest import serving
from tests.processes import Process, free_port

UNKNOWN = {"profile": ["https://example.org/StructureDefinition/nobody-knows-it"]}
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that refuses what claims a profile it does not know."""
    folder = tmp_path_factory.mktemp("there")
    settings = {
        "PORT": str(free_port()),
        "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'there.db'}",
        "DERMATOME_UNKNOWN_PROFILES": "error",
    }
    with Process("serve", settings, log=folder / "there.log") as process:
        yield process.base


@pytest.fixture
def run(there: str, database_url: str, tmp_path: Path) -> Run:
    """Runs a command; answers its exit code and what it printed."""
    lines = []
    for name, base, direction in (
        ("partner", there, "push"),
        ("source", there, "pull"),
        ("mutual", there, "both"),
        ("nobody", f"http://127.0.0.1:{free_port()}", "push"),
    ):
        types = f'types = ["Patient", "Observation"]\ndirection = "{direction}"\noverlap_seconds = 0\n'
        lines.append(f'[[target]]\nname = "{name}"\nbase_url = "{base}/fhir"\n{types}')
    (tmp_path / "targets.toml").write_text("\n".join(lines))
    settings = {
        "DERMATOME_DATABASE_URL": database_url,
        "DERMATOME_SYNC_TARGETS": str(tmp_path / "targets.toml"),
        "DERMATOME_LOG_LEVEL": "error",
    }

    def run(*asked: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli.app, ["sync", *asked], env=settings)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, " ".join(done.output.split())

    return run


def write(database_url: str, *resources: dict[str, Any]) -> None:
    async def written() -> None:
        async with serving(Settings(database_url=database_url, log_level="error", worker="separate")) as here:
            for one in resources:
                answer = await here.put(f"/fhir/{one['resourceType']}/{one['id']}", json=one)
                assert answer.status_code == 201, answer.text

    asyncio.run(written())


def test_a_backfill_ends_though_something_is_refused_and_what_refers_to_it_waits(
    run: Run, there: str, database_url: str
) -> None:
    own = database_url.split(":")[0].replace("+", "-")
    refused = patient(id=f"{own}-bad", meta=UNKNOWN)
    subject = f"Patient/{own}-bad"
    write(database_url, refused, observation(subject, id=f"{own}-waits"), patient(id=f"{own}-good"))

    code, said = run("backfill", "partner")

    assert (code, "3 noted, 1 dead letters, 1 wait for these" in said) == (1, True), said
    assert httpx.get(f"{there}/fhir/Patient/{own}-good").status_code == 200
    assert run("status")[0] == 1
    code, said = run("verify", "partner")
    # What other tests left there is read meanwhile, and told too.
    assert (code, "waiting: in the outbox" in said, f"Observation/{own}-waits" in said) == (0, True, True), said
    code, said = run("dead-letters", "list", "partner")
    found = re.search(rf"(\d+) \S? ?{subject}", said)
    assert (code, bool(found)) == (0, True), said
    number = found[1] if found else ""
    assert run("dead-letters", "replay", "partner", number)[0] == 0
    assert run("backfill", "partner")[0] == 1
    assert run("dead-letters", "discard", "partner", number) == (0, "1 is given up")
    assert f"refers to {subject}" in run("dead-letters", "list", "partner")[1]
    assert run("dead-letters", "replay", "partner", number)[0] == 2


def test_what_is_there_is_pulled_and_compared(run: Run, there: str, database_url: str) -> None:
    own = database_url.split(":")[0].replace("+", "-")
    for one in (patient(id=f"{own}-theirs"), observation(f"Patient/{own}-theirs", id=f"{own}-theirs")):
        answer = httpx.put(f"{there}/fhir/{one['resourceType']}/{one['id']}", json=one)
        assert answer.status_code == 201, answer.text

    code, said = run("verify", "source")
    assert (code, "to be read: written there" in said) == (0, True), said
    code, said = run("pull", "source")
    assert (code, "2 of 2 read, 0 resources in quarantine" in said) == (0, True), said
    httpx.delete(f"{there}/fhir/Observation/{own}-theirs")
    code, said = run("verify", "source", "--sample", "1")
    assert (code, f"1 still here: deleted there, and still here Observation/{own}-theirs" in said) == (1, True), said
    assert run("verify", "source", "--repair")[0] == 1
    assert run("verify", "source", "--sample", "1")[0] == 0


def test_of_a_target_that_is_told_and_read_each_difference_is_found_once(
    run: Run, there: str, database_url: str
) -> None:
    own = f"{database_url.split(':')[0].replace('+', '-')}-mutual"
    write(database_url, patient(id=own), observation(f"Patient/{own}", id=own))
    assert run("backfill", "mutual")[0] == 0
    assert run("pull", "mutual")[0] == 0
    code, said = run("verify", "mutual", "--sample", "1")
    assert (code, " 0 differ" in said) == (0, True), said

    changed = httpx.put(f"{there}/fhir/Patient/{own}", json=patient(id=own, active=True))
    httpx.delete(f"{there}/fhir/Observation/{own}")

    assert changed.status_code == 200
    code, said = run("verify", "mutual", "--sample", "1")
    assert (code, "1 to be read" in said, "1 still here" in said, " 1 differ" in said) == (1, True, True, True), said
    assert run("verify", "mutual", "--repair")[0] == 1
    assert run("pull", "mutual")[0] == 0
    assert run("backfill", "mutual")[0] == 0
    code, said = run("verify", "mutual", "--sample", "1")
    assert (code, " 0 differ" in said) == (0, True), said
    assert httpx.get(f"{there}/fhir/Observation/{own}").status_code == 410


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("verify", "nobody"), "nobody cannot be compared"),
        (("verify", "unknown"), "there are: mutual, nobody, partner, source"),
        (("pull", "partner"), "its direction is push"),
        (("backfill", "source"), "its direction is pull"),
    ],
)
def test_what_cannot_be_done_is_told(run: Run, asked: tuple[str, ...], told: str) -> None:
    code, said = run(*asked)

    assert (code, told in said) == (2, True), said
