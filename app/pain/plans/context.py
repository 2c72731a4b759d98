"""What is stated with a plan for the safety rules: facts the record may lack, and reasons to override a rule."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from app.pain.reading import Place, Reader, boolean, choice, fields, integer, listed, number, several, text

if TYPE_CHECKING:
    from app.pain.content import Content

Fact = bool | int | Decimal | str | tuple[str, ...]
_RULE = re.compile(r"NPR[0-9]{2}")


def context_reader(content: "Content") -> Reader:
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


def override_reader(content: "Content") -> Reader:
    """A reader of rule id -> reason to go ahead in spite of it."""
    rules = [rule.id for rule in content.guidelines.rules]

    def read(value: Any, place: Place) -> dict[str, str]:
        if not isinstance(value, Mapping):
            place.refuse("structure", "Expected an object of rule id and reason.")
            return {}
        for key in value:
            if key not in rules:
                shown = place.at(key) if _RULE.fullmatch(str(key)) else place
                shown.refuse("value", f"There is no such rule; a key is one of {listed(rules)}.")
        reasons = {key: text(reason, place.at(key)) for key, reason in value.items() if key in rules}
        return {key: reason for key, reason in reasons.items() if reason is not None}

    return read
