"""Three-way merge of a resource: what two servers have made of the version both had.

An element that one side changed is that side's; one that both changed differently is decided by a rule, and told.
Data types such as CodeableConcept, Quantity or Period are taken whole, and so is value[x]: half of one means something
else. Nothing comes out that neither side holds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from app.fhir.fhirpath import r4_model
from app.sync.conflicts.aligning import (
    Row,
    aligned,
    is_emptied,
    is_order_shared,
    is_reordered,
    is_replaced_twice,
    ordered,
)
from app.sync.conflicts.likeness import OF_SERVER, alike, form

Side = Literal["ours", "theirs"]
Decision = Literal["ours", "theirs", "manual"]
# The rule for an element, by its path without places in lists: "Observation.component.value".
Decide = Callable[[str], Decision]
Tree = dict[str, Any]

_APART = ("resourceType", "id", "meta", "text")
# Narrative that follows from the elements (R4 narrative.html): of a resource made of both sides it would be wrong.
_DERIVED_TEXT = ("generated", "extensions")


@dataclass(frozen=True, slots=True)
class Difference:
    """An element that both sides changed, each in its way. ours, theirs: its FHIRPath in each, "" where it has none.

    element: the path that rules name, without places in lists and without the type of a choice.
    """

    element: str
    ours: str
    theirs: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Merged:
    """What the merge makes. Where a person decides, resource holds ours."""

    resource: Tree
    differences: tuple[Difference, ...]

    @property
    def is_manual(self) -> bool:
        return any(one.decision == "manual" for one in self.differences)


class Three(NamedTuple):
    """The same part of the base and of both sides; {} or [] where there is none."""

    base: Any
    ours: Any
    theirs: Any

    def settled(self) -> Any:
        """What holds where not both have changed it, else None. What is equal is kept with our digits."""
        base, ours, theirs = form(self.base), form(self.ours), form(self.theirs)
        if ours == theirs or theirs == base:
            return self.ours
        return self.theirs if ours == base else None


class Place(NamedTuple):
    """Where a part is: by the path that rules name, and by its FHIRPath in each side."""

    element: str
    ours: str
    theirs: str

    def below(self, name: str, parts: Three) -> "Place":
        ours, theirs = _below(self.ours, name, parts.ours), _below(self.theirs, name, parts.theirs)
        return Place(f"{self.element}.{name}", ours, theirs)

    def at(self, row: Row) -> "Place":
        ours, theirs = (_at(path, place) for path, place in ((self.ours, row.ours), (self.theirs, row.theirs)))
        return Place(self.element, ours, theirs)


def merge(base: Mapping[str, Any] | None, ours: Mapping[str, Any], theirs: Mapping[str, Any], decide: Decide) -> Merged:
    """Merge two versions of one resource. base: what both had before; None where that is not known: then what only one
    side has counts as added by it."""
    type_ = str(ours.get("resourceType"))
    merger = _Merger(decide)
    made = merger.resource(type_, Three(dict(base or {}), dict(ours), dict(theirs)), Place(type_, type_, type_))
    return Merged(made, tuple(merger.differences))


@dataclass(slots=True)
class _Merger:
    decide: Decide
    differences: list[Difference] = field(default_factory=list)

    def resource(self, type_: str, three: Three, place: Place) -> Tree:
        """A resource, also a contained one: its id, meta and narrative are not like other elements."""
        made = self.object(type_, Three(*(_without(one, _APART) for one in three)), place)
        kept = {"resourceType": type_} | ({"id": three.ours["id"]} if "id" in three.ours else {})
        kept |= self._meta(three, place)
        return kept | self._narrative(three, made, place) | made

    def object(self, type_: str, three: Three, place: Place) -> Tree:
        """What is taken apart: a resource, or a nested element such as Observation.component."""
        made: Tree = {}
        for name, keys in _elements(type_, three):
            parts = Three(*({key: one[key] for key in keys if key in one} for one in three))
            made |= self._element(type_, parts, place.below(name, parts))
        return made

    def _element(self, type_: str, parts: Three, place: Place) -> Tree:
        settled = parts.settled()
        if settled is not None:
            return dict(settled)
        key = _only_key(parts)
        values = Three(*(one.get(key) for one in parts))
        inner = r4_model().json_types(type_).get(key, "")
        if key and all(value is None or isinstance(value, list) for value in values):
            items = self._list(inner, Three(*(value or [] for value in values)), place)
            return {key: items} if items else {}
        if key and is_taken_apart(inner) and all(isinstance(value, dict) for value in values):
            return {key: self.object(inner, values, place)}
        found: Tree = self._chosen(parts, place)
        return found

    def _list(self, type_: str, lists: Three, place: Place) -> list[Any]:
        rows = aligned(*lists)
        if is_replaced_twice(rows) or is_emptied(lists.base, rows):
            return list(self._chosen(lists, place))
        made = {}
        for row in rows:
            found = self._item(type_, Three(*map(_item, lists, (row.base, row.ours, row.theirs))), place.at(row))
            if found is not None:
                made[row] = found
        return [made[row] for row in self._order(rows, place) if row in made]

    def _item(self, type_: str, items: Three, place: Place) -> Any:
        """The item that comes out, None for none."""
        base, ours, theirs = map(form, items)
        if ours == theirs or theirs == base:
            return items.ours
        if ours == base:
            return items.theirs
        inner = str(items.ours.get("resourceType")) if type_ == "Resource" and isinstance(items.ours, dict) else type_
        if not (all(isinstance(one, dict) for one in items) and is_taken_apart(inner)):
            return self._chosen(items, place)
        if type_ != "Resource":
            return self.object(inner, items, place)
        is_same_type = all(one.get("resourceType") == inner for one in items)
        return self.resource(inner, items, place) if is_same_type else self._chosen(items, place)

    def _order(self, rows: Sequence[Row], place: Place) -> list[Row]:
        """The order of the side that changed it; where both did, differently, the rule decides."""
        first = "theirs" if self.decide(place.element) == "theirs" else "ours"
        changed = [side for side in ("ours", "theirs") if is_reordered(rows, side)]
        if len(changed) == 1:
            first = changed[0]
        elif changed and not is_order_shared(rows):
            self._chosen(Three(None, None, None), place)
        return ordered(rows, first, "ours" if first == "theirs" else "theirs")

    def _chosen(self, parts: Three, place: Place) -> Any:
        """The part that the rule chooses; ours where a person decides."""
        decision = self.decide(place.element)
        self.differences.append(Difference(*place, decision))
        return parts.theirs if decision == "theirs" else parts.ours

    def _meta(self, three: Three, place: Place) -> Tree:
        metas = [one.get("meta") for one in three]
        parts = Three(*(_without(one, OF_SERVER) if isinstance(one, Mapping) else {} for one in metas))
        made = self.object("Meta", parts, place.below("meta", Three(*({"meta": one} for one in metas))))
        sources = [one["source"] for one in metas[1:] if isinstance(one, Mapping) and "source" in one]
        made |= {"source": sources[0]} if sources else {}
        return {"meta": made} if made else {}

    def _narrative(self, three: Three, made: Tree, place: Place) -> Tree:
        """Narrative tells what the elements say. One that follows from them is kept by the side it is true of."""
        parts = Three(*({"text": one["text"]} if "text" in one else {} for one in three))
        settled = parts.settled()
        holds = {side: alike(made, _without(getattr(three, side), _APART)) for side in ("ours", "theirs")}
        texts = [one["text"] for one in (parts.ours, parts.theirs) if "text" in one]
        is_derived = all(isinstance(one, Mapping) and one.get("status") in _DERIVED_TEXT for one in texts)
        if is_derived and not any(holds.values()):
            return {}
        if settled is not None:
            return dict(settled)
        if is_derived:
            is_theirs = not holds["ours"] or (holds["theirs"] and self.decide(f"{place.element}.text") == "theirs")
            return dict(parts.theirs if is_theirs else parts.ours)
        return dict(self._chosen(parts, place.below("text", parts)))


def is_taken_apart(type_: str) -> bool:
    """Resources, their nested elements and meta; every other type is taken whole."""
    return "." in type_ or type_ == "Meta" or type_ in r4_model().resources


def _elements(type_: str, three: Three) -> Iterator[tuple[str, list[str]]]:
    """The elements there are, each with its JSON names: those of a choice, and the one with an underscore."""
    names = {variant.key: child.name for child in r4_model().children(type_).values() for variant in child.variants}
    found: dict[str, list[str]] = {}
    for key in dict.fromkeys([*three.ours, *three.theirs, *three.base]):
        plain = key.removeprefix("_")
        found.setdefault(names.get(plain, plain), []).append(key)
    found.pop("resourceType", None)
    yield from found.items()


def _only_key(parts: Three) -> str:
    """The JSON name of an element that has the same one everywhere, and no extensions beside it; else ""."""
    keys = {key for one in parts for key in one}
    return keys.pop() if len(keys) == 1 and not next(iter(keys)).startswith("_") else ""


def _below(path: str, name: str, part: Mapping[str, Any]) -> str:
    """The FHIRPath of an element, with its type where it is a choice; "" where the side does not have it."""
    if not part:
        return ""
    key = next(iter(part)).removeprefix("_")
    return f"{path}.{name}.ofType({_choice(name, key)})" if key != name else f"{path}.{name}"


def _choice(name: str, key: str) -> str:
    suffix = key[len(name) :]
    lower = suffix[:1].lower() + suffix[1:]
    return lower if lower in r4_model().primitives else suffix


def _at(path: str, place: int | None) -> str:
    return "" if place is None else f"{path}[{place}]"


def _item(items: Sequence[Any], place: int | None) -> Any:
    return None if place is None else items[place]


def _without(one: Mapping[str, Any], names: Sequence[str]) -> Tree:
    return {name: value for name, value in one.items() if name not in names}
