"""What the commands do, with the parts of a service and without its HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from rich.markup import escape
from rich.progress import Progress

from app.fhir.outcomes import Refused
from app.logs import configure
from app.main import make_service
from app.service import Service
from app.settings import WrongSettings, load_settings
from app.sync.duties import verifying
from app.sync.planning import Unplanned
from app.sync.pull.pages import UnusablePage
from app.sync.pull.remote import NotRead
from app.sync.push.backfill import Backfill
from app.sync.push.lookups import Unanswered
from app.sync.rounds import Left, Reads, Round, left
from app.sync.status import overview
from app.sync.targets import Target
from app.sync.verify.report import Report
from app.sync_commands.terminal import progress, say, stop, tell
from app.working import make_worker, parts_of

_LOOK_SECONDS = 0.5
Change = Callable[..., Awaitable[int]]


async def overviewed(service: Service) -> list[dict[str, Any]]:
    return await overview(service.database, await service.registry.registered())


async def backfilled(service: Service, name: str, *, wait: bool) -> int:
    target = await _target(service, name)
    if not target.is_pushed:
        stop(f"{name} is not told of anything: its direction is pull")
    base = parts_of(service).base
    filling = Backfill(service.database, target, service.intake.own.keys, service.bell.ring, base)
    with progress() as bar:
        noting = bar.add_task("noted", total=None)
        await filling.begin()
        noted = 0
        while done := await filling.go_on():
            noted += done.noted
            bar.update(noting, total=done.places, completed=done.place)
        queue = (await _delivered(service, name, bar) if wait else await left(service.database, name)).queue
    stuck = {"dead letters": queue.dead, "conflicts": queue.conflict, "wait for these": queue.waiting if wait else 0}
    print(", ".join([f"{noted} noted", *(f"{count} {what}" for what, count in stuck.items() if count)]))
    return int(wait and any(stuck.values()))


async def _delivered(service: Service, name: str, bar: Progress) -> Left:
    """Deliver until nothing is left that can be; other workers may help."""
    sending = bar.add_task("delivered", total=None)
    most = 0
    async with _working(service):
        while True:
            found = await left(service.database, name)
            most = max(most, found.queue.pending)
            told = f"delivered ({escape(found.trouble)})" if found.trouble else "delivered"
            bar.update(sending, total=most, completed=most - found.queue.pending, description=told)
            if found.is_over:
                return found
            await asyncio.sleep(_LOOK_SECONDS)


async def pulled(service: Service, name: str) -> int:
    target = await _target(service, name)
    if not target.is_pulled:
        stop(f"{name} is not read: its direction is push")
    with progress() as bar:
        found = await _read(service, name, bar)
    if found.trouble:
        say(f"{name} cannot be read: {found.trouble}")
        return 2
    for read, reason in found.failed.items():
        say(f"{read}: {reason}")
    put_aside = next(one["quarantine"] for one in await overviewed(service) if one["target"] == name)
    print(f"{found.done} of {found.count} read, {put_aside} resources in quarantine")
    return int(bool(put_aside or found.failed))


async def _read(service: Service, name: str, bar: Progress) -> Reads:
    """One round; a worker elsewhere may be the one that reads."""
    task = bar.add_task("read", total=None)
    asked = await Round.begin(service.database, name)
    async with _working(service):
        while True:
            found = await asked.look()
            bar.update(task, total=found.count or None, completed=found.done + len(found.failed))
            if found.is_over:
                return found
            await asyncio.sleep(_LOOK_SECONDS)


async def verified(service: Service, name: str, *, repair: bool, sample: float) -> int:
    target = await _target(service, name)
    report = Report()
    try:
        async with verifying(parts_of(service), target, repair=repair, sample=sample) as checking:
            with progress() as bar:
                task = bar.add_task("compared", total=None)
                async for report in checking.run():
                    bar.update(task, total=report.places, completed=report.place)
    except (Unanswered, Unplanned, NotRead, UnusablePage) as error:
        reason = error.reply.reason if isinstance(error, (Unanswered, Unplanned)) else str(error)
        say(f"{name} cannot be compared: {reason or error}")
        return 2
    tell(report, repair=repair)
    return report.code


async def each_of(service: Service, name: str, change: Change, numbers: list[int] | None) -> int:
    """A part at a time; a target that is no longer configured may have dead letters too."""
    count = 0
    while True:
        async with service.database.writing() as connection:
            done = await change(connection, name, oids=numbers)
        count += done
        if numbers or not done:
            service.bell.ring()
            return count


async def _target(service: Service, name: str) -> Target:
    found = await service.registry.get(name)
    if found is None:
        known = ", ".join(one.name for one in await service.registry.current()) or "none"
        stop(f"there is no sync target {name}; there are: {known}")
    return found


@asynccontextmanager
async def _working(service: Service) -> AsyncIterator[None]:
    """A worker of this process, beside those of others."""
    task = asyncio.create_task(make_worker(service).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def run(work: Callable[[Service], Coroutine[Any, Any, Any]]) -> Any:
    """Do something with the parts of the service, on its database."""

    async def opened() -> Any:
        settings = load_settings()
        configure(settings.log_level)
        service = make_service(settings, works=False)
        async with service.database, service.bell:
            await service.database.migrate()
            await service.registry.prepare(is_whole=False)
            return await work(service)

    try:
        return asyncio.run(opened())
    except (WrongSettings, Refused) as error:
        stop(str(error))
