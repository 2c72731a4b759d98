"""The rule tree: what base R4 says of every element, read from the compact definitions once per type."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.fhir.fhirpath import Expression, compile_expression
from app.fhir.outcomes import Severity
from app.validation.checks.primitives import Check, primitive_checks

_LANGUAGES = "http://hl7.org/fhir/ValueSet/languages"
# Constraints that checks of this package hold more strictly than their expressions say.
NATIVE = frozenset({"ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "txt-1", "txt-2"})


@dataclass(frozen=True, slots=True)
class Constraint:
    """One rule in FHIRPath. severity: error or warning. is_posted: it is a client's, and has so much time only."""

    key: str
    severity: Severity
    human: str
    expression: Expression
    is_posted: bool = False


@dataclass(frozen=True, slots=True)
class Binding:
    """greatest: the value set no code may be outside of, whatever the strength; "" for none."""

    strength: str
    value_set: str
    greatest: str = ""


@dataclass(frozen=True, slots=True)
class TypeUse:
    """One type an element can have. targets: types a Reference may point at, empty for any."""

    code: str
    profiles: tuple[str, ...] = ()
    targets: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class Element:
    """The rules of one element. name is without [x]; shape names the TypeRule of nested elements."""

    name: str
    path: str
    least: int
    most: int | None
    types: tuple[TypeUse, ...]
    is_choice: bool
    shape: str = ""
    constraints: tuple[Constraint, ...] = ()
    binding: Binding | None = None
    max_length: int | None = None

    @property
    def is_many(self) -> bool:
        return self.most is None or self.most > 1

    @property
    def is_human_language(self) -> bool:
        """Whether its value is a code of BCP 47. The language of an Expression is a media type."""
        return self.name == "language" and (self.binding is None or self.binding.value_set == _LANGUAGES)


@dataclass(slots=True, eq=False)
class Slot:
    """One JSON name: the element it belongs to, its type, and the rules of that type.

    check: what a primitive value is checked with. is_plain: a single primitive about which nothing else is to be known.
    """

    element: Element
    use: TypeUse
    step: str
    is_many: bool
    check: Check | None = None
    is_plain: bool = False
    rule: "TypeRule | None" = None


@dataclass(slots=True, eq=False)
class TypeRule:
    """The rules of a type or of a nested element. slots: JSON name -> Slot; keys: element -> its JSON names."""

    name: str
    kind: str
    slots: dict[str, Slot] = field(default_factory=dict)
    keys: dict[Element, list[str]] = field(default_factory=dict)
    elements: dict[str, Element] = field(default_factory=dict)
    required: tuple[Element, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    ancestors: tuple[str, ...] = ()
    is_primitive: bool = False

    def keys_of(self, element: Element) -> list[str]:
        return self.keys.get(element, [])


class BaseRules:
    """TypeRules of base R4, each built when first asked for."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._types: Mapping[str, Any] = definitions["types"]
        self._constraints: list[list[str]] = definitions["constraints"]
        self._built: dict[str, TypeRule] = {}
        self._compiled: dict[int, Constraint] = {}
        self.checks = primitive_checks(self._types)
        self.resource_types = frozenset(
            name for name, each in self._types.items() if each["kind"] == "resource" and not each["abstract"]
        )

    def has(self, name: str) -> bool:
        return name.partition(".")[0] in self._types

    def type_rule(self, name: str) -> TypeRule:
        """The rules of a type (Quantity) or nested element (Timing.repeat)."""
        if name not in self._built:
            self._build(name.partition(".")[0])
        return self._built[name]

    def ancestors(self, name: str) -> tuple[str, ...]:
        found = [name]
        while base := self._types.get(found[-1], {}).get("base"):
            found.append(base)
        return tuple(found)

    def constraint(self, number: int) -> Constraint:
        if number not in self._compiled:
            key, severity, human, expression, _ = self._constraints[number]
            self._compiled[number] = Constraint(key, severity_of(severity), human, compile_expression(expression))
        return self._compiled[number]

    def _build(self, name: str) -> None:
        definition = self._types[name]
        elements = definition["element"]
        nested = {_parent(each["path"]) for each in elements[1:]} - {name}
        built = {path: TypeRule(path, "element", ancestors=(path, "BackboneElement", "Element")) for path in nested}
        kind = definition["kind"]
        built[name] = TypeRule(name, kind, ancestors=self.ancestors(name), is_primitive=kind == "primitive-type")
        built[name].constraints = self._constraints_of(elements[0])
        for each in elements[1:]:
            self._add(built[_parent(each["path"])], self._element(each, nested))
        for rule in built.values():
            rule.required = tuple(each for each in rule.elements.values() if each.least)
        # Only what is complete is shown: other threads may be looking.
        self._built |= built

    def _constraints_of(self, element: Mapping[str, Any]) -> tuple[Constraint, ...]:
        numbers = element.get("constraint", ())
        return tuple(self.constraint(number) for number in numbers if self._constraints[number][0] not in NATIVE)

    def _element(self, element: Mapping[str, Any], nested: set[str]) -> Element:
        path = element["path"]
        name = path.rpartition(".")[2]
        binding = element.get("binding")
        shape = path if path in nested else element.get("contentReference", "#")[1:]
        return Element(
            name=name.removesuffix("[x]"),
            path=path,
            least=element["min"],
            most=None if element["max"] == "*" else int(element["max"]),
            types=tuple(_type_use(each) for each in element.get("type", ())) or (TypeUse("BackboneElement"),),
            is_choice=name.endswith("[x]"),
            shape=shape,
            constraints=self._constraints_of(element),
            binding=Binding(binding["strength"], binding["valueSet"].partition("|")[0]) if binding else None,
            max_length=element.get("maxLength"),
        )

    def _add(self, rule: TypeRule, element: Element) -> None:
        rule.elements[element.name] = element
        for use in element.types:
            key = element.name + use.code[0].upper() + use.code[1:] if element.is_choice else element.name
            step = f"{element.name}.ofType({use.code})" if element.is_choice else element.name
            is_inner_id = element.name == "id" and use.code == "string"
            check = None if element.shape else self.checks.get("Element.id" if is_inner_id else use.code)
            is_bare = not (element.binding or element.constraints or element.is_many or use.code == "xhtml")
            rule.keys.setdefault(element, []).append(key)
            rule.slots[key] = Slot(element, use, step, element.is_many, check, is_bare and check is not None)

    def rule_of(self, slot: Slot) -> TypeRule:
        """The rules of what a slot holds, remembered in the slot."""
        if slot.rule is None:
            slot.rule = self.type_rule(slot.element.shape or slot.use.code)
            # A constraint of the type itself need not be checked again for the element.
            keys = {each.key for each in slot.rule.constraints}
            slot.element.constraints = tuple(each for each in slot.element.constraints if each.key not in keys)
        return slot.rule


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _type_use(type_: Mapping[str, Any]) -> TypeUse:
    targets = frozenset(each for each in type_.get("targetProfile", ()) if each != "Resource")
    return TypeUse(type_["code"], tuple(type_.get("profile", ())), targets)


def severity_of(text: str) -> Severity:
    """The severity a definition gives a constraint: error or warning."""
    return "error" if text == "error" else "warning"
