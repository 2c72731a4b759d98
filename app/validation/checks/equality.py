"""Whether a value is the one a profile fixes, or has its pattern (R4, ElementDefinition: fixed and pattern)."""

from decimal import Decimal
from typing import Any


def same(value: Any, fixed: Any) -> bool:
    """Whether a value is exactly the fixed one; 1.0 is not 1.00."""
    if type(fixed) is str:
        return type(value) is str and value == fixed
    if isinstance(fixed, dict):
        return isinstance(value, dict) and value.keys() == fixed.keys() and all(same(value[k], fixed[k]) for k in fixed)
    if isinstance(fixed, list):
        return isinstance(value, list) and len(value) == len(fixed) and all(map(same, value, fixed))
    if isinstance(fixed, int | Decimal) and not isinstance(fixed, bool):
        return type(value) in (int, Decimal) and value == fixed
    return type(value) is type(fixed) and bool(value == fixed)


def has_pattern(value: Any, pattern: Any) -> bool:
    """Whether a value has all the pattern has: more properties and more array items are fine."""
    if isinstance(pattern, dict):
        if not isinstance(value, dict):
            return False
        # A loop takes half the time of all() with a generator.
        for name, wanted in pattern.items():  # noqa: SIM110
            if name not in value or not has_pattern(value[name], wanted):
                return False
        return True
    if isinstance(pattern, list):
        return isinstance(value, list) and all(_has_item(value, wanted) for wanted in pattern)
    return same(value, pattern)


def _has_item(values: list[Any], wanted: Any) -> bool:
    for each in values:  # noqa: SIM110 - as above
        if has_pattern(each, wanted):
            return True
    return False
