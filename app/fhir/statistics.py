"""Statistics over exact numbers, by the codes of FHIR's observation statistics."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction

Numbers = Sequence[Decimal]
# More digits than any instrument has, fewer than FHIR allows: what a division leaves is cut here.
_SHOWN = Context(prec=12)


def quantile(values: Numbers, part: Fraction) -> Decimal:
    """The value below which a part of the values lies, by linear interpolation (type 7 of Hyndman and Fan)."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * part
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    share = place - low
    between = Fraction(ordered[low]) + (Fraction(ordered[high]) - Fraction(ordered[low])) * share
    return Decimal(between.numerator) / Decimal(between.denominator)


def _quartile_deviation(values: Numbers) -> Decimal:
    return (quantile(values, Fraction(3, 4)) - quantile(values, Fraction(1, 4))) / 2


_MADE: Mapping[str, Callable[[Numbers], Decimal]] = {
    "average": statistics.mean,
    "maximum": max,
    "minimum": min,
    "median": statistics.median,
    "std-dev": statistics.stdev,
    "sum": sum,  # type: ignore[dict-item]
    "variance": statistics.variance,
    "4-dev": _quartile_deviation,
}


def statistic(code: str, values: Numbers, part: Sequence[int] = ()) -> Decimal:
    """One statistic of at least as many values as it needs. part: of a quantile, (1, 4) for the lower quartile."""
    found = quantile(values, Fraction(*part)) if part else _MADE[code](values)
    # What needs no rounding keeps its digits: 7.50 stays 7.50.
    return found if len(found.as_tuple().digits) <= _SHOWN.prec else _SHOWN.plus(found)
