"""Resources in part: what `_summary` and `_elements` leave of one (R4 3.1.1.5.8 and 3.1.1.5.9).

Works on the stored text: what is kept is kept as it was written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import msgspec

from app.fhir.json import dumps
from app.fhir.outcomes import Issue, Refused
from app.profiles import r4

SUBSETTED_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
SUBSETTED = "SUBSETTED"
# R4 SummaryEntryMode; "count" is not about elements, and "false" is the whole.
SUMMARIES = ("true", "text", "data", "count", "false")
_TAG = dumps({"system": SUBSETTED_SYSTEM, "code": SUBSETTED})
_ALWAYS = frozenset({"resourceType", "id", "meta"})
# Without them the rest might mean something else.
_MODIFYING = frozenset({"implicitRules", "modifierExtension"})
_split = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
Texts = dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Subset:
    """What is asked for. summary: "true", "text" or "data", else ""; elements: the names of `_elements`."""

    summary: Literal["", "true", "text", "data"] = ""
    elements: frozenset[str] = frozenset()


def asked(summary: str, elements: str, types: Iterable[str]) -> Subset | None:
    """The subset that `_summary` and `_elements` ask for, each "" if it is not given; None for the whole resources.

    types: those that can be answered. Raises Refused for another summary, an element that none of them has, or both
    parameters with different wishes.
    """
    issues = []
    if summary not in ("", *SUMMARIES):
        issues.append(Issue("value", f"_summary must be one of {', '.join(SUMMARIES)}.", "_summary"))
    names = [name.strip() for name in elements.split(",") if name.strip()]
    issues += _unknown(names, sorted(set(types)))
    if names and summary in ("true", "text", "data"):
        issues.append(Issue("value", "_summary and _elements ask for different parts; give one of them.", "_elements"))
    if issues:
        raise Refused(issues)
    if names:
        return Subset(elements=frozenset(names))
    return Subset(summary) if summary in ("true", "text", "data") else None  # type: ignore[arg-type]


def subset(text: bytes, wanted: Subset) -> bytes:
    """The part of a resource that is wanted, tagged SUBSETTED so that nobody takes it for the whole."""
    parts = _split.decode(text)
    type_ = msgspec.json.decode(parts["resourceType"], type=str)
    kept = _in_summary(parts, type_) if wanted.summary == "true" else _whole_elements(parts, type_, wanted)
    kept["meta"] = _tagged(parts.get("meta"))
    head = {name: kept.pop(name) for name in ("resourceType", "id", "meta") if name in kept}
    return _joined(head | kept)


def _unknown(names: list[str], types: list[str]) -> list[Issue]:
    """Issues for names that no type has. Type.name is for one type: of another it asks for nothing."""
    known = {name for each in types for name in _children(each)}
    known |= {f"{each}.{name}" for each in types for name in _children(each)}
    where = types[0] if len(types) == 1 else "the types asked for"
    return [
        Issue("value", f"{where} has no element {name[:64]} at its top level.", "_elements")
        for name in names
        if name not in known
    ]


def _whole_elements(parts: Texts, type_: str, wanted: Subset) -> Texts:
    mandatory = {name for name, element in _children(type_).items() if element["min"]}
    if wanted.summary == "data":
        names = {_name(key, type_) for key in parts} - {"text"}
    elif wanted.summary == "text":
        names = {*_ALWAYS, "text", *mandatory}
    else:
        asked_for = {name.removeprefix(f"{type_}.") for name in wanted.elements}
        names = {*_ALWAYS, *_MODIFYING, *mandatory, *asked_for}
    return {key: value for key, value in parts.items() if _name(key, type_) in names or key in _ALWAYS}


def _name(key: str, type_: str) -> str:
    """The name of the element of a JSON name: value for _valueQuantity."""
    return _summary_of(type_).names.get(key.removeprefix("_"), key)


def _in_summary(parts: Texts, type_: str) -> Texts:
    """What is marked as summary, and what is mandatory, in elements of elements too."""
    plan = _summary_of(type_)
    kept: Texts = {}
    for key, value in parts.items():
        plain = key.removeprefix("_")
        if plain not in plan.kept:
            continue
        below = plan.kept[plain]
        kept[key] = value if below is None or key != plain else _below(value, below)
    return kept


def _below(value: msgspec.Raw, type_: str) -> msgspec.Raw:
    if bytes(value).startswith(b"["):
        return msgspec.Raw(b"[" + b",".join(_below(each, type_) for each in _items.decode(value)) + b"]")
    return msgspec.Raw(_joined(_in_summary(_split.decode(value), type_)))


def _tagged(meta: msgspec.Raw | None) -> msgspec.Raw:
    parts: Texts = _split.decode(meta) if meta else {}
    tags = [bytes(tag) for tag in _items.decode(parts["tag"])] if "tag" in parts else []
    parts["tag"] = msgspec.Raw(b"[" + b",".join([*tags, _TAG]) + b"]")
    return msgspec.Raw(_joined(parts))


def _joined(parts: Mapping[str, msgspec.Raw]) -> bytes:
    return b"{" + b",".join(dumps(name) + b":" + bytes(value) for name, value in parts.items()) + b"}"


@dataclass(frozen=True, slots=True)
class _Plan:
    """names: JSON name -> name of the element. kept: JSON names in the summary -> the type to look into, None for all
    of it."""

    names: Mapping[str, str]
    kept: Mapping[str, str | None]


@cache
def _summary_of(type_: str) -> _Plan:
    """How the summary of a type is made; nested types are named like Observation.component."""
    names: dict[str, str] = {}
    kept: dict[str, str | None] = {"resourceType": None}
    for name, element in _children(type_).items():
        for key, code in _keys(name, element):
            names[key] = name
            if _is_kept(type_, name, element):
                kept[key] = None if _is_whole(code) else code
    return _Plan(names, kept)


def _is_kept(type_: str, name: str, element: Mapping[str, Any]) -> bool:
    # The extensions of a data type belong to its value; those of resources and their parts are no summary.
    is_data_type = r4()["types"].get(type_.partition(".")[0], {}).get("kind") == "complex-type"
    marked = element.get("isSummary") or element["min"]
    return bool(marked or name == "id" or name in _MODIFYING or (is_data_type and name == "extension"))


@cache
def _is_whole(type_: str) -> bool:
    """Whether all of a type is in the summary, so that it need not be looked into."""
    return all(_is_kept(each, name, element) for each in _reached(type_) for name, element in _children(each).items())


def _reached(type_: str) -> set[str]:
    """The type and all that can be below it, in the summary. An extension and a resource are kept as they are."""
    found, left = set[str](), [type_]
    while left:
        each = left.pop()
        if each in found or each in ("Extension", "Resource"):
            continue
        found.add(each)
        kept = [(name, element) for name, element in _children(each).items() if _is_kept(each, name, element)]
        left += [code for name, element in kept for _, code in _keys(name, element)]
    return found


def _keys(name: str, element: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The JSON names of an element, each with its type."""
    if "contentReference" in element:
        return [(name, element["contentReference"].lstrip("#"))]
    codes = [each["code"] for each in element.get("type", ())]
    if element["path"].endswith("[x]"):
        return [(name + code[:1].upper() + code[1:], code) for code in codes]
    is_part = codes[:1] in (["BackboneElement"], ["Element"])
    return [(name, element["path"] if is_part else code) for code in codes[:1]]


@cache
def _children(type_: str) -> dict[str, Mapping[str, Any]]:
    """The elements of a type by name, value for value[x]; what is below those is not among them."""
    elements = r4()["types"].get(type_.partition(".")[0], {}).get("element", ())
    is_primitive = r4()["types"].get(type_, {}).get("kind") == "primitive-type"
    return {
        each["path"].rpartition(".")[2].removesuffix("[x]"): each
        for each in elements
        if not is_primitive and each["path"].rpartition(".")[0] == type_
    }
