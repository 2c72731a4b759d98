"""What a patch puts into a resource: which JSON name it has there, and whether its type belongs there."""

from collections.abc import Mapping
from typing import Any

from app.fhir.fhirpath import Model
from app.fhir.fhirpath.model import Child, Variant
from app.fhir.outcomes import Issue, Unprocessable
from app.fhir.patch.fhirpath.marked import Marked
from app.fhir.patch.fhirpath.operations import Value

Object = dict[str, Any]


def put(marked: Marked, holder: Object, type_: str, name: str, value: Value) -> None:
    """Add a value to an object of a type: at the end of a list, or where nothing is yet."""
    child, key, made = element(marked.model, type_, name, value)
    if child.is_many:
        count = length(holder, key)
        if count is None:
            raise _wrong(value, f"{name[:64]} is no list there")
        marked.insert(holder, type_, key, made, value.extra, count)
        return
    _refuse_second(child, holder, value)
    marked.insert(holder, type_, key, made, value.extra, None)


def element(model: Model, type_: str, name: str, value: Value) -> tuple[Child, str, Any]:
    """The element of a type that a name means, the JSON name for the value, and the value as JSON.

    name: as in the definition (value or value[x]) or, of a choice, with the type (valueQuantity).
    """
    child, variants = _named(model, type_, name, value)
    if value.type:
        return child, _fitting(model, variants, value).key, value.value
    if len(variants) != 1:
        names = ", ".join(variant.key for variant in variants)
        raise _wrong(value, f"{name[:64]} may have several types: name one of {names}")
    return child, variants[0].key, _built(model, variants[0].type, value)


def length(holder: Object, key: str) -> int | None:
    """How many values an element has; None if it is not formed like a list, which a patch itself may have done."""
    found = [holder[name] for name in (key, "_" + key) if name in holder]
    if not all(isinstance(each, list) for each in found) or len({len(each) for each in found}) > 1:
        return None
    return len(found[0]) if found else 0


def element_of_key(model: Model, type_: str, key: str) -> str:
    """The name of the element that a JSON name belongs to: value for valueQuantity."""
    children: Mapping[str, Child] = model.children(type_)
    return next((c.name for c in children.values() if any(v.key == key for v in c.variants)), key)


def _named(model: Model, type_: str, name: str, value: Value) -> tuple[Child, tuple[Variant, ...]]:
    children = model.children(type_)
    child = children.get(name.removesuffix("[x]"))
    if child is not None:
        return child, child.variants
    for each in children.values():
        for variant in each.variants:
            if variant.key == name:
                return each, (variant,)
    raise _wrong(value, f"{type_ or 'what the path gives'} has no element {name[:64]}")


def _fitting(model: Model, variants: tuple[Variant, ...], value: Value) -> Variant:
    """The variant for a value of its type. Where there is no choice, a relative does too: a string for a code."""
    for variant in variants:
        if variant.type == value.type:
            return variant
    only = variants[0]
    related = model.is_a(value.type, only.type) or model.is_a(only.type, value.type)
    if len(variants) == 1 and (related or (only.type, value.type) == ("xhtml", "string")):
        return only
    allowed = ", ".join(variant.type for variant in variants[:12])
    raise _wrong(value, f"a value of type {value.type[:64]} cannot stand there; allowed: {allowed}")


def _built(model: Model, type_: str, value: Value) -> Object:
    """The JSON of a value that is given in parts."""
    if type_ in model.primitives or not model.children(type_):
        raise _wrong(value, f"a value of type {type_} is given as value[x] or resource, not in parts")
    if not value.parts:
        raise _wrong(value, "the value is empty")
    made: Object = {}
    for name, part in value.parts:
        child, key, inner = element(model, type_, name, part)
        new = ((key, inner),) if isinstance(inner, dict) else ((key, inner), ("_" + key, part.extra or {}))
        if not child.is_many:
            _refuse_second(child, made, part)
        for name_, each in new:
            if child.is_many:
                made.setdefault(name_, []).append(each)
            else:
                made[name_] = each
    return made


def _refuse_second(child: Child, holder: Object, value: Value) -> None:
    if any(key in holder for variant in child.variants for key in (variant.key, "_" + variant.key)):
        raise _wrong(value, f"{child.name} is there already and does not repeat; replace it instead")


def _wrong(value: Value, why: str) -> Unprocessable:
    return Unprocessable([Issue("processing", f"{why[:1].upper()}{why[1:]}.", value.at)])
