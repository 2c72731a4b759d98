"""`dermatome sync`: what operators do about sync, on the database directly, beside running services."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.fhir.instants import instant
from app.fhir.outcomes import Refused
from app.logs import configure
from app.main import make_service, make_worker, parts_of
from app.service import Service
from app.settings import WrongSettings, load_settings
from app.store import letters
from app.sync.duties import verifying
from app.sync.planning import Unplanned
from app.sync.pull.pages import UnusablePage
from app.sync.pull.remote import NotRead
from app.sync.push.backfill import Backfill
from app.sync.push.lookups import Unanswered
from app.sync.rounds import Left, Reads, Round, left
from app.sync.status import overview
from app.sync.targets import Target
from app.sync.verify.report import KINDS, Report

app = typer.Typer(no_args_is_help=True, help="Other servers: what waits for them, what they refused, what they hold.")
dead = typer.Typer(no_args_is_help=True, help="What a target refused for good.")
app.add_typer(dead, name="dead-letters")

Name = Annotated[str, typer.Argument(metavar="TARGET", help="The name of a sync target.")]
_LOOK_SECONDS = 0.5
# A pipe has no width of its own: what is cut cannot be searched.
_out, _err = Console(width=None if sys.stdout.isatty() else 200), Console(stderr=True)


@app.command()
def status() -> None:
    """Show each target: what waits, what was refused, how it does. Ends with 1 while an alarm sounds."""
    found = _run(_overview)
    names = ("target", "pending", "waiting", "dead", "conflict", "quarantine", "lag_seconds", "breaker", "last_error")
    rows = [[str(one[name] if one[name] is not None else "") for name in names] for one in found]
    _show([name.replace("_", " ") for name in names], rows)
    if any(one["alarm"] for one in found):
        raise typer.Exit(1)


@app.command()
def targets() -> None:
    """Show the targets there are, and where each is defined."""

    async def listed(service: Service) -> list[tuple[str, str, str, str]]:
        found = await service.registry.registered()
        return [(one.target.name, one.target.base_url, one.target.direction, one.origin) for one in found]

    _show(("target", "address", "direction", "defined in"), _run(listed))


@app.command()
def backfill(
    name: Name,
    wait: Annotated[bool, typer.Option(help="Deliver too, until all has arrived or was refused.")] = True,
) -> None:
    """Tell a target of everything it does not hold. Ends with 1 if something was refused, or waits for a person."""
    _exit(_run(lambda service: _backfilled(service, name, wait=wait)))


@app.command()
def pull(name: Name) -> None:
    """Read a target now. Ends with 1 if something could not be read or kept, 2 if the target does not answer."""
    _exit(_run(lambda service: _pulled(service, name)))


@app.command()
def verify(
    name: Name,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Correct the ledger, send what is missing there, read what is missing here."),
    ] = False,
    sample: Annotated[
        float, typer.Option(min=0, max=1, help="Share of contents compared though the versions agree.")
    ] = 0.05,
) -> None:
    """Compare a target with what is here. Ends with 0 for no drift, 1 for drift, 2 if it cannot be compared."""
    _exit(_run(lambda service: _verified(service, name, repair=repair, sample=sample)))


@dead.command("list")
def list_dead(name: Name) -> None:
    """Show what a target refused, with what it said."""

    async def listed(service: Service) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = []
        after = 0
        async with service.database.reading() as connection:
            while rows := await letters.letters(connection, "dead", target=name, after=after, limit=500):
                after = rows[-1].oid or 0
                found += [(str(row.oid), f"{row.type}/{row.id}", instant(row.created_at), row.reason) for row in rows]
        return found

    _show(("number", "reference", "since", "reason"), _run(listed))


@dead.command()
def replay(name: Name, numbers: Annotated[list[int] | None, typer.Argument(help="Default: all.")] = None) -> None:
    """Send dead letters again."""
    _decide(name, letters.replay, numbers, "sent again")


@dead.command()
def discard(
    name: Name,
    numbers: Annotated[list[int], typer.Argument(help="Which; what refers to them becomes a dead letter too.")],
) -> None:
    """Give dead letters up: the target never gets them."""
    _decide(name, letters.discard, numbers, "given up")


async def _overview(service: Service) -> list[dict[str, Any]]:
    return await overview(service.database, await service.registry.registered())


async def _backfilled(service: Service, name: str, *, wait: bool) -> int:
    target = await _target(service, name)
    if not target.is_pushed:
        _stop(f"{name} is not told of anything: its direction is pull")
    base = parts_of(service).base
    filling = Backfill(service.database, target, service.intake.own.keys, service.bell.ring, base)
    with _progress() as bar:
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


async def _pulled(service: Service, name: str) -> int:
    target = await _target(service, name)
    if not target.is_pulled:
        _stop(f"{name} is not read: its direction is push")
    with _progress() as bar:
        found = await _read(service, name, bar)
    if found.trouble:
        _say(f"{name} cannot be read: {found.trouble}")
        return 2
    for read, reason in found.failed.items():
        _say(f"{read}: {reason}")
    put_aside = next(one["quarantine"] for one in await _overview(service) if one["target"] == name)
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


async def _verified(service: Service, name: str, *, repair: bool, sample: float) -> int:
    target = await _target(service, name)
    report = Report()
    try:
        async with verifying(parts_of(service), target, repair=repair, sample=sample) as checking:
            with _progress() as bar:
                task = bar.add_task("compared", total=None)
                async for report in checking.run():
                    bar.update(task, total=report.places, completed=report.place)
    except (Unanswered, Unplanned, NotRead, UnusablePage) as error:
        reason = error.reply.reason if isinstance(error, (Unanswered, Unplanned)) else str(error)
        _say(f"{name} cannot be compared: {reason or error}")
        return 2
    _tell(report, repair=repair)
    return report.code


def _tell(report: Report, *, repair: bool) -> None:
    amounts = sorted(report.types.items())
    rows = [
        (kind, str(one.here), str(one.there), "" if one.in_all is None else str(one.in_all)) for kind, one in amounts
    ]
    _show(("type", "here", "there", "all that is there"), rows)
    for kind, count in sorted(report.counts.items()):
        print(f"{count} {kind}: {KINDS[kind]}")
        for example in report.examples[kind]:
            print(f"  {example}")
    print(f"{report.seen} looked at, {report.compared} contents compared, {report.drift} differ", end="")
    print(f", {report.repaired} put right or on their way" if repair else "")


Change = Callable[..., Awaitable[int]]


def _decide(name: str, change: Change, numbers: list[int] | None, done: str) -> None:
    """Something for dead letters, of which those that are named must be there."""
    count = _run(lambda service: _each(service, name, change, numbers))
    print(f"{count} {'is' if count == 1 else 'are'} {done}")
    if missing := len(set(numbers or ())) - count if numbers else 0:
        _stop(f"{missing} of these numbers {'is no dead letter' if missing == 1 else 'are no dead letters'} of {name}")


async def _each(service: Service, name: str, change: Change, numbers: list[int] | None) -> int:
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
        _stop(f"there is no sync target {name}; there are: {known}")
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


def _run(work: Callable[[Service], Coroutine[Any, Any, Any]]) -> Any:
    """Do something with the parts of the service, on its database."""

    async def opened() -> Any:
        settings = load_settings()
        configure(settings.log_level)
        service = make_service(settings, listens=False)
        async with service.database, service.bell:
            await service.database.migrate()
            await service.registry.prepare(is_whole=False)
            return await work(service)

    try:
        return asyncio.run(opened())
    except (WrongSettings, Refused) as error:
        _stop(str(error))


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=_err)


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code)


def _show(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table. What servers said is shown as it is: their brackets are no markup."""
    table = Table(*names)
    for row in rows:
        table.add_row(*map(escape, row))
    _out.print(table)


def _say(text: str) -> None:
    _err.print(text, markup=False)


def _stop(reason: str) -> NoReturn:
    _say(f"Cannot do this: {reason}")
    raise typer.Exit(2)
