"""The operations of the OpenAPI document in reading order, as profiles/openapi tells them.

An operation of FHIR ($) is told once there; here it becomes a row for each of its levels and methods.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from app import profiles
from app.routers.operations import table
from app.routers.operations.routes import paths
from app.routers.operations.table import Operation

Json = dict[str, Any]
FORM = "application/x-www-form-urlencoded"
FHIR = "application/fhir+json"
_FILES = ("openapi", "examples/requests")
_TYPED: Mapping[str, Callable[[str], Any]] = {"boolean": lambda text: text == "true", "decimal": float}


@dataclass(frozen=True, slots=True)
class Row:
    """One operation; profiles/openapi/fhir.toml says what each word means. bodies: by name; answer: None for what the
    route declares; statuses: () for that of the route."""

    at: str
    tag: str
    id: str
    description: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    bodies: Mapping[str, Any] = field(default_factory=dict)
    type: str = ""
    sends: str = ""
    answer: str | None = None
    statuses: tuple[int, ...] = ()
    media: str = ""
    about: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    needs: str = ""
    fresh: int = 0
    plain: bool = False
    guide: str = ""

    @property
    def method(self) -> str:
        return self.at.partition(" ")[0].lower()

    @property
    def path(self) -> str:
        return self.at.partition(" ")[2]


def tags() -> Sequence[Mapping[str, Any]]:
    """The tags in reading order."""
    told: Sequence[Mapping[str, Any]] = profiles.toml_files("openapi")["document"]["tag"]
    return told


@cache
def rows() -> tuple[Row, ...]:
    """Every operation in reading order."""
    found = [row for tag in tags() for row in _of_file(tag["name"], profiles.toml_files("openapi")[tag["file"]])]
    # The operations of one address stand together, where the first of them is.
    order = {path: place for place, path in enumerate(dict.fromkeys(row.path for row in found))}
    return tuple(sorted(found, key=lambda row: order[row.path]))


@cache
def unshown() -> frozenset[str]:
    """What is served and not shown, as Row.at: a GET that cannot be told what it requires."""
    told = [each for tag in tags() for each in profiles.toml_files("openapi")[tag["file"]].get("served", ())]
    return frozenset(
        f"GET /fhir{path}"
        for each in told
        for level in each.get("unshown", ())
        for path in paths(_operation(each["definition"]), level)
    )


def _of_file(tag: str, content: Mapping[str, Any]) -> Iterator[Row]:
    served = [row for each in content.get("served", ()) for row in _served(tag, each)]
    explicit = [_row(tag, each) for each in content.get("operation", ())]
    # In the order in which the file begins with them.
    yield from [*served, *explicit] if "served" in content and [*content][-1] == "operation" else [*explicit, *served]


def _row(tag: str, told: Mapping[str, Any]) -> Row:
    lists = {name: tuple(told.get(name, ())) for name in ("statuses", "headers", "errors", "without")}
    fields = {name: value for name, value in told.items() if name not in ("body", "with")} | lists
    return Row(tag=tag, bodies=_bodies(told.get("body", ()), told.get("with", {})), **fields)


def _bodies(body: Any, changes: Mapping[str, Any]) -> Json:
    """By name: of files, or one that is told right here."""
    if isinstance(body, str):
        body = [body]
    if isinstance(body, Mapping):
        return {"example": body}
    return {
        one if isinstance(one, str) else "example": {**_file(one), **changes} if isinstance(one, str) else one
        for one in body
    }


def _file(name: str) -> Json:
    found: Json = next(files[name] for folder in _FILES if name in (files := profiles.shared_json(folder)))
    return found


def _operation(definition: str) -> Operation:
    return next(one for one in table.operations() if one.id == definition)


def _served(tag: str, told: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of an operation, instance after type after system."""
    operation = _operation(told["definition"])
    shared = ("answer", "media", "about", "statuses", "headers", "errors", "without")
    for level in operation.levels:
        for path in paths(operation, level):
            for method in operation.methods:
                if level in told.get("unshown", ()) and method == "GET":
                    continue
                one = {name: told[name] for name in shared if name in told}
                one |= {"at": f"{method} /fhir{path}", "id": _named(operation, level, method), **_about(operation)}
                one["description"] = told["description"] or _own(operation)
                yield _row(tag, one | _example(operation, told, level, method, path))


def _named(operation: Operation, level: str, method: str) -> str:
    words = operation.id.replace("$", "").replace("-", " ").split()
    name = "".join([words[0][:1].lower() + words[0][1:], *(word[:1].upper() + word[1:] for word in words[1:])])
    at = level.capitalize() if len(operation.levels) > 1 else ""
    return name + at + ("ByPost" if method == "POST" and "GET" in operation.methods else "")


def _about(operation: Operation) -> Json:
    own = operation.definition.startswith(profiles.canonical("OperationDefinition", ""))
    return {"guide": f"guide/OperationDefinition-{operation.id}.html"} if own else {}


def _own(operation: Operation) -> str:
    """What our own OperationDefinition says."""
    definition = profiles.shared_json("operations")[f"OperationDefinition-{operation.id}"]
    return str(definition["description"]).replace(" Licence: Apache-2.0.", "")


def _example(operation: Operation, told: Mapping[str, Any], level: str, method: str, path: str) -> Json:
    """Values in the address; of a POST those that are parameters in the body, typed as the operation has them."""
    values = told.get(level, {})
    in_path = {name: value for name, value in values.items() if f"{{{name}}}" in path}
    if method == "GET":
        return {"values": values}
    posts = told.get("posts", {}).get(level)
    sends = told.get("sends", "Parameters")
    if posts is not None:
        return {"values": in_path, "body": posts, "sends": sends}
    given = [_parameter(operation, name, value) for name, value in values.items() if name not in in_path]
    body = {"resourceType": "Parameters", "parameter": given}
    return {"values": in_path, "sends": "Parameters"} | ({"body": body} if given else {})


def _parameter(operation: Operation, name: str, text: str) -> Json:
    found = operation.parameters.get(name)
    kind = found.type if found else "string"
    convert = int if kind in ("integer", "positiveInt", "unsignedInt") else _TYPED.get(kind, str)
    return {"name": name, f"value{kind[0].upper()}{kind[1:]}": convert(text)}
