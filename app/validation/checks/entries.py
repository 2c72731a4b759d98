"""Finds what a reference points at among the entries of its own Bundle (R4 section 2.36.4.1)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_ID = r"[A-Za-z0-9\-.]{1,64}"
_RELATIVE = re.compile(rf"[A-Z][A-Za-z]{{1,63}}/{_ID}(?:/_history/{_ID})?")
_RESTFUL = re.compile(rf"(https?://\S+/)[A-Z][A-Za-z]{{1,63}}/{_ID}")
_VERSION = "/_history/"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry that holds a resource. url: its fullUrl, "" if it has none."""

    place: int
    url: str
    resource: dict[str, Any]

    @property
    def name(self) -> str:
        """Type/id of the resource."""
        return f"{self.resource.get('resourceType')}/{self.resource.get('id')}"

    @property
    def version(self) -> str:
        meta = self.resource.get("meta")
        return str(meta.get("versionId")) if isinstance(meta, dict) else ""


class Entries:
    """The resources of a Bundle as what references point at, seen from one of its entries or from the Bundle itself.

    Call it with a reference to get the one resource it points at, None where there is none or it cannot be told.
    base: the fullUrl of the entry the reference stands in. The entries are looked at when they are first needed.
    """

    __slots__ = ("_index", "_resource", "bundle")

    def __init__(self, bundle: dict[str, Any], resource: Any = None, index: "_Index | None" = None) -> None:
        """resource: the one in whose entry the references stand; index: of this Bundle, if it was made before."""
        self.bundle = bundle
        self._resource = resource
        self._index = index or _Index(bundle)

    def within(self, resource: Any) -> "Entries":
        """The same entries, seen from the entry that holds this resource."""
        return Entries(self.bundle, resource, self._index)

    @property
    def kind(self) -> str:
        """The type of the Bundle."""
        return str(self.bundle.get("type"))

    def all(self) -> list[Entry]:
        return self._index.read().entries

    def find(self, reference: str) -> list[Entry]:
        """The entries a reference points at, by the rules of R4: more than one if it is ambiguous."""
        index = self._index.read()
        text = reference.partition("#")[0]
        if _RELATIVE.fullmatch(text):
            base = _RESTFUL.fullmatch(index.urls.get(id(self._resource), ""))
            if base is None:
                return []
            text = base[1] + text
        url, _, version = text.partition(_VERSION)
        found = index.by_url.get(url, [])
        return [each for each in found if each.version == version] if version else found

    def look_alikes(self, reference: str) -> list[Entry]:
        """Entries with the type and id of a relative reference, whatever their fullUrl."""
        name = reference.partition("#")[0].partition(_VERSION)[0]
        return self._index.read().by_name.get(name, [])

    def __call__(self, reference: str) -> dict[str, Any] | None:
        found = self.find(reference) or [each for each in self.look_alikes(reference) if not _is_elsewhere(each)]
        return found[0].resource if len(found) == 1 else None


def _is_elsewhere(entry: Entry) -> bool:
    """Whether an entry has an address that a relative reference cannot mean."""
    return bool(entry.url) and not entry.url.endswith(f"/{entry.name}")


class _Index:
    """The entries of a Bundle by fullUrl and by Type/id, once they are needed."""

    __slots__ = ("_bundle", "_is_read", "by_name", "by_url", "entries", "urls")

    def __init__(self, bundle: dict[str, Any]) -> None:
        self._bundle = bundle
        self._is_read = False
        self.entries: list[Entry] = []
        self.by_url: dict[str, list[Entry]] = {}
        self.by_name: dict[str, list[Entry]] = {}
        # id() of a resource -> fullUrl of its entry.
        self.urls: dict[int, str] = {}

    def read(self) -> "_Index":
        if not self._is_read:
            self._is_read = True
            for each in _entries(self._bundle):
                self.entries.append(each)
                self.by_name.setdefault(each.name, []).append(each)
                self.urls[id(each.resource)] = each.url
                if each.url:
                    self.by_url.setdefault(each.url, []).append(each)
        return self


def _entries(bundle: dict[str, Any]) -> Iterator[Entry]:
    entries = bundle.get("entry")
    for place, entry in enumerate(entries if isinstance(entries, list) else []):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            url = entry.get("fullUrl")
            yield Entry(place, url if isinstance(url, str) else "", resource)
