"""What a target can do, by its CapabilityStatement, and how it is therefore told: a plan, with the reasons for it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

Delivery = Literal["transaction", "batch", "single"]
# FHIR R4 and R4B: what is written here is the same in both for all that this service has.
_SPOKEN = ("4.0", "4.1", "4.3")
# From the most to the least that is done at once; what is not offered becomes the next.
_LESSER: tuple[Delivery, ...] = ("transaction", "batch", "single")
_INTERACTIONS = ("create", "update", "delete", "read", "search-type", "history-type", "history-instance")


class NoFhirServer(Exception):
    """What answers at the address is no FHIR server that we can talk to; the text says why."""


class Wanted(Protocol):
    """What the operator has asked for (a Target)."""

    @property
    def delivery(self) -> Delivery: ...

    @property
    def ids(self) -> Literal["same", "identifier"]: ...

    @property
    def batch_size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Offer:
    """What a target offers for one type. A type it says nothing of is taken to have everything: it will refuse."""

    interactions: frozenset[str] = frozenset(_INTERACTIONS)
    update_create: bool = True
    conditional_create: bool = False
    conditional_update: bool = False
    versioned: bool = True
    parameters: frozenset[str] | None = None

    def can_search(self, name: str) -> bool:
        """Whether it can be searched by a parameter. _id is often left out of the list, and offered nevertheless."""
        if "search-type" not in self.interactions:
            return False
        return name == "_id" or self.parameters is None or name in self.parameters


@dataclass(frozen=True, slots=True)
class Plan:
    """How a target is told, and the sentences that say why. system: its interactions on all types."""

    delivery: Delivery
    ids: Literal["same", "identifier"]
    batch_size: int
    system: frozenset[str] = frozenset()
    types: Mapping[str, Offer] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    software: str = ""
    is_read: bool = False

    def offer(self, resource_type: str) -> Offer:
        """What it offers for a type."""
        return self.types.get(resource_type, _UNTOLD)

    def ids_of(self, resource_type: str) -> Literal["same", "identifier"]:
        """How a resource of a type is known there: by our id only if the target creates under ids it is given."""
        return self.ids if self.offer(resource_type).update_create else "identifier"

    def history_types(self) -> frozenset[str]:
        """The types whose history can be read as a whole."""
        return frozenset(name for name, each in self.types.items() if "history-type" in each.interactions)

    def can_search_last_updated(self, resource_type: str) -> bool:
        """Whether it can be searched by _lastUpdated."""
        return self.offer(resource_type).can_search("_lastUpdated")

    def as_json(self) -> dict[str, Any]:
        """The plan as it is kept in sync_state.capabilities and shown at /sync/targets/{name}."""
        types = {name: _offer_json(offer) for name, offer in sorted(self.types.items())}
        return asdict(self) | {"system": sorted(self.system), "types": types, "said": list(self.said)}


_UNTOLD = Offer()


def unread(wanted: Wanted, why: str) -> Plan:
    """The plan for a target whose CapabilityStatement is not read: as configured, nothing conditional relied on."""
    return Plan(wanted.delivery, wanted.ids, wanted.batch_size, said=(why,))


def plan(statement: Mapping[str, Any], wanted: Wanted) -> Plan:
    """What follows from a CapabilityStatement for what is wanted. Raises NoFhirServer."""
    rest = _require_server(statement)
    system = _codes(rest.get("interaction"))
    types = {each["type"]: _offer(each) for each in _objects(rest.get("resource")) if isinstance(each.get("type"), str)}
    delivery = _delivery(wanted.delivery, system)
    said = [*_said_of_delivery(wanted, delivery), *_said_of_ids(wanted, types), *_said_of_types(wanted, types)]
    named = statement.get("software")
    named = named if isinstance(named, Mapping) else {}
    software = " ".join(str(named[each]) for each in ("name", "version") if each in named)
    return Plan(delivery, wanted.ids, wanted.batch_size, system, types, tuple(said), software[:200], is_read=True)


def from_json(value: Mapping[str, Any]) -> Plan:
    """The plan that `as_json` made."""
    types = {name: _offer_of(offer) for name, offer in value["types"].items()}
    kept = {**value, "system": frozenset(value["system"]), "types": types, "said": tuple(value["said"])}
    return Plan(**kept)


def _require_server(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    if statement.get("resourceType") != "CapabilityStatement":
        raise NoFhirServer("It answers /metadata with no CapabilityStatement: no FHIR server is at this address.")
    version = str(statement.get("fhirVersion") or "")
    if not version.startswith(_SPOKEN):
        told = version[:20] or "no version"
        raise NoFhirServer(f"It says it speaks FHIR {told}; what is sent here is FHIR R4 (4.0.1).")
    servers = [each for each in _objects(statement.get("rest")) if each.get("mode") == "server"]
    if not servers:
        raise NoFhirServer("Its CapabilityStatement describes no server (rest.mode is not server).")
    return servers[0]


def _offer(resource: Mapping[str, Any]) -> Offer:
    named = (each.get("name") for each in _objects(resource.get("searchParam")))
    parameters = frozenset(name for name in named if isinstance(name, str))
    return Offer(
        _codes(resource.get("interaction")) & frozenset(_INTERACTIONS),
        # Not said is not denied: most servers that allow it do not say so.
        update_create=resource.get("updateCreate") is not False,
        conditional_create=resource.get("conditionalCreate") is True,
        conditional_update=resource.get("conditionalUpdate") is True,
        versioned=resource.get("versioning") != "no-version",
        # Where no parameter is listed at all, none is denied.
        parameters=parameters or None,
    )


def _delivery(wanted: Delivery, system: frozenset[str]) -> Delivery:
    below = _LESSER[_LESSER.index(wanted) :]
    return next(each for each in below if each == "single" or each in system)


def _said_of_delivery(wanted: Wanted, delivery: Delivery) -> Iterator[str]:
    if delivery == wanted.delivery:
        yield f"Delivery is {delivery}, as configured."
        return
    passed = _LESSER[_LESSER.index(wanted.delivery) : _LESSER.index(delivery)]
    yield f"Delivery is {delivery}: its CapabilityStatement does not offer {' nor '.join(passed)}."


def _said_of_ids(wanted: Wanted, types: Mapping[str, Offer]) -> Iterator[str]:
    if wanted.ids == "same":
        if adapted := [name for name, each in types.items() if not each.update_create]:
            named = _named(adapted, of=len(types))
            yield f"It assigns ids itself (updateCreate is false), so our sync identifier is the key: {named}."
        return
    yield "Resources are found there by our sync identifier, as configured."


def _said_of_types(wanted: Wanted, types: Mapping[str, Offer]) -> Iterator[str]:
    """What is not offered for some types; each sentence says what follows."""
    by_identifier = [name for name, each in types.items() if wanted.ids == "identifier" or not each.update_create]
    without = [name for name in by_identifier if not types[name].conditional_update]
    blind = [name for name in without if not types[name].conditional_create]
    told = (
        ("Conditional update is not offered, so a search decides between creating and updating", without),
        ("Conditional create is not offered either, so that search alone makes good for a lost answer", blind),
        ("No versions are kept, so a change made there meanwhile is not noticed (no If-Match)", _lacks_versions(types)),
        ("Updates are not offered, so changes are refused there", _without(types, "update")),
        ("Deletions are not offered, so ours are refused there", _without(types, "delete")),
    )
    for sentence, names in told:
        if names:
            yield f"{sentence}: {_named(names, of=len(types))}."


def _without(types: Mapping[str, Offer], interaction: str) -> list[str]:
    return [name for name, each in types.items() if interaction not in each.interactions]


def _lacks_versions(types: Mapping[str, Offer]) -> list[str]:
    return [name for name, each in types.items() if not each.versioned]


def _named(names: Iterable[str], *, of: int) -> str:
    """Type names as a list in a sentence. of: how many types there are."""
    found = sorted(names)
    if len(found) == of:
        return "every type"
    return ", ".join(found[:8]) + (f" and {len(found) - 8} other types" if len(found) > 8 else "")


def _codes(interactions: Any) -> frozenset[str]:
    return frozenset(str(each.get("code")) for each in _objects(interactions))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _offer_json(offer: Offer) -> dict[str, Any]:
    parameters = None if offer.parameters is None else sorted(offer.parameters)
    return asdict(offer) | {"interactions": sorted(offer.interactions), "parameters": parameters}


def _offer_of(value: Mapping[str, Any]) -> Offer:
    parameters = value["parameters"]
    kept = None if parameters is None else frozenset(parameters)
    return Offer(**{**value, "interactions": frozenset(value["interactions"]), "parameters": kept})
