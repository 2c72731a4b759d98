"""Export jobs without a server: done step by step, and compared with what the store holds."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from app.export.asked import Asked
from app.export.clearing import Clearing
from app.export.files import FolderFiles
from app.export.means import Means
from app.export.running import Exporting
from app.export.writing import Limits
from app.service import Service
from app.settings import Settings
from app.store import exports
from app.store.tables import ExportFile, ExportJob
from app.working import export_means
from tests.conftest import serving

BASE = "http://dermatome.test/fhir"
_CURRENT = text(
    "SELECT text FROM content JOIN version ON version.vid = content.vid WHERE version.until IS NULL AND type IN "
    "('Patient', 'Observation', 'Condition', 'Group', 'Provenance')"
)
TYPES = ("Condition", "Group", "Observation", "Patient", "Provenance")


@dataclass(frozen=True)
class Side:
    """A server whose exports the test itself does, and a client of it."""

    client: httpx.AsyncClient
    service: Service
    means: Means
    folder: Path

    async def put(self, *resources: dict[str, Any]) -> None:
        """Store resources under their ids, one by one."""
        for each in resources:
            answer = await self.client.put(f"/fhir/{each['resourceType']}/{each['id']}", json=each)
            assert answer.is_success, answer.text

    async def kick_off(self, **asked: Any) -> str:
        """The id of a new job."""
        job = uuid.uuid4().hex
        made = Asked(**{"level": "system", "types": TYPES, "request": f"{BASE}/$export", **asked})
        async with self.service.database.writing() as connection:
            await exports.create(connection, job, made.text, at=self.service.clock())
        return job

    async def export(self, **asked: Any) -> "Exported":
        """An export, done."""
        job = await self.kick_off(**asked)
        await work(self.means)
        return await self.exported(job)

    async def exported(self, job: str) -> "Exported":
        async with self.service.database.reading() as connection:
            found = await exports.read(connection, job)
            files = await exports.files(connection, job)
        assert found is not None
        contents = {each.name: (self.folder / job / each.name).read_bytes() for each in files}
        return Exported(found, files, contents)

    async def stored(self) -> list[bytes]:
        """The text of every current resource, sorted."""
        async with self.service.database.reading() as connection:
            return sorted((await connection.execute(_CURRENT)).scalars())


@dataclass(frozen=True)
class Exported:
    """A job that ended, and its files."""

    job: ExportJob
    files: Sequence[ExportFile]
    contents: dict[str, bytes]

    def lines(self, kind: str = "output") -> list[bytes]:
        """The lines of all files of a kind, in their order; every file is as it was noted."""
        found: list[bytes] = []
        for each in self.files:
            content = self.contents[each.name]
            made = content.splitlines()
            noted = (each.count, each.bytes, each.sha256)
            assert noted == (len(made), len(content), hashlib.sha256(content).hexdigest())
            found += made if each.kind == kind else []
        return found


async def work(means: Means) -> None:
    """Do steps until there is nothing to do now."""
    doing = Exporting(means)
    while await doing.step() == 0:
        pass


async def cleared(means: Means) -> None:
    """Clear away all that can go."""
    assert await Clearing(means).step() > 0


@asynccontextmanager
async def side(database_url: str, folder: Path, *, rows: int = 3, **changed: Any) -> AsyncIterator[Side]:
    """A server without a worker. rows: most resources of a file; changed: of the means."""
    settings = Settings(database_url=database_url, worker="separate", export_files=str(folder), log_level="error")
    server = serving(settings)
    async with server as client:
        service: Service = server.app.state.service
        means = export_means(service, "test")
        means = replace(means, files=FolderFiles(folder), limits=Limits(rows=rows), **changed)
        yield Side(client, service, means, folder)


async def digest(lines: Sequence[bytes]) -> tuple[int, str]:
    """Count and SHA-256 of sorted lines."""
    joined = b"\n".join(sorted(lines))
    return len(lines), await asyncio.to_thread(lambda: hashlib.sha256(joined).hexdigest())
