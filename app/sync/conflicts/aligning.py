"""Lists of two sides and of their common base: which items are the same one, and in which order the result has them."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.mapping.three_way import identity_of
from app.sync.conflicts.likeness import form


@dataclass(slots=True, eq=False)
class Row:
    """One item in the three lists, by its place in each; None where a list does not have it."""

    base: int | None
    ours: int | None = None
    theirs: int | None = None

    @property
    def is_gone(self) -> bool:
        return self.ours is None and self.theirs is None


def aligned(base: Sequence[Any], ours: Sequence[Any], theirs: Sequence[Any]) -> list[Row]:
    """Every item of the three lists once: those of the base, then what ours added, then what theirs added."""
    rows = [Row(place) for place in range(len(base))]
    for place, own in _pairs(base, ours):
        rows[place].ours = own
    for place, own in _pairs(base, theirs):
        rows[place].theirs = own
    mine = _others(len(ours), {row.ours for row in rows})
    added = _others(len(theirs), {row.theirs for row in rows})
    same = {
        mine[one]: added[other]
        # Without a base nothing but its words tells that an item is the same: two notes are two notes.
        for one, other in _pairs([ours[i] for i in mine], [theirs[i] for i in added], by_place=False)
    }
    rows += [Row(None, place, same.get(place)) for place in mine]
    return rows + [Row(None, None, place) for place in added if place not in same.values()]


def is_replaced_twice(rows: Sequence[Row]) -> bool:
    """Whether both sides took an item out and each put in one of its own: perhaps instead of it."""
    new = [row for row in rows if row.base is None]
    return (
        any(row.is_gone for row in rows)
        and any(row.theirs is None for row in new)
        and any(row.ours is None for row in new)
    )


def is_emptied(base: Sequence[Any], rows: Sequence[Row]) -> bool:
    """Whether of several items about the same each side has kept another, so that none would be left."""
    groups = ([rows[place] for place in places] for identity, places in _grouped(base).items() if identity is not None)
    return any(
        all(row.ours is None or row.theirs is None for row in own)
        and any(row.ours is not None for row in own)
        and any(row.theirs is not None for row in own)
        for own in groups
    )


def is_reordered(rows: Sequence[Row], side: str) -> bool:
    """Whether one side has the items of the base in another order."""
    places = [getattr(row, side) for row in rows if row.base is not None]
    held = [place for place in places if place is not None]
    return held != sorted(held)


def is_order_shared(rows: Sequence[Row]) -> bool:
    """Whether both sides have what both have in the same order."""
    both = sorted((row.ours, row.theirs) for row in rows if row.ours is not None and row.theirs is not None)
    return [theirs for _, theirs in both] == sorted(theirs for _, theirs in both)


def ordered(rows: Sequence[Row], first: str, second: str) -> list[Row]:
    """The rows in the order of the first side; what only the second has stands after what it follows there."""
    followers: dict[Row | None, list[Row]] = {None: []}
    leader = None
    for row in _of(rows, second):
        if getattr(row, first) is None:
            followers[leader].append(row)
        else:
            leader = row
            followers[row] = []
    made: list[Row] = []
    waiting = followers[None]
    for row in _of(rows, first):
        if row in followers:
            made += waiting
            waiting = followers[row]
        made.append(row)
    return made + waiting


def _of(rows: Sequence[Row], side: str) -> list[Row]:
    """The rows a side has, in its order."""
    return sorted((row for row in rows if getattr(row, side) is not None), key=lambda row: int(getattr(row, side)))


def _others(count: int, known: set[int | None]) -> list[int]:
    return [place for place in range(count) if place not in known]


def _pairs(one: Sequence[Any], other: Sequence[Any], *, by_place: bool = True) -> Iterator[tuple[int, int]]:
    """Places of items that are the same: alike, else about the same, else, with by_place, the next of what is left."""
    groups, rest = _grouped(one), _grouped(other)
    for identity, places in groups.items():
        others = rest.get(identity, [])
        same = dict(_equal(one, places, other, others))
        yield from same.items()
        if identity is not None or by_place:
            taken = set(same.values())
            left, right = ([p for p in places if p not in same], [p for p in others if p not in taken])
            yield from zip(left, right, strict=False)


def _equal(
    one: Sequence[Any], places: Sequence[int], other: Sequence[Any], others: Sequence[int]
) -> Iterator[tuple[int, int]]:
    waiting: dict[Hashable, list[int]] = {}
    for place in reversed(others):
        waiting.setdefault(form(other[place]), []).append(place)
    for place in places:
        if found := waiting.get(form(one[place])):
            yield place, found.pop()


def _grouped(items: Sequence[Any]) -> dict[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = {}
    for place, item in enumerate(items):
        # An id within a resource stays with its element; else what an item is about tells.
        own = ("id", item["id"]) if isinstance(item, Mapping) and isinstance(item.get("id"), str) else identity_of(item)
        found.setdefault(own, []).append(place)
    return found
