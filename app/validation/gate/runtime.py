"""What the generated functions call: memories of single values found fine, and the way to the diagnosing pass's checks.

Whatever is not plainly fine is decided by the very functions of the diagnosing pass, so the two cannot drift apart.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from app.fhir.fhirpath import Node
from app.fhir.fhirpath.nodes import system
from app.fhir.fhirpath.operators import compare, key_of
from app.fhir.fhirpath.patterns import safe_pattern
from app.validation.telling.report import Report, Scope
from app.validation.walk import Walk

# How many values each memory holds before it is emptied, and how long a text may be to be remembered.
MEMORY = 4096
LONGEST = 200
_DAY = len("2026-05-01")


class Unsure(Exception):
    """The gate leaves this resource to the diagnosing pass."""


class Kept:
    """Values known to be fine; keep() checks one that is not known and remembers it."""

    __slots__ = ("_is_fine", "known")

    def __init__(self, is_fine: Callable[[Any], bool]) -> None:
        self._is_fine = is_fine
        self.known: set[Any] = set()

    def keep(self, value: Any) -> bool:
        if not self._is_fine(value):
            return False
        if len(value) <= LONGEST:
            remember(self.known, value)
        return True


def remember(known: set[Any], value: Any) -> None:
    if len(known) >= MEMORY:
        known.clear()
    known.add(value)


class Context:
    """What is around a value. owner: the outermost resource in whose `contained` the resource is, or itself."""

    __slots__ = ("_new_walk", "_scope", "_walk", "asked", "is_contained", "language", "outer", "owner", "resource")

    def __init__(
        self,
        resource: dict[str, Any],
        new_walk: Callable[[Report], Walk],
        outer: "Context | None" = None,
        *,
        is_contained: bool = False,
        asked: tuple[str, ...] = (),
    ) -> None:
        self.resource, self.outer, self.is_contained, self.asked = resource, outer, is_contained, asked
        self.owner: dict[str, Any] = outer.owner if outer and is_contained else resource
        self.language = resource.get("language")
        self._new_walk = new_walk
        self._walk: Walk | None = None
        self._scope: Scope | None = None

    @property
    def walk(self) -> Walk:
        """A diagnosing pass for the parts that need one; its report is common to all of them."""
        if self._walk is None:
            self._walk = self.outer.walk if self.outer else self._new_walk(Report())
        return self._walk

    @property
    def scope(self) -> Scope:
        if self._scope is None:
            outer = self.outer.scope if self.outer else None
            self._scope = self.walk.scope_of(self.resource, "", outer, is_contained=self.is_contained)
        return self._scope


def other(value: dict[str, Any], unknown: int) -> bool:
    """There are names of no element. With an underscore they belong to a primitive, which the walk looks at."""
    if any(name.startswith("_") for name in value):
        raise Unsure
    return False


def is_name(value: Any, c: Context, p: str) -> bool:
    """resourceType, by which the function was chosen."""
    return True


def is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is Decimal and value.is_finite())


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


# What generated code finds under these names.
FUNCTIONS: dict[str, Any] = {
    each.__name__: each
    for each in (other, is_name, is_number, has_any, any_of, length, number, matches, date_order, are_equal)
} | {"Decimal": Decimal}
