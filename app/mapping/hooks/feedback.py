"""What became of cards: CDS Hooks 2.0 feedback, read without the words people wrote."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.fhir.instants import period
from app.fhir.outcomes import Issue, Refused

OUTCOMES = ("accepted", "overridden")
MOST = 1_000
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Feedback:
    """reason: code of the override reason, "" where there is none; a comment is never kept."""

    card: str
    outcome: str
    reason: str
    accepted: int


def read_feedback(tree: Mapping[str, Any]) -> list[Feedback]:
    """Raises Refused with everything that is wrong in it."""
    issues: list[Issue] = []
    rows = tree.get("feedback")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST:
        raise Refused([Issue("required", f"feedback must be an array of 1 to {MOST} objects.", "feedback")])
    found = [_one(row, f"feedback[{index}]", issues) for index, row in enumerate(rows)]
    if issues:
        raise Refused(issues)
    return found


def _one(row: Any, place: str, issues: list[Issue]) -> Feedback:
    row = row if isinstance(row, Mapping) else {}
    wrong = [Issue("value", told, f"{place}.{key}") for key, told in _wrong(row)]
    issues += wrong
    accepted = [] if wrong else row.get("acceptedSuggestions", [])
    return Feedback(str(row.get("card")), str(row.get("outcome")), _reason(row.get("overrideReason")), len(accepted))


def _wrong(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not isinstance(row.get("card"), str) or not _UUID.fullmatch(row["card"]):
        yield "card", "card must be the uuid of a card."
    if row.get("outcome") not in OUTCOMES:
        yield "outcome", f"outcome must be one of {', '.join(OUTCOMES)}."
    if not _is_instant(row.get("outcomeTimestamp")):
        yield "outcomeTimestamp", "outcomeTimestamp must be an instant in UTC, e.g. 2026-05-01T07:30:00Z."
    suggestions = row.get("acceptedSuggestions", [])
    is_list = isinstance(suggestions, list)
    if not is_list or not all(isinstance(one, Mapping) and isinstance(one.get("id"), str) for one in suggestions):
        yield "acceptedSuggestions", "acceptedSuggestions must be an array of objects with an id."
    if row.get("outcome") == "accepted" and not suggestions:
        yield "acceptedSuggestions", "What was accepted must be told."
    if not isinstance(row.get("overrideReason", {}), Mapping):
        yield "overrideReason", "overrideReason must be an object."


def _reason(given: Any) -> str:
    reason = given.get("reason") if isinstance(given, Mapping) else None
    code = reason.get("code") if isinstance(reason, Mapping) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _is_instant(given: Any) -> bool:
    if not isinstance(given, str) or "T" not in given:
        return False
    try:
        period(given)
    except (ValueError, OverflowError):
        return False
    return True
