"""What the command is told by its options."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from app.load_command.reading import LINES, Unread, files
from app.load_command.state import REFUSED, State, Unfit
from app.load_command.work import Loading
from app.outbound.bulk import BulkServer, Unanswered

_DEFAULT = "http://127.0.0.1:8000/fhir"
_STATE = Path(".dermatome-load")


def load(
    names: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER...", help="NDJSON, Bundles or resources (JSON).")],
    into: Annotated[str, typer.Option("--into", metavar="URL", help="FHIR endpoint of the server.")] = _DEFAULT,
    size: Annotated[int, typer.Option(min=1, max=5_000, help="Resources that are sent at once.")] = 200,
    state: Annotated[Path, typer.Option(help="Folder that keeps how far it has come.")] = _STATE,
    token_file: Annotated[Path | None, typer.Option(help="File with a bearer token for the server.")] = None,
) -> None:
    """Load files of resources into a server: progress, gone on with where it was, nothing twice.

    What has an id is put under it, what has none is created once. Transactions and batches are posted as they are.
    What is refused stops nothing else: it is sent again when all is there, then listed with the reasons.

    Ends with 0 if everything was taken, 1 if something was refused, 2 if it could not go on; the same command goes on
    from there.
    """
    try:
        token = token_file.read_text("utf-8").strip() if token_file else ""
        held = State.opened(state, into)
        asyncio.run(_run(into, token, held, files(names), size))
    except OSError as error:
        _stop(f"{error.filename}: {os.strerror(error.errno or 0)}")
    except (Unanswered, Unfit, Unread) as error:
        _stop(str(error))
    raise typer.Exit(_told(held))


async def _run(into: str, token: str, held: State, names: list[str], size: int) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    async with BulkServer(into, token) as server:
        loading = Loading(server, held, size)
        with Bar(*columns) as bar:
            for name in names:
                whole, begun = _bytes(name), held.begun(name)
                task = bar.add_task(Path(name).name, total=whole, completed=begun if whole else 0)
                async for place in loading.load(name):
                    bar.update(task, completed=place if whole else 0)
                bar.update(task, total=whole or 1, completed=whole or 1)
        while held.refused and await loading.refused_again():
            pass
        held.end()


def _bytes(name: str) -> int | None:
    """How much is to be sent, where places are bytes: a Bundle or a resource alone is there or not."""
    return Path(name).stat().st_size if name.endswith(LINES) else None


def _told(held: State) -> int:
    """Say what became of it; answers the exit code."""
    created, updated = held.counts["201"], held.counts["200"] + held.counts["204"]
    print(f"{created:>12,} created\n{updated:>12,} updated, or there already")
    if held.refused:
        print(f"{len(held.refused):>12,} refused: {held.folder / REFUSED} says which and why", file=sys.stderr)
    return int(bool(held.refused))


def _stop(reason: str) -> NoReturn:
    print(f"Not loaded: {reason}", file=sys.stderr)
    raise SystemExit(2)
