"""The shape of definitions, as far as they are read here: what others wrote may hold anything."""

from collections.abc import Iterator, Mapping
from typing import Any

_CODED = {"system": str, "code": str}
_INCLUDE = {
    "system": str,
    "version": str,
    "concept": [{"code": str, "display": str}],
    "filter": [{"property": str, "op": str, "value": str}],
    "valueSet": [str],
}
_ELEMENT: dict[str, Any] = {
    "id": str,
    "path": str,
    "sliceName": str,
    "min": int,
    "max": str,
    "contentReference": str,
    "maxLength": int,
    "type": [{"code": str, "profile": [str], "targetProfile": [str], "extension": [{"url": str}]}],
    "binding": {"strength": str, "valueSet": str},
    "constraint": [{"key": str, "severity": str, "human": str, "expression": str, "source": str}],
    "slicing": {"discriminator": [{"type": str, "path": str}], "rules": str, "ordered": bool},
    "condition": [str],
    "alias": [str],
    "mapping": [dict],
    "example": [dict],
    "code": [dict],
}
_CONCEPT: dict[str, Any] = {"code": str, "display": str, "property": [{"code": str}]}
_CONCEPT["concept"] = [_CONCEPT]
_CONTAINS: dict[str, Any] = {**_CODED}
_CONTAINS["contains"] = [_CONTAINS]
_SHAPES: dict[str, dict[str, Any]] = {
    "StructureDefinition": {
        "url": str,
        "version": str,
        "type": str,
        "kind": str,
        "derivation": str,
        "baseDefinition": str,
        "fhirVersion": str,
        "context": [{"type": str, "expression": str}],
        "differential": {"element": [_ELEMENT]},
        "snapshot": {"element": [_ELEMENT]},
    },
    "ValueSet": {
        "url": str,
        "version": str,
        "compose": {"include": [_INCLUDE], "exclude": [_INCLUDE]},
        "expansion": {"contains": [_CONTAINS]},
    },
    "CodeSystem": {"url": str, "version": str, "content": str, "caseSensitive": bool, "concept": [_CONCEPT]},
}
# What is read without asking whether it is there.
_REQUIRED: dict[str, tuple[str, ...]] = {
    "element": ("path",),
    "type": ("code",),
    "constraint": ("key", "severity", "human"),
    "binding": ("strength",),
    "discriminator": ("type", "path"),
    "context": ("type", "expression"),
    "concept": ("code",),
    "extension": ("url",),
}
_ALWAYS = {"StructureDefinition": ("url", "type", "kind"), "ValueSet": ("url",), "CodeSystem": ("url", "content")}
_NAMES: dict[Any, str] = {str: "a string", int: "a whole number", bool: "true or false", dict: "an object"}
DEFINITION_TYPES = tuple(_SHAPES)
_MOST = 20


def misshapen(definition: Mapping[str, Any]) -> list[str]:
    """What is of another shape than R4 has for it, as sentences; nothing for types that are not read here."""
    type_ = str(definition.get("resourceType"))
    if type_ not in _SHAPES:
        return []
    found = [f"{type_}.{name} is missing" for name in _ALWAYS[type_] if name not in definition]
    for each in _misfits(definition, _SHAPES[type_], type_, ""):
        found.append(each)
        if len(found) >= _MOST:
            break
    return found or _limits(definition)


def _misfits(value: Any, shape: Any, path: str, name: str) -> Iterator[str]:
    if isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{path} must be an array"
            return
        for place, each in enumerate(value):
            yield from _misfits(each, shape[0], f"{path}[{place}]", name)
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{path} must be an object"
            return
        yield from (f"{path}.{each} is missing" for each in _REQUIRED.get(name, ()) if each not in value)
        for each, inner in shape.items():
            if each in value:
                yield from _misfits(value[each], inner, f"{path}.{each}", each)
    elif type(value) is not shape:
        yield f"{path} must be {_NAMES[shape]}"


def _limits(definition: Mapping[str, Any]) -> list[str]:
    """Cardinalities that are no numbers."""
    return [
        f"StructureDefinition.{part}.element[{place}].max must be a number or *"
        for part in ("differential", "snapshot")
        for place, element in enumerate(definition.get(part, {}).get("element", ()))
        if not _is_limit(element.get("max", "*"))
    ][:_MOST]


def _is_limit(most: str) -> bool:
    return most == "*" or (most.isascii() and most.isdigit() and len(most) < 10)
