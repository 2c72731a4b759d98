"""Builds the application: every part is made here once and handed to those who need it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import structlog
from fastapi import FastAPI

from app import profiles
from app.export.s3 import export_files
from app.fhir.instants import microseconds
from app.intake.accept import Intake
from app.intake.definitions import PostedDefinitions
from app.intake.extraction import Extraction
from app.intake.own import Own
from app.intake.policy import Policy
from app.intake.seeding import seed
from app.logs import configure
from app.mapping.definitions import own_definitions
from app.mapping.questionnaires.questionnaire import questionnaires
from app.outbound import Guard, Secrets
from app.outbound.addresses import parse_networks
from app.pain.content import Content, load_content
from app.rights import records
from app.routers import (
    audit,
    bundles,
    cds,
    cohort,
    console,
    errors,
    exports,
    fhir,
    guide,
    health,
    history,
    metadata,
    metrics,
    pain,
    reference,
    search,
    smart,
    sync,
    sync_conflicts,
    sync_notifications,
    sync_pull,
    sync_targets,
    views,
)
from app.routers.access import Access, Gate
from app.routers.browsers import Browsers
from app.routers.limits import Room, Turns
from app.routers.middleware import Envelope
from app.routers.noting import Noting
from app.routers.openapi.document import tell
from app.routers.operations import routes as operations
from app.routers.repeats import Repeats
from app.routers.sighting import Sighting
from app.security.authority import load_authority, warnings
from app.security.sealing import Sealing
from app.service import Service
from app.settings import Settings, WrongSettings, given_secrets, is_loopback
from app.store.audit.recorder import Recorder
from app.store.audit.seals import Sealing as Seals
from app.store.database import Database
from app.store.forgetting import Forgetting
from app.store.index.reindex import Reindexer
from app.store.listening import Bell
from app.store.parameters import SearchParameters, load_parameters
from app.store.search import Searcher
from app.store.search.bounds import Bounds
from app.store.statistics import Statistics
from app.store.waiting import Waiters
from app.sync.admission import problems_here
from app.sync.clients import Clients
from app.sync.push.wanting import problem_of
from app.sync.registry import Registry
from app.sync.subscriptions import jobs as subscriptions
from app.sync.subscriptions.secrecy import seals
from app.sync.targets import load_targets
from app.sync.work import Worker
from app.terminology.server import TerminologyServer
from app.validation import Validator, load_validator
from app.validation.packages.definitions import Definitions
from app.validation.packages.packages import WrongPackages, definitions_of, load_packages, said
from app.working import make_worker, own_base

# Order matters: /fhir/metadata must be found before /fhir/{resource_type}.
# No address belongs to two (routers/addresses.py); what is asked for most is looked at first.
_FHIR = (
    audit.router,
    fhir.router,
    search.router,
    bundles.router,
    history.router,
    metadata.router,
    views.router,
    operations.router,
)
_SYNC = (
    sync.router,
    sync_targets.router,
    sync_conflicts.router,
    sync_pull.router,
    sync_notifications.router,
)
_CLINIC = (pain.router, cohort.router, cds.router)
_ROUTERS = (
    *_FHIR,
    exports.router,
    *_CLINIC,
    *_SYNC,
    health.router,
    metrics.router,
    guide.router,
    reference.router,
    console.router,
    smart.router,
)


def clock() -> int:
    """Now, in microseconds since 1970."""
    return microseconds(datetime.now(UTC))


def new_id() -> str:
    """A new logical id."""
    return str(uuid.uuid4())


def create_app(settings: Settings, *, now: Callable[[], int] = clock) -> FastAPI:
    """The application; raises WrongSettings if a setting cannot be used."""
    configure(settings.log_level)
    for warning in warnings(settings):
        structlog.get_logger().warning("access", said=warning)
    service, log = make_service(settings, now=now, works=settings.worker == "embedded"), structlog.get_logger()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(service.database)
            stack.push_async_callback(service.recorder.end)
            await service.database.migrate()
            if unsafe := await service.database.unsafe():
                log.warning("a power loss may take away what was acknowledged", settings=unsafe)
            await service.registry.prepare(is_whole=True)
            await service.reindexer.prepare()
            await seed(service.intake)
            await service.intake.definitions.refresh()
            if service.terminology_server:
                await stack.enter_async_context(service.terminology_server)
            await stack.enter_async_context(service.bell)
            if settings.worker == "embedded":
                await stack.enter_async_context(_in_background(make_worker(service)))
            await stack.enter_async_context(_in_background(service.reindexer))
            forgetting = Forgetting(service.database, now, settings.idempotency_days)
            await stack.enter_async_context(_in_background(forgetting))
            if not service.database.is_sqlite:
                await stack.enter_async_context(_in_background(Statistics(service.database, service.bell)))
            await stack.enter_async_context(_in_background(Seals(service.database, now)))
            yield

    package = profiles.package()
    app = FastAPI(
        title="Dermatome",
        summary=package["title"],
        version=package["version"],
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.state.authority = load_authority(settings, service.secrets, service.guard, now, new_id)
    tell(app, service.content, app.state.authority, settings.public_url)
    errors.install(app)
    # The last one added is the outermost.
    app.add_middleware(Repeats)
    app.add_middleware(Sighting)
    app.add_middleware(Gate)
    app.add_middleware(Turns, settings=settings)
    app.add_middleware(Access, authority=app.state.authority)
    app.add_middleware(Noting)
    app.add_middleware(Room, settings=settings)
    app.add_middleware(Browsers, settings=settings)
    app.add_middleware(Envelope)
    for router in _ROUTERS:
        app.include_router(router)
    return app


def make_service(settings: Settings, *, now: Callable[[], int] = clock, works: bool) -> Service:
    """The parts, nothing of it opened yet. Raises WrongSettings if a setting cannot be used.

    works: whether this process does what outlives a request, for targets and subscribers.
    """
    validator = load_definitions(settings)
    return _assemble(settings, validator, now, works=works)


def open_database(settings: Settings) -> Database:
    """The database of the settings, not yet connected."""
    return Database(
        settings.database_url,
        synchronous=settings.sqlite_synchronous,
        query_seconds=settings.query_seconds,
        is_durable=settings.postgresql_synchronous == "on",
    )


def load_clinic(settings: Settings) -> Content:
    """The clinic's content as the settings want it. Raises WrongSettings where they name what is not known."""
    off = frozenset(name.strip() for name in settings.instruments_off.split(",") if name.strip())
    if unknown := sorted(off - load_content().instruments.keys()):
        known = ", ".join(load_content().instruments)
        raise WrongSettings(f"DERMATOME_INSTRUMENTS_OFF: {', '.join(unknown)} is no instrument; there are {known}")
    _require_known(settings)
    return load_content(instruments_off=off, icd_11=settings.icd_11 == "on")


