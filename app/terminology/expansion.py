"""Code systems, value sets, and how a value set's definition becomes the codes it holds."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Answer(Enum):
    """Whether a code belongs: UNCHECKED where that cannot be told here."""

    VALID = "valid"
    INVALID = "invalid"
    UNCHECKED = "not checked"


@dataclass(slots=True)
class CodeSystem:
    """A code system. codes: code -> display. is_complete: a code that is not listed does not exist."""

    url: str
    codes: Mapping[str, str]
    parents: Mapping[str, Iterable[str]]
    is_complete: bool
    ignores_case: bool = False
    _folded: dict[str, str] = field(default_factory=dict)

    def find(self, code: str) -> str | None:
        """The code as the system writes it, or None."""
        if code in self.codes:
            return code
        if not self.ignores_case:
            return None
        if not self._folded:
            self._folded = {each.casefold(): each for each in self.codes}
        return self._folded.get(code.casefold())

    def below(self, code: str) -> frozenset[str]:
        """A code and all its descendants."""
        children: dict[str, list[str]] = {}
        for child, parents in self.parents.items():
            for parent in parents:
                children.setdefault(parent, []).append(child)
        found, open_ = {code}, [code]
        while open_:
            fresh = [child for child in children.get(open_.pop(), []) if child not in found]
            found.update(fresh)
            open_ += fresh
        return frozenset(found)


@dataclass(slots=True)
class ValueSet:
    """An expanded value set. codes: system -> codes; open_systems: systems of which it cannot be told here;
    is_open: not even the systems are known."""

    url: str
    codes: dict[str, frozenset[str]]
    open_systems: frozenset[str]
    is_open: bool = False

    def contains(self, system: str, code: str) -> Answer:
        if code in self.codes.get(system, ()):
            return Answer.VALID
        return Answer.UNCHECKED if self.is_open or system in self.open_systems else Answer.INVALID

    def contains_code(self, code: str) -> Answer:
        """Whether any system of the set has the code, for an element of type code."""
        if any(code in codes for codes in self.codes.values()):
            return Answer.VALID
        return Answer.UNCHECKED if self.is_open or self.open_systems else Answer.INVALID


def read_code_system(resource: Mapping[str, Any]) -> CodeSystem:
    """A CodeSystem resource."""
    codes: dict[str, str] = {}
    parents: dict[str, list[str]] = {}

    def add(concepts: Any, parent: str | None) -> None:
        for concept in concepts:
            codes[concept["code"]] = concept.get("display", "")
            if parent:
                parents.setdefault(concept["code"], []).append(parent)
            add(concept.get("concept", ()), concept["code"])

    add(resource.get("concept", ()), None)
    return CodeSystem(
        resource["url"], codes, parents, resource.get("content") == "complete", resource.get("caseSensitive") is False
    )


Lookup = Callable[[str], Any]


def expand(url: str, compose: Mapping[str, Any], system_of: Lookup, value_set_of: Lookup) -> ValueSet:
    """The codes of a value set's compose. system_of and value_set_of find others by URL, or give None."""
    made = ValueSet(url, {}, frozenset())
    for include in compose.get("include", ()):
        _merge(made, _include(url, include, system_of, value_set_of))
    for exclude in compose.get("exclude", ()):
        _remove(made, _include(url, exclude, system_of, value_set_of))
    if not compose.get("include"):
        made.is_open = True
    return made


def _merge(into: ValueSet, other: ValueSet) -> None:
    for system, codes in other.codes.items():
        into.codes[system] = into.codes.get(system, frozenset()) | codes
    into.open_systems |= other.open_systems
    into.is_open = into.is_open or other.is_open


def _remove(from_: ValueSet, other: ValueSet) -> None:
    for system, codes in other.codes.items():
        if system in from_.codes:
            from_.codes[system] -= codes
    # What an exclusion we cannot read takes away is not known, so nothing of that system is certain.
    for system in other.open_systems:
        from_.codes.pop(system, None)
        from_.open_systems |= {system}


def _include(url: str, include: Mapping[str, Any], system_of: Lookup, value_set_of: Lookup) -> ValueSet:
    made = _own(url, include, system_of) if "system" in include else None
    for other_url in include.get("valueSet", ()):
        other = value_set_of(other_url) or ValueSet(other_url, {}, frozenset(), is_open=True)
        made = other if made is None else _both(made, other)
    return made or ValueSet(url, {}, frozenset(), is_open=True)


def _both(one: ValueSet, other: ValueSet) -> ValueSet:
    codes = {system: codes & other.codes.get(system, frozenset()) for system, codes in one.codes.items()}
    return ValueSet(one.url, codes, one.open_systems | other.open_systems, one.is_open or other.is_open)


def _own(url: str, include: Mapping[str, Any], system_of: Lookup) -> ValueSet:
    name = include["system"]
    system: CodeSystem | None = system_of(name)
    if "concept" in include:
        codes = frozenset(each if isinstance(each, str) else each["code"] for each in include["concept"])
        # An empty list stands for codes of an outside terminology that are not kept here.
        return ValueSet(url, {name: codes}, frozenset() if codes else frozenset({name}))
    if system is None or not system.is_complete:
        return ValueSet(url, {}, frozenset({name}))
    chosen: frozenset[str] = frozenset(system.codes)
    for filter_ in include.get("filter", ()):
        kept = _filtered(system, filter_)
        if kept is None:
            return ValueSet(url, {}, frozenset({name}))
        chosen &= kept
    return ValueSet(url, {name: chosen}, frozenset())


def _filtered(system: CodeSystem, filter_: Mapping[str, Any]) -> frozenset[str] | None:
    """The codes a filter keeps; None for a filter that needs properties we do not have."""
    value = filter_.get("value", "")
    match filter_.get("op"), filter_.get("property"):
        case "is-a", _:
            return system.below(value)
        case "descendent-of", _:
            return system.below(value) - {value}
        case "is-not-a", _:
            return frozenset(system.codes) - system.below(value)
        case "in", "concept" | "code":
            return frozenset(value.split(","))
        case "=", "concept" | "code":
            return frozenset({value})
    return None
