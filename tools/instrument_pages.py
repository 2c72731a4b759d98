"""Writes docs/instruments: a page for each instrument and an index, from app/profiles/instruments.

    python -m tools.instrument_pages

tests/pain/test_instrument_pages.py fails when a page is out of date.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.pain.content import load_content
from app.pain.instruments.scoring import score, scores_view
from app.pain.instruments.types import Instrument, Item, Points, ScoreRule

FOLDER = Path(__file__).parent.parent / "docs" / "instruments"
_WRITTEN = "Written by `python -m tools.instrument_pages` from `app/profiles/instruments`; do not edit it here.\n"
_INDEX = f"""# Instruments

{_WRITTEN}
Only keys, paraphrased labels, points and algorithms are kept here, never the wording of a questionnaire. An instrument
is switched off by its id in `DERMATOME_INSTRUMENTS_OFF`. A missing answer never counts as "no": a score that needs it
is absent, with the reason.
"""
_HOW = {
    "sum": "sum of the points",
    "mean": "mean of the points, rounded to two decimals",
    "table": "sum of the points, converted by the table",
    "value": "the points of the answer",
}

Row = Sequence[str]


def pages() -> dict[str, str]:
    """Every page by its file name."""
    instruments = load_content().instruments.values()
    rows = [(f"[{one.id}]({one.id}.md)", one.title, _ranges(one), one.allows) for one in instruments]
    index = _INDEX + "\n" + _table(("id", "instrument", "scores", "what the licence allows"), rows)
    return {"README.md": index} | {f"{one.id}.md": page(one) for one in instruments}


def page(one: Instrument) -> str:
    """The page of one instrument."""
    parts = [
        f"# {one.title}\n\n{_WRITTEN}",
        _facts(one),
        "## Items\n\n" + _table(("key", "asks", "answer", "points", "codes"), map(_item, one.items)),
        "## Scores\n\n"
        + _table(("id", "is", "range", "unit", "cut-off", "codes"), (_score(one, r) for r in one.scores)),
        *(_bands(rule) for rule in one.scores if rule.bands),
        *(_conversion(rule) for rule in one.scores if rule.table),
        _safety(one),
        _examples(one),
    ]
    return "\n".join(part for part in parts if part)


def _facts(one: Instrument) -> str:
    facts = [
        ("id", f"`{one.id}`, version {one.version}"),
        ("recall period", one.recall),
        ("citation", one.citation),
        ("source", one.source),
        ("licence", one.licence),
        ("what it allows", one.allows),
        *(("accuracy", told) for told in one.accuracy),
        *(("to confirm", told) for told in one.to_confirm),
    ]
    return _table(("", ""), facts)


def _item(item: Item) -> Row:
    by = " (by the examiner)" if item.by == "examiner" else ""
    return f"`{item.key}`", item.label + by, _answer(item), _given(item), _codes([*item.codings, item.coding])


def _answer(item: Item) -> str:
    if item.kind == "choice":
        return "; ".join(f"`{option.key}`: {option.label}" for option in item.options)
    if item.kind == "boolean":
        return "true or false"
    return f"{item.low} to {item.high}" + (f" ({item.unit})" if item.unit else "")


def _given(item: Item) -> str:
    if item.kind == "choice":
        return "; ".join("none" if option.points is None else str(option.points) for option in item.options)
    return f"{item.weight} for yes" if item.kind == "boolean" else _times(item.weight)


def _times(weight: Points) -> str:
    return "as answered" if weight == 1 else f"answer times {weight}"


def _score(one: Instrument, rule: ScoreRule) -> Row:
    least = "" if rule.least_answered == len(rule.items) else f", at least {rule.least_answered} answered"
    of = "" if len(rule.items) == len(one.items) else f" of {', '.join(rule.items)}"
    sign = "at most" if rule.positive_at_most else "at least"
    cutoff = f"positive: {sign} {rule.cutoff}" if rule.cutoff is not None else ""
    codes = "" if rule.method == "value" else _codes([*rule.codings, rule.coding])
    told = f"{rule.label}: {_HOW[rule.method]}{of}{least}"
    return f"`{rule.id}`", told, f"{rule.low} to {rule.high}", rule.unit, cutoff, codes


def _bands(rule: ScoreRule) -> str:
    rows = [(f"`{band.coding.code}`", f"{band.low} to {band.high}") for band in rule.bands]
    return f"### Bands of {rule.id}\n\n" + _table(("band", "score"), rows)


def _conversion(rule: ScoreRule) -> str:
    rows = [(str(points), str(found)) for points, found in rule.table.items()]
    return f"### Table of {rule.id}\n\n" + _table(("sum of points", "score"), rows)


def _safety(one: Instrument) -> str:
    rows = [
        (f"`{rule.id}`", f"`{rule.item}` at least {rule.at_least}", rule.severity, rule.message, f"{rule.citation}")
        for rule in one.safety
    ]
    return "## Safety\n\n" + _table(("rule", "raised by", "severity", "message", "citation"), rows) if rows else ""


def _examples(one: Instrument) -> str:
    told = "".join(_example(one, example) for example in one.examples)
    return f"## Worked examples\n{told}"


def _example(one: Instrument, example: Mapping[str, Any]) -> str:
    answers, found = example["answers"], scores_view(score(one, example["answers"]))
    shown = {"instrument": one.id, "answers": answers}
    return f"\n{example['source']}:\n\n```json\n{_json(shown)}\n{_json({'scores': found})}\n```\n"


def _json(value: Any) -> str:
    return json.dumps(value, default=float, ensure_ascii=False)


def _codes(codings: Iterable[Any]) -> str:
    return ", ".join(f"{one.system.rpartition('/')[2]} `{one.code}`" for one in codings)


def _ranges(one: Instrument) -> str:
    return ", ".join(f"{rule.id} {rule.low} to {rule.high}" for rule in one.scores)


def _table(head: Row, rows: Iterable[Row]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in cells)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")
