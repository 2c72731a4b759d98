"""What FHIRPath needs to know of types: which children a type has, and what it is derived from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from app.profiles import r4

# FHIR primitives that FHIRPath can compute with -> System type (R4 section 2.9.1).
SYSTEM_TYPES = {
    "boolean": "Boolean",
    "integer": "Integer",
    "positiveInt": "Integer",
    "unsignedInt": "Integer",
    "decimal": "Decimal",
    "date": "Date",
    "dateTime": "DateTime",
    "instant": "DateTime",
    "time": "Time",
}


_NONE: dict[str, "Child"] = {}


class Variant(NamedTuple):
    """One JSON name an element can have, with its type: valueQuantity, Quantity."""

    key: str
    type: str


@dataclass(frozen=True, slots=True)
class Child:
    """One element of a type: its JSON names (several for value[x])."""

    name: str
    variants: tuple[Variant, ...]
    is_many: bool


class Model:
    """Children and ancestry of the R4 types. A type is named like `Quantity`, a nested one like `Timing.repeat`."""

    def __init__(self, types: Mapping[str, Mapping[str, Any]]) -> None:
        self._types = types
        self._children: dict[str, dict[str, Child]] = {}
        self._json_types: dict[str, dict[str, str]] = {}
        self._ancestors: dict[str, tuple[str, ...]] = {}
        self.primitives = frozenset(name for name, type_ in types.items() if type_["kind"] == "primitive-type")
        self.resources = frozenset(name for name, type_ in types.items() if type_["kind"] == "resource")

    def children(self, type_: str) -> dict[str, Child]:
        """The elements of a type by name, without [x]; none of an unknown type."""
        found = self._children.get(type_)
        if found is None:
            self._read(type_.partition(".")[0])
            found = self._children.get(type_, _NONE)
        return found

    def json_types(self, type_: str) -> dict[str, str]:
        """The types of a type's elements by JSON name; none of an unknown type."""
        found = self._json_types.get(type_)
        if found is None:
            children = self.children(type_)
            found = {variant.key: variant.type for each in children.values() for variant in each.variants}
            # Only what is known is kept: names come from the input too.
            if children:
                self._json_types[type_] = found
        return found

    def has(self, type_: str) -> bool:
        return type_ in self._types

    def ancestors(self, type_: str) -> tuple[str, ...]:
        """The type and all it is derived from, nearest first."""
        if "." in type_:
            return (type_, "BackboneElement", "Element")
        found = self._ancestors.get(type_)
        if found is None:
            found = tuple(self._line(type_))
            if type_ in self._types:
                self._ancestors[type_] = found
        return found

    def is_a(self, type_: str, wanted: str) -> bool:
        return type_ == wanted or wanted in self.ancestors(type_)

    def _line(self, type_: str) -> Iterator[str]:
        while type_:
            yield type_
            type_ = self._types.get(type_, {}).get("base", "")

    def _read(self, type_: str) -> None:
        if type_ not in self._types or type_ in self._children:
            return
        elements = self._types[type_]["element"]
        nested = {_parent(element["path"]) for element in elements[1:]}
        read: dict[str, dict[str, Child]] = {path: {} for path in nested | {type_}}
        for element in elements[1:]:
            child = _child(element, element["path"] in nested)
            read[_parent(element["path"])][child.name] = child
        # Only what is complete is shown: other threads may be looking.
        self._children |= read


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _child(element: Mapping[str, Any], is_nested: bool) -> Child:
    name = element["path"].rpartition(".")[2]
    return Child(name.removesuffix("[x]"), _variants(element, name, is_nested), element["max"] not in ("0", "1"))


def _variants(element: Mapping[str, Any], name: str, is_nested: bool) -> tuple[Variant, ...]:
    if is_nested:
        return (Variant(name, element["path"]),)
    if "contentReference" in element:
        return (Variant(name, element["contentReference"].lstrip("#")),)
    types = [each["code"] for each in element.get("type", [])]
    if not name.endswith("[x]"):
        return tuple(Variant(name, type_) for type_ in types[:1])
    stem = name[:-3]
    return tuple(Variant(stem + type_[0].upper() + type_[1:], type_) for type_ in types)


@cache
def r4_model() -> Model:
    """The model of base R4."""
    return Model(r4()["types"])
