"""Pseudonyms of ids and addresses, and the days by which dates move: always the same by the same key."""

import hmac
import re
from datetime import date, timedelta
from hashlib import sha256
from uuid import UUID

from app.fhir.references import local

# 128 bits: nobody meets the same one twice.
_DIGITS = 32
_ABSOLUTE = re.compile(r"https?://.+/(?P<type>[A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}(/_history/[A-Za-z0-9.-]{1,64})?")
_HISTORY = re.compile(r"(/_history/[^/#]*)?(#.*)?$")
_URN = re.compile(r"urn:(uuid|oid):.+")
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T.+)?)?)?", re.ASCII)


class Keyed:
    """What a key makes of names. base: the address of this server, whose resources are the same with or without it."""

    def __init__(self, key: bytes, base: str = "") -> None:
        self._key, self._base = key, base

    def id(self, type_: str, id_: str) -> str:
        """The pseudonym of a resource's id."""
        return self._digest("id", f"{type_}/{id_}").hex()[:_DIGITS]

    def reference(self, link: str) -> str:
        """What stands for a reference; "" where nothing can, such as for a search.

        A version is left out: which one it was tells how often a record changed.
        """
        if link == "#":
            return link
        if link.startswith("#"):
            return f"#{self.inner(link[1:])}"
        if found := local(link, self._base):
            return f"{found[0]}/{self.id(found[0], found[1])}"
        if found_elsewhere := _ABSOLUTE.fullmatch(link):
            return f"{found_elsewhere['type']}/{self.value('elsewhere', _HISTORY.sub('', link))}"
        return self.urn(link) if _URN.fullmatch(link) else ""

    def inner(self, id_: str) -> str:
        """The pseudonym of the id of a contained resource."""
        return self.value("contained", id_)

    def urn(self, text: str) -> str:
        """An address that stands for another one. The version of a canonical does not count."""
        return UUID(bytes=self._digest("address", text.partition("|")[0])[:16], version=4).urn

    def value(self, kind: str, text: str) -> str:
        """What stands for the value of an identifier, or of an id of another kind."""
        return self._digest(kind, text).hex()[:_DIGITS]

    def days(self, patient: str, most: int) -> int:
        """By how many days the dates of a patient move, -1 to -most."""
        return -1 - int.from_bytes(self._digest("days", patient)[:8], "big") % most

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{kind}\0{text}".encode(), sha256)


def shifted(text: str, days: int, *, is_end: bool = False) -> str:
    """A date, dateTime or instant so many days later, as precise as it was; "" for what cannot be told as one.

    A year or a month moves as its first day, or as its last where is_end, and what is left is the year or the month.
    """
    found = _DATE.fullmatch(text)
    if not found:
        return ""
    year, month, day, rest = found.groups()
    try:
        moved = _day(year, month, day, is_end=is_end) + timedelta(days=days)
    except (ValueError, OverflowError):
        return ""
    return moved.isoformat()[: len(text) - len(rest or "")] + (rest or "")


def first_day(text: str) -> date | None:
    """The first day that a date of any precision may mean; None for what is no date."""
    found = _DATE.fullmatch(text)
    try:
        return _day(*found.groups()[:3], is_end=False) if found else None
    except ValueError:
        return None


def _day(year: str, month: str | None, day: str | None, *, is_end: bool) -> date:
    if day:
        return date(int(year), int(month or 1), int(day))
    if not is_end:
        return date(int(year), int(month or 1), 1)
    # The day before the next year or month begins.
    following = (int(year) + 1, 1) if month in (None, "12") else (int(year), int(month or 0) + 1)
    return date(*following, 1) - timedelta(days=1)
