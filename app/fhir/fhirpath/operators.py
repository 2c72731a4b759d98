"""The operators of FHIRPath on system values and collections (FHIRPath 2.0.0, section 6)."""

from collections.abc import Callable, Hashable
from decimal import Decimal
from typing import Any

from app.fhir.fhirpath.errors import EvaluationError
from app.fhir.fhirpath.nodes import QUANTITIES, Node, Quantity, singleton, system, truth, units
from app.fhir.fhirpath.temporal import Temporal, read_date, shift

Items = list[Any]
_NUMBERS = (int, Decimal)
MAX_EQUIVALENT = 1_000
# Larger whole numbers overflow to empty, longer texts are an error: neither occurs in FHIR.
MAX_INTEGER = 2**63
MAX_TEXT = 1_000_000


def is_number(value: Any) -> bool:
    return type(value) in _NUMBERS


def equal(left: Items, right: Items) -> bool | None:
    """Equality of collections; None (empty) if one is empty or it cannot be told."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    unknown = False
    for a, b in zip(left, right, strict=True):
        same = equal_items(a, b)
        if same is False:
            return False
        unknown = unknown or same is None
    return None if unknown else True


def equal_items(left: Any, right: Any) -> bool | None:
    a, b = system(left), system(right)
    if isinstance(a, Node) or isinstance(b, Node):
        return isinstance(a, Node) and isinstance(b, Node) and _deep(a.value) == _deep(b.value)
    if a is None or b is None:
        return None
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if is_number(a) and is_number(b):
        return bool(a == b)
    a, b = _as_same_kind(a, b)
    if isinstance(a, Temporal) and isinstance(b, Temporal):
        return a.equals(b)
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        return _equal_quantities(a, b)
    return type(a) is type(b) and bool(a == b)


def _as_same_kind(a: Any, b: Any) -> tuple[Any, Any]:
    """A string beside a date is read as one, a number beside a quantity gets the unit 1 (implicit conversions)."""
    if isinstance(a, Temporal) and isinstance(b, str):
        return a, read_date(b) or b
    if isinstance(b, Temporal) and isinstance(a, str):
        return read_date(a) or a, b
    if isinstance(a, Quantity) and is_number(b):
        return a, Quantity(Decimal(b), "1")
    if isinstance(b, Quantity) and is_number(a):
        return Quantity(Decimal(a), "1"), b
    return a, b


def _equal_quantities(a: Quantity, b: Quantity) -> bool | None:
    order = _order_quantities(a, b)
    if order is None:
        return None if a.unit != b.unit else False
    return order == 0


def _order_quantities(a: Quantity, b: Quantity) -> int | None:
    if (a.unit.removesuffix("s"), a.is_calendar) == (b.unit.removesuffix("s"), b.is_calendar) or a.unit == b.unit:
        return _order(a.value, b.value)
    one, other = a.normal(), b.normal()
    if one is None or other is None or one[1] != other[1]:
        return None
    return _order(one[0], other[0])


def _order(a: Any, b: Any) -> int:
    return -1 if a < b else 1 if a > b else 0


def _deep(value: Any) -> Any:
    """A JSON value in which element ids are left out, for comparison."""
    if isinstance(value, dict):
        return {name: _deep(each) for name, each in value.items() if name != "id"}
    return [_deep(each) for each in value] if isinstance(value, list) else value


def key_of(item: Any) -> Hashable:
    """A key that equal items share, for sets; it may differ only where equality cannot be told."""
    value = system(item)
    if isinstance(value, Node):
        return _frozen(value.value)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, Quantity):
        normal = value.normal()
        return ("quantity", *(normal or (value.value, value.unit)))
    if isinstance(value, Temporal):
        return (
            "temporal",
            value.kind == "Time",
            value.fields if value.zone is None else value._in_utc(),
            value.zone is None,
        )
    return ("value", value) if isinstance(value, Hashable) else ("text", repr(value))


def _frozen(value: Any) -> Hashable:
    if isinstance(value, dict):
        return frozenset((name, _frozen(each)) for name, each in value.items() if name != "id")
    if isinstance(value, list):
        return tuple(_frozen(each) for each in value)
    return (isinstance(value, bool), value)


def distinct(items: Items) -> Items:
    if len(items) < 2:
        return items
    found: dict[Hashable, Any] = {}
    for item in items:
        found.setdefault(key_of(item), item)
    return list(found.values())


def equivalent(left: Items, right: Items) -> bool:
    """`~`: order, case, spacing and trailing precision do not matter; empty equals empty."""
    if len(left) != len(right):
        return False
    if len(left) > MAX_EQUIVALENT:
        raise EvaluationError("the collections are too large to compare without order")
    rest = list(right)
    for item in left:
        found = next((place for place, other in enumerate(rest) if equivalent_items(item, other)), None)
        if found is None:
            return False
        del rest[found]
    return True


def equivalent_items(left: Any, right: Any) -> bool:
    a, b = system(left), system(right)
    if isinstance(a, Node) or isinstance(b, Node):
        return isinstance(a, Node) and isinstance(b, Node) and _loose(a.value) == _loose(b.value)
    if isinstance(a, str) and isinstance(b, str):
        return _plain(a) == _plain(b)
    if is_number(a) and is_number(b):
        places = min(_places(a), _places(b))
        return round(Decimal(a), places) == round(Decimal(b), places)
    a, b = _as_same_kind(a, b)
    if isinstance(a, Temporal) and isinstance(b, Temporal):
        return a.equals(b) is True
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        return _equivalent_quantities(a, b)
    return type(a) is type(b) and bool(a == b)


def _equivalent_quantities(a: Quantity, b: Quantity) -> bool:
    one, other = _loose_quantity(a).normal(), _loose_quantity(b).normal()
    return one is not None and other is not None and one[1] == other[1] and equivalent_items(one[0], other[0])


def _loose_quantity(value: Quantity) -> Quantity:
    unit = units()["resembles"].get(value.unit.removesuffix("s")) if value.is_calendar else None
    return Quantity(value.value, unit) if unit else value


def _loose(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((name, _loose(each)) for name, each in value.items() if name != "id")
    if isinstance(value, list):
        return frozenset(_loose(each) for each in value)
    return _plain(value) if isinstance(value, str) else value


def _plain(value: str) -> str:
    return " ".join(value.casefold().split())


def _places(value: int | Decimal) -> int:
    return max(0, -int(value.as_tuple().exponent)) if isinstance(value, Decimal) else 0


def compare(left: Items, right: Items) -> int | None:
    """The order of two single values; None if one is empty or it cannot be told. Raises for types without an order."""
    a, b = singleton(left), singleton(right)
    if a is None or b is None or _has_no_value(a) or _has_no_value(b):
        return None
    a, b = _as_same_kind(a, b)
    if (is_number(a) and is_number(b)) or (isinstance(a, str) and isinstance(b, str)):
        return _order(a, b)
    if isinstance(a, Temporal) and isinstance(b, Temporal) and (a.kind == "Time") == (b.kind == "Time"):
        return a.compare(b)
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        return _order_quantities(a, b)
    raise EvaluationError("values of these types have no order")


def _has_no_value(item: Any) -> bool:
    """Whether an item is a Quantity element without a value that could be compared."""
    return isinstance(item, Node) and item.type in QUANTITIES


def arithmetic(operator: str, left: Items, right: Items) -> Items:
    """`+ - * / div mod`; empty for empty operands, division by zero and overflow."""
    a, b = singleton(left), singleton(right)
    if a is None or b is None:
        return []
    if operator == "+" and isinstance(a, str) and isinstance(b, str):
        return _text(a, b)
    if isinstance(a, str) and isinstance(b, Quantity):
        a = read_date(a) or a
    if isinstance(a, Temporal) and isinstance(b, Quantity) and operator in "+-":
        return _shifted(a, b, 1 if operator == "+" else -1)
    if isinstance(a, Quantity) or isinstance(b, Quantity):
        return _with_units(operator, a, b)
    if not (is_number(a) and is_number(b)):
        raise EvaluationError(f"{operator} cannot be applied to values of these types")
    try:
        made = _ARITHMETIC[operator](a, b)
    except ArithmeticError:
        return []
    return [] if type(made) is int and abs(made) > MAX_INTEGER else [made]


def _shifted(start: Temporal, by: Quantity, sign: int) -> Items:
    unit = by.unit.removesuffix("s") if by.is_calendar else _calendar_word(by.unit)
    if unit is None:
        raise EvaluationError("only a calendar duration can be added to a date")
    amount = by.value * 1000 if unit == "second" else by.value
    moved = shift(start, sign * int(amount), "millisecond" if unit == "second" else unit)
    return [moved] if moved else []


def _calendar_word(unit: str) -> str | None:
    """The calendar word of a unit of definite length, or of a word written as a unit ('month')."""
    word = unit.removesuffix("s")
    if word in units()["calendar"] or word in units()["resembles"]:
        return word
    return next((word for word, its_unit in units()["calendar"].items() if its_unit == unit), None)


def _with_units(operator: str, a: Any, b: Any) -> Items:
    a = a if isinstance(a, Quantity) else Quantity(Decimal(a), "1") if is_number(a) else None
    b = b if isinstance(b, Quantity) else Quantity(Decimal(b), "1") if is_number(b) else None
    if a is None or b is None:
        raise EvaluationError(f"{operator} cannot be applied to values of these types")
    if operator in "+-":
        one, other = a.normal(), b.normal()
        if a.unit == b.unit:
            return [Quantity(_ARITHMETIC[operator](a.value, b.value), a.unit, a.is_calendar)]
        same = one and other and one[1] == other[1]
        return [Quantity(_ARITHMETIC[operator](one[0], other[0]), one[1])] if one and other and same else []
    return _multiplied(operator, a, b)


def _multiplied(operator: str, a: Quantity, b: Quantity) -> Items:
    if operator not in "*/" or (operator == "/" and not b.value):
        return []
    value = _ARITHMETIC[operator](a.value, b.value)
    if "1" in (a.unit, b.unit) and (operator == "*" or b.unit == "1"):
        return [Quantity(value, b.unit if a.unit == "1" else a.unit)]
    one, other = a.normal(), b.normal()
    if operator == "/" and one and other and one[1] == other[1]:
        return [Quantity(one[0] / other[0], "1")]
    return [
        Quantity(
            value, f"{a.unit}{'2' if a.unit == b.unit else '.' + b.unit}" if operator == "*" else f"{a.unit}/{b.unit}"
        )
    ]


def _divided(a: Any, b: Any) -> Any:
    return Decimal(a) / Decimal(b)


def _whole(a: Any, b: Any) -> int:
    return int(Decimal(a) / Decimal(b))


def _remainder(a: Any, b: Any) -> Any:
    rest = Decimal(a) % Decimal(b)
    return int(rest) if type(a) is int and type(b) is int else rest


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divided,
    "div": _whole,
    "mod": _remainder,
}


def both(left: Items, right: Items) -> Items:
    a, b = truth(left), truth(right)
    if a is False or b is False:
        return [False]
    return [] if a is None or b is None else [True]


def either(left: Items, right: Items) -> Items:
    a, b = truth(left), truth(right)
    if a or b:
        return [True]
    return [] if a is None or b is None else [False]


def one_of_two(left: Items, right: Items) -> Items:
    a, b = truth(left), truth(right)
    return [] if a is None or b is None else [a is not b]


def implied(left: Items, right: Items) -> Items:
    a, b = truth(left), truth(right)
    if a is False or b is True:
        return [True]
    return [False] if a is True and b is False else []


def joined(left: Items, right: Items) -> Items:
    """`&`: strings joined, empty as ''."""
    a, b = singleton(left), singleton(right)
    for value in (a, b):
        if value is not None and not isinstance(value, str):
            raise EvaluationError("& needs Strings")
    return _text(a or "", b or "")


def _text(a: str, b: str) -> Items:
    if len(a) + len(b) > MAX_TEXT:
        raise EvaluationError("the text grows too long")
    return [a + b]


def contained_in(left: Items, right: Items) -> Items:
    if not left:
        return []
    if len(left) > 1:
        raise EvaluationError("one value is needed, several were found")
    return [any(equal_items(left[0], item) for item in right)]
