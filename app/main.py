"""Builds the application: every part is made here once and handed to those who need it."""

import asyncio
import gc
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime

from fastapi import FastAPI

from app import profiles
from app.fhir.instants import microseconds
from app.intake.accept import Intake
from app.logs import configure
from app.pain.content import load_content
from app.routers import errors, fhir, health, metadata, pain, sync
from app.routers.middleware import Envelope
from app.service import Service
from app.settings import Settings, load_settings
from app.store.database import Database
from app.store.parameters import SearchParameters
from app.store.search import Searcher
from app.sync.push import Pusher
from app.sync.targets import Target, load_targets
from app.validation import Validator, load_validator

# Order matters: /fhir/metadata must be found before /fhir/{resource_type}.
_ROUTERS = (pain.router, metadata.router, fhir.router, sync.router, health.router)


def clock() -> int:
    """Now, in microseconds since 1970."""
    return microseconds(datetime.now(UTC))


def new_id() -> str:
    """A new logical id."""
    return str(uuid.uuid4())


def application() -> FastAPI:
    """The application with the settings of the environment, for uvicorn."""
    return create_app(load_settings())


def create_app(settings: Settings, *, now: Callable[[], int] = clock) -> FastAPI:
    """The application; raises WrongSettings if a setting cannot be used."""
    configure(settings.log_level)
    validator = load_validator()
    targets = load_targets(settings.sync_targets, validator.resource_types)
    database = open_database(settings)
    service = _assemble(settings, database, validator, targets, now)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(database)
            await database.migrate()
            if settings.worker == "embedded" and targets:
                await stack.enter_async_context(_in_background(make_pusher(settings, database, targets, now)))
            # What exists now lives as long as the process: keep the garbage collector off it.
            gc.collect()
            gc.freeze()
            yield

    package = profiles.package()
    app = FastAPI(
        title="Dermatome",
        summary=package["title"],
        version=package["version"],
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.service = service
    errors.install(app)
    app.add_middleware(Envelope)
    for router in _ROUTERS:
        app.include_router(router)
    return app


def open_database(settings: Settings) -> Database:
    """The database of the settings, not yet connected."""
    return Database(settings.database_url, synchronous=settings.sqlite_synchronous)


def make_pusher(
    settings: Settings, database: Database, targets: Sequence[Target], now: Callable[[], int] = clock
) -> Pusher:
    """The worker that serves the sync targets, under a name of its own."""
    return Pusher(database, targets, owner=uuid.uuid4().hex, lease_seconds=settings.sync_lease_seconds, clock=now)


def _assemble(
    settings: Settings,
    database: Database,
    validator: Validator,
    targets: Sequence[Target],
    now: Callable[[], int],
) -> Service:
    served = profiles.toml_files("searchparameters")["served"]["parameters"]
    parameters = SearchParameters(profiles.r4()["search_parameters"], served)
    searcher = Searcher(parameters, page_size=settings.page_size, max_page_size=settings.max_page_size)

    def targets_of(resource_type: str) -> list[str]:
        return [target.name for target in targets if target.wants(resource_type)]

    return Service(
        settings=settings,
        database=database,
        validator=validator,
        parameters=parameters,
        searcher=searcher,
        intake=Intake(database, validator, parameters, searcher, targets_of, now, new_id),
        content=load_content(),
        targets=tuple(targets),
        supported_profiles=_supported_profiles(),
        clock=now,
        new_id=new_id,
        started_at=now(),
    )


def _supported_profiles() -> dict[str, list[str]]:
    """Our resource profiles by the type they constrain."""
    found: dict[str, list[str]] = {}
    for definition in profiles.json_files("structuredefinitions").values():
        if definition["type"] != "Extension":
            found.setdefault(definition["type"], []).append(definition["url"])
    return found


@asynccontextmanager
async def _in_background(pusher: Pusher) -> AsyncIterator[None]:
    task = asyncio.create_task(pusher.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
