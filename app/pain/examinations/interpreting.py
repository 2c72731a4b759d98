"""What a result means, as far as its range, its z-score or the finding itself says it."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from app.pain.examinations.types import Examinations, Number, Parameter

INTERPRETATIONS = ("low", "high", "normal", "abnormal", "positive", "negative")
# What may be stated where something follows: the same, or the same said with less or more.
_AGREE = {
    "low": ("low", "abnormal"),
    "high": ("high", "abnormal"),
    "abnormal": ("abnormal", "low", "high"),
    "normal": ("normal",),
    "positive": ("positive", "abnormal"),
    "negative": ("negative", "normal"),
}


@dataclass(frozen=True, slots=True)
class Range:
    """What the laboratory takes for normal, both ends included; in the unit of the result."""

    low: Number | None = None
    high: Number | None = None
    text: str | None = None

    def converted(self, convert: Callable[[Number], Number | None]) -> "Range | None":
        """The range in another unit; None where an end cannot be told in it."""
        low, high = (None if end is None else convert(end) for end in (self.low, self.high))
        if (low is None, high is None) != (self.low is None, self.high is None):
            return None
        return Range(low, high, self.text)


@dataclass(frozen=True, slots=True)
class Meaning:
    """An interpretation that follows.  basis: from what: the finding, the z-score or the reference range."""

    interpretation: str
    basis: str

    def agrees(self, stated: str) -> bool:
        return stated in _AGREE[self.interpretation]


def meaning(
    value: Number | bool | str | None,
    parameter: Parameter,
    known: Examinations,
    *,
    z_score: Number | None = None,
    reference_range: Range | None = None,
) -> Meaning | None:
    """What follows of a result, None where nothing does. value: None for a result said to be absent.

    A z-score decides where the parameter has a limit for it: it is the norm's own measure, and a range is not.
    """
    if parameter.kind == "coded" or value is None:
        means = known.findings[str(value) if value is not None else parameter.absent].means if _found(parameter) else ""
        return Meaning(means, "the finding") if means else None
    if z_score is not None and parameter.z_limit is not None:
        within = -parameter.z_limit <= z_score <= parameter.z_limit
        return Meaning("normal" if within else "abnormal", "the z-score")
    if reference_range and isinstance(value, int | Decimal):
        return _in_range(value, reference_range)
    return None


def _found(parameter: Parameter) -> bool:
    return parameter.kind == "coded" or (parameter.kind != "presence" and bool(parameter.absent))


def _in_range(value: Number, norm: Range) -> Meaning | None:
    basis = "the reference range"
    if norm.low is not None and value < norm.low:
        return Meaning("low", basis)
    if norm.high is not None and value > norm.high:
        return Meaning("high", basis)
    return Meaning("normal", basis) if (norm.low, norm.high) != (None, None) else None
