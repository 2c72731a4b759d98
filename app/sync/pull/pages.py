"""Pages of another server: the resources a search or a history answers with, and where its next page is."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

from app.fhir.instants import period
from app.fhir.references import local

_split = msgspec.json.Decoder(dict[str, msgspec.Raw])
_split_entries = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_ETAG = re.compile('(?:W/)?"(?P<version>[^"]+)"')
_PORTS = {"http": 80, "https": 443}


class UnusablePage(Exception):
    """What was answered is no page that can be relied on; the text says why, without content of it."""


class Broken(UnusablePage):
    """What was answered is no JSON: it was cut short on the way, or comes from something before the server."""


class CameAgain(UnusablePage):
    """A page that was read before. Where pages are counted from the newest, what was written meanwhile can move as many
    rows on as a page has: the next window may be read without it. A circle stays one."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One version of a resource as the target told it. text: as it came, None for a deletion.

    version, updated (microseconds by the target's clock): "" and 0 where the target says nothing of them. etag: where
    the target gives none, as in a searchset, the one of that version.
    """

    type: str
    id: str
    version: str
    updated: int
    text: bytes | None
    etag: str = ""

    @property
    def deleted(self) -> bool:
        return self.text is None

    @property
    def key(self) -> tuple[str, str]:
        return self.type, self.id


@dataclass(frozen=True, slots=True)
class Page:
    """What one page holds. next: the whole address of the next one, "" for none."""

    entries: tuple[Incoming, ...]
    next: str

    @property
    def newest(self) -> int:
        """The newest lastUpdated on it, 0 where none has one."""
        return max((one.updated for one in self.entries), default=0)

    @property
    def fingerprint(self) -> str:
        """What tells whether the same page came again: what it holds, or where an empty one leads."""
        held = [f"{one.type}/{one.id}/{one.version}" for one in self.entries] or [self.next]
        return hashlib.sha256("\n".join(held).encode()).hexdigest()


def read_page(body: bytes, address: str, resource_type: str) -> Page:
    """The page at an address, resource by resource: one that is broken does not spoil the others.

    Included resources and outcomes are left out. Raises UnusablePage for what is no searchset or history of the type.
    """
    try:
        parts = _split.decode(body)
        kind = msgspec.json.decode(parts.get("type", b"null"))
        if msgspec.json.decode(parts.get("resourceType", b"null")) != "Bundle" or kind not in ("searchset", "history"):
            raise UnusablePage("It answered no Bundle of type searchset or history.")
        entries = _split_entries.decode(parts.get("entry", b"[]"))
        links = msgspec.json.decode(parts.get("link", b"[]"), type=list[dict[str, Any]])
        found = [one for entry in entries for one in _incoming(entry, resource_type)]
    except (msgspec.ValidationError, RecursionError):
        raise UnusablePage("It answered with something else than a FHIR Bundle in JSON.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Broken("Its answer is no JSON: it may have been cut short.") from None
    return Page(tuple(found), next_address(links, address))


def next_address(links: list[dict[str, Any]], address: str) -> str:
    """The whole address of the next page, "" for none. Raises UnusablePage where it is on another server, or the same.

    The target's credentials go wherever it leads, so it leads nowhere else.
    """
    found = [link.get("url") for link in links if link.get("relation") == "next"]
    if not found:
        return ""
    if len(found) > 1 or not isinstance(found[0], str):
        raise UnusablePage("Its link to the next page cannot be read.")
    try:
        there = urljoin(address, found[0])
        is_here = _origin(there) == _origin(address)
    except ValueError:
        raise UnusablePage("Its link to the next page is no address.") from None
    if not is_here:
        raise UnusablePage(
            "Its link to the next page leads to another server; links are followed on the same one only."
        )
    if there == address:
        raise UnusablePage("Its link to the next page leads to the same page again.")
    return there


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    if parts.username or parts.password:
        raise ValueError("credentials in an address")
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)


def _incoming(entry: Mapping[str, msgspec.Raw], resource_type: str) -> Iterator[Incoming]:
    """What an entry holds, if it is one version of a resource of this type."""
    search, request, response = (_decoded(entry, name) for name in ("search", "request", "response"))
    if search.get("mode", "match") != "match":
        return
    text = bytes(entry.get("resource", b""))
    if not text or text == b"null" or request.get("method") == "DELETE":
        if request.get("method") == "DELETE":
            yield from _deletion(entry, request, response, resource_type)
        return
    head = _Head.read(text)
    if head.type != resource_type:
        return
    etag = str(response.get("etag", ""))
    updated = moment(head.updated or response.get("lastModified"))
    version = head.version or version_of(etag)
    yield Incoming(head.type, head.id, version, updated, text, etag or etag_of(version))


def _deletion(
    entry: Mapping[str, msgspec.Raw], request: Mapping[str, Any], response: Mapping[str, Any], resource_type: str
) -> Iterator[Incoming]:
    """A deletion of a history: which resource it was is told by the request or, as R4 asks, by fullUrl."""
    full_url = msgspec.json.decode(entry.get("fullUrl", b'""'))
    for link in (str(request.get("url", "")), str(full_url)):
        key = local("/".join(link.partition("?")[0].rstrip("/").split("/")[-(4 if "/_history/" in link else 2) :]), "")
        if key and key[0] == resource_type:
            etag = str(response.get("etag", ""))
            version = version_of(etag) or key[2]
            updated = moment(response.get("lastModified"))
            yield Incoming(key[0], key[1], version, updated, None, etag or etag_of(version))
            return
    raise UnusablePage("It answered a deletion that does not tell of which resource.")


@dataclass(frozen=True, slots=True)
class _Head:
    """What must be known of a resource before it is read as a whole."""

    type: str
    id: str
    version: str
    updated: object

    @classmethod
    def read(cls, text: bytes) -> "_Head":
        parts = _split.decode(text)
        meta = _decoded(parts, "meta")
        type_, id_ = (str(msgspec.json.decode(parts.get(name, b'""'))) for name in ("resourceType", "id"))
        return cls(type_, id_, str(meta.get("versionId") or ""), meta.get("lastUpdated"))


def _decoded(parts: Mapping[str, msgspec.Raw], name: str) -> dict[str, Any]:
    found = msgspec.json.decode(parts.get(name, b"{}"))
    return found if isinstance(found, dict) else {}


def etag_of(version: object) -> str:
    """The ETag of a version (R4 http.html#versioning: weak, the versionId in quotes); "" for none."""
    return f'W/"{version}"' if version else ""


def version_of(etag: str) -> str:
    """The version an ETag names, "" where it names none."""
    found = _ETAG.fullmatch(etag)
    return found["version"] if found else ""


def moment(value: object) -> int:
    """Microseconds since 1970 of an instant, 0 for anything else."""
    try:
        return period(value)[0] if isinstance(value, str) and "T" in value else 0
    except (ValueError, OverflowError):
        return 0
