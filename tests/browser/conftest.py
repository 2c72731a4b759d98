"""Two services, one that tells the other, and a browser that looks at the first."""

import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.browser import course
from tests.builders import observation, patient
from tests.processes import Process, free_port
from tests.security.sides import clients_file
from tests.security.signers import private_keys

AXE = Path(__file__).parent.parent / "interop" / "node" / "node_modules" / "axe-core" / "axe.min.js"
# Read as HTML it would be a program.
HOSTILE = "<img src=x onerror=\"document.title='taken'\">"
_TARGET = """
[[target]]
name = "partner"
base_url = "{base}/fhir"
direction = "both"
types = ["Patient", "Observation"]
references = "keep"
pull_seconds = 3600
[target.conflict]
default = "manual"
"""


@dataclass
class Scene:
    """base: of the service; patient: whose pain goes on; refused, conflict: what the partner did not take."""

    base: str
    patient: str
    refused: str
    conflict: str


@dataclass
class Looking:
    """A page, and what went wrong in it."""

    page: Page
    base: str
    wrong: list[str] = field(default_factory=list)

    async def open(self, place: str) -> None:
        """Go there, and wait until it is shown."""
        await self.page.goto("about:blank")
        await self.page.goto(f"{self.base}/console#/{place}")
        await self.page.wait_for_selector("main h1")

    async def violations(self) -> list[Any]:
        """What axe finds, whatever its weight."""
        await self.page.evaluate(AXE.read_text("utf-8"))
        found = await self.page.evaluate("axe.run()")
        return [(one["id"], one["impact"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]

    @property
    def main(self) -> Any:
        return self.page.locator("main")


@pytest.fixture(scope="session")
def scene(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("scene")
    with _serving(sqlite_template, folder, "partner", {"DERMATOME_DANGLING_REFERENCES": "strict"}) as partner:
        targets = folder / "targets.toml"
        targets.write_text(_TARGET.format(base=partner.base))
        more = {"DERMATOME_SYNC_TARGETS": str(targets), "DERMATOME_SMALLEST_CELL": "1"}
        with (
            _serving(sqlite_template, folder, "here", more) as here,
            httpx.Client(base_url=here.base, timeout=60) as client,
            httpx.Client(base_url=partner.base) as other,
        ):
            yield _filled(here.base, client, other)


def _filled(base: str, client: httpx.Client, other: httpx.Client) -> Scene:
    # What they refer to is not told, so the partner refuses it.
    client.put("/fhir/Practitioner/p", json={"resourceType": "Practitioner", "id": "p"}).raise_for_status()
    refused = observation(id="refused", performer=[{"reference": "Practitioner/p"}])
    client.put("/fhir/Observation/refused", json=refused).raise_for_status()
    client.put("/fhir/Patient/hostile", json=patient(id="hostile", name=[{"text": HOSTILE}])).raise_for_status()
    client.put("/fhir/Patient/both", json=patient(id="both")).raise_for_status()
    _until(lambda: other.get("/fhir/Patient/both").status_code == 200)
    other.put("/fhir/Patient/both", json=patient(id="both", gender="other")).raise_for_status()
    client.put("/fhir/Patient/both", json=patient(id="both", gender="unknown")).raise_for_status()
    _until(lambda: bool(client.get("/sync/conflicts").json()["items"]))
    _until(lambda: bool(client.get("/sync/dead-letters").json()["items"]))
    return Scene(base, course.record(client), "Observation/refused", "Patient/both")


def _until(is_so: Any) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.1)


def _serving(template: Path, folder: Path, name: str, more: dict[str, str]) -> Process:
    shutil.copy(template, folder / f"{name}.db")
    settings = {
        "PORT": str(free_port()),
        "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{folder / f'{name}.db'}",
        "DERMATOME_EXPORT_FILES": str(folder / f"{name}-exports"),
    }
    return Process("serve", settings | more, log=folder / f"{name}.log")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "There is no Chromium here: apt-get install chromium."
    async with async_playwright() as playwright:
        # Nothing but our own pages is opened; in a container there is no sandbox to be had.
        own = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=path, args=own)
        yield browser
        await browser.close()


@pytest.fixture
async def looking(browser: Browser, scene: Scene, request: pytest.FixtureRequest) -> AsyncIterator[Looking]:
    """A page in the colours and size that a test asks for; whatever goes wrong in it fails the test."""
    given: dict[str, Any] = getattr(request, "param", {"viewport": {"width": 1280, "height": 900}})
    context = await browser.new_context(**given)
    made = Looking(await context.new_page(), scene.base)
    made.page.set_default_timeout(30_000)
    made.page.on("console", lambda said: made.wrong.append(said.text) if said.type in ("error", "warning") else None)
    made.page.on("pageerror", lambda error: made.wrong.append(str(error)))
    yield made
    await context.close()
    assert made.wrong == []


@pytest.fixture(scope="session")
def guarded(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A service that asks for tokens, and one that lets read patients and nothing else."""
    folder = tmp_path_factory.mktemp("guarded")
    more = {
        "DERMATOME_AUTH": "smart",
        "DERMATOME_KEYS": str(folder / "keys"),
        "DERMATOME_CLIENTS": str(clients_file(folder, {"desk": "system/Patient.rs"})),
    }
    own = folder / "own.jwks"
    own.write_text(private_keys("desk"))
    with _serving(sqlite_template, folder, "guarded", more) as process:
        asking = [sys.executable, "-m", "app", "access", "token", "desk", "--key", str(own)]
        base = ["--url", f"{process.base}/fhir", "--scope", "system/Patient.rs"]
        done = subprocess.run([*asking, *base], capture_output=True, text=True, timeout=60, check=True)
        yield process.base, done.stdout.strip()
