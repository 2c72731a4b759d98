"""The elements of a profile as rows of a table: cardinality, types, bindings, values and rules."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.fhir.json import dumps
from app.mapping.elements import Resource
from app.validation.telling.explanations import Explanation, explained

_NOTHING = Explanation((), "", "", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One element. value: what it must be, with the word for how ("pattern", "fixed", "at least", "at most")."""

    id: str
    depth: int
    label: str
    cardinality: str
    types: tuple[Mapping[str, Any], ...]
    flags: tuple[str, ...]
    binding: Mapping[str, str] | None
    value: tuple[str, str] | None
    said: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One constraint with the reason that stands behind it."""

    key: str
    severity: str
    element: str
    human: str
    expression: str
    reason: Explanation


def differential(profile: Resource) -> list[Row]:
    """What the profile says itself."""
    return [_row(one, _words(one)) for one in profile["differential"]["element"]]


def key_elements(profile: Resource) -> list[Row]:
    """The elements an implementer has to know: must-support, required, or touched by the profile."""
    named = {one["id"]: _words(one) for one in profile["differential"]["element"]}
    wanted: set[str] = set()
    rows = profile["snapshot"]["element"]
    for one in rows:
        # What is required inside something that nobody has to know is no key element.
        is_reached = "." not in one["id"] or one["id"].rpartition(".")[0] in wanted
        if one["id"] in named or one.get("mustSupport") or (is_reached and one["min"] > 0):
            wanted |= set(_ancestors(one["id"]))
    return [_row(one, named.get(one["id"], "")) for one in rows if one["id"] in wanted]


def rules(profile: Resource) -> list[Rule]:
    """The constraints the profile adds, in its order."""
    return [
        Rule(
            key=one["key"],
            severity=one["severity"],
            element=row["id"],
            human=one["human"],
            expression=one.get("expression", ""),
            reason=explained(one["key"]) or _NOTHING,
        )
        for row in profile["differential"]["element"]
        for one in row.get("constraint", ())
    ]


def said(value: Any) -> str:
    """A fixed value or pattern in words: codes as "code (display) of system", all else as JSON."""
    if isinstance(value, Mapping):
        if set(value) <= {"coding", "text"} and value.get("coding"):
            return "; ".join(said(one) for one in value["coding"])
        if "system" in value and set(value) <= {"system", "version", "code", "display"}:
            return _coding(value)
        return dumps(value).decode()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _coding(value: Mapping[str, Any]) -> str:
    shown = f" ({value['display']})" if "display" in value else ""
    return f"{value['code']}{shown} of {value['system']}" if "code" in value else f"a code of {value['system']}"


def _ancestors(element_id: str) -> Iterator[str]:
    parts = element_id.split(".")
    return (".".join(parts[: count + 1]) for count in range(len(parts)))


def _row(element: Mapping[str, Any], words: str) -> Row:
    steps = element["id"].split(".")
    return Row(
        id=element["id"],
        depth=min(len(steps) - 1, 6),
        label=steps[-1],
        cardinality=_cardinality(element),
        types=tuple(element.get("type", ())),
        flags=tuple(_flags(element)),
        binding=element.get("binding"),
        value=_value(element),
        said=words,
        rules=tuple(each["key"] for each in element.get("constraint", ()) if each["key"].startswith("np-")),
    )


def _words(element: Mapping[str, Any]) -> str:
    """What the differential says of an element; snapshots only tell where R4 has its words."""
    return str(element.get("short") or element.get("definition") or element.get("comment") or "")


def _cardinality(element: Mapping[str, Any]) -> str:
    """Both ends; the one a differential leaves as it was is left out."""
    if "min" not in element and "max" not in element:
        return ""
    return f"{element.get('min', '')}..{element.get('max', '')}"


def _flags(element: Mapping[str, Any]) -> Iterable[str]:
    if element.get("mustSupport"):
        yield "must support"
    if element.get("isModifier"):
        yield "modifier"
    if "slicing" in element:
        yield f"sliced by {', '.join(each['path'] for each in element['slicing'].get('discriminator', ()))}"


_LIMITS = {"fixed": "fixed", "pattern": "pattern", "minValue": "at least", "maxValue": "at most"}


def _value(element: Mapping[str, Any]) -> tuple[str, str] | None:
    found = ((_LIMITS[start], value) for start in _LIMITS for key, value in element.items() if key.startswith(start))
    told = [(how, said(value)) for how, value in found]
    return (told[0][0], "; ".join([told[0][1], *(f"{how} {text}" for how, text in told[1:])])) if told else None
