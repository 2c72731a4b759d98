"""XML -> JSON text, driven by the definitions: which elements a type has, in which order, of which types."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from app.fhir.fhirpath.model import Child, Model, r4_model
from app.fhir.json import dumps
from app.fhir.outcomes import Issue, Refused
from app.fhir.scan import Steps
from app.fhir.xml.parser import FHIR, XHTML, Element, parse

# More flaws than this help nobody.
MOST_TOLD = 50
_SCHEMA = "http://www.w3.org/2001/XMLSchema-instance "
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
_FORMS = {
    "boolean": re.compile("true|false"),
    "decimal": _NUMBER,
    "integer": _INTEGER,
    "positiveInt": _INTEGER,
    "unsignedInt": _INTEGER,
}
_RESOURCE = "Resource"


@dataclass(frozen=True, slots=True)
class Read:
    """A resource that was sent as XML: the JSON text to keep, and where each JSON value stood in the XML."""

    text: bytes
    places: dict[Steps, tuple[int, int]]


def from_xml(text: bytes) -> Read:
    """The resource in XML text. Raises Refused with every place at which it is not R4 XML.

    Values keep their digits. Whether they are right is not checked here: that is the same for XML and JSON.
    """
    reading = _Reading(r4_model())
    resource = reading.resource(parse(text), (), "")
    if reading.issues:
        raise Refused(reading.issues)
    return Read(dumps(resource), reading.places)


class _Reading:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.issues: list[Issue] = []
        self.places: dict[Steps, tuple[int, int]] = {}

    def resource(self, element: Element, steps: Steps, path: str) -> dict[str, Any]:
        """A resource: the name of the element is its type."""
        type_ = element.name
        if element.namespace != FHIR or type_ not in self.model.resources:
            self.tell(element, path or "", f"An R4 resource in the namespace {FHIR} is expected here.")
            return {}
        self.places[steps] = (element.line, element.column)
        made: dict[str, Any] = {"resourceType": type_}
        self.attributes(element, path or type_, ())
        self.children(element, type_, made, steps, path or type_)
        return made

    def children(self, element: Element, type_: str, made: dict[str, Any], steps: Steps, path: str) -> None:
        """The child elements of a complex element, in the order of the definition."""
        if element.has_text:
            self.tell(element, path, "Text between elements is not allowed: a value is in the attribute value.")
        if not element.children:
            return
        last, counts = -1, dict[str, int]()
        for child in element.children:
            order, definition, child_type = _keys(type_).get(child.name, (-1, None, ""))
            if definition is None or child.namespace != _namespace(child_type) or is_attribute(type_, child.name):
                self.tell(child, f"{path}.{child.name[:64]}", _unknown(child, bool(definition)))
                continue
            index = counts[definition.name] = counts.get(definition.name, -1) + 1
            if order < last:
                self.tell(child, f"{path}.{child.name}", "The elements are not in the order of the definition.")
            last = max(order, last)
            if index and not definition.is_many:
                self.tell(child, f"{path}.{child.name}", "The element is there more than once.")
                continue
            at = index if definition.is_many else None
            below, place = (*steps, child.name), f"{path}.{child.name}"
            if at is not None:
                below, place = (*below, at), f"{place}[{at}]"
            _add(made, child.name, *self.value(child, child_type, below, place), at)

    def value(self, element: Element, type_: str, steps: Steps, path: str) -> tuple[Any, Any]:
        """The JSON value of an element, and its `_x` object."""
        self.places[steps] = (element.line, element.column)
        if type_ == "xhtml":
            return element.xhtml, None
        if type_ == _RESOURCE:
            return self.inner_resource(element, steps, path), None
        is_primitive = type_ in self.model.primitives
        beside = ("id", "url") if type_ == "Extension" else ("id",)
        self.attributes(element, path, (*beside, "value") if is_primitive else beside)
        made: dict[str, Any] = {name: element.attributes[name] for name in beside if name in element.attributes}
        self.children(element, "Element" if is_primitive else type_, made, steps, path)
        value = self.primitive(element, type_, path) if is_primitive else None
        if not made and value is None:
            self.tell(element, path, "The element is empty: it needs a value, children or an extension.")
        return (value, made or None) if is_primitive else (made, None)

    def inner_resource(self, element: Element, steps: Steps, path: str) -> dict[str, Any]:
        self.attributes(element, path, ())
        if len(element.children) != 1 or element.has_text:
            self.tell(element, path, "Exactly one resource is expected in this element.")
            return {}
        return self.resource(element.children[0], steps, path)

    def primitive(self, element: Element, type_: str, path: str) -> Any:
        text = element.attributes.get("value")
        form = _FORMS.get(type_)
        if text is None or form is None:
            return text
        if not form.fullmatch(text):
            self.tell(element, path, f"The value is no {type_}.", "value")
            return None
        return msgspec.Raw(text.encode())

    def attributes(self, element: Element, path: str, known: tuple[str, ...]) -> None:
        for name, value in element.attributes.items():
            if name not in known and not name.startswith(_SCHEMA):
                told = f"The element has no attribute {name.rpartition(' ')[2][:64]}."
                self.tell(element, path, told)
            elif not value.strip():
                self.tell(element, path, f"The attribute {name.rpartition(' ')[2]} is empty.")

    def tell(self, element: Element, path: str, told: str, code: str = "structure") -> None:
        rule = "dmt-xml-element"
        self.issues.append(Issue(code, told, path, rule=rule, line=element.line, column=element.column))
        if len(self.issues) == MOST_TOLD:
            raise Refused(self.issues)


@cache
def _keys(type_: str) -> dict[str, tuple[int, Child, str]]:
    """The children of a type by JSON name, which is that of the XML too: place in the order, definition, type."""
    known = r4_model().children(type_).values()
    return {variant.key: (at, child, variant.type) for at, child in enumerate(known) for variant in child.variants}


def _add(made: dict[str, Any], key: str, value: Any, extra: Any, index: int | None) -> None:
    """Set a value; in lists of primitives null stands where there is no value, or nothing beside it."""
    if index is None:
        made.update({name: each for name, each in ((key, value), ("_" + key, extra)) if each is not None})
        return
    for name, each in ((key, value), ("_" + key, extra)):
        if each is not None:
            made.setdefault(name, [])
        if name in made:
            made[name] += [None] * (index - len(made[name])) + [each]


def is_attribute(type_: str, name: str) -> bool:
    """Whether R4 has an element as an attribute: the id of what is no resource, the url of an extension."""
    return (name == "id" and type_ not in r4_model().resources) or (name == "url" and type_ == "Extension")


def _namespace(type_: str) -> str:
    return XHTML if type_ == "xhtml" else FHIR


def _unknown(element: Element, is_known: bool) -> str:
    if element.namespace not in (FHIR, XHTML):
        return f"The element is in another namespace than {FHIR}."
    return "The element is not written like that here." if is_known else "R4 has no such element here."
