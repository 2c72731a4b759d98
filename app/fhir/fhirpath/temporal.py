"""Dates, date-times and times as FHIRPath knows them: with a precision, and with or without a zone."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

Kind = Literal["Date", "DateTime", "Time"]
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?(?:(T)(?:(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_TIME = re.compile(r"(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?", re.ASCII)
_LIMITS = ((1, 9999), (1, 12), (1, 31), (0, 23), (0, 59), (0, 60))


@dataclass(frozen=True, slots=True)
class Temporal:
    """fields: year, month, day, hour, minute, second (of a Time: hour, minute, second) as far as known.

    zone: minutes east of UTC, None where the text had none. text: as written.
    """

    kind: Kind
    fields: tuple[int | Decimal, ...]
    zone: int | None
    text: str

    def compare(self, other: "Temporal") -> int | None:
        """-1, 0 or 1; None where the precisions or zones leave it open."""
        if (self.kind == "Time") != (other.kind == "Time"):
            return None
        mine, its = self.fields, other.fields
        if self.zone != other.zone:
            if (self.zone is None) != (other.zone is None) and (len(mine) > 3 and len(its) > 3):
                return None
            mine, its = self._in_utc(), other._in_utc()
        for a, b in zip(mine, its, strict=False):
            if a != b:
                return -1 if a < b else 1
        return 0 if len(mine) == len(its) else None

    def equals(self, other: "Temporal") -> bool | None:
        if (self.kind == "Time") != (other.kind == "Time"):
            return False
        order = self.compare(other)
        return None if order is None else order == 0

    def _in_utc(self) -> tuple[int | Decimal, ...]:
        if self.kind != "DateTime" or len(self.fields) < 5 or self.zone is None:
            return self.fields
        year, month, day, hour, minute = (int(field) for field in self.fields[:5])
        try:
            moved = datetime(year, month, day, hour, minute, tzinfo=UTC) - timedelta(minutes=self.zone)
        except (ValueError, OverflowError):
            return self.fields
        return (moved.year, moved.month, moved.day, moved.hour, moved.minute, *self.fields[5:])


def read_date(text: str, kind: Kind | None = None) -> Temporal | None:
    """The Date or DateTime a text stands for, e.g. 2020-01, 2020-01-01T10:00Z; None if it is none or out of range."""
    match = _DATE.fullmatch(text)
    if not match:
        return None
    *parts, zone = match.groups()
    has_time = parts.pop(3) is not None
    fields = _fields(parts)
    if not _in_range(fields) or (has_time and kind == "Date"):
        return None
    if len(fields) >= 3 and fields[2] > monthrange(int(fields[0]), int(fields[1]))[1]:
        return None
    return Temporal(kind or ("DateTime" if has_time else "Date"), fields, _zone(zone), text)


def read_time(text: str) -> Temporal | None:
    match = _TIME.fullmatch(text)
    if not match:
        return None
    fields = _fields(list(match.groups()))
    if not all(low <= field <= high for field, (low, high) in zip(fields, _LIMITS[3:], strict=False)):
        return None
    return Temporal("Time", fields, None, text)


def write(kind: Kind, fields: tuple[int | Decimal, ...], zone: int | None) -> Temporal:
    """The Temporal of given fields, with its text."""
    time_of = fields if kind == "Time" else fields[3:]
    clock = ":".join(_two(field) for field in time_of)
    if kind == "Time":
        return Temporal(kind, fields, None, clock)
    date = "-".join([f"{fields[0]:04}", *(f"{field:02}" for field in fields[1:3])])
    text = f"{date}T{clock}{_zone_text(zone)}" if clock else date
    return Temporal(kind, fields, zone, text)


def shift(value: Temporal, amount: int, unit: str) -> Temporal | None:
    """value moved by whole years, months, weeks, days, hours, minutes, seconds or milliseconds; None if impossible.

    A unit finer than the precision counts as far as it fills the coarser one (FHIRPath 2.0.0, section 6.8).
    """
    if value.kind == "Time":
        return _shift_time(value, amount, unit)
    known = len(value.fields)
    year, month, day = (int(field) for field in (*value.fields, 1, 1)[:3])
    if unit in ("year", "month"):
        count = year * 12 + month - 1 + amount * (12 if unit == "year" else 1)
        year, month = divmod(count, 12)
        month += 1
        if not 1 <= year <= 9999:
            return None
        day = min(day, monthrange(year, month)[1])
        return write(value.kind, ((year, month, day)[:known] + value.fields[3:]), value.zone)
    return _shift_exact(value, amount, unit, known)


def _shift_exact(value: Temporal, amount: int, unit: str, known: int) -> Temporal | None:
    if known < 3:
        days = amount * {"week": 7, "day": 1}.get(unit, 0)
        return shift(value, int(days / (365 if known == 1 else 30)), "year" if known == 1 else "month")
    whole, fraction = divmod(Decimal(value.fields[5]) if known > 5 else Decimal(0), 1)
    try:
        start = datetime(*(int(field) for field in (*value.fields[:5], 0, 0)[:5]))  # type: ignore[arg-type]
        moved = start + timedelta(seconds=int(whole)) + _span(amount, unit)
    except (ValueError, OverflowError):
        return None
    second = moved.second + fraction + Decimal(moved.microsecond) / 1_000_000
    has_fraction = known > 5 and isinstance(value.fields[5], Decimal)
    kept = Decimal(second) if has_fraction else _plain(second)
    fields = (moved.year, moved.month, moved.day, moved.hour, moved.minute, kept)
    return write(value.kind, fields[:known], value.zone)


def _shift_time(value: Temporal, amount: int, unit: str) -> Temporal | None:
    if unit not in ("hour", "minute", "second", "millisecond"):
        return None
    hour, minute, second = (Decimal(field) for field in (*value.fields, 0, 0)[:3])
    try:
        moved = Decimal(_span(amount, unit) // timedelta(milliseconds=1)) / 1000
    except OverflowError:
        return None
    total = (hour * 60 + minute) * 60 + second + moved
    minutes, second = divmod(total % 86400 if total >= 0 else total % 86400 + 86400, 60)
    hour, minute = divmod(minutes, 60)
    return write("Time", (int(hour) % 24, int(minute), _plain(second))[: len(value.fields)], None)


def _span(amount: int, unit: str) -> timedelta:
    return timedelta(**{unit + "s": amount})


def _plain(second: Decimal) -> int | Decimal:
    return int(second) if second == int(second) else second.normalize()


def _fields(parts: list[str | None]) -> tuple[int | Decimal, ...]:
    return tuple(Decimal(part) if "." in part else int(part) for part in parts if part is not None)


def _in_range(fields: tuple[int | Decimal, ...]) -> bool:
    return all(low <= field <= high for field, (low, high) in zip(fields, _LIMITS, strict=False))


def _zone(text: str | None) -> int | None:
    if not text:
        return None
    if text == "Z":
        return 0
    minutes = int(text[1:3]) * 60 + int(text[4:6])
    return -minutes if text[0] == "-" else minutes


def _zone_text(zone: int | None) -> str:
    if zone is None:
        return ""
    if zone == 0:
        return "Z"
    return f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02}:{abs(zone) % 60:02}"


def _two(field: int | Decimal) -> str:
    if isinstance(field, int):
        return f"{field:02}"
    whole, _, rest = str(field).partition(".")
    return f"{whole:>02}.{rest}" if rest else f"{whole:>02}"
