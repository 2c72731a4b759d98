"""What expressions work on: elements of a resource, system values, and the frame of one evaluation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from time import thread_time
from typing import Any

from app.fhir.fhirpath.errors import EvaluationError
from app.fhir.fhirpath.model import SYSTEM_TYPES, Model
from app.fhir.fhirpath.temporal import Temporal, read_date, read_time
from app.profiles import toml_files

# How many items one evaluation may touch in loops: far above any real use, a bound on hostile input.
MAX_STEPS = 1_000_000
TOO_MANY_STEPS = "the expression takes too many steps on this input"
# What the expressions of a client may take in all of one evaluation, in seconds of the processor: a step that compares
# whole resources takes a thousand times as long as one that compares two numbers. How busy the machine is is no matter.
MAX_SECONDS = 1.0


class Node:
    """An element of a resource. value: its JSON value (None where only `_x` is there); extra: the `_x` object."""

    __slots__ = ("extra", "type", "value")

    def __init__(self, value: Any, type_: str, extra: Any = None) -> None:
        self.value = value
        self.type = type_
        self.extra = extra


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit. is_calendar: the unit is a word such as `days`."""

    value: Decimal
    unit: str
    is_calendar: bool = False

    def normal(self) -> tuple[Decimal, str] | None:
        """Value and base unit; None where the unit is a calendar word without fixed length."""
        table = units()
        unit = table["calendar"].get(self.unit.removesuffix("s")) if self.is_calendar else self.unit
        if unit is None:
            return None
        known = table["unit"].get(unit)
        return (self.value * Decimal(known["factor"]), known["base"]) if known else (self.value, unit)


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """What type() gives."""

    namespace: str
    name: str


Resolver = Callable[[str], Any]


@dataclass(slots=True)
class Frame:
    """The state of one evaluation. this, index, total: $this, $index, $total.

    resource, root: %resource and %rootResource. resolver: reference string -> resource or None.
    trusts_patterns: the expression comes from a definition loaded at start-up, so its patterns may be used on any text.
    row: %rowIndex of a ViewDefinition.
    """

    model: Model
    root: Node
    resource: Node
    context: Node | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    resolver: Resolver | None = None
    member_of: Callable[[Any, str], bool | None] | None = None
    conforms_to: Callable[[Any, str], bool] | None = None
    now: datetime | None = None
    this: Any = None
    index: int = 0
    total: list[Any] = field(default_factory=list)
    steps: int = MAX_STEPS
    trusts_patterns: bool = False
    row: int = 0
    until: float = 0.0

    def spend(self, count: int) -> None:
        self.steps -= count + 1
        if self.steps < 0:
            raise EvaluationError(TOO_MANY_STEPS)
        if not self.trusts_patterns:
            self.look()

    def look(self) -> None:
        """Look at the clock, for expressions of clients."""
        now = thread_time()
        self.until = self.until or now + MAX_SECONDS
        if now > self.until:
            # Thousands of expressions would add up if each did a little before it found that out.
            self.steps = -1
            raise EvaluationError(TOO_MANY_STEPS)


Step = Callable[[Frame, list[Any]], list[Any]]


@cache
def units() -> dict[str, Any]:
    return toml_files("units")["ucum"]


def system(item: Any) -> Any:
    """The system value of an item: a primitive element gives its value, a Quantity element a Quantity.

    Other elements are given back as they are; a primitive without value gives None.
    """
    if type(item) is not Node:
        return item
    value = item.value
    if type(value) is dict:
        return _quantity(value) or item if item.type in QUANTITIES else item
    kind = SYSTEM_TYPES.get(item.type)
    if kind is None or value is None:
        return value
    return _READERS[kind](value)


def _quantity(value: dict[str, Any]) -> Quantity | None:
    number: Any = value.get("value")
    if type(number) not in (int, Decimal) or value.get("comparator"):
        return None
    unit = value.get("code") or value.get("unit") or "1"
    return Quantity(Decimal(number), unit) if isinstance(unit, str) else None


QUANTITIES = frozenset({"Quantity", "Age", "Duration", "Distance", "Count", "SimpleQuantity", "MoneyQuantity"})


