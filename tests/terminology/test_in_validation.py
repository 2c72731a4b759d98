"""What $validate and `dermatome validate` make of an outside terminology server; writes never ask it."""

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.conftest import serving
from tests.processes import ROOT, free_port, inherited
from tests.terminology.other_server import SNOMED, VALUE_SET, OtherServer, running
from tests.validation.samples import OBSERVATION, changed

TX = "dmt-terminology"


def coded(*codes: str, **more: str) -> dict[str, Any]:
    """An Observation whose method has these SNOMED CT codes."""
    return changed(OBSERVATION, "method", {"coding": [{"system": SNOMED, "code": code, **more} for code in codes]})


def profile(strength: str) -> dict[str, Any]:
    """A profile that binds the method to a value set which is not held here."""
    binding = {"strength": strength, "valueSet": VALUE_SET}
    return {
        "resourceType": "StructureDefinition",
        "id": f"methods-{strength}",
        "url": f"https://example.org/StructureDefinition/methods-{strength}",
        "name": "Methods",
        "status": "active",
        "fhirVersion": "4.0.1",
        "kind": "resource",
        "abstract": False,
        "type": "Observation",
        "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
        "differential": {"element": [{"id": "Observation.method", "path": "Observation.method", "binding": binding}]},
    }


@pytest.fixture(scope="module")
def other() -> Iterator[OtherServer]:
    with running() as server:
        yield server


class Asker:
    """The application with a terminology server that answers in one way."""

    def __init__(self, folder: Path, address: str) -> None:
        for strength in ("required", "extensible"):
            (folder / f"{strength}.json").write_text(json.dumps(profile(strength)))
        settings = Settings(
            database_url=f"sqlite+aiosqlite:///{folder / 'd.db'}",
            packages=folder,
            terminology_server=address,
            log_level="error",
        )
        self.application = serving(settings)

    async def __aenter__(self) -> "Asker":
        self.client: httpx.AsyncClient = await self.application.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.application.__aexit__(*error)

    async def told(self, resource: dict[str, Any], strength: str = "") -> list[tuple[str, str]]:
        """Severity and diagnostics of what is said about the method."""
        query = f"?profile={profile(strength)['url']}" if strength else ""
        answer = await self.client.post(f"/fhir/$validate{query}", json=resource)
        assert answer.status_code == 200
        about = [each for each in answer.json()["issue"] if "Observation.method" in each.get("expression", [""])[0]]
        return [(each["severity"], each["diagnostics"]) for each in about]


@pytest.fixture
async def good(other: OtherServer, tmp_path: Path) -> AsyncIterator[Asker]:
    other.asked.clear()
    async with Asker(tmp_path, f"{other.base}/good") as asker:
        yield asker


async def test_a_right_code_says_which_server_said_so_and_when(good: Asker, other: OtherServer) -> None:
    [(severity, text)] = await good.told(coded("1"))

    assert severity == "information"
    assert f"The code is right, says {other.base}/good on 20" in text


async def test_a_wrong_code_is_an_error_whatever_the_binding(good: Asker) -> None:
    [(severity, text)] = await good.told(coded("9"))

    assert severity == "error"
    assert f"not in the code system {SNOMED}" in text


@pytest.mark.parametrize(("strength", "severity"), [("required", "error"), ("extensible", "warning")])
async def test_a_code_outside_the_value_set_is_as_bad_as_its_binding(good: Asker, strength: str, severity: str) -> None:
    found = await good.told(coded("2"), strength)

    assert severity in [each for each, text in found if VALUE_SET in text]


async def test_one_right_code_of_a_concept_is_enough_for_its_binding(good: Asker) -> None:
    found = await good.told(coded("2", "1"), "required")

    assert {severity for severity, _ in found} == {"information"}


@pytest.mark.parametrize("strength", ["", "required"])
async def test_a_wrong_display_is_one_warning_with_the_right_one(good: Asker, strength: str) -> None:
    found = await good.told(coded("1", display="Fisrt"), strength)

    warnings = [text for severity, text in found if severity != "information"]
    assert len(warnings) == 1
    assert "The display is not one of this code" in warnings[0]


@pytest.mark.parametrize("way", ["broken", "page", "refusing", "nested"])
async def test_a_server_without_an_answer_leaves_the_verdict_as_it_is(
    other: OtherServer, tmp_path: Path, way: str
) -> None:
    async with Asker(tmp_path, f"{other.base}/{way}") as asker:
        [(severity, text)] = await asker.told(coded("1"))

    assert severity == "information"
    assert "Not checked here" in text
    assert f"Asked {other.base}/{way}: " in text


async def test_a_server_that_is_away_costs_no_error(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}/r4"

    async with Asker(tmp_path, address) as asker:
        [(severity, text)] = await asker.told(coded("1"))

    assert (severity, f"Asked {address}: it cannot be reached" in text) == ("information", True)


async def test_a_write_never_asks(other: OtherServer, tmp_path: Path) -> None:
    other.asked.clear()
    started = time.monotonic()

    async with Asker(tmp_path, f"{other.base}/slow") as asker:
        answer = await asker.client.post("/fhir/Observation", json=coded("9"))

    assert (answer.status_code, other.asked) == (201, [])
    assert time.monotonic() - started < 10


async def test_without_the_setting_nobody_is_asked(other: OtherServer, tmp_path: Path) -> None:
    other.asked.clear()

    async with Asker(tmp_path, "") as asker:
        [(severity, text)] = await asker.told(coded("9"))

    assert (severity, other.asked) == ("information", [])
    assert text.endswith("Not checked here: a code system that is not held.")


def command(folder: Path, address: str, *resources: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    for number, resource in enumerate(resources):
        (folder / f"{number}.json").write_text(json.dumps(resource))
    return subprocess.run(
        [sys.executable, "-m", "app", "validate", "--format", "json", str(folder)],
        cwd=ROOT,
        env=inherited() | {"DERMATOME_TERMINOLOGY_SERVER": address},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_asks_too(other: OtherServer, tmp_path: Path) -> None:
    other.asked.clear()

    done = command(tmp_path, f"{other.base}/good", coded("1"), coded("9"), coded("1"))

    rules = [[each["rule"] for each in json.loads(line)["issues"]] for line in done.stdout.splitlines()]
    assert rules == [[f"{TX}-valid"], [f"{TX}-invalid"], [f"{TX}-valid"]]
    assert [parts["code"] for _, _, parts in other.asked] == ["1", "9"]
    assert done.returncode == 1


def test_the_command_names_a_wrong_address(tmp_path: Path) -> None:
    done = command(tmp_path, "tx.example.org", coded("1"))

    assert (done.returncode, "--terminology-server" in done.stderr) == (2, True)
