"""Where an issue is in the text that was posted: JSON pointer, Bundle entry, line and column.

Issues name elements by FHIRPath. Only when there are issues is the text looked at: one pass that steps into what is
wanted and lets the JSON decoder skip the rest.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from app.fhir.outcomes import Issue
from app.fhir.scan import Lines, Steps, is_plain_name, scan, skip_space

# Where something is, and whether the name of that property is meant instead of its value.
Way = tuple[Steps, bool]

_STEP = re.compile(r"\.?([A-Za-z_]\w*)(?:\.ofType\((\w+)\))?(?:\[(\d{1,9})\])?", re.ASCII)
_ROOT = re.compile(r"[A-Z]\w*", re.ASCII)


def way_to(tree: Any, issue: Issue) -> Way | None:
    """The way to what an issue is about; None for an issue that is not about content.

    What is missing has no place of its own: the way ends at the nearest that exists.
    """
    root = _ROOT.match(issue.expression)
    if not root and not issue.member:
        return None
    steps, node = _followed(tree, issue.expression[root.end() :] if root else "")
    if issue.member and isinstance(node, dict):
        for name in (issue.member, "_" + issue.member):
            if name in node:
                return (*steps, name), True
    return steps, False


def _followed(tree: Any, expression: str) -> tuple[Steps, Any]:
    here: tuple[Steps, Any] = ((), tree)
    # id and extensions of a primitive are below its name with _ in front.
    beside: tuple[Steps, Any] | None = None
    for name, type_, index in _STEP.findall(expression):
        if beside and not isinstance(here[1], dict):
            here = beside
        key = name + type_[:1].upper() + type_[1:]
        own, beside = _below(here, key, index), _below(here, "_" + key, index)
        found = own or beside
        if found is None:
            return here
        here = found
    return here


def _below(here: tuple[Steps, Any], key: str, index: str) -> tuple[Steps, Any] | None:
    steps, node = here
    if not isinstance(node, dict) or key not in node:
        return None
    node = node[key]
    if not index or not isinstance(node, list) or int(index) >= len(node):
        return (*steps, key), node
    return (*steps, key, int(index)), node[int(index)]


def pointer(steps: Steps) -> str:
    """The JSON pointer (RFC 6901) of a way from the root."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


class Posted:
    """A text that was posted, with its parsed tree. Nothing is done before an issue is to be placed."""

    def __init__(self, text: bytes, tree: Any) -> None:
        self.size = len(text)
        self._bytes, self._tree = text, tree
        self._text: str | None = None
        self._lines = Lines("")
        self._entries: dict[int, int] = {}

    def placed(self, issues: Iterable[Issue], below: Steps = ()) -> list[Issue]:
        """The issues with their places. below: where the resource is that their expressions start from."""
        given = list(issues)
        start = self._tree
        for step in below:
            start = start[step]
        ways = [way_to(start, issue) for issue in given]
        full = [((*below, *way[0]), way[1]) if way else None for way in ways]
        places = self._places([way for way in full if way])
        return [
            self._placed(issue, way[0], places[way]) if way else issue for issue, way in zip(given, full, strict=True)
        ]

    def _placed(self, issue: Issue, steps: Steps, place: tuple[int, int]) -> Issue:
        line, column = place
        is_plain = not steps or isinstance(steps[-1], int) or is_plain_name(steps[-1])
        return replace(
            issue,
            pointer=pointer(steps if is_plain else steps[:-1]),
            entry=self._entry(steps),
            line=line,
            column=column,
        )

    def _entry(self, steps: Steps) -> int | None:
        is_inside = self._tree.get("resourceType") == "Bundle" and steps[:1] == ("entry",)
        return steps[1] if is_inside and len(steps) > 1 and isinstance(steps[1], int) else None

    def _places(self, ways: Sequence[Way]) -> dict[Way, tuple[int, int]]:
        """Line and column where each way ends in the text."""
        groups: dict[int | None, set[Steps]] = {}
        for steps, _ in ways:
            groups.setdefault(self._entry(steps), set()).add(steps)
        found: dict[Steps, tuple[int, int]] = {}
        for entry, wanted in groups.items():
            head: Steps = () if entry is None else ("entry", entry)
            start = self._start(entry)
            tails = scan(self._read(), start, [steps[len(head) :] for steps in wanted])
            found |= {(*head, *steps): at for steps, at in tails.items()}
        offsets = [(found[steps][0 if at_name else 1], (steps, at_name)) for steps, at_name in ways]
        return {way: self._lines.place(offset) for offset, way in sorted(offsets, key=itemgetter(0))}

    def _read(self) -> str:
        if self._text is None:
            self._text = self._bytes.decode("utf-8")
            self._lines = Lines(self._text)
        return self._text

    def _start(self, entry: int | None) -> int:
        """Where an entry of the Bundle starts, or the whole; the entries are looked up once, all together."""
        text = self._read()
        if entry is None:
            return skip_space(text, 0)
        if not self._entries:
            wanted: list[Steps] = [("entry", place) for place in range(len(self._tree["entry"]))]
            found = scan(text, skip_space(text, 0), wanted)
            self._entries = {place: found["entry", place][1] for place in range(len(wanted))}
            for offset in self._entries.values():
                self._lines.place(offset)
        return self._entries[entry]
