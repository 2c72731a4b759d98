"""`dermatome sync`: what operators do about sync, on the database directly, beside running services."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.fhir.instants import instant
from app.fhir.outcomes import Refused
from app.main import make_service, make_worker, parts_of
from app.service import Service
from app.settings import WrongSettings, load_settings
from app.store import letters, pulls
from app.sync.duties import verifying
from app.sync.planning import Unplanned
from app.sync.push.backfill import Backfill
from app.sync.push.lookups import Unanswered
from app.sync.status import overview
from app.sync.targets import Target
from app.sync.verify import KINDS, Report

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
    table = Table("target", "pending", "waiting", "dead", "conflict", "quarantine", "lag s", "breaker", "last error")
    for one in found:
        names = (
            "target",
            "pending",
            "waiting",
            "dead",
            "conflict",
            "quarantine",
            "lag_seconds",
            "breaker",
            "last_error",
        )
        table.add_row(*(str(one[name] if one[name] is not None else "") for name in names))
    _out.print(table)
    if any(one["alarm"] for one in found):
        raise typer.Exit(1)


@app.command()
def targets() -> None:
    """Show the targets there are, and where each is defined."""

    async def listed(service: Service) -> list[tuple[str, str, str, str]]:
        found = await service.registry.registered()
        return [(one.target.name, one.target.base_url, one.target.direction, one.origin) for one in found]

    table = Table("target", "address", "direction", "defined in")
    for row in _run(listed):
        table.add_row(*row)
    _out.print(table)


@app.command()
def backfill(
    name: Name,
    wait: Annotated[bool, typer.Option(help="Deliver too, until all has arrived or was refused.")] = True,
) -> None:
    """Tell a target of everything it does not hold. Ends with 1 if something was refused."""
    _exit(_run(lambda service: _backfilled(service, name, wait=wait)))


@app.command()
def pull(name: Name) -> None:
    """Read a target now. Ends with 1 if something could not be kept."""
    _exit(_run(lambda service: _pulled(service, name)))


@app.command()
def verify(
    name: Name,
    repair: Annotated[bool, typer.Option("--repair", help="Correct the ledger, and send what is missing.")] = False,
    sample: Annotated[
        float, typer.Option(min=0, max=1, help="Share of contents compared though the versions agree.")
    ] = 0.05,
) -> None:
    """Compare a target with what is here. Ends with 0 if all is as it should be, 1 if not, 2 if it does not answer."""
    _exit(_run(lambda service: _verified(service, name, repair=repair, sample=sample)))


@dead.command("list")
def list_dead(name: Name) -> None:
    """Show what a target refused, with what it said."""

    async def listed(service: Service) -> list[tuple[str, ...]]:
        await _target(service, name)
        found: list[tuple[str, ...]] = []
        after = 0
        async with service.database.reading() as connection:
            while rows := await letters.letters(connection, "dead", target=name, after=after, limit=500):
                after = rows[-1].oid or 0
                found += [(str(row.oid), f"{row.type}/{row.id}", instant(row.created_at), row.reason) for row in rows]
        return found

    table = Table("number", "reference", "since", "reason")
    for row in _run(listed):
        table.add_row(*row)
    _out.print(table)


@dead.command()
def replay(name: Name, numbers: Annotated[list[int] | None, typer.Argument(help="Default: all.")] = None) -> None:
    """Send dead letters again."""
    print(f"{_run(lambda service: _each(service, name, letters.replay, numbers))} are sent again")


@dead.command()
def discard(
    name: Name,
    numbers: Annotated[list[int], typer.Argument(help="Which; what refers to them becomes a dead letter too.")],
) -> None:
    """Give dead letters up: the target never gets them."""
    print(f"{_run(lambda service: _each(service, name, letters.discard, numbers))} are given up")


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
        if wait:
            await _delivered(service, name, bar)
    async with service.database.reading() as connection:
        refused = (await letters.queues(connection)).get(name, letters.Queue()).dead
    print(f"{noted} noted{f', {refused} dead letters' if refused else ''}")
    return int(bool(refused) and wait)


async def _delivered(service: Service, name: str, bar: Progress) -> None:
    """Deliver until nothing is pending; other workers may help."""
    sending = bar.add_task("delivered", total=None)
    most = 0
    async with _working(service):
        while True:
            async with service.database.reading() as connection:
                left = (await letters.queues(connection)).get(name, letters.Queue()).pending
            most = max(most, left)
            bar.update(sending, total=most, completed=most - left)
            if not left:
                return
            await asyncio.sleep(_LOOK_SECONDS)


async def _pulled(service: Service, name: str) -> int:
    target = await _target(service, name)
    if not target.is_pulled:
        _stop(f"{name} is not read: its direction is push")
    async with service.database.writing() as connection:
        await pulls.request(connection, name)
    with _progress() as bar:
        task = bar.add_task("types read", total=None)
        async with _working(service):
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                async with service.database.reading() as connection:
                    rows = await pulls.rows(connection, name)
                done = [row for row in rows if not row.requested and not row.next_link and row.finished_at]
                failed = [row for row in rows if row.error]
                bar.update(task, total=len(rows) or None, completed=len(done))
                if rows and len(done) + len(failed) >= len(rows):
                    break
    for row in failed:
        _err.print(f"{row.type}: {row.error}")
    put_aside = next(one["quarantine"] for one in await _overview(service) if one["target"] == name)
    print(f"{len(done)} types read, {put_aside} resources in quarantine")
    return int(bool(put_aside or failed))


async def _verified(service: Service, name: str, *, repair: bool, sample: float) -> int:
    target = await _target(service, name)
    report = Report()
    try:
        async with verifying(parts_of(service), target, repair=repair, sample=sample) as checking:
            with _progress() as bar:
                task = bar.add_task("compared", total=None)
                async for report in checking.run():
                    bar.update(task, total=report.places, completed=report.place)
    except (Unanswered, Unplanned) as error:
        _err.print(f"{name} cannot be compared: {error.reply.reason or error}")
        return 2
    for kind, count in sorted(report.counts.items()):
        print(f"{count} {kind}: {KINDS[kind]}")
        for example in report.examples[kind]:
            print(f"  {example}")
    print(f"{report.seen} looked at, {report.compared} contents compared, {report.drift} differ", end="")
    print(f", {report.repaired} put right or on their way" if repair else "")
    return int(bool(report.drift))


Change = Callable[..., Awaitable[int]]


async def _each(service: Service, name: str, change: Change, numbers: list[int] | None) -> int:
    count = 0
    while True:
        async with service.database.writing() as connection:
            done = await change(connection, name, oids=numbers)
        count += done
        if numbers is not None or not done:
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
        service = make_service(load_settings(), listens=False)
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


def _stop(reason: str) -> NoReturn:
    _err.print(f"Cannot do this: {reason}")
    raise typer.Exit(2)
