"""The functions of FHIRPath that translations know: those that give true or false, and those that give a value.

Each takes the translator, what stands before the call (None: nothing), the call, and the element it is made on.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from app.fhir.fhirpath.model import Model
from app.fhir.fhirpath.native.values import Scalar, Truth, class_of
from app.fhir.fhirpath.native.ways import Found, Untranslatable, Way, Ways, text_of
from app.fhir.fhirpath.syntax import Tree

_FEW = 3


class Translating(Protocol):
    """What the functions need of a Translator."""

    model: Model

    def truth(self, tree: Tree, focus: Way) -> Truth: ...

    def scalar(self, tree: Tree, focus: Way) -> Scalar: ...

    def single(self, ways: Ways) -> Scalar: ...

    def text(self, left: Tree | None, focus: Way) -> Scalar: ...

    def found(self, left: Tree | None, focus: Way) -> Ways: ...

    def ways(self, tree: Tree, focus: Way) -> Ways: ...

    def filtered(self, way: Way, test: Tree) -> Way: ...

    def function(self, ways: Ways, found: Found, otherwise: str, first: str = "") -> str: ...


def exists(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Truth:
    before, inner = method(left) if left else (None, None)
    if before and inner and inner.value == "intersect" and not call.parts:
        found = _meeting(t, t.ways(before, focus), t.ways(inner.parts[0], replace(focus, is_far=True)))
    else:
        ways = tuple(way for part in _united(left) for way in t.found(part, focus))
        found = _any(t, tuple(t.filtered(way, call.parts[0]) for way in ways) if call.parts else ways)
    return Truth(f"({found})", f"(not {found})")


def _any(t: Translating, ways: Ways) -> str:
    if not ways:
        return "False"
    if all(way.key for way in ways):
        # An element that is there has content, so looking for its name is enough.
        keys = [way.key for way in ways]
        few = " or ".join(f"{key!r} in {ways[0].start}" for key in keys)
        return f"({few})" if len(keys) <= _FEW else f"has_any({ways[0].start}, {tuple(keys)!r})"
    if not ways[0].lines:
        return f"({ways[0].name} is not None)"
    return t.function(ways, lambda _: ["return True"], "return False")


def _meeting(t: Translating, some: Ways, others: Ways) -> str:
    """Whether an element at the end of some ways equals one at the end of others."""
    ways = tuple(
        replace(other, start=way.start, lines=(*way.lines, *other.lines, f"if {_equality(t, way, other)}:"))
        for way in some
        for other in others
    )
    return t.function(ways, lambda _: ["return True"], "return False") if ways else "False"


def _equality(t: Translating, one: Way, other: Way) -> str:
    """Whether two elements are equal. Where both have a code, most differ in that already."""
    equal = f"are_equal({one.name}, {other.name})"
    if one.type != other.type or "code" not in t.model.children(one.type):
        return equal
    return f"{one.name}.get('code') == {other.name}.get('code') and {equal}"


def empty(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Truth:
    found = exists(t, left, call, focus)
    return found.negated


def negation(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Truth:
    if left is None:
        raise Untranslatable
    found = t.truth(left, focus)
    return found.negated


def all_of(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Truth:
    ways = t.found(left, focus)
    if len(ways) != 1 or not ways[0].lines:
        raise Untranslatable
    test = t.truth(call.parts[0], ways[0].end).true
    found = t.function(ways, lambda _: [f"if not {test}: return False"], "return True")
    return Truth(found, f"(not {found})")


def matches(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Truth:
    found = f"matches({text_of(call)!r}, {t.text(left, focus).code})"
    return Truth(f"({found} is True)", f"({found} is False)")


def has_text(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Truth:
    value, part = t.text(left, focus).code, repr(text_of(call))
    given, test = f"{value} is not None", f"{part} in {value}"
    if call.value != "contains":
        test = f"{value}.{call.value.lower()}({part})"
    return Truth(f"({given} and {test})", f"({given} and not {test})")


def has_value(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Truth:
    value = t.single(t.found(left, focus))
    if value.kind not in t.model.primitives:
        raise Untranslatable
    return Truth(f"({value.code} is not None)", f"({value.code} is None)")


def is_distinct(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Truth:
    ways = _texts(t, left, focus)
    found = t.function(
        ways, lambda name: [f"if {name} in seen: return False", f"seen.add({name})"], "return True", "seen = set()"
    )
    return Truth(found, f"(not {found})")


def _texts(t: Translating, left: Tree | None, focus: Way) -> Ways:
    """Ways to strings, which are equal where Python says so."""
    ways = t.found(left, focus)
    if not ways or any(class_of(t.model, way.type) != "string" for way in ways):
        raise Untranslatable
    return ways


def length(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Scalar:
    return Scalar(f"length({t.text(left, focus).code})", "Integer")


def lower(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Scalar:
    return Scalar(f"lower({t.text(left, focus).code})", "String")


def to_string(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Scalar:
    value = t.scalar(left, focus) if left else Scalar(focus.name, focus.type)
    if class_of(t.model, value.kind) not in ("string", "date"):
        raise Untranslatable
    return Scalar(value.code, "String")


def count(t: Translating, left: Tree | None, call: Tree, focus: Way) -> Scalar:
    before, inner = method(left) if left else (None, None)
    if inner and inner.value == "distinct":
        ways = _texts(t, before, focus)
        counted = t.function(ways, lambda name: [f"seen.add({name})"], "return len(seen)", "seen = set()")
        return Scalar(counted, "Count")
    ways = t.found(left, focus)
    counted = t.function(ways, lambda _: ["count += 1"], "return count", "count = 0") if ways else "0"
    return Scalar(counted, "Count")


def method(tree: Tree) -> tuple[Tree | None, Tree | None]:
    """`left.call()` as left and call; a call alone has no left."""
    if tree.kind == "call":
        return None, tree
    if tree.kind == "path" and tree.parts[1].kind == "call":
        return tree.parts[0], tree.parts[1]
    return None, None


def _united(tree: Tree | None) -> Iterator[Tree | None]:
    """The parts of a | b: for whether there is anything in them, what they have in common does not matter."""
    if tree and tree.kind == "binary" and tree.value == "|":
        for part in tree.parts:
            yield from _united(part)
    else:
        yield tree


_Test = Callable[[Translating, Tree | None, Tree, Way], Truth]
TESTS: dict[str, _Test] = {
    "exists": exists,
    "empty": empty,
    "not": negation,
    "all": all_of,
    "matches": matches,
    "startsWith": has_text,
    "endsWith": has_text,
    "contains": has_text,
    "hasValue": has_value,
    "isDistinct": is_distinct,
}
_Value = Callable[[Translating, Tree | None, Tree, Way], Scalar]
VALUES: dict[str, _Value] = {"length": length, "lower": lower, "toString": to_string, "count": count}
