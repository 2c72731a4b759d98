"""What the commands show."""

import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.sync.verify.report import KINDS, Report

# A pipe has no width of its own: what is cut cannot be searched.
_out, _err = Console(width=None if sys.stdout.isatty() else 200), Console(stderr=True)


def tell(report: Report, *, repair: bool) -> None:
    amounts = sorted(report.types.items())
    rows = [
        (kind, str(one.here), str(one.there), "" if one.in_all is None else str(one.in_all)) for kind, one in amounts
    ]
    show(("type", "here", "there", "all that is there"), rows)
    for kind, count in sorted(report.counts.items()):
        print(f"{count} {kind}: {KINDS[kind]}")
        for example in report.examples[kind]:
            print(f"  {example}")
    print(f"{report.seen} looked at, {report.compared} contents compared, {report.drift} differ", end="")
    print(f", {report.repaired} put right or on their way" if repair else "")


def progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=_err)


def end(code: int) -> None:
    if code:
        raise typer.Exit(code)


def show(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table. What servers said is shown as it is: their brackets are no markup."""
    table = Table(*names)
    for row in rows:
        table.add_row(*map(escape, row))
    _out.print(table)


def say(text: str) -> None:
    _err.print(text, markup=False)


def stop(reason: str) -> NoReturn:
    say(f"Cannot do this: {reason}")
    raise typer.Exit(2)
