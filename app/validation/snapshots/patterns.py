"""Regular expressions in the constraints of definitions from outside: none may keep the service busy for ever."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.fhir.fhirpath import FhirPathError, compile_expression
from app.fhir.fhirpath.patterns import MAX_TRUSTED, safe_pattern
from app.validation.snapshots.broken import Flaw
from app.validation.snapshots.differentials import differential_of

_CALLS = ("matches", "matchesFull", "replaceMatches")


def pattern_flaws(structure: Mapping[str, Any], *, is_trusted: bool) -> Iterator[Flaw]:
    """What is wrong with the patterns of a profile's constraints.

    is_trusted: the operator has put it there; else a pattern must also be quick on every text it may meet.
    """
    for place, element in enumerate(differential_of(structure)):
        for constraint in element.get("constraint", ()):
            for pattern in _patterns(constraint.get("expression", "")):
                if reason := _reason(pattern, is_trusted):
                    told = f"{constraint['key']}: {reason}"
                    yield Flaw(str(structure["url"]), str(element["id"]), told, place)


def _reason(pattern: str | None, is_trusted: bool) -> str:
    if pattern is None:
        return "a pattern must be a string, not computed" if not is_trusted else ""
    try:
        longest = safe_pattern(pattern).longest
    except FhirPathError as error:
        return str(error)
    if not is_trusted and longest < MAX_TRUSTED:
        return "the pattern has too many open repetitions (such as * and +) or alternatives to be quick on long texts"
    return ""


def _patterns(expression: str) -> Iterator[str | None]:
    """The patterns an expression uses, None for one that is computed."""
    try:
        open_ = [compile_expression(expression).tree] if expression else []
    except FhirPathError:
        # Told where the constraint is compiled for its element.
        return
    while open_:
        tree = open_.pop()
        if tree.kind == "call" and tree.value in _CALLS and tree.parts:
            pattern = tree.parts[0]
            yield pattern.value if pattern.kind == "literal" and isinstance(pattern.value, str) else None
        open_ += tree.parts
