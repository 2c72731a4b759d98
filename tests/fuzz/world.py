"""What one client of the attack knows, and what it draws its requests from."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.material import Json, Material

# Ids that several clients write to at the same time.
_SHARED = tuple(f"shared-{n}" for n in range(8))
_MOST_KNOWN = 400


@dataclass(frozen=True)
class Served:
    """What the server says that it serves. parameters: of each type, name to kind of value."""

    types: Sequence[str]
    parameters: Mapping[str, Mapping[str, str]]
    includes: Mapping[str, Sequence[str]]
    addresses: Sequence[str]

    @classmethod
    def of(cls, statement: Json, openapi: Json) -> "Served":
        """From its CapabilityStatement and its OpenAPI document."""
        resources = statement["rest"][0]["resource"]
        common = {one["name"]: one["type"] for one in statement["rest"][0].get("searchParam", ())}
        return cls(
            [one["type"] for one in resources],
            {
                one["type"]: common | {each["name"]: each["type"] for each in one.get("searchParam", ())}
                for one in resources
            },
            {one["type"]: one.get("searchInclude", ()) for one in resources},
            sorted(openapi["paths"]),
        )


@dataclass
class World:
    """One client: its chance, its name, and the references of what it has written lately."""

    chance: random.Random
    name: str
    material: Material
    served: Served
    known: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    count: int = 0

    def new_id(self) -> str:
        """An id nobody has had before."""
        self.count += 1
        return f"{self.name}-{self.count}"

    def some_id(self) -> str:
        """Mostly an id of one's own, sometimes one of all, sometimes none that can be."""
        drawn = self.chance.random()
        if drawn < 0.6:
            return f"{self.name}-{self.chance.randint(1, 60)}"
        return self.chance.choice(_SHARED) if drawn < 0.85 else self.new_id()

    def some_reference(self) -> str:
        """To what was written lately, or to what is not there."""
        if self.known and self.chance.random() < 0.9:
            return self.chance.choice(self.known)
        return f"{self.some_type()}/{self.some_id()}"

    def some_type(self) -> str:
        """Mostly a type that there is material of."""
        return self.chance.choice(self.material.types if self.chance.random() < 0.8 else self.served.types)

    def some_resource(self, type_: str = "") -> Json:
        """A valid resource, whose references mostly name what is there."""
        type_ = type_ or self.chance.choice(self.material.types)
        found = self.material.resources.get(type_)
        return dict(self.chance.choice(found)) if found else {"resourceType": type_}

    def learn(self, reference: str) -> None:
        """Something is there now."""
        _keep(self.known, reference)

    def known_of(self, type_: str) -> list[str]:
        """The references of a type among what was written lately."""
        return [one for one in self.known if one.startswith(f"{type_}/")]

    def learn_record(self, address: str) -> None:
        """A record of the clinic API, or a link of a page, is there now."""
        _keep(self.records, address)

    def learn_link(self, url: str) -> None:
        """A page link, or the status of an export."""
        _keep(self.links, url)


def _keep(known: list[Any], one: Any) -> None:
    known.append(one)
    if len(known) > _MOST_KNOWN:
        del known[: _MOST_KNOWN // 2]
