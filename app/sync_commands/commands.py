"""The commands, and what each is told by its options."""

from typing import Annotated

import typer

from app.fhir.instants import instant
from app.service import Service
from app.store import letters
from app.sync_commands.terminal import end, show, stop
from app.sync_commands.work import Change, backfilled, each_of, overviewed, pulled, run, verified

app = typer.Typer(no_args_is_help=True, help="Other servers: what waits for them, what they refused, what they hold.")
dead = typer.Typer(no_args_is_help=True, help="What a target refused for good.")
app.add_typer(dead, name="dead-letters")

Name = Annotated[str, typer.Argument(metavar="TARGET", help="The name of a sync target.")]


@app.command()
def status() -> None:
    """Show each target: what waits, what was refused, how it does. Ends with 1 while an alarm sounds."""
    found = run(overviewed)
    names = ("target", "pending", "waiting", "dead", "conflict", "quarantine", "lag_seconds", "breaker", "last_error")
    rows = [[str(one[name] if one[name] is not None else "") for name in names] for one in found]
    show([name.replace("_", " ") for name in names], rows)
    if any(one["alarm"] for one in found):
        raise typer.Exit(1)


@app.command()
def targets() -> None:
    """Show the targets there are, and where each is defined."""

    async def listed(service: Service) -> list[tuple[str, str, str, str]]:
        found = await service.registry.registered()
        return [(one.target.name, one.target.base_url, one.target.direction, one.origin) for one in found]

    show(("target", "address", "direction", "defined in"), run(listed))


@app.command()
def backfill(
    name: Name,
    wait: Annotated[bool, typer.Option(help="Deliver too, until all has arrived or was refused.")] = True,
) -> None:
    """Tell a target of everything it does not hold. Ends with 1 if something was refused, or waits for a person."""
    end(run(lambda service: backfilled(service, name, wait=wait)))


@app.command()
def pull(name: Name) -> None:
    """Read a target now. Ends with 1 if something could not be read or kept, 2 if the target does not answer."""
    end(run(lambda service: pulled(service, name)))


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
    end(run(lambda service: verified(service, name, repair=repair, sample=sample)))


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

    show(("number", "reference", "since", "reason"), run(listed))


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


def _decide(name: str, change: Change, numbers: list[int] | None, done: str) -> None:
    """Something for dead letters, of which those that are named must be there."""
    count = run(lambda service: each_of(service, name, change, numbers))
    print(f"{count} {'is' if count == 1 else 'are'} {done}")
    if missing := len(set(numbers or ())) - count if numbers else 0:
        stop(f"{missing} of these numbers {'is no dead letter' if missing == 1 else 'are no dead letters'} of {name}")
