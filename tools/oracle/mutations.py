"""What may be changed in one place of a resource, by kind.

An operator takes a Spot and yields (what was done, changes): changes are the members that replace the one at the spot
in its object, or the items that replace it in its array.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from app.profiles import canonical, json_files, r4
from tools.oracle.values import (
    ABSENT,
    CHOICES,
    CODINGS,
    DATES,
    EXTENSION,
    NUMBERS,
    REFERENCES,
    TOKENS,
    UNITS,
    UNKNOWN,
)

Changes = dict[str, Any] | list[Any]
Steps = tuple[str | int, ...]

# In place of a value: the member is taken away.
GONE: Any = object()

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T.*)?)?)?")
_CHOICE = re.compile(f"([a-z]+(?:[A-Z][a-z]+)??)({'|'.join(CHOICES)})")


@dataclass(frozen=True, slots=True)
class Spot:
    """One member of an object or one item of an array. parent: what holds it."""

    steps: Steps
    value: Any
    parent: Any

    @property
    def key(self) -> str | int:
        return self.steps[-1]

    @property
    def name(self) -> str:
        """The name of the member, also of an item's array."""
        return next((step for step in reversed(self.steps) if isinstance(step, str)), "")

    def put(self, value: Any) -> Changes:
        """The changes that set another value here."""
        return {self.key: value} if isinstance(self.key, str) else [value]


Edits = Iterator[tuple[str, Changes]]


def delete(spot: Spot) -> Edits:
    yield "", {spot.key: GONE} if isinstance(spot.key, str) else []


def rename(spot: Spot) -> Edits:
    if isinstance(spot.key, str):
        yield "with another letter", {spot.key: GONE, f"{spot.key}x": spot.value}
        yield "with a capital", {spot.key: GONE, spot.key[:1].upper() + spot.key[1:]: spot.value}


def duplicate(spot: Spot) -> Edits:
    if isinstance(spot.key, int):
        yield "", [spot.value, spot.value]


def wrap(spot: Spot) -> Edits:
    if isinstance(spot.value, list):
        yield "to its first item", spot.put(spot.value[0])
    elif isinstance(spot.key, str):
        yield "to an array", spot.put([spot.value])


def json_type(spot: Spot) -> Edits:
    others: dict[str, Any] = {"a string": "x", "a number": 7, "a boolean": True, "an object": {"id": "x"}}
    for name, value in others.items():
        if type(value) is not type(spot.value) and not isinstance(spot.value, list):
            yield f"to {name}", spot.put(value)
    if isinstance(spot.value, int | Decimal):
        yield "to its text", spot.put(str(spot.value).lower())


def empty(spot: Spot) -> Edits:
    nothings: tuple[Any, ...] = (None, "", " ", {}, [])
    for value in nothings:
        # An empty array inside an array is no member of anything.
        if not (value == [] and isinstance(spot.key, int)):
            yield f"to {value!r}", spot.put(value)


def sibling(spot: Spot) -> Edits:
    if not isinstance(spot.key, str) or isinstance(spot.value, dict | list) or spot.key == "resourceType":
        return
    key = f"_{spot.key}"
    yield "with an id", {spot.key: spot.value, key: {"id": "a"}}
    yield "with an extension", {spot.key: spot.value, key: {"extension": [EXTENSION]}}
    yield "absent with its reason", {spot.key: GONE, key: {"extension": [ABSENT]}}
    yield "with nothing", {spot.key: spot.value, key: {}}
    yield "with another member", {spot.key: spot.value, key: {"value": "x"}}


def number(spot: Spot) -> Edits:
    if isinstance(spot.value, int | Decimal) and not isinstance(spot.value, bool):
        for value in NUMBERS:
            yield f"to {value}", spot.put(value)


def text(spot: Spot) -> Edits:
    if isinstance(spot.value, str) and spot.key != "div":
        for name, value in (
            ("a space before", f" {spot.value}"),
            ("a space after", f"{spot.value} "),
            ("a control character", f"{spot.value}\x01"),
            ("in capitals", spot.value.upper()),
        ):
            yield f"with {name}", spot.put(value)


def _each(*names: str, values: tuple[Any, ...]) -> Callable[[Spot], Edits]:
    def operator(spot: Spot) -> Edits:
        if spot.key in names and isinstance(spot.value, str):
            for value in values:
                if value != spot.value:
                    yield f"to {value}", spot.put(value)

    return operator


def date(spot: Spot) -> Edits:
    if isinstance(spot.value, str) and _DATE.fullmatch(spot.value):
        for value in DATES:
            yield f"to {value!r}", spot.put(value)


