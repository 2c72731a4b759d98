"""What has to be done to one resource to get another, as JSON Patch (RFC 6902)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from app.fhir import json as lossless
from app.fhir.places import pointer
from app.fhir.scan import Steps

# Comparing long lists item by item takes the square of their length; beyond this they are replaced as they stand.
_MOST_ITEMS = 2_000
# The server sets these in every version.
_OF_SERVER = ("versionId", "lastUpdated")


@dataclass(frozen=True, slots=True)
class Difference:
    """One step of a patch. op: add, remove or replace; value: JSON text with every digit, b"" for remove."""

    op: str
    path: str
    value: bytes = b""


def differences(before: bytes, after: bytes) -> list[Difference]:
    """The steps in the order in which they are to be done; meta.versionId and meta.lastUpdated do not count."""
    return list(_between(_readable(before), _readable(after), ()))


def _readable(text: bytes) -> dict[str, Any]:
    tree: dict[str, Any] = lossless.parse_keeping_digits(text)
    meta = {name: value for name, value in tree.get("meta", {}).items() if name not in _OF_SERVER}
    # Its content only: that a version says nothing else in meta is no difference.
    return {**tree, "meta": meta}


def _between(before: Any, after: Any, steps: Steps) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_objects(before, after, steps)
    elif isinstance(before, list) and isinstance(after, list) and max(len(before), len(after)) <= _MOST_ITEMS:
        yield from _of_lists(before, after, steps)
    elif _text(before) != _text(after):
        yield _step("replace", steps, after)


def _of_objects(before: Mapping[str, Any], after: Mapping[str, Any], steps: Steps) -> Iterator[Difference]:
    for name in before:
        if name in after:
            yield from _between(before[name], after[name], (*steps, name))
        else:
            yield _step("remove", (*steps, name))
    for name in after:
        if name not in before:
            yield _step("add", (*steps, name), after[name])


def _of_lists(before: Sequence[Any], after: Sequence[Any], steps: Steps) -> Iterator[Difference]:
    """From the end to the start, so that no step moves the place of the next one."""
    matcher = SequenceMatcher(None, [*map(_text, before)], [*map(_text, after)], autojunk=False)
    for tag, start, end, new_start, new_end in reversed(matcher.get_opcodes()):
        if tag == "equal":
            continue
        shared = min(end - start, new_end - new_start)
        for place in reversed(range(start + shared, end)):
            yield _step("remove", (*steps, place))
        for place in reversed(range(new_start + shared, new_end)):
            yield _step("add", (*steps, start + shared), after[place])
        for offset in range(shared):
            yield from _between(before[start + offset], after[new_start + offset], (*steps, start + offset))


def _step(op: str, steps: Steps, value: Any = None) -> Difference:
    return Difference(op, pointer(steps), b"" if op == "remove" else lossless.dumps(value))


def _text(value: Any) -> bytes:
    return lossless.dumps(value)
