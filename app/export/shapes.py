"""What is made of stored texts on their way into a file: lines as they are, in part, or under pseudonyms."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from app.export.asked import Asked
from app.export.files import Sink
from app.fhir.json import dumps
from app.fhir.subset import Subset, subset
from app.store.exported import Line
from app.store.repository import Key

_BREAKS = bytes.maketrans(b"\r\n", b"  ")
Piece = Sequence[tuple[Line, bytes]]
# Reads the texts of resources that are referred to, as they were in the snapshot; what is not there is left out.
Look = Callable[[Sequence[Key]], Awaitable[list[bytes]]]


class Shape(Protocol):
    """Takes the texts of one file in order. count: of what stands in the file; removed: what was taken out, by rule."""

    count: int
    removed: Counter[str]

    async def take(self, piece: Piece) -> None: ...

    async def finish(self) -> None:
        """Nothing more is taken."""


class Pseudonyms(Protocol):
    """What app/export/pseudonyms.py offers."""

    def resource(self, text: bytes) -> tuple[bytes, Counter[str]]:
        """b"" for a resource that cannot be given on."""

    def reference(self, reference: str) -> str: ...


class Tables(Protocol):
    """What makes rows of resources, by the texts of ViewDefinitions and of ready tables."""

    def types_of(self, view: str) -> tuple[str, ...]:
        """The types of the resources it is about."""

    def is_joined(self, view: str) -> bool:
        """Whether its rows are made of several resources of a patient, so that it needs whole patients."""

    def shape(self, view: str, format_: str, sink: Sink, look: Look, pseudonyms: Pseudonyms | None) -> Shape:
        """A file of its rows, made of resources under pseudonyms where there are any; format_: ndjson, csv, json or
        parquet."""


class Measured:
    """A sink that knows what went into it."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self._hash, self.bytes = sink, hashlib.sha256(), 0

    async def write(self, data: bytes) -> None:
        # Large pieces take their time, and others are to be answered meanwhile.
        await asyncio.to_thread(self._hash.update, data)
        await self._sink.write(data)
        self.bytes += len(data)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def under(pseudonyms: Pseudonyms | None, text: bytes, removed: Counter[str]) -> bytes:
    """A text as it may be given on, b"" where it may not. What is taken out of it is counted."""
    if pseudonyms is None:
        return text
    text, gone = pseudonyms.resource(text)
    removed.update(gone)
    return text


class _Head(msgspec.Struct):
    resourceType: str  # noqa: N815 (as FHIR has it)


_head = msgspec.json.Decoder(_Head)


class Resources:
    """NDJSON: a resource a line, the stored text itself wherever nothing else was asked for."""

    def __init__(self, sink: Sink, asked: Asked, pseudonyms: Pseudonyms | None) -> None:
        self.count, self.removed = 0, Counter[str]()
        self._sink, self._pseudonyms, self._elements = sink, pseudonyms, asked.elements
        self._heading = ""

    async def take(self, piece: Piece) -> None:
        if made := await asyncio.to_thread(self._made, piece):
            await self._sink.write(made)

    async def finish(self) -> None:
        """A line needs nothing after it."""

    def _made(self, piece: Piece) -> bytes:
        made: list[bytes] = []
        for line, text in piece:
            if not (one := self._line(text)):
                continue
            if line.head != self._heading:
                self._heading = line.head
                made.append(self._header(line.head))
            made.append(one)
        self.count += len(made)
        return _joined(made)

    def _line(self, text: bytes) -> bytes:
        text = under(self._pseudonyms, text, self.removed)
        if self._elements and text:
            text = self._part(text)
        return text

    def _part(self, text: bytes) -> bytes:
        type_ = _head.decode(text).resourceType
        elements = {*self._elements.get("", ()), *self._elements.get(type_, ())}
        return subset(text, Subset(elements=frozenset(elements))) if elements else text

    def _header(self, patient: str) -> bytes:
        """Of the block of a patient (Bulk Data Access 3.0.0, organizeOutputBy)."""
        reference = f"Patient/{patient}"
        named = self._pseudonyms.reference(reference) if self._pseudonyms else reference
        return dumps(
            {"resourceType": "Parameters", "parameter": [{"name": "header", "valueReference": {"reference": named}}]}
        )


def _joined(texts: Sequence[bytes]) -> bytes:
    """A line for each. Line breaks in one stand between elements only: inside a string JSON has them escaped."""
    lines = b"\n".join(texts)
    if lines.count(b"\n") >= max(1, len(texts)) or b"\r" in lines:
        lines = b"\n".join(text.translate(_BREAKS) for text in texts)
    return lines + b"\n" if texts else b""