def _require_known(settings: Settings) -> None:
    """Raises WrongSettings for a guideline edition or a jurisdiction without tables."""
    known = load_content().guidelines
    asked = (("GUIDELINE", settings.guideline, known.editions), ("JURISDICTION", settings.jurisdiction, known.renal))
    wrong = [
        f"DERMATOME_{name}: {value} is not known here; there are {', '.join(allowed)}"
        for name, value, allowed in asked
        if value not in allowed
    ]
    if wrong:
        raise WrongSettings("\n".join(wrong))


def load_definitions(settings: Settings) -> Definitions:
    """The validator with the definitions of the packages folder. Raises WrongSettings naming all that is wrong."""
    try:
        packages = load_packages(settings.packages) if settings.packages else []
    except WrongPackages as wrong:
        raise WrongSettings("\n".join(f"DERMATOME_PACKAGES: {each}" for each in str(wrong).splitlines())) from None
    log = structlog.get_logger()
    for line in said(packages):
        log.info("packages", said=line)
    own = questionnaires(load_clinic(settings))

    def make(definitions: Iterable[Mapping[str, Any]], posted: frozenset[str]) -> Validator:
        every, unknown = [*definitions, *own], settings.unknown_profiles
        return load_validator(every, posted, unknown_profiles=unknown, cache=settings.cache).prepare()

    return Definitions(definitions_of(packages), make)


@cache
def _own(content: Content) -> Own:
    return Own(own_definitions(content))


