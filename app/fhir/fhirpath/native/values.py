"""What a translation gives: Python expressions for what is true, and for single values."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from app.fhir.fhirpath.model import SYSTEM_TYPES, Model
from app.fhir.fhirpath.native.ways import Untranslatable
from app.fhir.fhirpath.syntax import Tree

_DATES = frozenset({"Date", "DateTime"})


class Truth(NamedTuple):
    """Two Python expressions: whether the value is true, and whether it is false. Neither: it is empty."""

    true: str
    false: str

    @property
    def negated(self) -> "Truth":
        return Truth(self.false, self.true)


class Scalar(NamedTuple):
    """A Python expression that gives one value or None. kind: the type of an element, or a System type."""

    code: str
    kind: str

    @property
    def is_certain(self) -> bool:
        """Whether it is never None: a literal or a count."""
        return self.kind == "Count" or self.code[0] in "'\"" or self.code in ("True", "False")


def class_of(model: Model, kind: str) -> str:
    """What values of a type can be compared with: string, number, boolean or date; "" for all else."""
    kind = SYSTEM_TYPES.get(kind, kind)
    if kind == "String" or (kind in model.primitives and kind != "base64Binary"):
        return "string"
    if kind in ("Integer", "Decimal", "Count"):
        return "number"
    return "boolean" if kind == "Boolean" else "date" if kind in _DATES else ""


def literal(value: Any) -> Scalar:
    if isinstance(value, bool):
        return Scalar(repr(value), "Boolean")
    if isinstance(value, str | int):
        return Scalar(repr(value), "String" if isinstance(value, str) else "Count")
    return Scalar(repr(value), "Decimal")


def literals(tree: Tree) -> Iterator[Any]:
    """The values of 'a' | 'b' | 'c'."""
    if tree.kind == "literal":
        yield tree.value
    elif tree.kind == "binary" and tree.value == "|":
        for part in tree.parts:
            yield from literals(part)
    else:
        raise Untranslatable


LOGIC: dict[str, Callable[[Truth, Truth], Truth]] = {
    "and": lambda a, b: Truth(f"({a.true} and {b.true})", f"({a.false} or {b.false})"),
    "or": lambda a, b: Truth(f"({a.true} or {b.true})", f"({a.false} and {b.false})"),
    "implies": lambda a, b: Truth(f"({a.false} or {b.true})", f"({a.true} and {b.false})"),
    "xor": lambda a, b: Truth(
        f"(({a.true} and {b.false}) or ({a.false} and {b.true}))",
        f"(({a.true} and {b.true}) or ({a.false} and {b.false}))",
    ),
}

# The same where a part of one side could not be translated, so that it is neither true nor false here although it may
# be by the closures, or fail there: the second side counts only once the first is known.
FROM_LEFT: dict[str, Callable[[Truth, Truth], Truth]] = {
    "and": lambda a, b: Truth(f"({a.true} and {b.true})", f"({a.false} or ({a.true} and {b.false}))"),
    "or": lambda a, b: Truth(f"({a.true} or ({a.false} and {b.true}))", f"({a.false} and {b.false})"),
    "implies": lambda a, b: Truth(f"({a.false} or ({a.true} and {b.true}))", f"({a.true} and {b.false})"),
}
UNKNOWN = Truth("False", "False")
