"""Reads a FHIRPath Patch: a Parameters resource with one parameter for each operation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.fhir.fhirpath import Expression, FhirPathError, compile_expression, r4_model
from app.fhir.outcomes import Issue, Refused, TooLarge

MOST_OPERATIONS = 1000
# Compiled expressions are remembered for a while.
LONGEST_PATH = 1000
# What each type of operation needs besides type and path, and may not have otherwise.
_NEEDED = {
    "add": ("name", "value"),
    "insert": ("value", "index"),
    "delete": (),
    "replace": ("value",),
    "move": ("source", "destination"),
}
# Types in which the parts of an operation may come.
_TEXTS = ("string", "code", "id", "markdown")
_NUMBERS = ("integer", "unsignedInt", "positiveInt")
_TYPES = {
    "type": _TEXTS,
    "path": _TEXTS,
    "name": _TEXTS,
    "index": _NUMBERS,
    "source": _NUMBERS,
    "destination": _NUMBERS,
}
_PARAMETER = "Parameters.parameter"
_OF_PARAMETERS = ("resourceType", "meta", "language", "_language", "parameter")
# What has no meaning of its own, wherever it stands; a modifierExtension has one that is not known here.
_PASSED_OVER = ("id", "_id", "extension", "_name")


@dataclass(frozen=True, slots=True)
class Value:
    """A value to put somewhere. type: its R4 type, "" if it is given in parts; extra: id and extensions of a primitive.

    parts: (name, value) of each element of a value whose type no value[x] has. at: where the patch says so.
    """

    at: str
    type: str = ""
    value: Any = None
    extra: Any = None
    parts: tuple[tuple[str, "Value"], ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. at: where it stands; index, source, destination: places in the list at path."""

    at: str
    number: int
    kind: str
    path: Expression
    name: str = ""
    value: Value | None = None
    index: int = 0
    source: int = 0
    destination: int = 0


def read(tree: Any) -> list[Operation]:
    """The operations of a Parameters resource. Raises Refused with everything that is no FHIRPath Patch in it."""
    if not isinstance(tree, Mapping) or tree.get("resourceType") != "Parameters":
        raise Refused([Issue("structure", "A FHIRPath Patch is a Parameters resource.", "Parameters")])
    given = tree.get("parameter")
    if not isinstance(given, list) or not given:
        told = "A FHIRPath Patch has a parameter named operation for each operation."
        raise Refused([Issue("required", told, _PARAMETER)])
    if len(given) > MOST_OPERATIONS:
        told = f"The patch has {len(given)} operations; at most {MOST_OPERATIONS} are taken at once."
        raise TooLarge([Issue("too-long", told, _PARAMETER)])
    issues = _unknown(tree, "Parameters", _OF_PARAMETERS)
    found = [_operation(number, each, issues) for number, each in enumerate(given)]
    if issues:
        raise Refused(issues)
    return [each for each in found if each]


def _operation(number: int, parameter: Any, issues: list[Issue]) -> Operation | None:
    at = f"{_PARAMETER}[{number}]"
    if not isinstance(parameter, Mapping) or parameter.get("name") != "operation":
        issues.append(Issue("value", "Each parameter of a FHIRPath Patch is named operation.", f"{at}.name"))
        return None
    before = len(issues)
    issues += _unknown(parameter, at, ("name", "part"))
    parts = _parts(at, parameter.get("part"), issues)
    plain = {name: _plain(name, part, issues) for name, part in parts.items() if name in _TYPES}
    kind = plain.get("type")
    if "type" in parts and kind not in _NEEDED:
        issues.append(Issue("value", f"The type must be one of {', '.join(_NEEDED)}.", parts["type"].at))
    issues += _wrong_parts(at, str(kind), parts) if kind in _NEEDED else []
    path = _path(parts, plain.get("path"), issues)
    if len(issues) > before or path is None:
        if len(issues) == before:
            issues.append(Issue("required", "The operation needs the parts type and path.", at))
        return None
    rest = {name: value for name, value in plain.items() if name not in ("type", "path")}
    return Operation(at, number, str(kind), path, value=parts.get("value"), **rest)


