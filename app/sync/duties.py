"""What the worker of a process has to do: for each target each kind of work that its definition asks for."""

from collections.abc import AsyncIterator, Collection, Hashable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from app.intake.accept import Intake
from app.sync.client import Client
from app.sync.clients import Clients
from app.sync.conflicts.looking import Looking
from app.sync.conflicts.resolving import Resolving
from app.sync.conflicts.settling import Conflicts
from app.sync.planning import Planner
from app.sync.pull.pulling import Puller
from app.sync.pull.remote import Getter, Source
from app.sync.push.backfill import Backfill
from app.sync.push.job import Push
from app.sync.push.wanting import Wanting
from app.sync.targets import Target
from app.sync.verify.comparing import Half, Verify
from app.sync.verify.taken import Taken
from app.sync.verify.told import Told
from app.sync.work import Duties, Duty, Job


@dataclass(frozen=True, slots=True)
class Parts:
    """What the kinds of work need. owner: the name of this process; lease_seconds: for how long it takes things.

    base: the address of this server's FHIR endpoint, "" while nobody has said it. known: the resource types there are.
    of_server: what is to be done for nobody's target, as for Subscriptions.
    """

    intake: Intake
    clients: Clients
    known: Collection[str]
    owner: str
    lease_seconds: float
    base: str
    of_server: Duties = field(default_factory=dict)


async def duties(parts: Parts) -> Duties:
    """What is to be done as things stand now. What is changed of a target is another duty."""
    found: dict[Hashable, Duty] = dict(parts.of_server)
    found["conflicts"] = Duty(partial(_looking_after_conflicts, parts))
    for target in await parts.clients.registry.current():
        for name, duty in _of(parts, target):
            found[name, target.model_dump_json()] = duty
    return found


def _of(parts: Parts, target: Target) -> Iterator[tuple[str, Duty]]:
    if target.is_pushed:
        yield "push", Duty(partial(_pushing, parts, target), target.concurrency)
        yield "backfill", Duty(partial(_filling, parts, target))
    if target.is_pulled:
        yield "pull", Duty(partial(_pulling, parts, target))


@asynccontextmanager
async def _pushing(parts: Parts, target: Target) -> AsyncIterator[Job]:
    async with parts.clients.open(target) as opened:
        yield Push(
            database=parts.intake.database,
            target=target,
            client=opened.client,
            conflicts=Conflicts(parts.intake, parts.base),
            wants=Wanting(parts.intake.searcher, target),
            owner=parts.owner,
            lease_seconds=parts.lease_seconds,
            base=parts.base,
        )


@asynccontextmanager
async def verifying(parts: Parts, target: Target, *, sample: float, repair: bool) -> AsyncIterator[Verify]:
    """The comparison with a target. Raises Unplanned where it does not tell what it can do."""
    async with parts.clients.open(target) as opened:
        client, intake = opened.client, parts.intake
        plan, halves = await Planner(intake.database, client, target)(), list[Half]()
        puller = Puller(intake, Conflicts(intake, parts.base), parts.known, parts.base, client.instance)
        types = puller.types(target, plan) if target.is_pulled else ()
        if target.is_pulled:
            source = Source(target.base_url, Getter(opened.http, target.timeout_seconds, client.limiter))
            taker = puller.taker(target, source, plan, types)
            halves.append(Taken(intake.database, target, source, plan, taker, types, sample, repair))
        if target.is_pushed:
            wants, own = Wanting(intake.searcher, target), intake.own.keys
            told = Told(intake.database, target, client, plan, wants, own, parts.base, sample, repair, types)
            halves.append(told)
        yield Verify(halves, client, plan)


@asynccontextmanager
async def _filling(parts: Parts, target: Target) -> AsyncIterator[Job]:
    intake = parts.intake
    yield Backfill(intake.database, target, intake.own.keys, intake.ring, parts.base)


@asynccontextmanager
async def _pulling(parts: Parts, target: Target) -> AsyncIterator[Job]:
    conflicts = Conflicts(parts.intake, parts.base)
    async with parts.clients.open(target) as opened:
        puller = Puller(parts.intake, conflicts, parts.known, parts.base, opened.client.instance)
        planner = Planner(parts.intake.database, opened.client, target)
        getter = Getter(opened.http, target.timeout_seconds, opened.client.limiter)
        made: AbstractAsyncContextManager[Job] = puller.open(target, getter, planner, parts.owner)
        async with made as job:
            yield job


@asynccontextmanager
async def _looking_after_conflicts(parts: Parts) -> AsyncIterator[Job]:
    yield resolving(parts.intake, parts.clients, parts.base)


def resolving(intake: Intake, clients: Clients, base: str) -> Resolving:
    """What decides conflicts. base: the address of this server's FHIR endpoint."""

    @asynccontextmanager
    async def opened(target: Target) -> AsyncIterator[Client]:
        async with clients.open(target) as found:
            yield found.client

    async def find(name: str) -> Target | None:
        return await clients.registry.get(name)

    look = Looking(intake.database, lambda partner: opened(partner) if isinstance(partner, Target) else None)
    return Resolving(Conflicts(intake, base), find, look)
