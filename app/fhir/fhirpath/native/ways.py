"""The ways of a translation from an element to other elements, and the Python that goes them."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from app.fhir.fhirpath.model import Child, Model, Variant
from app.fhir.fhirpath.syntax import Tree

_INDENT = "    "
# Python takes 200 brackets and 20 loops within each other.
_MOST_BRACKETS = 150
_MOST_BLOCKS = 15
_STRINGS = re.compile(r"'(?:[^'\\]|\\.)*'" + r'|"(?:[^"\\]|\\.)*"')
_ABSTRACT = frozenset({"Resource", "DomainResource"})


class Untranslatable(Exception):
    """The expression has a part that is left to the closures."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way from a start to elements: lines that open loops and conditions, and the variable and type at its end.

    key: the JSON name, where the way is a single step. is_far: it does not only go down from the element the expression
    runs on, so it could go over everything again and again; its loops pay for their steps.
    """

    start: str
    name: str
    type: str
    lines: tuple[str, ...] = ()
    is_many: bool = False
    key: str = ""
    is_far: bool = False

    @property
    def end(self) -> "Way":
        """The element at the end as a start of its own."""
        return Way(self.name, self.name, self.type, is_far=self.is_far)


Ways = tuple[Way, ...]
Found = Callable[[str], list[str]]


class Paths(ABC):
    """Finds the ways of paths. emit: takes parameters and body of a function, gives its name."""

    def __init__(self, model: Model, emit: Callable[[str, str], str]) -> None:
        self.model, self._emit = model, emit
        self._count, self._resource, self._may_resolve = 0, "", False
        self._allowed: Mapping[str, Collection[str]] = {}

    def start(self, type_: str, allowed: Mapping[str, Collection[str]]) -> Way:
        """The element v of a new expression. Names start anew, so that equal parts make equal functions."""
        self._count, self._resource, self._allowed = 0, type_.partition(".")[0], allowed
        return Way("v", "v", type_)

    @abstractmethod
    def condition_of(self, tree: Tree, focus: Way) -> str:
        """A Python expression that is true where an expression is."""

    def ways(self, tree: Tree, focus: Way, *, is_first: bool = True) -> Ways:
        """The ways from the focus to the elements of a path."""
        match tree.kind, tree.value:
            case "name", name:
                is_type = is_first and name[0].isupper() and self.model.is_a(focus.type, name)
                return (focus,) if is_type else self._children((focus,), name)
            case "this", "$this":
                return (focus,)
            case "variable", "resource" if self._resource in self.model.resources:
                return (Way("", "c.resource", self._resource, is_far=True),)
            case "call", _:
                return self._step((focus,), tree)
            case "type", "as":
                return self._of_type(self.ways(tree.parts[0], focus, is_first=is_first), tree.parts[1])
            case "path", _:
                left, step = self.ways(tree.parts[0], focus, is_first=is_first), tree.parts[1]
                is_union = step.kind == "call" and step.value == "combine"
                return left + self.ways(step.parts[0], focus) if is_union else self._step(left, step)
        raise Untranslatable

    def _step(self, ways: Ways, step: Tree) -> Ways:
        match step.kind, step.value:
            case "name", name:
                return self._children(ways, name)
            case "call", "where":
                return tuple(self.filtered(way, step.parts[0]) for way in ways)
            case "call", "ofType" | "as":
                return self._of_type(ways, step.parts[0])
            case "call", "trace":
                return ways
            case "call", "resolve" if self._may_resolve:
                return tuple(self._target(way) for way in ways)
            case "call", "select":
                return tuple(_joined(way, end) for way in ways for end in self.ways(step.parts[0], way.end))
            case "call", "extension":
                known = self._children(ways, "extension")
                test = f".get('url') == {text_of(step)!r}:"
                return tuple(_longer(way, f"if {way.name}{test}") for way in known)
        raise Untranslatable

    def _children(self, ways: Ways, name: str) -> Ways:
        made: list[Way] = []
        for way in ways:
            known = self.model.children(way.type)
            if way.type in _ABSTRACT or not known:
                raise Untranslatable
            if way.type in self.model.primitives:
                if name in known:
                    raise Untranslatable
                continue
            if child := known.get(name):
                made += [self._child(way, child, *variant) for variant in self._variants(way, child)]
        return tuple(made)

    def _variants(self, way: Way, child: Child) -> Iterator[Variant]:
        allowed = self._allowed.get(child.name) if way.name == "v" and not way.lines else None
        for each in child.variants:
            if allowed is None or each.key in allowed:
                yield each

    def _child(self, way: Way, child: Child, key: str, type_: str) -> Way:
        self._count += 1
        name = f"n{self._count}"
        line = f"if ({name} := {way.name}.get({key!r})) is not None:"
        if child.is_many:
            found = f"{way.name}.get({key!r}, ())"
            line = f"for {name} in {f'paid({found}, c)' if way.is_far else found}:"
        return Way(
            way.start,
            name,
            type_,
            (*way.lines, line),
            way.is_many or child.is_many,
            "" if way.lines or not way.start else key,
            way.is_far,
        )

    def _target(self, way: Way) -> Way:
        """What a Reference points at, of any type until ofType() tells it."""
        if way.type != "Reference":
            raise Untranslatable
        self._count += 1
        name = f"n{self._count}"
        far = replace(way, is_far=True)
        return _longer(far, f"for {name} in resolved({way.name}, c):", name=name, type="Resource")

    def filtered(self, way: Way, test: Tree) -> Way:
        return _longer(way, f"if {self.condition_of(test, way.end)}:")

    def _of_type(self, ways: Ways, wanted: Tree) -> Ways:
        if wanted.kind != "name" or not self.model.has(wanted.value):
            raise Untranslatable
        return tuple(cast for way in ways for cast in self._cast(way, wanted.value))

    def _cast(self, way: Way, wanted: str) -> Iterator[Way]:
        """The way, if its end can be of a type. Of which type a resource is shows only when it is there."""
        if way.type != "Resource":
            if self._is_of_type(way.type, wanted):
                yield way
        elif wanted in _ABSTRACT:
            raise Untranslatable
        else:
            yield _longer(way, f"if {way.name}['resourceType'] == {wanted!r}:", type=wanted)

    def _is_of_type(self, type_: str, wanted: str) -> bool:
        # A primitive is cast to its very type only, as by the closures.
        return type_ == wanted if type_ in self.model.primitives else self.model.is_a(type_, wanted)

    def function(self, ways: Ways, found: Found, otherwise: str, first: str = "") -> str:
        """A call of a new function that goes all ways. found: the lines it does for an element, by its variable."""
        lines = [first] if first else []
        for way in ways:
            lines += [_INDENT * depth + line for depth, line in enumerate(way.lines)]
            lines += [_INDENT * len(way.lines) + line for line in found(way.name)]
        start = next((way.start for way in ways if way.start), "")
        if any(len(way.lines) > _MOST_BLOCKS for way in ways):
            raise Untranslatable
        name = self._emit(f"{start or '_'}, c", "\n".join(map(readable, [*lines, otherwise])))
        return f"{name}({start or None}, c)"


def readable(text: str) -> str:
    """The text, if Python's parser takes it. Raises Untranslatable for too many brackets within each other."""
    if text.count("(") > _MOST_BRACKETS:
        brackets = re.sub(r"[^()]", "", _STRINGS.sub("", text))
        depths = accumulate(1 if bracket == "(" else -1 for bracket in brackets)
        if max(depths) > _MOST_BRACKETS:
            raise Untranslatable
    return text


def text_of(call: Tree) -> str:
    if len(call.parts) != 1 or not isinstance(call.parts[0].value, str) or call.parts[0].kind != "literal":
        raise Untranslatable
    return call.parts[0].value


def _longer(way: Way, line: str, **changes: str) -> Way:
    return replace(way, lines=(*way.lines, line), key="", **changes)  # type: ignore[arg-type]


def _joined(way: Way, end: Way) -> Way:
    """A way and one that starts at its end."""
    if end.start != way.name:
        raise Untranslatable
    return replace(end, start=way.start, lines=way.lines + end.lines, is_many=way.is_many or end.is_many, key="")
