"""JSON text -> XML, driven by the definitions: their order of elements is that of the XML."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from app.fhir.fhirpath.model import Model, r4_model
from app.fhir.json import parse_keeping_digits
from app.fhir.outcomes import Issue, NotAcceptable
from app.fhir.xml.parser import FHIR
from app.fhir.xml.reading import is_attribute

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
# What XML 1.0 (section 2.2) cannot hold, not even escaped.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_ESCAPED = re.compile('[&<>"\t\n\r]')
_INDENT = "  "


def to_xml(text: bytes, *, pretty: bool = False) -> bytes:
    """The XML of a resource that is kept as JSON text. Raises NotAcceptable for one that XML cannot hold."""
    writing = _Writing(r4_model(), pretty)
    resource = parse_keeping_digits(text)
    writing.resource(resource, 0, f' xmlns="{FHIR}"')
    return "".join([_DECLARATION, *writing.parts, "\n" if pretty else ""]).encode()


class _Writing:
    def __init__(self, model: Model, pretty: bool) -> None:
        self.model, self.pretty = model, pretty
        self.parts: list[str] = []

    def resource(self, resource: dict[str, Any], depth: int, namespace: str = "") -> None:
        type_ = resource.get("resourceType")
        if type_ not in self.model.resources:
            raise _impossible("It is no R4 resource")
        self.element(type_, namespace, resource, type_, depth)

    def element(self, name: str, attributes: str, value: dict[str, Any], type_: str, depth: int) -> None:
        """An element with the children of an object."""
        self.begin(depth)
        self.parts.append(f"<{name}{attributes}>")
        before = len(self.parts)
        self.children(value, type_, depth + 1)
        if len(self.parts) == before:
            self.parts[-1] = f"<{name}{attributes}/>"
            return
        self.begin(depth)
        self.parts.append(f"</{name}>")

    def children(self, value: dict[str, Any], type_: str, depth: int) -> None:
        places = _places(type_)
        names = {key.removeprefix("_") for key in value if key != "resourceType"}
        if not names <= places.keys():
            raise _impossible("It has properties that R4 does not know")
        for _, key, child_type in sorted([places[name] for name in names]):
            if child_type:
                for each, extra in _values(value.get(key), value.get("_" + key)):
                    self.child(key, child_type, each, extra, depth)

    def child(self, name: str, type_: str, value: Any, extra: Any, depth: int) -> None:
        if type_ == "xhtml":
            self.begin(depth)
            self.parts.append(_storable(value))
        elif type_ == "Resource":
            self.begin(depth)
            self.parts.append(f"<{name}>")
            self.resource(value, depth + 1)
            self.begin(depth)
            self.parts.append(f"</{name}>")
        elif type_ in self.model.primitives:
            self.element(name, _attributes(extra, ()) + _attribute("value", value), _below(extra), "Element", depth)
        else:
            own = ("url",) if type_ == "Extension" else ()
            self.element(name, _attributes(value, own), value, type_, depth)

    def begin(self, depth: int) -> None:
        if self.pretty:
            self.parts.append("\n" + _INDENT * depth)


@cache
def _places(type_: str) -> dict[str, tuple[int, str, str]]:
    """Where each property of an object of a type stands in its XML, and of what type it is: "" for no element."""
    variants = (variant for child in r4_model().children(type_).values() for variant in child.variants)
    return {
        key: (place, key, "" if is_attribute(type_, key) else child_type)
        for place, (key, child_type) in enumerate(variants)
    }


def _values(value: Any, extra: Any) -> Iterator[tuple[Any, Any]]:
    """The values of an element, each with its `_x` object."""
    if not isinstance(value, list) and not isinstance(extra, list):
        if value is not None or extra is not None:
            yield value, extra
        return
    values, extras = value or [], extra or []
    count = max(len(values), len(extras))
    for index in range(count):
        yield values[index] if index < len(values) else None, extras[index] if index < len(extras) else None


def _attributes(value: Any, own: tuple[str, ...]) -> str:
    """The attributes of an element: id, and the url of an extension."""
    if not isinstance(value, dict):
        return ""
    if any("_" + name in value for name in ("id", *own)):
        raise _impossible("An id or url has extensions")
    return "".join(_attribute(name, value.get(name)) for name in ("id", *own))


def _attribute(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f' {name}="{str(value).lower()}"'
    text = value if isinstance(value, str) else bytes(value).decode()
    return f' {name}="{_ESCAPED.sub(_escaped, _storable(text))}"'


def _escaped(match: re.Match[str]) -> str:
    return {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}.get(match[0]) or f"&#{ord(match[0])};"


def _storable(text: str) -> str:
    if _FORBIDDEN.search(text):
        raise _impossible("It has characters that XML does not know")
    return text


def _below(extra: Any) -> dict[str, Any]:
    return extra if isinstance(extra, dict) else {}


def _impossible(why: str) -> NotAcceptable:
    return NotAcceptable([Issue("not-supported", f"{why}, so it cannot be given as XML; ask for JSON.")])
