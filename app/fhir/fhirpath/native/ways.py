"""The ways of a translation from an element to other elements, and the Python that goes them."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from app.fhir.fhirpath.model import Child, Model, Variant
from app.fhir.fhirpath.syntax import Tree

_INDENT = "    "


class Untranslatable(Exception):
    """The expression has a part that is left to the closures."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way from a start to elements: lines that open loops and conditions, and the variable and type at its end.

    key: the JSON name, where the way is a single step.
    """

    start: str
    name: str
    type: str
    lines: tuple[str, ...] = ()
    is_many: bool = False
    key: str = ""

    @property
    def end(self) -> "Way":
        """The element at the end as a start of its own."""
        return Way(self.name, self.name, self.type)


Ways = tuple[Way, ...]
Found = Callable[[str], list[str]]


class Paths:
    """Finds the ways of paths. emit: takes parameters and body of a function, gives its name.

    is_many: whether a type's element, by its JSON name, may repeat.
    """

    def __init__(self, model: Model, is_many: Callable[[str, str], bool], emit: Callable[[str, str], str]) -> None:
        self.model, self._is_many, self._emit = model, is_many, emit
        self._count, self._resource = 0, ""
        self._allowed: Mapping[str, Collection[str]] = {}

    def start(self, type_: str, allowed: Mapping[str, Collection[str]]) -> Way:
        """The element v of a new expression. Names start anew, so that equal parts make equal functions."""
        self._count, self._resource, self._allowed = 0, type_.partition(".")[0], allowed
        return Way("v", "v", type_)

    def condition_of(self, tree: Tree, focus: Way) -> str:
        """A Python expression that is true where an expression is. Translator gives it."""
        raise NotImplementedError

    def ways(self, tree: Tree, focus: Way, *, is_first: bool = True) -> Ways:
        """The ways from the focus to the elements of a path."""
        match tree.kind, tree.value:
            case "name", name:
                is_type = is_first and name[0].isupper() and self.model.is_a(focus.type, name)
                return (focus,) if is_type else self._children((focus,), name)
            case "this", "$this":
                return (focus,)
            case "variable", "resource" if self._resource in self.model.resources:
                return (Way("", "c.resource", self._resource),)
            case "call", _:
                return self._step((focus,), tree)
            case "type", "as":
                return self._of_type(self.ways(tree.parts[0], focus, is_first=is_first), tree.parts[1])
            case "path", _:
                return self._step(self.ways(tree.parts[0], focus, is_first=is_first), tree.parts[1])
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
            case "call", "select":
                return tuple(_joined(way, end) for way in ways for end in self.ways(step.parts[0], way.end))
            case "call", "extension":
                known = self._children(ways, "extension")
                test = f".get('url') == {text_of(step)!r}:"
                return tuple(replace(way, lines=(*way.lines, f"if {way.name}{test}"), key="") for way in known)
        raise Untranslatable

    def _children(self, ways: Ways, name: str) -> Ways:
        made: list[Way] = []
        for way in ways:
            known = self.model.children(way.type)
            if way.type in ("Resource", "DomainResource") or not known:
                raise Untranslatable
            if way.type in self.model.primitives:
                if name in known:
                    raise Untranslatable
                continue
            made += [self._child(way, *variant) for variant in self._variants(way, known.get(name))]
        return tuple(made)

    def _variants(self, way: Way, child: Child | None) -> Iterator[Variant]:
        allowed = self._allowed.get(child.name) if child and way.name == "v" and not way.lines else None
        for each in child.variants if child else ():
            if allowed is None or each.key in allowed:
                yield each

    def _child(self, way: Way, key: str, type_: str) -> Way:
        self._count += 1
        name, is_many = f"n{self._count}", self._is_many(way.type, key)
        line = f"if ({name} := {way.name}.get({key!r})) is not None:"
        if is_many:
            line = f"for {name} in {way.name}.get({key!r}, ()):"
        return Way(
            way.start,
            name,
            type_,
            (*way.lines, line),
            way.is_many or is_many,
            "" if way.lines or not way.start else key,
        )

    def filtered(self, way: Way, test: Tree) -> Way:
        return replace(way, lines=(*way.lines, f"if {self.condition_of(test, way.end)}:"), key="")

    def _of_type(self, ways: Ways, wanted: Tree) -> Ways:
        if wanted.kind != "name" or not self.model.has(wanted.value):
            raise Untranslatable
        return tuple(way for way in ways if self._is_of_type(way.type, wanted.value))

    def _is_of_type(self, type_: str, wanted: str) -> bool:
        # A primitive is cast to its very type only, as by the closures.
        return type_ == wanted if type_ in self.model.primitives else self.model.is_a(type_, wanted)

    def function(self, ways: Ways, found: Found, otherwise: str, first: str = "") -> str:
        """A call of a new function that goes all ways. found: the lines it does for an element, by its variable."""
        lines = [first] if first else []
        for way in ways:
            lines += [_INDENT * depth + line for depth, line in enumerate(way.lines)]
            lines += [_INDENT * len(way.lines) + line for line in found(way.name)]
        start = ways[0].start
        name = self._emit(f"{start or '_'}, c", "\n".join([*lines, otherwise]))
        return f"{name}({start or None}, c)"


def text_of(call: Tree) -> str:
    if len(call.parts) != 1 or not isinstance(call.parts[0].value, str) or call.parts[0].kind != "literal":
        raise Untranslatable
    return call.parts[0].value


def _joined(way: Way, end: Way) -> Way:
    """A way and one that starts at its end."""
    if end.start != way.name:
        raise Untranslatable
    return replace(end, start=way.start, lines=way.lines + end.lines, is_many=way.is_many or end.is_many, key="")
