"""The answer about a cohort, in the clinic's JSON: what may be told of each group, and by which methods."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.pain.cohort.asked import OTHERS, CohortAsked
from app.pain.cohort.content import CohortContent
from app.pain.cohort.suppression import TOTAL, Cell, hidden

METHODS: Mapping[str, str] = {
    "unit": "A course: the first treatment of a class that a patient was given for a diagnosis in the time asked for.",
    "baseline": "The last rating before the end of the first day, of the same score (scale and recall period), unit, "
    "body site and side as the follow-up; nothing is imputed.",
    "follow_up": "The last rating in the window while the treatment went on. Of several sites the one that hurt most "
    "at baseline counts.",
    "responder": "Relief from baseline in percent of the baseline, 30 or more and 50 or more (IMMPACT: Dworkin RH et "
    "al. J Pain 2008;9:105-121).",
    "denominator": "with_relief: the courses with both ratings and a baseline above zero.",
    "baseline_low": "Those with a baseline below 4 of 10, or as much of another scale: told, never left out.",
    "proportion": "Wilson score interval, 95 percent (Wilson EB. J Am Stat Assoc 1927;22:209-212).",
    "median": "Interval by order statistics, at least 95 percent (Campbell MJ, Gardner MJ. BMJ 1988;296:1454-1456); "
    "none below 6 values.",
    "suppression": "No group of 1 to smallest_cell - 1 courses, or of so many with a relief, is told, nor one that "
    "could be computed from the others and the totals (FCSM Statistical Policy Working Paper 22, 2005).",
}
_COUNTS = {
    "courses": "courses",
    "with_relief": "n",
    "baseline_missing": "baseline_missing",
    "follow_up_missing": "follow_up_missing",
    "both_missing": "no_value",
    "baseline_zero": "baseline_zero",
    "baseline_low": "baseline_low",
}


def outcomes_view(
    asked: CohortAsked, rows: Sequence[Any], content: CohortContent, least: int, sql: str
) -> dict[str, Any]:
    """rows: of the statement. least: the smallest count that is told. sql: what was asked of the database."""
    found = {(row["class"], row["diagnosis"]): row for row in rows if row["class"] is not None}
    unseen = _unseen(found, least) if found else frozenset()
    unknown = rows[0]["start_unknown"]
    told = {
        "score": {name: getattr(asked.score, name) for name in ("id", "label", "recall", "unit")},
        "window": _window(asked),
        "diagnosis": asked.diagnosis or None,
        "began": dict(asked.began),
        "smallest_cell": least,
        "start_unknown": None if 0 < unknown < least else unknown,
        "total": _group((TOTAL, TOTAL), found, unseen, content),
        "by_class": _groups(found, unseen, content, lambda cell: cell[0] != TOTAL and cell[1] == TOTAL),
        "by_diagnosis": _groups(found, unseen, content, lambda cell: cell[0] == TOTAL and cell[1] != TOTAL),
        "by_class_and_diagnosis": _groups(found, unseen, content, lambda cell: TOTAL not in cell),
        "methods": dict(METHODS),
    }
    return told | ({"sql": sql} if asked.shows_sql else {})


def _window(asked: CohortAsked) -> dict[str, Any]:
    one = asked.window
    return {"id": one.id, "label": one.label, "from_day": one.first, "until_day": one.last}


def _unseen(found: Mapping[Cell, Any], least: int) -> frozenset[Cell]:
    """One pattern for every count: what is hidden of one is hidden of all, so no count gives another away."""
    # Of the two counts the lesser that is not zero is the one that could make somebody out.
    sizes = {cell: min(filter(None, (row["courses"], row["n"])), default=0) for cell, row in found.items()}
    return hidden(sizes, least)


def _groups(found: Mapping[Cell, Any], unseen: frozenset[Cell], content: CohortContent, wanted: Any) -> list[Any]:
    cells = sorted(cell for cell in {*found, *unseen} if wanted(cell))
    return [_group(cell, found, unseen, content) for cell in cells]


def _group(cell: Cell, found: Mapping[Cell, Any], unseen: frozenset[Cell], content: CohortContent) -> dict[str, Any]:
    labels = {**content.diagnoses, **OTHERS}
    named = {"class": cell[0]} if cell[0] else {}
    named |= {"diagnosis": cell[1], "diagnosis_label": labels[cell[1]]} if cell[1] else {}
    if cell in unseen:
        return named | {"suppressed": True}
    row = found.get(cell)
    if row is None:
        return named | {"suppressed": False, "courses": 0, "with_relief": 0}
    counts = {name: row[column] for name, column in _COUNTS.items()}
    levels = {name: _responders(row, name) for name in content.levels}
    return named | {"suppressed": False} | counts | levels | {"median_relief_percent": _median(row)}


def _responders(row: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    if not row["n"]:
        return None
    part = 100 * row[name] / row["n"]
    ends = [_shown(100 * row[f"{name}_{end}"]) for end in ("low", "high")]
    return {"responders": row[name], "percent": _shown(part), "interval": ends}


def _median(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["median"] is None:
        return None
    ends = [row["median_low"], row["median_high"]]
    return {"median": _shown(row["median"]), "interval": None if None in ends else [_shown(end) for end in ends]}


def _shown(value: float) -> Decimal:
    """To two decimals."""
    return Decimal(f"{value + 0.0:.2f}")
