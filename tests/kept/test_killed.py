"""A backup or a restore that is killed leaves nothing that could be taken for a whole one."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from app.keeping_commands import work
from app.keeping_commands.archive import Damaged, Manifest
from app.keeping_commands.checking import check
from app.main import make_service
from app.settings import Settings
from app.store.database import Database, Interrupted
from app.store.kept.rows import counted, tables
from tests.conftest import fresh
from tests.forked import Forked

_REFUSED = 2


def quiet(_: str, __: int) -> None:
    """Progress is not looked at."""


def started(words: Sequence[str], url: str, folder: Path) -> Forked:
    environment = {**os.environ, "DERMATOME_DATABASE_URL": url}
    return Forked("app", words, environment, folder / "log", folder)


async def killed_when(process: Forked, is_so: Callable[[], Awaitable[bool]]) -> int:
    """Kill the process as soon as something is so; its exit code."""
    deadline = time.monotonic() + 60
    while not await is_so() and process.poll() is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    return process.wait()


@pytest.fixture
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of the same kind."""
    yield from fresh(request, tmp_path / "bare", request.node.callspec.params["database_url"], is_bare=True)


async def backed_up(url: str, path: Path) -> Manifest:
    async with Database(url) as database:
        return await work.back_up(database, path, quiet)


async def test_a_killed_backup_is_no_backup(database_url: str, tmp_path: Path) -> None:
    path, part = tmp_path / "one.zip", tmp_path / "one.zip.part"

    async def is_begun() -> bool:
        return part.exists() and part.stat().st_size > 0

    code = await killed_when(started(["backup", str(path)], database_url, tmp_path), is_begun)

    assert code == -signal.SIGKILL
    assert not path.exists()
    assert part.stat().st_mode & 0o077 == 0
    service = make_service(Settings(database_url=database_url, log_level="error"), works=False)
    async with service.database:
        with pytest.raises(Damaged):
            await work.restore(service.database, part, quiet)
    assert started(["backup", str(path)], database_url, tmp_path).wait() == 0
    assert path.exists()
    assert not part.exists()


async def test_a_killed_restore_leaves_a_mark_and_can_be_done_again(
    database_url: str, bare_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "one.zip"
    manifest = await backed_up(database_url, path)
    async with Database(bare_url) as looking:

        async def is_marked() -> bool:
            async with looking.reading() as connection:
                found = await connection.scalar(text("SELECT count(*) FROM restoring"))
            # Then it fills.
            await asyncio.sleep(0.05 * bool(found))
            return bool(found)

        code = await killed_when(started(["restore", str(path)], bare_url, tmp_path), is_marked)

    assert code == -signal.SIGKILL
    async with Database(bare_url) as database:
        with pytest.raises(Interrupted):
            await database.migrate()
        async with database.reading() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM version")) == 0
    assert started(["serve"], bare_url, tmp_path).wait() == _REFUSED
    assert started(["restore", str(path)], bare_url, tmp_path).wait() == 0
    service = make_service(Settings(database_url=bare_url, log_level="error"), works=False)
    async with service.database:
        await service.database.migrate()
        found = await check(service.database, service.parameters, "", lambda _: None, repair=False)
        async with service.database.reading() as connection:
            digest = (await counted(connection, tables()["content"])).digest
    assert not found.has_damage, found
    assert digest == manifest.tables["content"].digest
