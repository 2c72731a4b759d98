"""What search offers, told from the tables that search runs by: for the CapabilityStatement and for errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from app.store.index.definitions import SearchParameter
from app.store.parameters import SearchParameters
from app.store.search.ranges import PREFIXES
from app.store.search.values import HAS_PREFIXES, MODIFIERS

_DEFINITION = "http://hl7.org/fhir/SearchParameter/"
# What is answered without rows of a parameter of its own: type, and definition where R4 has one (R4 3.1.1.4.15).
_SPECIAL: Mapping[str, tuple[str, str]] = {
    "_id": ("token", _DEFINITION + "Resource-id"),
    "_lastUpdated": ("date", _DEFINITION + "Resource-lastUpdated"),
    "_text": ("string", _DEFINITION + "DomainResource-text"),
    "_content": ("string", _DEFINITION + "Resource-content"),
    "_list": ("string", ""),
    "_filter": ("special", _DEFINITION + "filter"),
    "_has": ("string", ""),
}
_SPECIAL_MODIFIERS = {"_id": ("not",)}
# Shared by every type, so they can be asked without one (R4 3.1.1.1).
_WITHOUT_TYPE = {"_type": ("token", "")}


@dataclass(frozen=True, slots=True)
class OfferedParameter:
    """One parameter. comparators: the prefixes its values take."""

    name: str
    kind: str
    definition: str = ""
    modifiers: tuple[str, ...] = ()
    comparators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offered:
    """What can be searched; includes and reverse_includes as `_include` and `_revinclude` name them."""

    parameters: tuple[OfferedParameter, ...]
    includes: tuple[str, ...] = ()
    reverse_includes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Offers:
    parameters: SearchParameters

    def of(self, resource_type: str) -> Offered:
        """What is offered for a type; "": what every type has in common."""
        if not resource_type:
            return Offered(self._common)
        own = self.parameters.of(resource_type)
        references = sorted(code for code, each in own.items() if each.kind == "reference")
        return Offered(
            tuple(_special(code) for code in _SPECIAL if code != "_has" or self._referring.get(resource_type))
            + tuple(_offered(each) for code, each in sorted(own.items()) if code not in _SPECIAL),
            ("*", *(f"{resource_type}:{code}" for code in references)),
            ("*", *self._referring.get(resource_type, ())),
        )

    @cached_property
    def _common(self) -> tuple[OfferedParameter, ...]:
        types = list(self.parameters.types)
        shared = set(self.parameters.of(types[0]))
        for each in types[1:]:
            shared &= set(self.parameters.of(each))
        own = self.parameters.of(types[0])
        named = {**_SPECIAL, **_WITHOUT_TYPE}
        made = [OfferedParameter(code, kind, definition) for code, (kind, definition) in _WITHOUT_TYPE.items()]
        return (
            *(_special(code) for code in _SPECIAL),
            *made,
            *(_offered(own[code]) for code in sorted(shared) if code not in named and own[code].kind != "special"),
        )

    @cached_property
    def _referring(self) -> dict[str, list[str]]:
        """Resource type -> the references of other types that can lead to it."""
        found: dict[str, list[str]] = {}
        for source in self.parameters.types:
            for code, each in sorted(self.parameters.of(source).items()):
                for target in each.targets if each.kind == "reference" else ():
                    found.setdefault(target, []).append(f"{source}:{code}")
        return found


def _special(code: str) -> OfferedParameter:
    kind, definition = _SPECIAL[code]
    comparators = PREFIXES if kind in HAS_PREFIXES else ()
    return OfferedParameter(code, kind, definition, _SPECIAL_MODIFIERS.get(code, ()), comparators)


def _offered(parameter: SearchParameter) -> OfferedParameter:
    kind = parameter.kind
    return OfferedParameter(
        parameter.name,
        kind,
        parameter.url,
        ("missing", *MODIFIERS.get(kind, ()), *(parameter.targets if kind == "reference" else ())),
        PREFIXES if kind in HAS_PREFIXES else (),
    )
