"""Entries of a Bundle that are answered like a request of their own: reading, searching, operations."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.fhir.instants import http_date, period
from app.fhir.outcomes import Issue, Refused

_CONDITIONS = ("ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist")
# What changes nothing, whatever its method is.
_SEARCH = re.compile(r"(.*/)?_search")
_FORM = "application/x-www-form-urlencoded"
_OPERATION = re.compile(r"(.*/)?\$[^/]+")


@dataclass(frozen=True, slots=True)
class Place:
    """One entry and where it stands. text: its resource as sent; base: the address of this server's FHIR endpoint."""

    number: int
    entry: Mapping[str, Any]
    text: bytes
    base: str
    kind: str

    @property
    def path(self) -> str:
        return f"Bundle.entry[{self.number}]"

    @property
    def request(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.entry["request"]
        return found

    @property
    def method(self) -> str:
        return str(self.request.get("method", ""))

    @property
    def url(self) -> str:
        """The address below the FHIR endpoint."""
        url = str(self.request.get("url", ""))
        return url.removeprefix(f"{self.base}/").lstrip("/")


@dataclass(frozen=True, slots=True)
class Call:
    """An entry to be answered. url: below the FHIR endpoint; body: the resource it sends; headers: its conditions."""

    method: str
    url: str
    path: str
    body: bytes
    headers: Mapping[str, str]


def is_call(place: Place) -> bool:
    """Whether an entry is no create, update, patch or delete."""
    address = place.url.partition("?")[0]
    return place.method in ("GET", "HEAD") or bool(
        place.method == "POST" and (_SEARCH.fullmatch(address) or _OPERATION.fullmatch(address))
    )


def call_of(place: Place) -> Call:
    """What is asked. Raises Refused for what cannot be asked so."""
    reads = place.method in ("GET", "HEAD")
    address = place.url.partition("?")[0]
    issues = [
        wrong("not-supported", f"{name} does not go with {place.method}.", f"{place.path}.request.{name}")
        for name in (_CONDITIONS[2:] if reads else _CONDITIONS)
        if name in place.request
    ]
    if reads and "resource" in place.entry:
        issues.append(wrong("value", f"{place.method} takes no resource.", f"{place.path}.resource"))
    if not reads and place.kind == "transaction" and _OPERATION.fullmatch(address):
        told = "An operation by POST is no part of a transaction here: send it by itself, or in a batch."
        issues.append(wrong("not-supported", told, f"{place.path}.request.method"))
    headers = {"content-type": _FORM} if _SEARCH.fullmatch(address) else {}
    if "ifNoneMatch" in place.request:
        headers["if-none-match"] = str(place.request["ifNoneMatch"])
    if "ifModifiedSince" in place.request:
        headers["if-modified-since"] = _http_date(place, issues)
    if issues:
        raise Refused(issues)
    return Call(place.method, place.url, place.path, place.text, headers)


def wrong(code: str, told: str, path: str) -> Issue:
    """An issue about an entry itself."""
    return Issue(code, told, path, rule="dmt-bundle-entry")


def _http_date(place: Place, issues: list[Issue]) -> str:
    try:
        return http_date(period(str(place.request["ifModifiedSince"]))[0])
    except (ValueError, OverflowError):
        told = "ifModifiedSince must be an instant such as 2026-05-01T09:30:00Z."
        issues.append(wrong("value", told, f"{place.path}.request.ifModifiedSince"))
        return ""
