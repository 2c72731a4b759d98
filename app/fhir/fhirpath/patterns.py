"""Regular expressions that cannot be made to run for ever.

Python's matcher tries all ways to match. Patterns with exponentially many ways are refused, and the more repetitions
a pattern has, the shorter the text it may be used on.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from app.fhir.fhirpath.errors import EvaluationError

MAX_PATTERN = 1_000
# What a match may take at worst by our rough count, which is far above what it does take: seconds, never hours.
_STEPS = 200_000_000
# So many of these take about as long as one step of an expression: a match at worst uses up all that an expression has.
_PER_STEP = 200
_MAX_DOUBLINGS = 20
_MAX_TEXT = 1_000_000
# The longest text on which a pattern of a definition is used.
MAX_TRUSTED = 10_000
_LONG = 64
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_WORD": lambda mark: mark.isalnum() or mark == "_",
}


class SafePattern(NamedTuple):
    """A pattern with the longest text it may be used on. power: how its ways to match grow with the length of a text;
    ways: by what, whatever the length."""

    pattern: re.Pattern[str]
    longest: int
    power: int
    ways: int

    def on(self, text: str, *, is_trusted: bool) -> re.Pattern[str]:
        """The pattern, for this text. Raises EvaluationError if the text is too long for it.

        is_trusted: the pattern comes from a definition loaded at start-up, not from a client.
        """
        if len(text) > (MAX_TRUSTED if is_trusted else self.longest):
            raise EvaluationError("the text is too long for this pattern")
        return self.pattern

    def steps(self, text: str) -> int:
        """What using it on a text costs at worst, in steps of an expression."""
        return int(self.ways * len(text) ** self.power // _PER_STEP)


@lru_cache(maxsize=512)
def safe_pattern(text: str) -> SafePattern:
    """The compiled pattern. Raises EvaluationError if it is none, or if it could take for ever, like `(a+)+`."""
    if len(text) > MAX_PATTERN:
        raise EvaluationError(f"the pattern is longer than {MAX_PATTERN} characters")
    try:
        parsed = re._parser.parse(text)  # type: ignore[attr-defined]
        compiled = re.compile(text, re.DOTALL)
    except (re.error, OverflowError, RecursionError):
        raise EvaluationError("the pattern is no regular expression") from None
    operations = list(_all(parsed))
    if any(_is_ambiguous(argument[2]) for operation, argument in operations if _is_repeat(operation, argument, 1)):
        raise EvaluationError("the pattern repeats a repetition, which could take for ever")
    if any(operation == "GROUPREF" for operation, _ in operations):
        raise EvaluationError("the pattern refers back to a group, which could take for ever")
    return SafePattern(compiled, *_growth(operations))


def _growth(operations: list[tuple[str, Any]]) -> tuple[int, int, int]:
    """The longest text a pattern may be used on, power and ways: each open repetition multiplies the ways to match by
    the length of the text, each bounded one and each alternative by a constant."""
    unbounded = sum(_is_repeat(operation, argument, _LONG) for operation, argument in operations)
    doublings = sum(_doublings(operation, argument) for operation, argument in operations)
    if doublings > _MAX_DOUBLINGS:
        raise EvaluationError("the pattern has too many alternatives")
    if not unbounded + doublings:
        return _MAX_TEXT, 1, 1
    # One more than the repetitions, because a search starts anew at every character.
    return int((_STEPS / 2**doublings) ** (1 / (unbounded + 1))), unbounded + 1, int(2**doublings)


def _doublings(operation: str, argument: Any) -> int:
    if operation == "BRANCH":
        return len(argument[1]) - 1
    if operation not in _REPEATS or argument[1] > _LONG:
        return 0
    return int(argument[1] - argument[0]).bit_length()


def _all(parsed: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Every operation of a pattern, at any depth."""
    for operation, argument in parsed:
        yield str(operation), argument
        for part in _parts(argument):
            yield from _all(part)


def _parts(argument: Any) -> Iterator[Any]:
    if hasattr(argument, "data"):
        yield argument
    elif isinstance(argument, list | tuple):
        for part in argument:
            yield from _parts(part)


def _is_repeat(operation: str, argument: Any, above: int) -> bool:
    return operation in _REPEATS and argument[1] > above


def _is_ambiguous(body: Iterable[Any]) -> bool:
    """Whether a repeated body may be split into rounds in several ways.

    Fine are bodies without repetitions, options and alternatives of their own, and those with a fixed character in
    every round that none of their repetitions can match: `([a-z]+,)*`.
    """
    operations = list(_all(body))
    if any(operation == "BRANCH" for operation, _ in operations):
        return True
    inner = [argument[2] for operation, argument in operations if operation in _REPEATS and argument[0] != argument[1]]
    if not inner:
        return False
    marks = list(_literals(body))
    return not any(not any(_can_match(repeated, mark) for repeated in inner) for mark in marks)


def _literals(body: Iterable[Any]) -> Iterator[str]:
    """The fixed characters every round of a body goes through."""
    for operation, argument in body:
        if str(operation) == "LITERAL":
            yield chr(argument)
        elif str(operation) == "SUBPATTERN":
            yield from _literals(argument[-1])


def _can_match(body: Iterable[Any], mark: str) -> bool:
    """Whether any part of a repeated body can match a character; in doubt, yes."""
    return any(_matches(operation, argument, mark) for operation, argument in _all(body))


def _matches(operation: str, argument: Any, mark: str) -> bool:
    match operation:
        case "LITERAL":
            return bool(argument == ord(mark))
        case "NOT_LITERAL":
            return bool(argument != ord(mark))
        case "RANGE":
            return bool(argument[0] <= ord(mark) <= argument[1])
        case "CATEGORY":
            name = str(argument)
            is_negated = "_NOT_" in name
            test = _CATEGORIES.get(name.replace("_NOT_", "_"))
            return test is None or test(mark) is not is_negated
        case "IN":
            members = [(str(kind), each) for kind, each in argument]
            is_negated = members[0][0] == "NEGATE"
            return any(_matches(kind, each, mark) for kind, each in members if kind != "NEGATE") is not is_negated
        case "SUBPATTERN" | "MAX_REPEAT" | "MIN_REPEAT" | "BRANCH" | "AT":
            # Their parts are looked at one by one.
            return False
    return True
