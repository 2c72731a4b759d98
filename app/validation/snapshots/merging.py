"""What one element of a differential makes of the element it is about, and what it must not do (R4 5.1.0.6)."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.validation.snapshots.parts import ElementDefinition

# Lists that a profile adds to; everything else it says takes the place of what its base says.
_JOINED = ("alias", "condition", "example", "mapping", "code")
# A weaker binding than the base's is no flaw: published profiles have it.
# Types that any other one narrows.
_OPEN_TYPES = frozenset({"Element", "BackboneElement", "Resource", "DomainResource"})
# Quantities of their own name, and what R4 writes for the primitive inside a primitive.
_BROADER = {
    "Age": "Quantity",
    "Count": "Quantity",
    "Distance": "Quantity",
    "Duration": "Quantity",
    "SimpleQuantity": "Quantity",
    "MoneyQuantity": "Quantity",
    "canonical": "uri",
    "oid": "uri",
    "url": "uri",
    "uuid": "uri",
    "code": "string",
    "id": "string",
    "markdown": "string",
    "positiveInt": "integer",
    "unsignedInt": "integer",
}
_VALUES = ("fixed", "pattern")
# What a binding can be for: eld-11 of R4.
_BINDABLE = frozenset({"code", "Coding", "CodeableConcept", "Quantity", "string", "uri"})


def merged(base: ElementDefinition, own: ElementDefinition, url: str) -> dict[str, Any]:
    """The element definition that results. url: the profile, as the source of its constraints."""
    made = {**base, **{name: value for name, value in own.items() if name not in ("id", "path", "constraint", "base")}}
    for name in _JOINED:
        if name in base and name in own:
            made[name] = [*base[name], *(each for each in own[name] if each not in base[name])]
    if "binding" in own and "valueSet" not in own["binding"]:
        made["binding"] = {**base.get("binding", {}), **own["binding"]}
    if "binding" not in own and "type" in own and _BINDABLE.isdisjoint(map(type_code, own["type"])):
        made.pop("binding", None)
    known = {each["key"] for each in base.get("constraint", ())}
    fresh = [{"source": url, **each} for each in own.get("constraint", ()) if each["key"] not in known]
    if fresh:
        made["constraint"] = [*base.get("constraint", ()), *fresh]
    if _values(own):
        # A fixed value takes the place of a pattern, and the other way round.
        made = {k: v for k, v in made.items() if not k.startswith(_VALUES) or k in own}
    return made


def widenings(base: ElementDefinition, own: ElementDefinition, *, is_slice: bool) -> Iterator[str]:
    """What an element asks that its base does not allow, in words."""
    least, most = base.get("min", 0), base.get("max", "*")
    # A slice is one part of the repetitions: fewer of it may be asked than of all.
    if not is_slice and own.get("min", least) < least:
        yield f"min {own['min']} is less than the {least} of its base"
    if _number(own.get("max", most)) > _number(most):
        yield f"max {own['max']} is more than the {most} of its base"
    if own.get("min", least) > _number(own.get("max", most)):
        yield f"min {own.get('min', least)} is more than max {own.get('max', most)}"
    yield from _wider_types(base, own)
    yield from _other_value(base, own)


def _number(most: str) -> float:
    return float("inf") if most == "*" else int(most)


def _wider_types(base: ElementDefinition, own: ElementDefinition) -> Iterator[str]:
    allowed = {type_code(each) for each in base.get("type", ())}
    if not allowed or allowed & _OPEN_TYPES:
        return
    for each in own.get("type", ()):
        code = type_code(each)
        if code not in allowed and _BROADER.get(code) not in allowed and "String" not in allowed:
            yield f"the type {code} is not one of its base: {', '.join(sorted(allowed))}"


def type_code(type_: Mapping[str, Any]) -> str:
    """The name of a type; `String` stands for those that R4 writes as FHIRPath types."""
    return str(type_.get("code", "")).removeprefix("http://hl7.org/fhirpath/System.")


def _other_value(base: ElementDefinition, own: ElementDefinition) -> Iterator[str]:
    before = {name: value for name, value in _values(base).items() if name.startswith("fixed")}
    for name, value in _values(own).items():
        if name.startswith("fixed") and before and before.get(name, value) != value:
            yield "the fixed value is not the one of its base"


def _values(element: ElementDefinition) -> dict[str, Any]:
    return {name: value for name, value in element.items() if name.startswith(_VALUES)}
