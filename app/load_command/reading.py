"""What stands in the files: resources by line (NDJSON), alone, or in a Bundle.

A place in a file is a byte of an NDJSON file, or the number of a resource in another one; reading begins at any.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from app.fhir.compartments import compartments
from app.fhir.references import is_id

LINES = (".ndjson", ".jsonl")
SUFFIXES = (*LINES, ".json")
# A part of a batch as large as the server is asked to check at once.
MOST_BYTES = 2_097_152
_head = msgspec.json.Decoder(dict[str, msgspec.Raw])
_IN_PARTS, _WHOLE = ("collection", "searchset"), ("batch", "transaction")


class Unread(Exception):
    """A file that cannot be loaded; the text says why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One resource as it stands in a file. place: where; after: where the next one stands. problem: why it cannot be
    sent, "" where it can. is_whole: it is a Bundle that is posted as it is."""

    file: str
    place: int
    after: int
    type: str = ""
    id: str = ""
    text: bytes = b""
    problem: str = ""
    is_whole: bool = False

    @property
    def name(self) -> str:
        return f"{self.type}/{self.id}" if self.id else self.type


def files(names: Iterable[Path]) -> list[str]:
    """The files that are named or stand in folders that are, those first whose resources others refer to: what belongs
    to no patient, then patients, then what is theirs. Raises Unread."""
    found = []
    for name in names:
        inside = sorted(each for each in name.rglob("*") if each.suffix in SUFFIXES) if name.is_dir() else [name]
        if not inside:
            raise Unread(f"{name}: there is no file {', '.join(f'*{each}' for each in SUFFIXES)} in it.")
        found += [str(each) for each in inside]
    return sorted(dict.fromkeys(found), key=_rank)


def _rank(file: str) -> int:
    members = compartments()["Patient"]
    first = next(pieces(file, 0), None)
    return 0 if first is None or first.type not in members else 1 if first.type == "Patient" else 2


def pieces(file: str, start: int) -> Iterator[Piece]:
    """The resources of a file from a place on. Raises Unread."""
    try:
        yield from _lines(file, start) if file.endswith(LINES) else _whole(file)[start:]
    except OSError as error:
        raise Unread(f"{file}: {os.strerror(error.errno or 0)}.") from None


def at(file: str, place: int) -> Piece:
    """The resource at a place. Raises Unread where there is none any more."""
    found = next(pieces(file, place), None)
    if found is None:
        raise Unread(f"{file}: what was refused stands there no longer; begin with another --state.")
    return found


def parcels(found: Iterable[Piece], size: int) -> Iterator[Sequence[Piece]]:
    """The pieces in parts that are sent at once: no more than so many or so large, and none twice in one."""
    part: list[Piece] = []
    bytes_ = 0
    names: set[str] = set()
    for each in found:
        is_full = len(part) >= size or bytes_ + len(each.text) > MOST_BYTES
        if part and (is_full or each.is_whole or part[-1].is_whole or (each.id and each.name in names)):
            yield part
            part, bytes_, names = [], 0, set()
        part.append(each)
        bytes_ += len(each.text)
        names.add(each.name)
    if part:
        yield part


def _lines(file: str, start: int) -> Iterator[Piece]:
    with Path(file).open("rb") as lines:
        lines.seek(start)
        for line in lines:
            after = start + len(line)
            if text := line.strip().removeprefix(b"\xef\xbb\xbf"):
                yield _piece(file, start, after, text)
            start = after


@lru_cache(maxsize=2)
def _whole(file: str) -> list[Piece]:
    text = Path(file).read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        tree = _head.decode(text)
        kind = _word(tree, "type") if _word(tree, "resourceType") == "Bundle" else ""
        if kind in _IN_PARTS:
            entries = msgspec.json.decode(tree.get("entry", b"[]"), type=list[dict[str, msgspec.Raw]])
            inner = [bytes(each["resource"]) for each in entries if "resource" in each]
            return [_piece(file, number, number + 1, each) for number, each in enumerate(inner)]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return [_piece(file, 0, 1, text)]
    if kind in _WHOLE:
        return [Piece(file, 0, 1, "Bundle", "", text, is_whole=True)]
    if kind == "history":
        raise Unread(f"{file}: a history cannot be loaded; its versions are another server's.")
    return [_piece(file, 0, 1, text)]


def _piece(file: str, place: int, after: int, text: bytes) -> Piece:
    try:
        tree = _head.decode(text)
        type_, id_ = _word(tree, "resourceType"), _word(tree, "id")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Piece(file, place, after, problem="It is no JSON object.")
    if not type_.isalpha():
        return Piece(file, place, after, problem="It has no resourceType.")
    if id_ and not is_id(id_):
        return Piece(file, place, after, type_, problem="An id has 1 to 64 letters, digits, dots and dashes.")
    return Piece(file, place, after, type_, id_, text)


def _word(tree: dict[str, Any], name: str) -> str:
    found = msgspec.json.decode(tree[name]) if name in tree else ""
    return found if isinstance(found, str) else ""
