"""The one table of operations: routes, CapabilityStatement and OpenAPI are made from it.

Those of standards come from the tables in profiles/operations, ours from the OperationDefinitions beside them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from app import profiles

EVERY_TYPE = "Resource"
_STANDARDS = ("r4", "sdc", "backport", "bulk-data", "sql-on-fhir", "patient-merge")
LEVELS = ("system", "type", "instance", "version")
# The types an address can carry, in groups whose members clients mistake for one another.
_LINKS = frozenset({"uri", "url", "canonical", "oid", "uuid"})
_TIMES = frozenset({"date", "dateTime", "instant"})
_WHOLE = frozenset({"integer", "positiveInt", "unsignedInt"})
_TEXTS = frozenset({"string", "markdown", "code", "id"})
PRIMITIVES = _LINKS | _TIMES | _WHOLE | _TEXTS | {"boolean", "decimal", "time", "base64Binary"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that goes in. most: None for any number."""

    name: str
    type: str
    least: int = 0
    most: int | None = 1

    @property
    def is_primitive(self) -> bool:
        return self.type in PRIMITIVES

    @property
    def is_resource(self) -> bool:
        """Whether it is given as Parameters.parameter.resource."""
        return self.type == EVERY_TYPE or profiles.r4()["types"].get(self.type, {}).get("kind") == "resource"

    @property
    def accepted(self) -> frozenset[str]:
        """The types a value of it may be given as."""
        wider = {"string": _TEXTS | _LINKS, "decimal": _WHOLE | {"decimal"}}
        group = next((each for each in (_LINKS, _TIMES, _WHOLE) if self.type in each), frozenset({self.type}))
        return wider.get(self.type, group)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. types: those it is for, EVERY_TYPE for all; body: the parameter that may be posted bare;
    takes_search: it also takes the search parameters of its type; has_pages: links carry _cursor; is_forgiving: it is
    handed what is wrong with its parameters, and decides; formats: media types of answers besides those of FHIR;
    example: a file of examples/requests."""

    code: str
    definition: str
    title: str
    types: tuple[str, ...]
    levels: tuple[str, ...]
    affects_state: bool
    parameters: Mapping[str, Parameter]
    body: str = ""
    takes_search: bool = False
    has_pages: bool = False
    is_forgiving: bool = False
    formats: tuple[str, ...] = ()
    example: str = ""

    @property
    def id(self) -> str:
        """The end of its canonical URL, which is unique: Patient-everything."""
        return self.definition.rpartition("/")[2]

    @property
    def methods(self) -> tuple[str, ...]:
        """GET is for what changes nothing (R4 3.2.0, operations.html)."""
        return ("POST",) if self.affects_state else ("GET", "POST")

    def is_at(self, level: str, resource_type: str = "") -> bool:
        """Whether it can be asked there."""
        is_for = level == "system" or EVERY_TYPE in self.types or resource_type in self.types
        return level in self.levels and is_for


@cache
def operations() -> tuple[Operation, ...]:
    """Every operation, those of the standards first."""
    tables = [profiles.toml_files("operations")[name] for name in _STANDARDS]
    served = [_of_standard(each, table["canonical"]) for table in tables for each in table["operation"]]
    return (*served, *(_of_definition(each) for each in profiles.shared_json("operations").values()))


def at(level: str, resource_type: str = "") -> Iterator[Operation]:
    """The operations that can be asked at a level, of a type."""
    return (each for each in operations() if each.is_at(level, resource_type))


def _of_standard(row: Mapping[str, Any], canonical: str) -> Operation:
    return Operation(
        code=row["code"],
        definition=canonical + row["definition"],
        title=row["title"],
        types=tuple(row["resource"]),
        levels=tuple(row["levels"]),
        affects_state=row.get("affects-state", False),
        parameters=_parameters(row["parameter"]),
        body=row.get("body", ""),
        takes_search=row.get("search", False),
        has_pages=row.get("pages", False),
        is_forgiving=row.get("forgiving", False),
        formats=tuple(row.get("formats", ())),
        example=row.get("example", ""),
    )


def _of_definition(definition: Mapping[str, Any]) -> Operation:
    """One of ours, from its OperationDefinition, and the table of what that has no element for."""
    more = profiles.toml_files("operations")["own"].get(definition["id"], {})
    return Operation(
        code=definition["code"],
        definition=definition["url"],
        title=definition["title"],
        types=tuple(definition.get("resource", ())),
        levels=tuple(level for level in LEVELS[:3] if definition[level]),
        affects_state=definition["affectsState"],
        parameters=_parameters([each for each in definition["parameter"] if each["use"] == "in"]),
        is_forgiving=more.get("forgiving", False),
        formats=tuple(more.get("formats", ())),
    )


def _parameters(rows: Sequence[Mapping[str, Any]]) -> dict[str, Parameter]:
    made = (Parameter(row["name"], row["type"], row.get("min", 0), _most(row.get("max", "1"))) for row in rows)
    return {each.name: each for each in made}


def _most(text: str) -> int | None:
    return None if text == "*" else int(text)
