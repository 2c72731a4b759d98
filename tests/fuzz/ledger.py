"""What the server has acknowledged. At the end all of it must be there, as it was acknowledged."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.fhir import json as lossless
from tests.fuzz.http import Answer, Request

_LOCATION = re.compile(r"(?:^|/)([A-Za-z]+)/([A-Za-z0-9.-]{1,64})/_history/(\d+)$")
_URL = re.compile(r"^/fhir/([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})$")
_VERSION = re.compile(r'^(?:W/)?"(\d+)"$')
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Written:
    """One acknowledged version: what was sent where it must be there letter by letter, and whether it is a deletion."""

    is_deletion: bool = False
    sent: bytes = b""


@dataclass
class Ledger:
    """Every acknowledged version of every resource, and how many acknowledgements there were."""

    versions: dict[Key, dict[int, Written]] = field(default_factory=dict)
    acknowledged: int = 0

    def note(self, request: Request, answer: Answer) -> list[str]:
        """Remember what an answer acknowledges; answers the references written to."""
        if not 200 <= answer.status < 300 or request.method in ("GET", "HEAD", "OPTIONS"):
            return []
        # Of a ViewDefinition, which is no type of R4, only the current version is kept.
        found = [each for each in _acknowledged(request, answer) if each[0][0] != "ViewDefinition"]
        for key, version, written in found:
            # The same version may be acknowledged again: an update that changes nothing, an Idempotency-Key.
            self.versions.setdefault(key, {}).setdefault(version, written)
        self.acknowledged += len(found)
        return [f"{type_}/{identifier}" for (type_, identifier), _, written in found if not written.is_deletion]


def _acknowledged(request: Request, answer: Answer) -> Iterator[tuple[Key, int, Written]]:
    body = answer.json() if request.method == "POST" and request.url.partition("?")[0] == "/fhir" else None
    if isinstance(body, dict) and body.get("type") in ("transaction-response", "batch-response"):
        yield from _of_bundle(body)
        return
    version, place = _VERSION.match(answer.headers.get("etag", "")), _URL.match(request.url.partition("?")[0])
    if found := _LOCATION.search(answer.headers.get("location", "")):
        yield (found[1], found[2]), int(found[3]), Written(sent=_sent(request))
    elif version and place and request.method in ("PUT", "PATCH", "DELETE") and "?" not in request.url:
        written = Written(request.method == "DELETE", _sent(request))
        yield (place[1], place[2]), int(version[1]), written


def _of_bundle(body: Mapping[str, Any]) -> Iterator[tuple[Key, int, Written]]:
    for entry in body.get("entry", ()):
        response = entry.get("response", {})
        if (found := _LOCATION.search(response.get("location", ""))) and response.get("status", "")[:1] == "2":
            yield (found[1], found[2]), int(found[3]), Written(is_deletion=response["status"].startswith("204"))


def _sent(request: Request) -> bytes:
    is_whole = request.method in ("POST", "PUT") and "xml" not in request.header("Content-Type")
    return request.body if is_whole and request.url.startswith("/fhir/") and "$" not in request.url else b""


def differs(sent: bytes, kept: bytes) -> bool:
    """Whether a resource was kept otherwise than it was sent, besides its id and meta."""
    return bool(_bare(sent) != _bare(kept))


def _bare(text: bytes) -> Any:
    tree = lossless.parse_object(text.removeprefix(b"\xef\xbb\xbf"))
    return _spelled({name: value for name, value in tree.items() if name not in ("id", "meta")})


def _spelled(value: Any) -> Any:
    """Numbers by their digits: 1.10 is not 1.1."""
    if isinstance(value, dict):
        return {name: _spelled(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_spelled(one) for one in value]
    return f"number {value}" if isinstance(value, Decimal) else value
