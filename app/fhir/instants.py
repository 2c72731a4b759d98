"""FHIR dates and times, and the microseconds since 1970 that the store keeps."""

import re
from calendar import isleap, monthrange
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARTIAL = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(?P<fraction>\.\d{1,6}\d*)?)?"
    r"(?P<zone>Z|[+-](0\d|1[0-4]):[0-5]\d)?)?)?)?",
    re.ASCII,
)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime, whole milliseconds: what `instant` shows is what is compared."""
    return (moment - _EPOCH) // timedelta(milliseconds=1) * 1000


def instant(time: int) -> str:
    """A FHIR instant in UTC with milliseconds, e.g. 2026-05-01T07:30:00.000Z."""
    moment = _EPOCH + timedelta(microseconds=time)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def http_date(time: int) -> str:
    """The Last-Modified form, e.g. Fri, 01 May 2026 07:30:00 GMT."""
    return formatdate(time // 1_000_000, usegmt=True)


def period(text: str) -> tuple[int, int]:
    """The half-open range of microseconds a date or dateTime of any precision stands for; no zone means UTC.

    Raises ValueError for anything that is not a FHIR date, dateTime or instant.
    """
    found = _PARTIAL.fullmatch(text)
    if not found:
        raise ValueError("not a FHIR date")
    part = found.groupdict()
    year, month, day, hour, minute, second = (int(part[name] or default) for name, default in _LOWEST)
    start = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _offset(part["zone"])
    if part["fraction"]:
        start += timedelta(microseconds=int(part["fraction"][1:7].ljust(6, "0")))
    low = (start - _EPOCH) // timedelta(microseconds=1)
    return low, low + _width(start, part)


_LOWEST = (("year", 0), ("month", 1), ("day", 1), ("hour", 0), ("minute", 0), ("second", 0))


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta()
    sign = -1 if zone[0] == "-" else 1
    return sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))


def _width(start: datetime, part: dict[str, str | None]) -> int:
    if part["fraction"]:
        return int(10 ** max(0, 7 - len(part["fraction"])))
    if part["second"]:
        return 1_000_000
    if part["minute"]:
        return 60_000_000
    if part["day"]:
        return 86_400_000_000
    # Counted in days: what follows the last year is no date.
    days = monthrange(start.year, start.month)[1] if part["month"] else 365 + isleap(start.year)
    return days * 86_400_000_000
