"""Index values of string and uri parameters (R4 3.1.1.4.8, 3.1.1.4.13)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.store.index.rows import Found, Given
from app.store.index.values import CONTAINS_LENGTH, PIECE_OVERLAP, STRING_LENGTH, folded, indexed_uri
from app.store.tables import SearchString, SearchUri

# The parts of a type that a search finds, and those that are also looked for together: "Anna Berg".
_PARTS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "HumanName": (("text", "family", "given", "prefix", "suffix"), ("given", "family")),
    "Address": (("text", "line", "city", "district", "state", "postalCode", "country"), ("line", "postalCode", "city")),
}


def strings(given: Given) -> Iterator[Found]:
    """Rows of a string or markdown, and of each part of a HumanName or Address."""
    if isinstance(given.value, str):
        yield from _text(given.value)
    elif given.type in _PARTS and isinstance(given.value, dict):
        parts, together = _PARTS[given.type]
        for each in _each(given.value, parts):
            yield from _text(each)
        joined = list(_each(given.value, together))
        if len(joined) > 1:
            yield from _text(" ".join(joined))


def _each(value: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        part = value.get(name)
        yield from (each for each in (part if isinstance(part, list) else [part]) if isinstance(each, str))


def _text(text: str) -> Iterator[Found]:
    value = folded(text)
    yield SearchString, "", {"value": value[:STRING_LENGTH], "exact": text}
    if len(value) > STRING_LENGTH:
        for start in range(0, min(len(value), CONTAINS_LENGTH), STRING_LENGTH - PIECE_OVERLAP):
            yield SearchString, ":part", {"value": value[start : start + STRING_LENGTH], "exact": ""}


def uris(given: Given) -> Iterator[Found]:
    """Rows of a uri, url, oid or canonical; a canonical with a version also without it."""
    if isinstance(given.value, str):
        yield SearchUri, "", {"value": indexed_uri(given.value)}
        url, _, version = given.value.partition("|")
        if version and given.type == "canonical":
            yield SearchUri, "", {"value": indexed_uri(url)}
