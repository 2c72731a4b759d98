"""Turns a syntax tree into Python closures, once, at start-up."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from app.fhir.fhirpath import operators
from app.fhir.fhirpath.errors import EvaluationError, ExpressionError
from app.fhir.fhirpath.functions import compile_call
from app.fhir.fhirpath.inference import check_names
from app.fhir.fhirpath.model import Model, r4_model
from app.fhir.fhirpath.nodes import (
    TOO_MANY_STEPS,
    Frame,
    Node,
    Quantity,
    Resolver,
    Step,
    TypeInfo,
    child,
    singleton,
    truth,
)
from app.fhir.fhirpath.syntax import Tree, parse
from app.fhir.fhirpath.temporal import read_date, read_time
from app.fhir.fhirpath.types import compile_as, compile_is, compile_of_type, type_name
from app.profiles import toml_files

_SELF = frozenset({"resource", "rootResource", "context"})
# SQL on FHIR v2: the place of an element among those a selection goes over.
ROW_INDEX = "rowIndex"
# FHIRPath's names for three code systems, and ours.
_SYSTEMS = {"ucum": "ucum", "sct": "snomed", "loinc": "loinc"}
_BY_NAME = {"vs-": "http://hl7.org/fhir/ValueSet/", "ext-": "http://hl7.org/fhir/StructureDefinition/"}


@cache
def named_constant(name: str) -> str:
    """The string a name such as %ucum or %vs-name stands for; "" if it is none of these."""
    if name in _SYSTEMS:
        return str(toml_files("vocabulary")["systems"]["system"][_SYSTEMS[name]])
    return next((base + name[len(start) :] for start, base in _BY_NAME.items() if name.startswith(start)), "")


class Expression:
    """A compiled expression. Call it with a resource, or use `on` with an element and its surroundings."""

    __slots__ = ("_model", "_step", "text", "tree")

    def __init__(self, text: str, tree: Tree, step: Step, model: Model) -> None:
        self.text, self.tree, self._step, self._model = text, tree, step, model

    def __call__(
        self,
        resource: Mapping[str, Any],
        *,
        variables: Mapping[str, Any] | None = None,
        resolver: Resolver | None = None,
        now: datetime | None = None,
    ) -> list[Any]:
        """The items found in a resource: Nodes for its elements, Python values for what was computed.

        resolver: finds what a reference string points at; without one only contained resources and entries of the
        same Bundle are found, anything else is a stub of the type its text names. Raises EvaluationError.
        """
        root = Node(resource, str(resource.get("resourceType", "")))
        frame = Frame(self._model, root, root, root, variables or {}, resolver, now=now)
        return self.on(frame, root)

    def on(self, frame: Frame, focus: Any) -> list[Any]:
        """The items found from one element, in a frame the caller prepared."""
        frame.this = focus
        if frame.steps < 0:
            # Thousands of expressions would add up if each did a little before it found that out.
            raise EvaluationError(TOO_MANY_STEPS)
        try:
            return self._step(frame, [focus])
        except RecursionError:
            raise EvaluationError("the input is nested too deeply for this expression") from None

    def is_true(self, frame: Frame, focus: Any) -> bool:
        """Whether a constraint holds: empty counts as not."""
        return truth(self.on(frame, focus)) is True


@lru_cache(maxsize=4096)
def compile_expression(
    text: str, variables: frozenset[str] = frozenset(), *, context: str = "", strict: bool = False
) -> Expression:
    """Compile an expression against base R4. variables: names it may use besides the standard ones.

    context: the type it runs on (Observation, Timing.repeat); with it, names that no element has are refused too.

    strict: `as` on several values is an error, as FHIRPath 2 has it. Base R4 counts on it to filter instead
    (`Observation.component.value as Quantity`), so that is the default. Raises
    ExpressionError for anything that is no FHIRPath or that this engine does not know.
    """
    model = r4_model()
    try:
        tree = parse(text)
        if context:
            check_names(tree, context, model)
        return Expression(text, tree, _Compiler(model, variables, strict).whole(tree), model)
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply") from None


def compile_tree(tree: Tree, variables: frozenset[str] = frozenset()) -> Expression:
    """Compile a part of an expression by itself, e.g. `Patient.name` of `Patient.name.given`."""
    model = r4_model()
    return Expression("", tree, _Compiler(model, variables, strict=False).whole(tree), model)


class _Compiler:
    def __init__(self, model: Model, variables: frozenset[str], strict: bool) -> None:
        self.model, self.variables, self.strict = model, variables, strict

    def whole(self, tree: Tree) -> Step:
        return self.step(tree, is_start=True)

    def step(self, tree: Tree, *, is_start: bool = True) -> Step:
        """The closure of a tree. is_start: a name here may also be the type of the focus, as in `Patient.name`."""
        make: Callable[[Tree, bool], Step] = getattr(self, "_" + tree.kind)
        return make(tree, is_start)

    def _literal(self, tree: Tree, is_start: bool) -> Step:
        items = [tree.value]
        return lambda frame, focus: items

    def _empty(self, tree: Tree, is_start: bool) -> Step:
        return lambda frame, focus: []

    def _quantity(self, tree: Tree, is_start: bool) -> Step:
        items = [Quantity(*tree.value)]
        return lambda frame, focus: items

    def _temporal(self, tree: Tree, is_start: bool) -> Step:
        text = tree.value[1:]
        value = read_time(text[1:]) if text.startswith("T") else read_date(text)
        if value is None:
            raise ExpressionError(f"{tree.value} is no date or time")
        items = [value]
        return lambda frame, focus: items

    def _this(self, tree: Tree, is_start: bool) -> Step:
        if tree.value == "$this":
            return lambda frame, focus: [frame.this]
        if tree.value == "$index":
            return lambda frame, focus: [frame.index]
        return lambda frame, focus: frame.total

    def _variable(self, tree: Tree, is_start: bool) -> Step:
        name = tree.value
        if name == "resource":
            return lambda frame, focus: [frame.resource]
        if name == "rootResource":
            return lambda frame, focus: [frame.root]
        if name == "context":
            return lambda frame, focus: [frame.context] if frame.context else []
        if name == ROW_INDEX and name in self.variables:
            return lambda frame, focus: [frame.row]
        constant = named_constant(name)
        if constant:
            return lambda frame, focus: [constant]
        if name not in self.variables:
            raise ExpressionError(f"%{name} is not known")
        return lambda frame, focus: _variable(frame.variables.get(name))

    def _name(self, tree: Tree, is_start: bool) -> Step:
        name = tree.value
        if is_start and name[0].isupper():
            return lambda frame, focus: _focus_of_type(frame.model, focus, name) or _children(frame, focus, name)
        return lambda frame, focus: _children(frame, focus, name)

    def _path(self, tree: Tree, is_start: bool) -> Step:
        left = self.step(tree.parts[0], is_start=is_start)
        right = self.step(tree.parts[1], is_start=False)
        return lambda frame, focus: right(frame, left(frame, focus))

    def _call(self, tree: Tree, is_start: bool) -> Step:
        if tree.value in ("is", "as") and self.strict and len(tree.parts) == 1:
            return self._type_test(tree.value, type_name(tree.parts[0], self.model))
        return compile_call(tree, self.step, self.model)

    def _index(self, tree: Tree, is_start: bool) -> Step:
        left = self.step(tree.parts[0], is_start=is_start)
        place = self.step(tree.parts[1])

        def at(frame: Frame, focus: list[Any]) -> list[Any]:
            wanted = singleton(place(frame, [frame.this]))
            items = left(frame, focus)
            return items[wanted : wanted + 1] if type(wanted) is int and wanted >= 0 else []

        return at

    def _sign(self, tree: Tree, is_start: bool) -> Step:
        operand = self.step(tree.parts[0])
        return lambda frame, focus: _signed(tree.value, operand(frame, focus))

    def _type(self, tree: Tree, is_start: bool) -> Step:
        left = self.step(tree.parts[0])
        name = type_name(tree.parts[1], self.model)
        test = self._type_test(tree.value, name)
        return lambda frame, focus: test(frame, left(frame, focus))

    def _type_test(self, operator: str, name: TypeInfo) -> Step:
        if operator == "is":
            return compile_is(name, strict=self.strict)
        return compile_as(name) if self.strict else compile_of_type(name)

    def _binary(self, tree: Tree, is_start: bool) -> Step:
        left, right = (self.step(part) for part in tree.parts)
        operator = _OPERATORS.get(tree.value)
        if operator is None:
            name = tree.value
            return lambda frame, focus: operators.arithmetic(name, left(frame, focus), right(frame, focus))
        shortcut = _SHORTCUTS.get(tree.value)
        if shortcut is None:
            return lambda frame, focus: operator(left(frame, focus), right(frame, focus))

        def short(frame: Frame, focus: list[Any]) -> list[Any]:
            first = left(frame, focus)
            return shortcut if truth(first) is shortcut_at else operator(first, right(frame, focus))

        shortcut_at = _SHORTCUT_AT[tree.value]
        return short


# Small collections cost nothing worth counting.
_FREE = 8
_SHORTCUTS: dict[str, list[Any]] = {"and": [False], "or": [True], "implies": [True]}
_SHORTCUT_AT = {"and": False, "or": True, "implies": False}


def _variable(value: Any) -> list[Any]:
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    return [Node(item, str(item.get("resourceType", ""))) if isinstance(item, dict) else item for item in items]


def _focus_of_type(model: Model, focus: list[Any], name: str) -> list[Any]:
    return [item for item in focus if isinstance(item, Node) and model.is_a(item.type, name)]


def _children(frame: Frame, focus: list[Any], name: str) -> list[Any]:
    model = frame.model
    found: list[Any] = []
    for item in focus:
        if type(item) is not Node:
            found += _info(item, name)
            continue
        known = model.children(item.type)
        variants = known.get(name)
        if variants is not None:
            value = item.value
            for key, type_ in variants.variants:
                if type(value) is dict:
                    if key in value or "_" + key in value:
                        found += _made(model, item, value, key, type_)
                elif item.extra:
                    found += child(model, item, key)
        elif not known:
            found += _untyped(model, item, name)
    if len(found) > _FREE:
        frame.spend(len(found))
    return found


def _made(model: Model, item: Node, value: dict[str, Any], key: str, type_: str) -> list[Node]:
    found = value.get(key)
    if type(found) in (str, int, bool, Decimal) and "_" + key not in value:
        return [Node(found, type_)]
    return child(model, item, key)


def _untyped(model: Model, item: Node, name: str) -> list[Node]:
    """Children of an element whose type is not known: the JSON name, or a choice name such as valueQuantity."""
    if not isinstance(item.value, dict):
        return []
    plain = child(model, item, name)
    if plain:
        return plain
    keys = [key for key in item.value if key.startswith(name) and key[len(name) : len(name) + 1].isupper()]
    return [
        Node(node.value, _choice_type(model, key[len(name) :]), node.extra)
        for key in keys
        for node in child(model, item, key)
    ]


def _choice_type(model: Model, suffix: str) -> str:
    return suffix if model.has(suffix) else suffix[0].lower() + suffix[1:]


def _info(item: Any, name: str) -> list[Any]:
    return [getattr(item, name)] if isinstance(item, TypeInfo) and name in ("name", "namespace") else []


def _signed(sign: str, items: list[Any]) -> list[Any]:
    value = singleton(items)
    if value is None:
        return []
    if isinstance(value, Quantity):
        return [Quantity(-value.value, value.unit, value.is_calendar) if sign == "-" else value]
    if not operators.is_number(value):
        raise EvaluationError(f"{sign} needs a number")
    return [-value if sign == "-" else value]


def _wrapped(value: bool | None) -> list[Any]:
    return [] if value is None else [value]


def _negated(value: bool | None) -> list[Any]:
    return [] if value is None else [not value]


def _ordered(test: Callable[[int], bool]) -> Callable[[list[Any], list[Any]], list[Any]]:
    def apply(left: list[Any], right: list[Any]) -> list[Any]:
        order = operators.compare(left, right)
        return [] if order is None else [test(order)]

    return apply


_OPERATORS: dict[str, Callable[[list[Any], list[Any]], list[Any]]] = {
    "=": lambda a, b: _wrapped(operators.equal(a, b)),
    "!=": lambda a, b: _negated(operators.equal(a, b)),
    "~": lambda a, b: [operators.equivalent(a, b)],
    "!~": lambda a, b: [not operators.equivalent(a, b)],
    "<": _ordered(lambda order: order < 0),
    "<=": _ordered(lambda order: order <= 0),
    ">": _ordered(lambda order: order > 0),
    ">=": _ordered(lambda order: order >= 0),
    "and": operators.both,
    "or": operators.either,
    "xor": operators.one_of_two,
    "implies": operators.implied,
    "|": lambda a, b: operators.distinct(a + b),
    "&": operators.joined,
    "in": operators.contained_in,
    "contains": lambda a, b: operators.contained_in(b, a),
}