def _unknown(node: Mapping[str, Any], at: str, known: Sequence[str]) -> list[Issue]:
    """What is said in a place where a patch has no room for it."""
    return [
        Issue("structure", f"A FHIRPath Patch has no {name[:64]} here.", at, member=name)
        for name in node
        if name not in (*known, *_PASSED_OVER)
    ]


def _parts(at: str, given: Any, issues: list[Issue]) -> dict[str, Value]:
    """The parts of an operation by name, each known and there once."""
    found: dict[str, Value] = {}
    for name, value in _named_values(at, given, issues):
        if name not in (*_TYPES, "value"):
            known = ", ".join((*_TYPES, "value"))
            issues.append(Issue("value", f"A part of an operation is one of {known}.", f"{value.at}.name"))
        elif name in found:
            issues.append(Issue("value", f"The part {name} is there twice.", value.at))
        else:
            found[name] = value
    if "type" not in found:
        issues.append(Issue("required", "The operation needs a part type.", at))
    return found


def _named_values(at: str, given: Any, issues: list[Issue]) -> Iterator[tuple[str, Value]]:
    for place, part in enumerate(given if isinstance(given, list) else ()):
        here = f"{at}.part[{place}]"
        name = part.get("name") if isinstance(part, Mapping) else None
        if not isinstance(part, Mapping) or not isinstance(name, str):
            issues.append(Issue("required", "A part needs a name.", here))
            continue
        value = _value(here, part, issues)
        if value:
            yield name, value


def _value(at: str, part: Mapping[str, Any], issues: list[Issue]) -> Value | None:
    """The one value of a part: value[x], a resource, or parts of its own."""
    keys = [key for key in part if key not in ("name", *_PASSED_OVER)]
    names = list(dict.fromkeys(key.removeprefix("_") for key in keys))
    types = r4_model().json_types(_PARAMETER)
    if len(names) != 1 or names[0] not in types:
        issues.append(Issue("structure", "A part needs one value[x], one resource, or parts of its own.", at))
        return None
    name = names[0]
    if name == "part":
        return Value(at, parts=tuple(_named_values(at, part["part"], issues)))
    value, extra = part.get(name), part.get("_" + name)
    is_primitive = types[name] in r4_model().primitives
    if is_primitive is isinstance(value, dict | list) or not isinstance(extra, dict | None):
        issues.append(Issue("structure", f"{name} is not formed like a {types[name]}.", f"{at}.value"))
        return None
    if not value and value not in (False, 0) and not extra:
        issues.append(Issue("required", "The value is empty.", f"{at}.value"))
        return None
    type_ = str(value.get("resourceType", "")) if name == "resource" and isinstance(value, dict) else types[name]
    return Value(at, type_, value, extra)


def _plain(name: str, part: Value, issues: list[Issue]) -> Any:
    """The text or number that a part of an operation must be."""
    is_text, value = _TYPES[name] is _TEXTS, part.value
    if part.type in _TYPES[name] and (isinstance(value, str) if is_text else type(value) is int and value >= 0):
        return value
    told = f"The part {name} must be a {'string' if is_text else 'whole number of 0 or more'}."
    issues.append(Issue("value", told, part.at))
    return None


def _wrong_parts(at: str, kind: str, parts: Mapping[str, Value]) -> list[Issue]:
    needed: Sequence[str] = ("path", *_NEEDED[kind])
    issues = [Issue("required", f"{kind} needs the part {name}.", at) for name in needed if name not in parts]
    return issues + [
        Issue("value", f"{kind} has no part {name}.", part.at)
        for name, part in parts.items()
        if name not in ("type", *needed)
    ]


def _path(parts: Mapping[str, Value], text: Any, issues: list[Issue]) -> Expression | None:
    if not isinstance(text, str):
        return None
    if len(text) > LONGEST_PATH:
        issues.append(Issue("too-long", f"A path has at most {LONGEST_PATH} characters.", parts["path"].at))
        return None
    try:
        return compile_expression(text)
    except FhirPathError as error:
        issues.append(Issue("value", f"The path cannot be used: {error}.", parts["path"].at))
        return None
