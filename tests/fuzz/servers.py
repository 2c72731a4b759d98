"""The service as a process of its own, on a database of its own."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.postgres import new_database
from tests.postgres import server as postgres
from tests.processes import ROOT, Process, free_port, inherited

HOST = "127.0.0.1"
_SCOPES = "system/*.cruds system/AuditEvent.rs dermatome/admin dermatome/metrics"


@dataclass(frozen=True)
class Server:
    """A service that runs. token: for everything, where it asks for one."""

    port: int
    pid: int
    log: Path
    token: str = ""

    def unexpected(self) -> list[str]:
        """The lines of the log that tell of errors nobody expected."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return [line[:2_000] for line in lines if "unexpected error" in line or "Traceback" in line]


@contextmanager
def running(kind: str, auth: str = "off") -> Iterator[Server]:
    """A service on a fresh database of that kind, as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="dermatome-fuzz-"))
    try:
        with _database(kind, folder) as url, _serving(url, auth, folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _serving(url: str, auth: str, folder: Path) -> Iterator[Server]:
    port, log = free_port(), folder / "log"
    settings = {
        "PORT": str(port),
        "DERMATOME_DATABASE_URL": url,
        "DERMATOME_EXPORT_FILES": str(folder / "exports"),
        "DERMATOME_KEYS": str(folder / "keys"),
    }
    if auth == "smart":
        settings |= _guarded(port, folder)
    with Process("serve", settings, log=log) as process:
        yield Server(port, process.pid, log, _token(port, folder) if auth == "smart" else "")


def _guarded(port: int, folder: Path) -> dict[str, str]:
    """The settings of a service that asks for tokens, with one client that may do everything, as often as it likes."""
    clients = folder / "clients.toml"
    clients.write_text(_command("access", "client", "fuzz", "--key", str(folder / "key.json"), "--scopes", _SCOPES))
    return {
        "DERMATOME_AUTH": "smart",
        "DERMATOME_CLIENTS": str(clients),
        "DERMATOME_PUBLIC_URL": f"http://{HOST}:{port}",
        "DERMATOME_TOKEN_SECONDS": "3600",
        "DERMATOME_REQUESTS_PER_SECOND": "0",
        "DERMATOME_OPEN_DOCS": "true",
    }


def _token(port: int, folder: Path) -> str:
    key, base = str(folder / "key.json"), f"http://{HOST}:{port}/fhir"
    return _command("access", "token", "fuzz", "--key", key, "--url", base, "--scope", _SCOPES).strip()


def _command(*words: str) -> str:
    command = [sys.executable, "-m", "app", *words]
    return subprocess.run(command, cwd=ROOT, env=inherited(), capture_output=True, text=True, check=True).stdout


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite+aiosqlite:///{folder}/dermatome.db"
        return
    with postgres() as server:
        yield new_database(server)
