"""Bundles as text: stored resources are joined, never parsed and written again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.fhir.json import dumps


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. resource: JSON text, b"" for none; the rest: fields of the entry such as search or response."""

    full_url: str = ""
    resource: bytes = b""
    fields: Mapping[str, Any] | None = None
    made: bytes = b""

    @classmethod
    def ready(cls, text: bytes) -> "Entry":
        """An entry whose JSON text exists already."""
        return cls(made=text)

    def text(self) -> bytes:
        if self.made:
            return self.made
        parts = []
        if self.full_url:
            parts.append(b'"fullUrl":' + dumps(self.full_url))
        if self.resource:
            parts.append(b'"resource":' + self.resource)
        parts += [dumps(name) + b":" + dumps(value) for name, value in (self.fields or {}).items()]
        return b"{" + b",".join(parts) + b"}"


def bundle(
    kind: str, entries: Iterable[Entry], *, total: int | None = None, links: Sequence[tuple[str, str]] = ()
) -> bytes:
    """The JSON text of a Bundle. links: (relation, url); an empty list of entries is left out, as FHIR asks."""
    head: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        head["total"] = total
    if links:
        head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    texts = b",".join(entry.text() for entry in entries)
    return dumps(head)[:-1] + (b',"entry":[' + texts + b"]}" if texts else b"}")
