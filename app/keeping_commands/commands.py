"""The commands, and what each is told by its options."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from app.keeping_commands import work
from app.keeping_commands.archive import Damaged, Manifest
from app.keeping_commands.checking import check as look
from app.logs import configure
from app.main import make_service
from app.service import Service
from app.settings import WrongSettings, load_settings
from app.store.database import Interrupted, Unavailable
from app.store.kept.filling import NotEmpty
from app.store.kept.found import KINDS, REPAIRABLE, WARNINGS, Findings
from app.store.schema import Newer
from app.working import own_base

_Made = TypeVar("_Made")
_err = Console(stderr=True)


def backup(
    place: Annotated[Path, typer.Argument(metavar="FILE_OR_FOLDER", help="The file; in a folder it is named by time.")],
) -> None:
    """Back up the whole database to one file, while services go on writing.

    Ends with 0 once the file is whole and on disk, 2 if it could not be made. Files of exports and keys are not in it.
    """
    path = work.place(place)
    made = _run(lambda service: work.back_up(service.database, path, _tell_table))
    print(f"{path}: {sum(part.rows for part in made.tables.values())} rows as of {made.taken_at}")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `dermatome backup` made.")],
) -> None:
    """Fill an empty database, of either kind, with a backup; rows and their SHA-256 are compared with it afterwards.

    Ends with 0 once all of it is there and can be searched, 2 if it cannot be done; then nothing of it is there.
    """
    made = _run(lambda service: _restored(service, file), is_restored=True)
    print(f"{sum(part.rows for part in made.tables.values())} rows as of {made.taken_at}, compared with the backup")


def check(
    repair: Annotated[bool, typer.Option("--repair", help="Make search values anew that are wrong.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Look at no contents, only at what belongs together.")] = False,
) -> None:
    """Look for what does not fit together in the database. Ends with 0 if all does, 1 if not, 2 if it is unreadable."""

    async def found(service: Service) -> Findings:
        base = own_base(service.settings)
        with _err.status("") as status:
            return await look(
                service.database,
                service.parameters,
                base,
                lambda count: status.update(f"{count} versions"),
                repair=repair,
                contents=not quick,
            )

    findings = _run(found)
    _tell(findings)
    if findings.has_damage:
        raise typer.Exit(1)


async def _restored(service: Service, file: Path) -> Manifest:
    made = await work.restore(service.database, file, _tell_table)
    _err.print("search values are being made anew", markup=False)
    await service.reindexer.prepare()
    await service.reindexer.work()
    return made


def _tell(found: Findings) -> None:
    for kind, count in sorted(found.counts.items()):
        if count:
            repaired = f", {found.repaired[kind]} put right" if found.repaired[kind] else ""
            mark = " (no damage)" if kind in WARNINGS else " (--repair)" if kind in REPAIRABLE and not repaired else ""
            print(f"{count} {kind}: {KINDS[kind]}{repaired}{mark}")
            for example in found.examples.get(kind, ()):
                print(f"  {example}")
    if found.unindexed:
        print(f"search values of {', '.join(found.unindexed)} are being made anew and were not compared")
    print(f"{found.versions} contents read, search values of {found.compared} current versions compared")


def _tell_table(name: str, rows: int) -> None:
    if rows:
        _err.print(f"{rows:>12,} {name}", markup=False, highlight=False)


def _run(do: Callable[[Service], Awaitable[_Made]], *, is_restored: bool = False) -> _Made:
    """Do something with the database of the settings."""

    async def opened() -> _Made:
        settings = load_settings()
        configure(settings.log_level)
        service = make_service(settings, works=False)
        async with service.database:
            await service.database.migrate(is_restored=is_restored)
            return await do(service)

    try:
        return asyncio.run(opened())
    except OSError as error:
        _stop(f"{error.filename}: {os.strerror(error.errno)}" if error.filename and error.errno else str(error))
    except NotEmpty as error:
        _stop(f"the database is not empty, there are rows in {error}: restore fills an empty one only")
    except Unavailable as error:
        _stop(f"the database cannot be used: {error}")
    except (Damaged, Interrupted, Newer, WrongSettings) as error:
        _stop(str(error))


def _stop(reason: Any) -> NoReturn:
    _err.print(f"Cannot do this: {reason}", markup=False, highlight=False)
    raise typer.Exit(2)
