"""Writes the derived parts of docs/sync.md: what each answer of a target means, and the fields of a target.

    python -m tools.sync_page

tests/sync/test_sync_page.py fails when the page is out of date.
"""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from app.sync.answers import NO_ANSWER, TABLE, Meaning, Row
from app.sync.verify.report import KINDS

PAGE = Path(__file__).parent.parent / "docs" / "sync.md"
_MARKS = ("answers", "meanings", "drift")


def page(text: str) -> str:
    """The page with its derived parts as they are now."""
    parts = {"answers": _answers(), "meanings": _meanings(), "drift": _drift()}
    for mark in _MARKS:
        start, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->\n"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = f"{before}{start}\n{parts[mark]}\n{end}{after}"
    return text


def _answers() -> str:
    rows = "".join(
        f"| {_statuses(row)} | {_of(row)} | {', '.join(sorted(row.asked))} | `{row.meaning.name}` | {row.because} |\n"
        for row in TABLE
    )
    return "| status | body | asked | meaning | because |\n| --- | --- | --- | --- | --- |\n" + rows


def _meanings() -> str:
    return "| meaning | |\n| --- | --- |\n" + "".join(f"| `{each.name}` | {each.value} |\n" for each in Meaning)


def _drift() -> str:
    return "| found | |\n| --- | --- |\n" + "".join(f"| {kind} | {told} |\n" for kind, told in KINDS.items())


def _of(row: Row) -> str:
    return {None: "any", True: "FHIR", False: "not FHIR"}[row.is_fhir]


def _statuses(row: Row) -> str:
    every = list(row.statuses)
    if every == [NO_ANSWER]:
        return "none"
    return f"{every[0]} to {every[-1]}" if len(every) > 2 and _is_run(every) else ", ".join(map(str, every))


def _is_run(numbers: Iterable[int]) -> bool:
    return all(after == before + 1 for before, after in pairwise(numbers))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
