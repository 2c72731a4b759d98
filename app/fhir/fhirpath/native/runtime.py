"""What translated expressions call."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from app.fhir.fhirpath.errors import EvaluationError
from app.fhir.fhirpath.functions.resources import resolve
from app.fhir.fhirpath.nodes import Frame, Node, system
from app.fhir.fhirpath.operators import compare, key_of
from app.fhir.fhirpath.patterns import safe_pattern

_DAY = len("2026-05-01")
# How many elements the constraints of one resource may look at, where they look at some again and again.
MAX_STEPS = 200_000


def has_any(value: dict[str, Any], names: tuple[str, ...]) -> bool:
    # A loop takes half the time of any() with a generator.
    for name in names:  # noqa: SIM110
        if name in value:
            return True
    return False


def any_of(test: Callable[[Any], bool], values: list[Any] | None) -> bool:
    for each in values or ():  # noqa: SIM110
        if test(each):
            return True
    return False


def length(value: str | None) -> int | None:
    return None if value is None else len(value)


def lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


def number(operator: str, a: Any, b: Any) -> Any:
    """`+`, `-` and `mod` of FHIRPath."""
    if a is None or b is None:
        return None
    if operator == "mod":
        if type(a) is int and b == 1:
            return 0
        return Decimal(a) % Decimal(b) if b else None
    return a + b if operator == "+" else a - b


def matches(pattern: str, value: str | None) -> bool | None:
    if value is None:
        return None
    return safe_pattern(pattern).on(value, is_trusted=True).search(value) is not None


def date_order(a: str | None, b: str | None) -> int | None:
    """-1, 0 or 1 for two dates or times; None where one is missing or their precision does not tell."""
    if a is None or b is None:
        return None
    if len(a) == len(b) and (len(a) <= _DAY or a[-1] == b[-1] == "Z" or a[-6:] == b[-6:]):
        # The same precision and the same zone: what comes first as text comes first.
        return (a > b) - (a < b)
    return compare([system(Node(a, "dateTime"))], [system(Node(b, "dateTime"))])


def are_equal(a: Any, b: Any) -> bool:
    """Whether two elements are equal; their ids do not matter."""
    if type(a) is dict and type(b) is dict:
        for name, value in a.items():
            if type(value) is str and name != "id" and b.get(name) != value:
                return False
        return bool(key_of(Node(a, "")) == key_of(Node(b, "")))
    return bool(a == b)


def paid(items: list[Any], c: Any) -> list[Any]:
    """The items, if so many steps are left. Raises EvaluationError; the closures then tell by their own limit."""
    c.steps -= len(items)
    if c.steps < 0:
        raise EvaluationError("too many steps")
    return items


def resolved(reference: dict[str, Any], c: Any) -> list[Any]:
    """The resource a Reference points at, or a stand-in. Raises LookupError where that may be outside the resource."""
    frame: Frame = c.frame
    if frame.resolver or frame.root.value is not frame.resource.value:
        raise LookupError
    return [each.value for each in resolve(frame, [Node(reference, "Reference")])]


# By the names that generated code uses.
FUNCTIONS: dict[str, Any] = {
    each.__name__: each
    for each in (has_any, any_of, length, lower, number, matches, date_order, are_equal, paid, resolved)
} | {"Decimal": Decimal}