@cache
def _codes() -> dict[str, list[str]]:
    own = {
        one["url"]: [concept["code"] for concept in one["concept"]]
        for one in json_files("terminology").values()
        if one["resourceType"] == "CodeSystem"
    }
    return own | {url: list(one["codes"]) for url, one in r4()["code_systems"].items()}


def code(spot: Spot) -> Edits:
    """Another code of the same system, or none of it."""
    if spot.key == "code" and isinstance(spot.value, str) and isinstance(spot.parent, dict):
        for value in ["no-such-code", *_codes().get(spot.parent.get("system", ""), [])]:
            if value != spot.value:
                yield f"to {value}", {"code": value, "display": GONE}


def system(spot: Spot) -> Edits:
    if spot.key == "system":
        value_set = canonical("ValueSet", "np-item")
        for value in (f"{UNKNOWN}/system", value_set, "http://loinc.org", "no-such-system", *list(_codes())[:3]):
            yield f"to {value}", spot.put(value)


def display(spot: Spot) -> Edits:
    if spot.key == "display":
        yield "to another", spot.put("Something else")


def coding(spot: Spot) -> Edits:
    if spot.key == "coding":
        for value in CODINGS:
            yield f"to {value}", {"coding": [value]}
            yield f"and {value}", {"coding": [*spot.value, value]}


def choice(spot: Spot) -> Edits:
    """Another type of a choice, or two of them."""
    key = str(spot.key)
    found = _CHOICE.fullmatch(key)
    for name, value in CHOICES.items() if found else ():
        if found and name != found[2]:
            yield f"to {name}", {key: GONE, found[1] + name: value}
            yield f"and {name}", {key: spot.value, found[1] + name: value}


def extension(spot: Spot) -> Edits:
    """A known extension in another form, and further ones."""
    if isinstance(spot.key, int) and spot.name == "extension":
        value = {key: member for key, member in spot.value.items() if key != "url"}
        yield "of an unknown url", [spot.value | {"url": EXTENSION["url"]}]
        yield "with a value and an extension", [spot.value | {"valueString": "x", "extension": [EXTENSION]}]
        yield "without a value", [{"url": spot.value["url"]}]
        yield "without a url", [value]
        yield "of a relative url", [spot.value | {"url": "rule"}]
    elif isinstance(spot.value, dict) and "extension" not in spot.value:
        yield "added, unknown", spot.put(spot.value | {"extension": [EXTENSION]})
        yield "added, modifying", spot.put(spot.value | {"modifierExtension": [EXTENSION]})
        for url, member in _own_extensions():
            yield f"added, {url.rpartition('/')[2]}", spot.put(spot.value | {"extension": [{"url": url} | member]})


@cache
def _own_extensions() -> list[tuple[str, dict[str, Any]]]:
    """Our simple extensions with a value of the right type, to be put where they may not be."""
    found = []
    for one in json_files("structuredefinitions").values():
        for element in one["differential"]["element"]:
            if one["type"] == "Extension" and element["path"] == "Extension.value[x]" and element.get("max") != "0":
                type_ = element["type"][0]["code"]
                found.append((one["url"], {f"value{type_[0].upper()}{type_[1:]}": CHOICES.get(type_.capitalize(), {})}))
    return [(url, member) for url, member in found if all(member.values())]


def profile(spot: Spot) -> Edits:
    if spot.name == "profile" and isinstance(spot.key, int):
        own = next(one["type"] for one in json_files("structuredefinitions").values() if one["url"] == spot.value)
        yield "of version 0.1.0", [f"{spot.value}|0.1.0"]
        yield "of version 9.9.9", [f"{spot.value}|9.9.9"]
        for one in json_files("structuredefinitions").values():
            if one["url"] != spot.value and one["type"] == own:
                yield f"to {one['id']}", [one["url"]]
                yield f"and {one['id']}", [spot.value, one["url"]]
        yield "to one of another type", [canonical("StructureDefinition", "distribution")]
        yield "to an unknown one", [f"{UNKNOWN}/profile"]
        yield "to base R4", [f"http://hl7.org/fhir/StructureDefinition/{own}"]


KINDS: Mapping[str, Callable[[Spot], Edits]] = {
    "delete": delete,
    "rename": rename,
    "duplicate": duplicate,
    "wrap": wrap,
    "json type": json_type,
    "empty": empty,
    "sibling": sibling,
    "number": number,
    "text": text,
    "date": date,
    "code": code,
    "system": system,
    "display": display,
    "coding": coding,
    "token": _each(
        *("status", "intent", "lifecycleStatus", "kind", "comparator", "use", "valueCode", "priority"), values=TOKENS
    ),
    "unit": _each("code", "unit", values=UNITS),
    "reference": _each("reference", values=REFERENCES),
    "choice": choice,
    "extension": extension,
    "profile": profile,
}
