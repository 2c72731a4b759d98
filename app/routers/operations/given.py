"""What an operation was given: parameters of the address and of the body alike, each checked against the table."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from app import profiles
from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused
from app.fhir.scan import Steps
from app.routers.operations.table import EVERY_TYPE, Operation, Parameter
from app.store.cursors import CURSOR
from app.validation.checks.primitives import primitive_checks

# Of every address: how the answer is to look.
FORMAT = ("_format", "_pretty")
# Rules that are told by their id (docs/validation-rules.md).
_RULES = {"validate": "dmt-validate"}
# The type of what an address cannot carry, or has no parameter for.
_ADDRESS = ""
Check = Callable[[dict[str, Any]], list[Issue]]


@dataclass(frozen=True, slots=True)
class Value:
    """One value. place: where it stood, in words of FHIRPath or the name in the address; steps: where in the body."""

    value: Any
    place: str
    steps: Steps = ()


@dataclass(frozen=True, slots=True)
class Given:
    """The values by parameter name; search: the search parameters, for operations that take them; cursor: of a page
    link; wrong: the parameters that cannot be used, for operations that may go on without them."""

    values: Mapping[str, Sequence[Value]]
    search: Sequence[tuple[str, str]] = ()
    cursor: str = ""
    wrong: Sequence[tuple[str, Issue]] = ()

    def all(self, name: str) -> list[Any]:
        return [each.value for each in self.values.get(name, ())]

    def one(self, name: str, default: Any = None) -> Any:
        return next(iter(self.all(name)), default)

    def place(self, name: str) -> Value:
        """Where the value of a parameter stood."""
        return next(iter(self.values.get(name, ())), Value(None, name))


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    place: str
    steps: Steps
    type: str
    value: Any


def read(operation: Operation, query: Sequence[tuple[str, str]], body: Mapping[str, Any], check: Check) -> Given:
    """What was given to an operation. body: empty, Parameters, or the resource of the parameter that may stand alone;
    check: the problems of a resource. Raises Refused naming all that is wrong, unless the operation is forgiving."""
    cursors = [text for name, text in query if name == CURSOR] if operation.has_pages else []
    apart = (*FORMAT, CURSOR) if operation.has_pages else FORMAT
    named = [(name, text) for name, text in query if name not in apart]
    own = [pair for pair in named if pair[0] in operation.parameters or not operation.takes_search]
    search = [pair for pair in named if pair not in own]
    parts = [*_of_address(operation, own), *_of_body(operation, body)]
    if operation.takes_search:
        search += [(part.name, str(part.value)) for part in parts if part.name not in operation.parameters]
        parts = [part for part in parts if part.name in operation.parameters]
    wrong = list(_miscounted(operation, parts))
    values: dict[str, list[Value]] = {}
    for part in parts:
        issues = [(part.name, issue) for issue in _wrong(operation, part)]
        wrong += issues
        if not issues:
            values.setdefault(part.name, []).append(Value(part.value, part.place, part.steps))
    if wrong and not operation.is_forgiving:
        raise Refused(replace(each, rule=_RULES.get(operation.code, "")) for _, each in wrong)
    _require_sound(body, check)
    return Given(values, search, "".join(cursors), wrong)


def _require_sound(body: Mapping[str, Any], check: Check) -> None:
    """Refuse Parameters that are none by base R4. Resources inside are for the operation to look at."""
    if body.get("resourceType") != "Parameters":
        return
    parts = body.get("parameter")
    shown = [_without_resource(each) for each in parts] if isinstance(parts, list) else parts
    shell = {name: value for name, value in body.items() if name != "parameter"}
    if problems := [each for each in check(shell | ({"parameter": shown} if shown else {})) if each.is_error]:
        raise Refused(problems)


def _of_address(operation: Operation, query: Sequence[tuple[str, str]]) -> Iterator[_Part]:
    for name, text in query:
        parameter = operation.parameters.get(name)
        if parameter is None or not parameter.is_primitive:
            yield _Part(name, name, (), _ADDRESS, text)
        else:
            # _type=A,B in an address stands for two values, as everywhere in FHIR.
            texts = text.split(",") if name.startswith("_") and parameter.most is None else [text]
            yield from (_Part(name, name, (), parameter.type, _parsed(parameter.type, each)) for each in texts)


def _parsed(type_: str, text: str) -> Any:
    """The JSON value of a text in an address; the text itself where it is none, for the check to refuse."""
    if type_ in ("boolean", "integer", "positiveInt", "unsignedInt", "decimal"):
        try:
            found = lossless.parse_object(b'{"value":' + text.encode() + b"}")
        except Refused:
            return text
        return found.get("value") if len(found) == 1 else text
    # A + in an address arrives as a space; no date has one.
    return text.replace(" ", "+") if type_ in ("date", "dateTime", "instant") else text


def _of_body(operation: Operation, body: Mapping[str, Any]) -> Iterator[_Part]:
    if body and body.get("resourceType") != "Parameters":
        yield _bare(operation, body)
        return
    parts = body.get("parameter")
    for index, each in enumerate(parts if isinstance(parts, list) else ()):
        # What is no parameter at all is left to the validator.
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            yield _of_part(each, index)


def _of_part(part: Mapping[str, Any], index: int) -> _Part:
    place, steps = f"Parameters.parameter[{index}]", ("parameter", index)
    if "resource" in part:
        return _Part(part["name"], place, (*steps, "resource"), EVERY_TYPE, part["resource"])
    if isinstance(part.get("part"), list):
        return _Part(part["name"], place, (*steps, "part"), "backboneElement", {"part": part["part"]})
    key = next((key for key in part if key.startswith("value")), "")
    type_ = key.removeprefix("value")
    return _Part(part["name"], place, (*steps, key), type_[:1].lower() + type_[1:], part.get(key))


def _without_resource(part: Any) -> Any:
    """A parameter with something simple in the place of its resource."""
    if not isinstance(part, dict) or "resource" not in part:
        return part
    return {name: value for name, value in part.items() if name != "resource"} | {"valueBoolean": True}


def _bare(operation: Operation, body: Mapping[str, Any]) -> _Part:
    if not operation.body:
        told = f"${operation.code} takes Parameters."
        raise Refused([Issue("structure", told, "resourceType")])
    return _Part(operation.body, "", (), EVERY_TYPE, dict(body))


def _wrong(operation: Operation, part: _Part) -> Iterator[Issue]:
    """What is wrong with one value."""
    parameter = operation.parameters.get(part.name)
    if parameter is None:
        known = list(operation.parameters)
        near = difflib.get_close_matches(part.name, known, 3, 0.6) or known
        told = f"${operation.code} takes {', '.join(near)}." if near else f"${operation.code} takes no parameters."
        yield Issue("not-supported", f"Parameter {part.name[:64]} is not served here; {told}", part.place)
    elif parameter.is_resource and part.type != _ADDRESS:
        yield from _wrong_resource(parameter, part)
    elif part.type == _ADDRESS:
        yield Issue("value", f"The parameter {part.name} is a {parameter.type}: POST it in Parameters.", part.place)
    elif part.value is None or part.type not in {_lower(each) for each in parameter.accepted}:
        yield Issue("value", f"The parameter {part.name} takes a {_value_name(parameter.type)}.", part.place)
    elif flaw := _flaw(parameter, part.value):
        yield Issue("value", f"The parameter {part.name}: {flaw}.", part.place)


def _wrong_resource(parameter: Parameter, part: _Part) -> Iterator[Issue]:
    if part.type != EVERY_TYPE or not isinstance(part.value, dict):
        yield Issue("value", f"The parameter {part.name} needs a resource.", part.place)
    elif parameter.type not in (EVERY_TYPE, part.value.get("resourceType")):
        place = f"{part.place}.resource" if part.place else "resourceType"
        yield Issue("structure", f"The parameter {part.name} takes a {parameter.type}.", place)


def _flaw(parameter: Parameter, value: Any) -> str:
    check = _checks().get(parameter.type)
    if check is None:
        return "" if isinstance(value, dict) else f"expected a {parameter.type}"
    return check(value)


def _miscounted(operation: Operation, parts: Sequence[_Part]) -> Iterator[tuple[str, Issue]]:
    for parameter in operation.parameters.values():
        count = sum(part.name == parameter.name for part in parts)
        if count < parameter.least:
            told = f"${operation.code} needs the parameter {parameter.name}, a {parameter.type}."
            yield parameter.name, Issue("required", told, parameter.name)
        elif parameter.most is not None and count > parameter.most:
            told = f"The parameter {parameter.name} is given {count} times."
            yield parameter.name, Issue("value", told, parameter.name)


def _value_name(type_: str) -> str:
    return f"value{type_[:1].upper()}{type_[1:]}"


def _lower(type_: str) -> str:
    return type_[:1].lower() + type_[1:]


@cache
def _checks() -> Mapping[str, Callable[[Any], str]]:
    return primitive_checks(profiles.r4()["types"])
