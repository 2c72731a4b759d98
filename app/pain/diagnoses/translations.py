"""The codes that say the same as those of a diagnosis in another code system, and those that say nearly the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.pain.concepts import Coding, Concept, Key
from app.pain.content import Content
from app.pain.diagnoses.grading import Grade
from app.pain.diagnoses.rules import Translation, begins

# A translation of a translation is still certain, a chain of them is not looked for.
_HOPS = 2


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a translation must agree with. months: since the onset, None where it is unknown."""

    laterality: str | None
    grade: Grade
    months: int | None


def months_between(start: date, end: date) -> int:
    """Whole months between two days."""
    return (end.year - start.year) * 12 + end.month - start.month - (end.day < start.day)


def translations(code: Concept, known: Circumstances, content: Content) -> list[Coding]:
    """The codes that certainly mean the same, in systems the clinic has not coded itself.

    Where two different codes of one system would be added, neither is: only one could be right.
    """
    posted = {coding.system for coding in code.codings}
    found: dict[Key, None] = {}
    sources = [coding.key for coding in code.codings]
    for _ in range(_HOPS):
        rows = [row for row in _rows(sources, known, content) if row.is_added and row.side in (None, known.laterality)]
        sources = [row.target for row in rows if row.target[0] not in posted]
        found |= dict.fromkeys(sources)
    systems = [system for system, _ in found]
    return [Coding(*key, content.displays.get(key)) for key in found if systems.count(key[0]) == 1]


def suggestions(code: Concept, known: Circumstances, content: Content) -> list[dict[str, Any]]:
    """Codes near in meaning, for a person to choose from, in the clinic's JSON; they are never stored by themselves."""
    written = [coding.key for coding in (*code.codings, *translations(code, known, content))]
    taken = {system for system, _ in written}
    rows = dict.fromkeys(_rows(written, known, content))
    offered: dict[Key, Translation] = {}
    for row in rows:
        if row.target[0] not in taken:
            offered.setdefault(row.target, row)
    return [_view(row, content) for row in offered.values()]


def _view(row: Translation, content: Content) -> dict[str, Any]:
    system, code = row.target
    view = {"system": system, "code": code, "display": content.displays.get(row.target, code)}
    told: dict[str, Any] = {**view, "equivalence": row.equivalence}
    told |= {"laterality": row.side} if row.side else {}
    return told | ({"with": list(row.others)} if row.others else {})


def _rows(sources: Iterable[Key], known: Circumstances, content: Content) -> list[Translation]:
    """The rows from these codes that contradict nothing."""
    wanted = set(sources)
    return [row for row in content.diagnoses.translations if row.source in wanted and _fits(row, known, content)]


def _fits(row: Translation, known: Circumstances, content: Content) -> bool:
    """Whether a row agrees with the side, the duration and the grade, as far as they are known."""
    rules = content.diagnoses
    stated = row.side or rules.sides.get(row.target)
    is_of_side = known.laterality is None or stated in (None, known.laterality)
    is_early = known.months is not None and any(
        begins(row.target, ((system, prefix),)) and known.months < least for system, prefix, least in rules.chronic
    )
    is_at_odds = known.grade == "unlikely" and begins(row.target, rules.neuropathic)
    return is_of_side and not is_early and not is_at_odds
