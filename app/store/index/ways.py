"""Expressions of search parameters as ways: the JSON names to follow from a resource to its values.

Nearly all of R4's are paths with a few filters; followed over plain JSON they cost a tenth of what the engine costs.
The few others are evaluated by the engine (app/fhir/fhirpath), and both find the same values (tests/store/).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from app.fhir.fhirpath import Expression, Frame, Node, compile_expression, r4_model
from app.fhir.fhirpath.syntax import Tree, parse
from app.profiles import r4
from app.store.index.rows import Given

# Whether a value belongs, told by the value and the resource.
Test = Callable[[Any, Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Step:
    """One JSON name, and a test of what is found there. told: the test in words, so that equal steps are equal."""

    key: str
    test: Test | None = None
    told: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Step) and (self.key, self.told) == (other.key, other.told)

    def __hash__(self) -> int:
        return hash((self.key, self.told))


@dataclass(frozen=True, slots=True)
class Way:
    """Steps from an element to the values of one type. binding: the required value set, where the values are codes."""

    steps: tuple[Step, ...]
    type: str
    binding: str = ""

    def follow(self, start: Any, resource: Mapping[str, Any]) -> list[Given]:
        values = [start]
        for step in self.steps:
            values = _next(values, step, resource)
            if not values:
                return []
        return [Given(value, self.type, self.binding) for value in values]

    @property
    def first(self) -> str:
        """The name without which there is nothing to be found; "" where any resource may have something."""
        return self.steps[0].key if self.steps else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """An expression that only the engine can evaluate. first: as of Way."""

    expression: Expression
    start: str
    first: str = ""

    def follow(self, start: Any, resource: Mapping[str, Any]) -> list[Given]:
        root = Node(resource, str(resource.get("resourceType", "")))
        focus = root if start is resource else Node(start, self.start)
        found = self.expression.on(Frame(r4_model(), root, root, focus), focus)
        return [Given(each.value, each.type) if isinstance(each, Node) else Given(each, "") for each in found]


def _next(values: list[Any], step: Step, resource: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        item = value.get(step.key) if type(value) is dict else None
        if type(item) is list:
            found += [each for each in item if each is not None]
        elif item is not None:
            found.append(item)
    test = step.test
    return found if test is None else [each for each in found if test(each, resource)]


class _Impossible(Exception):
    """This expression cannot be followed as a way."""


def ways_of(expression: str, start: str) -> tuple[Way | Asked, ...]:
    """The ways of an expression from a type; of one shared by several types, of the parts that concern this type."""
    tree = parse(expression)
    parts = [part for part in _united(tree) if _concerns(part, start)] or _united(tree)
    try:
        found = [way for part in parts for way in _follow(part, (Way((), start),))]
    except _Impossible:
        return (Asked(compile_expression(expression), start, _first(tree)),)
    return tuple(dict.fromkeys(found))


def _united(tree: Tree) -> list[Tree]:
    """The parts joined by | at the top."""
    if tree.kind == "binary" and tree.value == "|":
        return [part for side in tree.parts for part in _united(side)]
    return [tree]


def _names(tree: Tree) -> list[str]:
    """The names a path begins with, up to the first filter or function: Patient, name."""
    if tree.kind == "name":
        return [str(tree.value)]
    if tree.kind == "path":
        left = _names(tree.parts[0])
        return left + _names(tree.parts[1]) if _is_plain(tree.parts[0]) else left
    return _names(tree.parts[0]) if tree.kind in ("index", "type") else []


def _is_plain(tree: Tree) -> bool:
    return tree.kind == "name" or (tree.kind == "path" and all(map(_is_plain, tree.parts)))


def _concerns(tree: Tree, start: str) -> bool:
    names = _names(tree)
    return not names or not r4_model().has(names[0]) or r4_model().is_a(start, names[0])


def _first(tree: Tree) -> str:
    """The first element a path goes through. What is computed may give a value where there is no element at all."""
    names = [name for name in _names(tree) if not r4_model().has(name)]
    return names[0] if names else ""


def _follow(tree: Tree, ways: tuple[Way, ...], *, is_start: bool = True) -> tuple[Way, ...]:
    match tree.kind, tree.value:
        case "name", name:
            model = r4_model()
            if is_start and model.has(name) and all(not way.steps and model.is_a(way.type, name) for way in ways):
                return ways
            return tuple(further for way in ways for further in _child(way, name))
        case "path", _:
            return _follow(tree.parts[1], _follow(tree.parts[0], ways, is_start=is_start), is_start=False)
        case "type", "as":
            return _of_type(_follow(tree.parts[0], ways, is_start=is_start), tree.parts[1])
        case "call", ("as" | "ofType"):
            return _of_type(ways, tree.parts[0])
        case "call", "where":
            return _tested(ways, *_test(tree.parts[0]))
        case "call", "extension" if tree.parts[0].kind == "literal":
            url = tree.parts[0].value
            found = tuple(further for way in ways for further in _child(way, "extension"))
            return _tested(found, *_child_is("url", url))
    raise _Impossible


def _child(way: Way, name: str) -> Iterator[Way]:
    child = r4_model().children(way.type).get(name)
    if child is None or way.type in ("Resource", "DomainResource"):
        raise _Impossible
    for variant in child.variants:
        if variant.type in _OPEN:
            raise _Impossible
        binding = _bindings(way.type.partition(".")[0]).get(f"{way.type}.{name}", "") if variant.type == "code" else ""
        yield Way((*way.steps, Step(variant.key)), variant.type, binding)


# What is in these says itself which type it is.
_OPEN = frozenset({"Resource", "DomainResource", ""})


def _of_type(ways: tuple[Way, ...], wanted: Tree) -> tuple[Way, ...]:
    if wanted.kind != "name" or not r4_model().has(wanted.value):
        raise _Impossible
    primitive = wanted.value in r4_model().primitives
    return tuple(
        way for way in ways if way.type == wanted.value or (not primitive and r4_model().is_a(way.type, wanted.value))
    )


def _tested(ways: tuple[Way, ...], test: Test, told: str) -> tuple[Way, ...]:
    if any(not way.steps or way.steps[-1].test for way in ways):
        raise _Impossible
    return tuple(replace(way, steps=(*way.steps[:-1], Step(way.steps[-1].key, test, told))) for way in ways)


def _test(tree: Tree) -> tuple[Test, str]:
    """`resolve() is Patient` or `system = 'phone'`."""
    if tree.kind == "type" and tree.value == "is" and tree.parts[0] == Tree("call", "resolve", ()):
        wanted = tree.parts[1].value
        return lambda value, resource: target_type(value, resource) == wanted, f"is {wanted}"
    if tree.kind == "binary" and tree.value == "=" and [part.kind for part in tree.parts] == ["name", "literal"]:
        name, literal = (part.value for part in tree.parts)
        return _child_is(name, literal)
    raise _Impossible


def _child_is(name: str, literal: Any) -> tuple[Test, str]:
    return lambda value, _: type(value) is dict and value.get(name) == literal, f"{name} = {literal!r}"


def target_type(reference: Any, resource: Mapping[str, Any]) -> str:
    """The type of what a Reference or canonical points at, told by its text, by what is contained, or by its type."""
    text = reference.get("reference") if isinstance(reference, dict) else reference
    if isinstance(text, str) and text.startswith("#"):
        held = resource.get("contained")
        named = (each for each in held if isinstance(each, dict)) if isinstance(held, list) else ()
        return next((str(each.get("resourceType")) for each in named if each.get("id") == text[1:]), "")
    found = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if found and r4_model().has(found[1]):
        return found[1]
    stated = reference.get("type") if isinstance(reference, dict) else None
    return stated if isinstance(stated, str) else ""


_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")


@cache
def _bindings(type_: str) -> dict[str, str]:
    """The required value set of each coded element of a type, by path."""
    return {
        each["path"].removesuffix("[x]"): each["binding"]["valueSet"]
        for each in r4()["types"].get(type_, {}).get("element", ())
        if each.get("binding", {}).get("strength") == "required"
    }
