"""What the command is told by its options."""

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.export_command.folder import Damaged, Folder, Unfit
from app.export_command.work import Kickoff, run
from app.outbound.bulk import BulkServer, Unanswered

_DEFAULT = "http://127.0.0.1:8000/fhir"


def export(
    folder: Annotated[Path, typer.Argument(help="Folder for the files; one that was begun is gone on with.")],
    base: Annotated[str, typer.Option("--from", metavar="URL", help="FHIR endpoint of the server.")] = _DEFAULT,
    types: Annotated[list[str] | None, typer.Option("--type", help="Resource type; repeatable. Unset: all.")] = None,
    patients: Annotated[bool, typer.Option("--patients", help="Only what is about patients.")] = False,
    group: Annotated[str, typer.Option(help="Id of a Group: only what is about its members.")] = "",
    since: Annotated[str, typer.Option(help="Only what has changed since, e.g. a transactionTime before.")] = "",
    until: Annotated[str, typer.Option(help="Only what was changed before.")] = "",
    filters: Annotated[
        list[str] | None, typer.Option("--type-filter", help="A search, e.g. Observation?code=x; repeatable.")
    ] = None,
    elements: Annotated[str, typer.Option(help="Only these elements, separated by commas.")] = "",
    pseudonymise: Annotated[bool, typer.Option("--pseudonymise", help="Pseudonyms instead of identities.")] = False,
    lenient: Annotated[bool, typer.Option("--lenient", help="Let the server leave out what it does not know.")] = False,
    token_file: Annotated[Path | None, typer.Option(help="File with a bearer token for the server.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the files on the server too.")] = False,
) -> None:
    """Export from a server with Bulk Data Access into a folder: progress, resumed where it was, checksums.

    Ends with 0 if every file is there and checked, 1 if the server told of errors in its export, 2 if something could
    not be had; the same command goes on from there.
    """
    path = f"Group/{group}/$export" if group else "Patient/$export" if patients else "$export"
    named = {"_type": ",".join(types or ()), "_since": since, "_until": until, "_elements": elements}
    query = [(name, value) for name, value in named.items() if value]
    query += [("_typeFilter", each) for each in filters or ()]
    query += [("_pseudonymise", "true")] if pseudonymise else []
    try:
        token = token_file.read_text("utf-8").strip() if token_file else ""
        held = Folder.opened(folder, {"from": base, "path": path, "query": [list(each) for each in query]})
        asyncio.run(_run(base, token, held, Kickoff(path, query, lenient), keeps=keep))
    except OSError as error:
        _stop(f"{error.filename}: {os.strerror(error.errno or 0)}")
    except (Unanswered, Damaged, Unfit) as error:
        _stop(str(error))
    raise typer.Exit(_told(held))


async def _run(base: str, token: str, held: Folder, kickoff: Kickoff, *, keeps: bool) -> None:
    async with BulkServer(base, token) as server:
        await run(server, held, kickoff, keeps=keeps)


def _told(held: Folder) -> int:
    """Say what is there; answers the exit code."""
    counts: Counter[str] = Counter()
    errors = 0
    for item in held.items():
        counts[item.type if item.kind == "output" else item.kind] += item.count or 0
        errors += item.kind == "error"
    for name, count in sorted(counts.items()):
        print(f"{count:>12,} {name}")
    print(f"{len(held.sums)} files in {held.path}, as of {(held.manifest or {}).get('transactionTime')}")
    if errors:
        print(f"The server tells of problems in {errors} files named error.*", file=sys.stderr)
    return int(bool(errors))


def _stop(reason: str) -> NoReturn:
    print(f"Not exported: {reason}", file=sys.stderr)
    raise SystemExit(2)
