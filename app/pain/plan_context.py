"""What is stated with a plan for the safety rules: facts the record may lack, and reasons to override a rule."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.pain.content import Content
from app.pain.reading import Place, Reader, boolean, choice, fields, integer, number, several, text

Fact = bool | int | Decimal | str | tuple[str, ...]
_RULE = re.compile(r"NPR[0-9]{2}")


def context_reader(content: Content) -> Reader:
    """A reader of the facts stated with a plan; the keys and what may be said of each are content."""
    readers = {key: _fact(row) for key, row in content.facts.items()}

    def read(value: Any, place: Place) -> dict[str, Fact]:
        return {key: fact for key, fact in fields(value, place, readers).items() if fact is not None}

    return read


def _fact(row: Mapping[str, Any]) -> Reader:
    low, high = row.get("low", 0), row.get("high", 0)
    readers: dict[str, Reader] = {
        "number": number(low=low, high=high),
        "integer": integer(low, high),
        "boolean": boolean,
        "text": text,
        "choice": _outcome(row.get("options", ())),
        "findings": _findings,
    }
    return readers[row["type"]]


def _outcome(options: tuple[str, ...]) -> Reader:
    """A reader of a test's outcome; true and false say positive and negative."""

    def read(value: Any, place: Place) -> str | None:
        said = {True: "positive", False: "negative"}[value] if isinstance(value, bool) else value
        return choice(options)(said, place)  # type: ignore[no-any-return]

    return read


def _findings(value: Any, place: Place) -> bool | tuple[str, ...] | None:
    """Whether there were any, or which; an empty list says there were none."""
    if isinstance(value, bool):
        return value
    found: tuple[str, ...] = several(text)([value] if isinstance(value, str) else value, place)
    return found or False


def override(value: Any, place: Place) -> dict[str, str]:
    """Rule id -> reason to go ahead in spite of it."""
    if not isinstance(value, Mapping):
        place.refuse("structure", "Expected an object of rule id and reason.")
        return {}
    for key in value:
        if not isinstance(key, str) or not _RULE.fullmatch(key):
            place.refuse("value", "A key is the id of a rule: NPR and two digits.")
    reasons = {key: text(reason, place.at(key)) for key, reason in value.items() if _RULE.fullmatch(str(key))}
    return {key: reason for key, reason in reasons.items() if reason is not None}