def _temporal(kind: str) -> Callable[[Any], Any]:
    if kind == "Time":
        return lambda value: read_time(value) if isinstance(value, str) else None
    return lambda value: read_date(value, kind) if isinstance(value, str) else None  # type: ignore[arg-type]


def _number(value: Any) -> Any:
    return value if type(value) in (int, Decimal) else Decimal(str(value)) if type(value) is float else None


_READERS: dict[str, Callable[[Any], Any]] = {
    "Boolean": lambda value: value if isinstance(value, bool) else None,
    "Integer": _number,
    "Decimal": lambda value: Decimal(value) if type(value) is int else _number(value),
    "Date": _temporal("Date"),
    "DateTime": _temporal("DateTime"),
    "Time": _temporal("Time"),
}


def singleton(items: list[Any]) -> Any:
    """The system value of the one item; None of an empty collection. Raises EvaluationError for several."""
    if not items:
        return None
    if len(items) > 1:
        raise EvaluationError("one value is needed, several were found")
    return system(items[0])


def truth(items: list[Any]) -> bool | None:
    """A collection as Boolean: a single value that is no Boolean counts as true (FHIRPath 2.0.0, section 5.5)."""
    if len(items) == 1 and isinstance(items[0], bool):
        return items[0]
    value = singleton(items)
    return value if value is None or isinstance(value, bool) else True


def text(items: list[Any]) -> str | None:
    """The one String of a collection. Raises EvaluationError for another type."""
    value = singleton(items)
    if value is None or isinstance(value, str):
        return value
    raise EvaluationError("a String is needed")


def integer(items: list[Any]) -> int | None:
    value = singleton(items)
    if value is None or type(value) is int:
        return value
    raise EvaluationError("an Integer is needed")


def type_of(item: Any) -> TypeInfo:
    if isinstance(item, Node):
        return TypeInfo("FHIR", item.type)
    if isinstance(item, Temporal):
        return TypeInfo("System", item.kind)
    return TypeInfo("System", _SYSTEM_NAMES.get(type(item), "Any"))


_SYSTEM_NAMES: dict[type, str] = {
    bool: "Boolean",
    int: "Integer",
    Decimal: "Decimal",
    str: "String",
    Quantity: "Quantity",
    TypeInfo: "SimpleTypeInfo",
}


def children(model: Model, node: Node) -> list[Node]:
    """All child elements of an element."""
    found: list[Node] = []
    for key in _names(node):
        found += child(model, node, key)
    return found


def _names(node: Node) -> list[str]:
    """The JSON names of an element's children, each once, without the underscore of `_x`."""
    source = node.value if isinstance(node.value, dict) else node.extra
    if not isinstance(source, dict):
        return []
    return list(
        dict.fromkeys(name.removeprefix("_") for name in source if name not in ("resourceType", "fhir_comments"))
    )


def child(model: Model, node: Node, key: str) -> list[Node]:
    """The elements under one JSON name (valueQuantity)."""
    source = node.value if type(node.value) is dict else node.extra
    if type(source) is not dict:
        return []
    return make(model, source, key, model.json_types(node.type).get(key, ""))


def make(model: Model, source: dict[str, Any], key: str, type_: str) -> list[Node]:
    value = source.get(key)
    extra = source.get("_" + key)
    if type_ in _RESOURCES or (not type_ and isinstance(value, dict) and "resourceType" in value):
        return [Node(each, _resource_type(each)) for each in (value if isinstance(value, list) else [value]) if each]
    if type(value) is list or type(extra) is list:
        return _many(value, extra, type_)
    if value is None and extra is None:
        return []
    return [Node(value, type_, extra)]


_RESOURCES = frozenset({"Resource", "DomainResource"})


def _resource_type(value: Any) -> str:
    found = value.get("resourceType", "") if isinstance(value, dict) else ""
    return found if isinstance(found, str) else ""


def _many(value: Any, extra: Any, type_: str) -> list[Node]:
    values = value if type(value) is list else []
    if type(extra) is not list:
        return [Node(each, type_) for each in values if each is not None]
    count = max(len(values), len(extra))
    values = values + [None] * (count - len(values))
    extras = extra + [None] * (count - len(extra))
    return [Node(a, type_, b) for a, b in zip(values, extras, strict=True) if a is not None or b is not None]
