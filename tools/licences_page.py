"""Writes docs/licences.md: what is shipped of others, under which terms, and how to leave it out.

    python -m tools.licences_page

The terms stand in app/profiles/guide/licences.toml and in the file of each instrument; codes are counted.
tests/guide/test_licences.py fails when the page is out of date.
"""

from collections.abc import Iterable
from pathlib import Path

from app.guide.licences import Terms, instruments, terminologies
from app.pain.content import load_content
from app.profiles import package
from tools import codes
from tools.coded import coded

PAGE = Path(__file__).parent.parent / "docs" / "licences.md"
_HEAD = """# Licences

Written by `python -m tools.licences_page` from `app/profiles/guide/licences.toml`, the files of the instruments, and
the codes that the content contains; do not edit it here. The same is shown at `/guide/licences.html`. `NOTICE` carries
the notices that the owners ask for.

The code and the definitions of this project are {licence}. That licence does not change the terms of the codes, names
and instruments of others.

## Terminologies

| terminology | edition | shipped | codes | terms | notice in | left out by |
|---|---|---|---|---|---|---|
"""
_INSTRUMENTS = """
## Instruments

Of every instrument the item keys, the scoring rules and labels paraphrased by this project are shipped, never
copyrighted wording. The licence line is that of the instrument's file; it is also the copyright of its Questionnaire.
A clinic that uses an instrument sees to the permission of its owner itself, where one is needed. An instrument that is
switched off is not listed, not accepted, and its Questionnaire is not served; several are separated by commas.

| instrument | terms | left out by |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    shipped = _shipped()
    rows = (_terminology(one, sum(one.covers(system) for system, _ in shipped)) for one in terminologies())
    lines = (
        f"| {one.title} (`{one.id}`) | {_cell(one.licence)} | `{one.off}` |" for one in instruments(load_content())
    )
    return _HEAD.format(licence=package()["license"]) + _lines(rows) + _INSTRUMENTS + _lines(lines)


def _shipped() -> set[tuple[str, str]]:
    """Every code in the content, examples too, once."""
    files = codes.content_files()
    right = (file for name, file in files.items() if not name.startswith("examples/invalid/"))
    return {one.key for file in right for one in coded(file, codes.systems()) if one.system}


def _terminology(one: Terms, count: int) -> str:
    off = f"`{one.off}`" if one.off else "-"
    cells = (one.name, one.edition, one.shipped, str(count), f"{one.terms} <{one.url}>", one.carried, off)
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _lines(rows: Iterable[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
