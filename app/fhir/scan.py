"""Where things are in a JSON text, without reading more of it in Python than has to be."""

import json
import re
from bisect import bisect_right, insort
from collections.abc import Iterable
from typing import Any

Step = str | int
Steps = tuple[Step, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]{0,40}", re.ASCII)
_SPACE = re.compile(r"[ \t\r\n]*")
# Numbers are skipped, not read: however long they are.
_decoder = json.JSONDecoder(parse_int=str, parse_float=str)
# A flaw deeper than this is told to be in what holds it: each level costs another reading of the rest.
_DEEPEST = 20


def is_plain_name(name: str) -> bool:
    """Whether a property name is fit to be told back: it may be anything in hostile input."""
    return _NAME.fullmatch(name) is not None


def scan(text: str, start: int, wanted: Iterable[Steps]) -> dict[Steps, tuple[int, int]]:
    """Where the wanted ways from the JSON value at start lead: offset of the name (or value), offset of the value."""
    tree: dict[Step, Any] = {}
    for steps in wanted:
        node = tree
        for step in steps:
            node = node.setdefault(step, {})
    found: dict[Steps, tuple[int, int]] = {(): (start, start)}
    _scan(text, start, tree, (), found)
    return found


def _scan(text: str, at: int, wanted: dict[Step, Any], way: Steps, found: dict[Steps, tuple[int, int]]) -> int:
    """Follow the wanted ways below the value at a place; the answer is where the value ends."""
    opened = text[at]
    if not wanted or opened not in "{[":
        return int(_decoder.raw_decode(text, at)[1])
    at, place = skip_space(text, at + 1), 0
    while text[at] not in "}]":
        named, step = at, place
        if opened == "{":
            step, at = _decoder.raw_decode(text, at)
            at = skip_space(text, skip_space(text, at) + 1)
        below = wanted.get(step)
        if below is not None:
            found[*way, step] = (named, at)
            at = _scan(text, at, below, (*way, step), found)
        else:
            at = _decoder.raw_decode(text, at)[1]
        at, place = skip_space(text, at), place + 1
        if text[at] == ",":
            at = skip_space(text, at + 1)
    return at + 1


def skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


class Lines:
    """Line and column of offsets, counted on from the nearest place that was asked for before."""

    def __init__(self, text: str) -> None:
        self._text = text
        # offset, its line, where that line starts
        self._known = [(0, 1, 0)]

    def place(self, offset: int) -> tuple[int, int]:
        known, line, start = self._known[bisect_right(self._known, (offset + 1,)) - 1]
        if known != offset:
            line += self._text.count("\n", known, offset)
            start = max(start, self._text.rfind("\n", known, offset) + 1)
            insort(self._known, (offset, line, start))
        return line, offset - start + 1


def place(text: str, offset: int | None) -> tuple[int, int]:
    """Line and column of one offset, None for the end; for many, Lines is quicker."""
    return Lines(text).place(len(text) if offset is None else offset)


def flaw_at(text: str, decoder: json.JSONDecoder, flaw: type[Exception]) -> int:
    """The offset of the first thing in a JSON text that makes a decoder raise the flaw."""
    at = skip_space(text, 0)
    for _ in range(_DEEPEST):
        inner = _flawed_member(text, at, decoder, flaw)
        if inner == at:
            break
        at = inner
    return at


def _flawed_member(text: str, at: int, decoder: json.JSONDecoder, flaw: type[Exception]) -> int:
    """Where the member is that raises the flaw, or the name that is given twice; the place itself if it is neither."""
    opened, start, found, seen = text[at], at, at, set()
    if opened not in "{[":
        return at
    at = skip_space(text, at + 1)
    while text[at] not in "}]":
        if opened == "{":
            named = at
            name, at = decoder.raw_decode(text, at)
            # An object is judged when it is complete, after all its members.
            found = named if name in seen and found == start else found
            seen.add(name)
            at = skip_space(text, skip_space(text, at) + 1)
        try:
            after = decoder.raw_decode(text, at)[1]
        except flaw:
            return at
        at = skip_space(text, after)
        if text[at] == ",":
            at = skip_space(text, at + 1)
    return found
