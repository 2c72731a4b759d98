"""Where a page begins: what a page link of a search carries, and what of it can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from app.store.search.results import Key
from app.store.snapshot import Snapshot

_MOST = 2**63


@dataclass(frozen=True, slots=True)
class Place:
    """at: when the first page was read, in microseconds. total: of all matches, None if that was not wanted. after:
    sort values and row number of the last match shown, None for the first page. meaning: of the query then."""

    snapshot: Snapshot
    at: int
    total: int | None
    after: Sequence[Any] | None
    meaning: str


def place_of(snapshot: Snapshot, content: Sequence[Any], order: Sequence[Key]) -> Place:
    """The place of a cursor's content. Raises ValueError for one that no page of ours has.

    The checksum of a cursor keeps nobody from making one, and a database refuses values of another type.
    """
    if len(content) != 4:
        raise ValueError("four parts were expected")
    at, total, after, meaning = content
    if not _is_whole(at) or not (total is None or _is_whole(total)):
        raise ValueError("a time and a total were expected")
    if not isinstance(meaning, str):
        raise ValueError("the meaning of the query was expected")
    if after is not None:
        if not isinstance(after, list) or len(after) != len(order) + 1 or not _is_whole(after[-1]):
            raise ValueError("the sort values and a row number were expected")
        if not all(_fits(key, value) for key, value in zip(order, after, strict=False)):
            raise ValueError("sort values of another type")
    return Place(snapshot, at, total, after, meaning)


def _fits(key: Key, value: Any) -> bool:
    if value is None:
        return key.field is not None
    kind = "date" if key.code == "_lastUpdated" else key.field.kind if key.field else ""
    if kind == "date":
        return _is_whole(value)
    if kind in ("number", "quantity"):
        return type(value) is float and isfinite(value)
    return isinstance(value, str) and "\0" not in value


def _is_whole(value: Any) -> bool:
    return type(value) is int and abs(value) < _MOST