def _assemble(settings: Settings, validator: Definitions, now: Callable[[], int], *, works: bool) -> Service:
    database = open_database(settings)
    parameters = load_parameters()
    searcher = Searcher(
        parameters,
        page_size=settings.page_size,
        max_page_size=settings.max_page_size,
        terminology=lambda: validator.validator.terminology,
        clock=now,
        link_minutes=settings.page_link_minutes,
        bounds=Bounds(*(getattr(settings, f"max_search_{each.name}") for each in fields(Bounds))),
    )

    own = _own(load_clinic(settings))
    # Clients wait here for what other processes write, whether or not this one works.
    bell = Bell(database, listens=True)

    guard = make_guard(settings)
    secrets = Secrets(settings.secrets, given_secrets())
    sealing = Sealing(settings.keys, secrets)
    targets = load_targets(
        settings.sync_targets,
        validator.resource_types,
        partial(problem_of, searcher),
        partial(problems_here, secrets=secrets if works else None, guard=guard, is_operators=True),
    )
    registry = Registry(database, targets, bell.ring)

    return Service(
        settings=settings,
        database=database,
        bell=bell,
        waiters=Waiters(bell, settings.changes_waiters),
        validator=validator,
        parameters=parameters,
        searcher=searcher,
        reindexer=_reindexer(settings, database, parameters, now),
        intake=Intake(
            database,
            validator,
            PostedDefinitions(database, validator, own=own.keys),
            parameters,
            searcher,
            registry.telling,
            now,
            new_id,
            _policy(settings),
            _extraction(settings, searcher, validator),
            own,
            ring=bell.ring,
            rules=(subscriptions.rule(searcher, guard, sealing, own_base(settings), now), records.rule),
            seals=seals(sealing),
        ),
        recorder=Recorder(database),
        content=load_clinic(settings),
        registry=registry,
        clients=Clients(registry, secrets, guard),
        secrets=secrets,
        sealing=sealing,
        guard=guard,
        files=export_files(settings, secrets),
        terminology_server=TerminologyServer(settings.terminology_server, now) if settings.terminology_server else None,
        supported_profiles=_supported_profiles(),
        clock=now,
        new_id=new_id,
        started_at=now(),
    )


def make_guard(settings: Settings) -> Guard:
    """What may be called that others have named. Raises WrongSettings."""
    names = [name.strip() for name in settings.private_networks.split(",") if name.strip()]
    # Whoever reaches a service that listens to this machine only is on it.
    own = ["127.0.0.0/8", "::1/128"] if is_loopback(settings.host) else []
    try:
        networks, hosts = parse_networks([*names, *own])
    except ValueError as error:
        raise WrongSettings(f"DERMATOME_PRIVATE_NETWORKS: {error}") from None
    return Guard(networks, hosts, frozenset({settings.port} - {0}), settings.public_url)


def _reindexer(
    settings: Settings, database: Database, parameters: SearchParameters, now: Callable[[], int]
) -> Reindexer:
    """What makes search values anew for resources stored before."""
    base = f"{settings.public_url}/fhir" if settings.public_url else ""
    keep = settings.page_link_minutes
    return Reindexer(database, parameters, owner=uuid.uuid4().hex, clock=now, base=base, keep_minutes=keep)


def _extraction(settings: Settings, searcher: Searcher, validator: Definitions) -> Extraction | None:
    """What scores responses that come in by FHIR, unless the operator wants none scored."""
    return Extraction(load_clinic(settings), searcher, validator) if settings.extract == "on" else None


def _policy(settings: Settings) -> Policy:
    """What the settings say about writes: they have the same names there."""
    return Policy(**{each.name: getattr(settings, each.name) for each in fields(Policy)})


def _supported_profiles() -> dict[str, list[str]]:
    """Our resource profiles by the type they constrain."""
    found: dict[str, list[str]] = {}
    for definition in profiles.shared_json("structuredefinitions").values():
        if definition["type"] != "Extension":
            found.setdefault(definition["type"], []).append(definition["url"])
    return found


@asynccontextmanager
async def _in_background(worker: Worker | Reindexer | Forgetting | Seals | Statistics) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
