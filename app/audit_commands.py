"""`dermatome audit`: whether what was noted is as it was."""

import asyncio
from typing import Annotated

import typer

from app.fhir.instants import instant
from app.logs import configure
from app.main import open_database
from app.settings import WrongSettings, load_settings
from app.store.audit.seals import Verified
from app.store.audit.seals import verify as look
from app.store.database import Interrupted, Unavailable
from app.store.schema import Newer

app = typer.Typer(no_args_is_help=True, help="What was noted of who did what.")


@app.callback()
def _group() -> None:
    """A group, even of one command."""


@app.command()
def verify(
    expect: Annotated[
        str, typer.Option(metavar="NUMBER:DIGEST", help="A seal that was kept elsewhere, which must be in the chain.")
    ] = "",
) -> None:
    """Compute every seal of the audit again. Ends with 0 if all are right, 1 if not, 2 if it cannot be read."""
    try:
        found = asyncio.run(_verified(expect))
    except (Interrupted, Newer, Unavailable, WrongSettings, OSError) as error:
        typer.echo(f"Cannot do this: {error}", err=True)
        raise typer.Exit(2) from None
    for problem in found.problems:
        print(problem)
    behind = f", {found.unsealed} rows since {instant(found.since)} wait for one" if found.unsealed else ""
    print(f"{found.seals} seals over {found.rows} rows computed again{behind}; the newest is {found.newest.text}")
    if found.problems:
        raise typer.Exit(1)


async def _verified(expect: str) -> Verified:
    settings = load_settings()
    configure(settings.log_level)
    async with open_database(settings) as database:
        await database.migrate()
        async with database.reading() as connection:
            return await look(connection, expect)
