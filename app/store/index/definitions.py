"""Which search parameters there are: those of R4, with what has to be put right in them, and ours."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from app.fhir.fhirpath import r4_model
from app.profiles import r4, shared_json, toml_files
from app.store.index.rows import Given, unwrapped
from app.store.index.ways import Asked, Way, ways_of

Json = Mapping[str, Any]
# To be raised when the makers of rows change what they make: what is stored is then indexed anew.
MAKERS = 3
# Not stored as resources: they have a search of their own (app/routers/audit.py).
APART = frozenset({"AuditEvent"})
# Answered from the version itself, not from rows.
OF_VERSION = frozenset({"_id", "_lastUpdated"})


@dataclass(frozen=True)
class Component:
    """One part of a composite: its kind is that of the parameter it is defined by."""

    kind: str
    expression: str
    url: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchParameter:
    """One parameter of one resource type. kind: FHIR's search parameter type; url: its definition."""

    name: str
    kind: str
    resource_type: str
    targets: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    expression: str = ""
    url: str = ""

    @cached_property
    def ways(self) -> tuple[Way | Asked, ...]:
        return ways_of(self.expression, self.resource_type) if self.expression else ()

    @cached_property
    def types(self) -> frozenset[str]:
        """The FHIR types its values can have; empty where only evaluation tells."""
        return frozenset(way.type for way in self.ways if isinstance(way, Way))

    @property
    def ignores_case(self) -> bool:
        """Whether a token is a plain string: those are compared without regard to case, and indexed casefolded."""
        return self.kind == "token" and self.types == {"string"}

    @cached_property
    def digest(self) -> str:
        """Changes when what is in the index for this parameter would be made in another way."""
        parts = [[each.kind, each.expression] for each in self.components]
        made = json.dumps([MAKERS, self.kind, self.expression, self.targets, parts])
        return hashlib.sha256(made.encode()).hexdigest()[:16]

    def values(self, resource: Json) -> list[Given]:
        """The values it has in a resource."""
        return [each for way in self.ways for each in follow(way, resource, resource)]


def follow(way: Way | Asked, start: Any, resource: Json) -> list[Given]:
    """What is found on a way; in place of an extension, what it holds."""
    found = way.follow(start, resource)
    if not found or (isinstance(way, Way) and way.type != "Extension"):
        return found
    held = [unwrapped(each.value) if each.type == "Extension" else each for each in found]
    return [each for each in held if each is not None]


def served_definitions() -> list[dict[str, Any]]:
    """R4's definitions as they are served, and ours."""
    file = toml_files("searchparameters")["r4-fixes"]
    without = unserved()
    fixes: dict[str, list[dict[str, Any]]] = {}
    for fix in file["fix"]:
        fixes.setdefault(fix["url"], []).append(fix)
    found = [_fixed(each, fixes.get(each["url"], [])) for each in r4()["search_parameters"]]
    own = [each for each in shared_json("searchparameters").values() if each["resourceType"] == "SearchParameter"]
    return [*(each for each in found if each["url"] not in without), *own]


def unserved() -> dict[str, str]:
    """URL of each R4 definition that is not served -> the reason."""
    return {each["url"]: each["because"] for each in toml_files("searchparameters")["r4-fixes"]["unserved"]}


def _fixed(definition: dict[str, Any], fixes: Iterable[Json]) -> dict[str, Any]:
    made = dict(definition)
    for fix in fixes:
        if "component" in fix:
            components = [dict(each) for each in made["component"]]
            components[fix["component"]]["expression"] = fix["expression"]
            made["component"] = components
        else:
            made |= {name: fix[name] for name in ("base", "expression") if name in fix}
    return made


def parameters_of(definitions: Iterable[Json]) -> dict[str, dict[str, SearchParameter]]:
    """The parameters of each concrete type by code, the common ones included.

    Definitions without an expression are of those that search handles by itself (_text, _filter) and are left out.
    """
    every = list(definitions)
    by_url = {each["url"]: each for each in every}
    by_base: dict[str, list[Json]] = {}
    for each in every:
        for base in each["base"] if "expression" in each else ():
            by_base.setdefault(base, []).append(each)
    return {
        name: {
            each["code"]: _parameter(each, name, by_url)
            for base in reversed(r4_model().ancestors(name))
            for each in by_base.get(base, ())
        }
        for name in _every_type()
        if name not in APART
    }


def _parameter(definition: Json, resource_type: str, by_url: Mapping[str, Json]) -> SearchParameter:
    return SearchParameter(
        definition["code"],
        definition["type"],
        resource_type,
        _targets(definition),
        tuple(_component(each, by_url) for each in definition.get("component", ())),
        definition["expression"],
        definition["url"],
    )


def _component(component: Json, by_url: Mapping[str, Json]) -> Component:
    definition = by_url[component["definition"]]
    return Component(definition["type"], component["expression"], definition["url"], _targets(definition))


def _targets(definition: Json) -> tuple[str, ...]:
    """The types a reference may lead to: where the definition names none, or `Resource`, to any."""
    named = tuple(definition.get("target", ()))
    is_open = definition["type"] == "reference" and (not named or "Resource" in named)
    return _every_type() if is_open else named


@cache
def _every_type() -> tuple[str, ...]:
    types = r4()["types"]
    return tuple(name for name in sorted(r4_model().resources) if not types[name]["abstract"])
