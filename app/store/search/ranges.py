"""Numbers and dates with their prefixes, as the ranges they stand for (R4 3.1.1.4.4 and 3.1.1.4.5)."""

import re
from decimal import Decimal
from math import isfinite

from app.fhir.instants import period
from app.store.index.values import LATEST
from app.store.search.tree import Range

PREFIXES = ("eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap")
_PREFIX = re.compile(r"([a-z]{2})(?=[\d+.\-])", re.IGNORECASE)
_NUMBER = re.compile(r"(?P<sign>[+-]?)(?P<whole>\d+)(\.(?P<fraction>\d+))?([eE](?P<exponent>[+-]?\d{1,3}))?", re.ASCII)
_LAST_YEAR = re.compile("9999(-12)?")
_MOST_DIGITS = 60
# R4 recommends 10 %: of a number, or of the time between now and a date.
_APPROXIMATELY = 10


def prefixed(text: str) -> tuple[str, str]:
    """The prefix and the rest; eq where there is none. Raises ValueError for letters that are no prefix."""
    found = _PREFIX.match(text)
    if not found:
        return "eq", text
    if found[1] not in PREFIXES:
        raise ValueError(f"the prefix {found[1]} is not known; the prefixes are {', '.join(PREFIXES)}")
    return found[1], text[2:]


def number(text: str) -> tuple[str, Decimal, Decimal]:
    """(prefix, low, high) of a number, a range by its digits or by the approximation where the prefix asks for one."""
    # In a URL a literal + means a space.
    prefix, digits = prefixed(text.replace(" ", "+"))
    found = _NUMBER.fullmatch(digits)
    if not found or len(digits) > _MOST_DIGITS or not isfinite(float(digits)):
        raise ValueError("expected a number such as 7, 7.50 or 5.4e-3")
    value = Decimal(digits)
    if prefix in ("eq", "ne"):
        half = _half_digit(found)
        return prefix, value - half, value + half
    if prefix == "ap":
        margin = max(_half_digit(found), abs(value) / _APPROXIMATELY)
        return prefix, value - margin, value + margin
    return prefix, value, value


def number_range(text: str) -> Range:
    """A number with its prefix."""
    prefix, low, high = number(text)
    return Range(prefix, float(low), float(high))


def date_range(text: str, now: int) -> Range:
    """A date or time of any precision with its prefix, as microseconds [low, high). now: likewise."""
    prefix, moment = prefixed(text)
    try:
        # Clients forget to encode the + of a time zone.
        low, high = _period(moment.replace(" ", "+"))
    except (ValueError, OverflowError):
        raise ValueError("expected a date or time such as 2026-05-01 or 2026-05-01T09:30:00Z") from None
    if prefix == "ap":
        margin = max(now - high, low - now, 0) // _APPROXIMATELY
        return Range(prefix, low - margin, high + margin)
    return Range(prefix, low, high)


def _period(text: str) -> tuple[int, int]:
    """The calendar of Python ends with the year 9999, so that one has no end: clients mean by it that there is none."""
    if _LAST_YEAR.fullmatch(text):
        return period(f"{text}-01-01"[:10])[0], LATEST
    return period(text)


def _half_digit(found: re.Match[str]) -> Decimal:
    """Half of the last significant digit. R4 reads 1e2 as 95 to 105: with an exponent, as if written 1.0e2."""
    digits = len(found["fraction"] or "")
    exponent = int(found["exponent"] or 0)
    last = exponent - (max(digits, 1) if found["exponent"] else digits)
    return Decimal(5).scaleb(last - 1)
