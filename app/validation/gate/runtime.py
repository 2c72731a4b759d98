"""What the generated functions call: memories of single values found fine, and the way to the diagnosing pass's checks.

Whatever is not plainly fine is decided by the very functions of the diagnosing pass, so the two cannot drift apart.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from app.fhir.fhirpath.native import runtime
from app.validation.telling.report import Report, Scope
from app.validation.walk import Walk

# How many values each memory holds before it is emptied, and how long a text may be to be remembered.
MEMORY = 4096
LONGEST = 200


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

    __slots__ = (
        "_new_walk",
        "_scope",
        "_walk",
        "asked",
        "is_contained",
        "language",
        "outer",
        "owner",
        "resource",
        "steps",
    )

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
        self.steps = runtime.MAX_STEPS
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


# What generated code finds under these names.
FUNCTIONS: dict[str, Any] = {each.__name__: each for each in (other, is_name, is_number)} | runtime.FUNCTIONS
