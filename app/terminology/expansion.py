"""Code systems, value sets, and how a value set's definition becomes the codes it holds."""

from collections import deque
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
    version: str = ""
    # Concept properties: code -> property -> values; empty for base R4, whose properties are not kept.
    properties: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
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
    chosen_systems: those of them of which only some codes belong; is_open: not even the systems are known."""

    url: str
    codes: dict[str, frozenset[str]]
    open_systems: frozenset[str]
    is_open: bool = False
    chosen_systems: frozenset[str] = frozenset()

    def contains(self, system: str, code: str) -> Answer:
        if code in self.codes.get(system, ()):
            return Answer.VALID
        return Answer.UNCHECKED if self.is_open or system in self.open_systems else Answer.INVALID

    def contains_code(self, code: str) -> Answer:
        """Whether any system of the set has the code, for an element of type code."""
        if any(code in codes for codes in self.codes.values()):
            return Answer.VALID
        return Answer.UNCHECKED if self.is_open or self.open_systems else Answer.INVALID


# Properties that name a parent concept (R4 concept-properties; subsumedBy in the systems of HL7 version 3).
_PARENTS = ("parent", "subsumedBy")


def read_code_system(resource: Mapping[str, Any]) -> CodeSystem:
    """A CodeSystem resource."""
    codes: dict[str, str] = {}
    parents: dict[str, list[str]] = {}
    properties: dict[str, dict[str, frozenset[str]]] = {}
    open_: deque[tuple[Mapping[str, Any], str]] = deque((each, "") for each in resource.get("concept", ()))
    while open_:
        concept, parent = open_.popleft()
        code = concept.get("code")
        if not isinstance(code, str):
            continue
        codes[code] = concept.get("display", "")
        properties[code] = _properties(concept)
        above = {parent} if parent else set()
        above |= {each for name in _PARENTS for each in properties[code].get(name, ())}
        parents.setdefault(code, []).extend(sorted(above))
        open_ += [(each, code) for each in concept.get("concept", ())]
    return CodeSystem(
        resource["url"],
        codes,
        parents,
        is_complete=resource.get("content") == "complete",
        ignores_case=resource.get("caseSensitive") is False,
        version=str(resource.get("version", "")),
        properties=properties,
    )


def read_designations(resource: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The further displays of the codes of a CodeSystem or supplement; those in any language."""
    found: dict[str, frozenset[str]] = {}
    open_ = deque(resource.get("concept", ()))
    while open_:
        concept = open_.popleft()
        open_ += concept.get("concept", ())
        values = [each.get("value") for each in concept.get("designation", ())]
        if values and isinstance(concept.get("code"), str):
            found[concept["code"]] = frozenset(each for each in values if isinstance(each, str))
    return found


def _properties(concept: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for each in concept.get("property", ()):
        value = next((each[name] for name in each if name.startswith("value")), None)
        text = str(value).lower() if isinstance(value, bool) else value
        if isinstance(each.get("code"), str) and isinstance(text, str):
            found.setdefault(each["code"], set()).add(text)
    return {name: frozenset(values) for name, values in found.items()}


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
    into.chosen_systems |= other.chosen_systems
    into.is_open = into.is_open or other.is_open


def _remove(from_: ValueSet, other: ValueSet) -> None:
    for system, codes in other.codes.items():
        if system in from_.codes:
            from_.codes[system] -= codes
    # What an exclusion we cannot read takes away is not known, so nothing of that system is certain.
    for system in other.open_systems:
        from_.codes.pop(system, None)
        from_.open_systems |= {system}
        from_.chosen_systems |= {system}
    from_.chosen_systems |= from_.open_systems & frozenset(other.codes)
    if other.is_open:
        from_.codes.clear()
        from_.is_open = True


def _include(url: str, include: Mapping[str, Any], system_of: Lookup, value_set_of: Lookup) -> ValueSet:
    made = _own(url, include, system_of) if "system" in include else None
    for other_url in include.get("valueSet", ()):
        other = value_set_of(other_url) or ValueSet(other_url, {}, frozenset(), is_open=True)
        made = other if made is None else _both(made, other)
    return made or ValueSet(url, {}, frozenset(), is_open=True)


def _both(one: ValueSet, other: ValueSet) -> ValueSet:
    codes = {system: codes & other.codes.get(system, frozenset()) for system, codes in one.codes.items()}
    open_ = one.open_systems | other.open_systems
    return ValueSet(one.url, codes, open_, one.is_open or other.is_open, open_)


def _own(url: str, include: Mapping[str, Any], system_of: Lookup) -> ValueSet:
    name = include["system"]
    system: CodeSystem | None = system_of(name)
    if "concept" in include:
        codes = frozenset(each if isinstance(each, str) else str(each.get("code")) for each in include["concept"])
        # An empty list stands for codes of an outside terminology that are not kept here.
        return ValueSet(url, {name: codes}, frozenset()) if codes else _outside(url, name, is_chosen=True)
    if system is None or not system.is_complete or _is_other_version(system, include):
        return _outside(url, name, is_chosen=bool(include.get("filter")))
    chosen: frozenset[str] = frozenset(system.codes)
    for filter_ in include.get("filter", ()):
        kept = _filtered(system, filter_)
        if kept is None:
            return _outside(url, name, is_chosen=True)
        chosen &= kept
    return ValueSet(url, {name: chosen}, frozenset())


def _outside(url: str, system: str, *, is_chosen: bool) -> ValueSet:
    """All codes of a system that is not held here, or some of them."""
    return ValueSet(url, {}, frozenset({system}), chosen_systems=frozenset({system} if is_chosen else ()))


def _is_other_version(system: CodeSystem, include: Mapping[str, Any]) -> bool:
    asked = include.get("version")
    return bool(asked and system.version) and asked != system.version


def _filtered(system: CodeSystem, filter_: Mapping[str, Any]) -> frozenset[str] | None:
    """The codes a filter keeps; None for a filter that needs properties we do not have."""
    value = str(filter_.get("value", ""))
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
        case "=", name if system.properties:
            return frozenset(code for code, held in system.properties.items() if value in held.get(str(name), ()))
        case "in", name if system.properties:
            wanted = set(value.split(","))
            return frozenset(code for code, held in system.properties.items() if wanted & held.get(str(name), set()))
    return None
