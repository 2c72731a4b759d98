"""Search parameters: which are served for each type, and what values a resource has for them."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.fhir.fhirpath import Node, compile_expression

Extract = Callable[[Mapping[str, Any]], Iterable[Any]]
# A reference to a resource of this server or of another one, without its version.
_LITERAL = re.compile(r"(?P<base>https?://.+/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9.-]{1,64})(/_history/[^/]+)?")
# PostgreSQL cannot index a key beyond 2.7 kB; a longer value is found by its hash.
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One parameter of one resource type; kind is FHIR's search parameter type."""

    name: str
    kind: str
    extract: Extract
    targets: tuple[str, ...]


@dataclass(slots=True)
class Values:
    """The rows a resource contributes to the index, without its type and row number."""

    tokens: list[dict[str, str]] = field(default_factory=list)
    references: list[dict[str, str]] = field(default_factory=list)


class SearchParameters:
    """The served parameters of every type, compiled once.

    definitions: R4 SearchParameters as {"code", "base": [types], "type", "expression", "target"}.
    served: the names to serve.
    """

    def __init__(self, definitions: Iterable[Mapping[str, Any]], served: Sequence[str]) -> None:
        self._by_type: dict[str, dict[str, SearchParameter]] = {}
        for definition in definitions:
            if definition["code"] in served and definition["type"] in ("token", "reference"):
                self._add(definition)

    def _add(self, definition: Mapping[str, Any]) -> None:
        for resource_type in definition["base"]:
            expression = _expression_for(resource_type, definition["expression"])
            self._by_type.setdefault(resource_type, {})[definition["code"]] = SearchParameter(
                definition["code"],
                definition["type"],
                compile_expression(expression),
                tuple(definition.get("target", ())),
            )

    def of(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """The parameters of a type, by name."""
        return self._by_type.get(resource_type, {})

    def values(self, resource: Mapping[str, Any], *, base: str = "") -> Values:
        """The search values of a resource, each once. base: references that start with it are to this server."""
        found = Values()
        for parameter in self.of(resource["resourceType"]).values():
            made = _MAKERS[parameter.kind]
            rows = {row for found_at in parameter.extract(resource) for row in made(_plain(found_at), base)}
            getattr(found, f"{parameter.kind}s").extend(
                {"param": parameter.name, **dict(zip(_COLUMNS[parameter.kind], row, strict=True))}
                for row in sorted(rows)
            )
        return found


def indexed(value: str) -> str:
    """The value as it stands in the index: itself, or its hash if it is long."""
    return value if len(value) <= _LONGEST else f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def literal(reference: str) -> tuple[str, str] | None:
    """(type, id) of a reference to a resource of this server, (“”, url) of any other; None for #contained."""
    if reference.startswith("#"):
        return None
    found = _LITERAL.fullmatch(reference)
    if found and not found["base"]:
        return found["type"], found["id"]
    url = f"{found['base']}{found['type']}/{found['id']}" if found else reference
    return "", indexed(url)


def _expression_for(resource_type: str, expression: str) -> str:
    """The parts of a shared expression that concern one type: they are joined by | at the top level."""
    parts = [part.strip() for part in expression.split("|")]
    own = [part for part in parts if re.match(rf"\(?{resource_type}\b", part)]
    return " | ".join(own or parts)


def _plain(item: Any) -> Any:
    return item.value if isinstance(item, Node) else item


def _tokens(node: Any, base: str = "") -> Iterator[tuple[str, str]]:
    """(value, system) pairs of an Identifier, CodeableConcept, Coding, ContactPoint, code or boolean."""
    if isinstance(node, dict):
        if "coding" in node or "text" in node:
            for coding in node.get("coding", ()):
                yield from _tokens(coding)
        elif code := node.get("code", node.get("value")):
            yield indexed(str(code)), indexed(node.get("system", ""))
    elif isinstance(node, bool):
        yield str(node).lower(), ""
    elif node is not None:
        yield indexed(str(node)), ""


def _references(node: Any, base: str) -> Iterator[tuple[str, str]]:
    """(target_id, target_type) of a Reference, canonical or uri."""
    text = node.get("reference") if isinstance(node, dict) else node
    target = literal(text.removeprefix(f"{base}/") if base else text) if isinstance(text, str) else None
    if target:
        yield target[1], target[0]


_MAKERS: dict[str, Callable[[Any, str], Iterator[tuple[str, str]]]] = {"token": _tokens, "reference": _references}
_COLUMNS = {"token": ("value", "system"), "reference": ("target_id", "target_type")}
