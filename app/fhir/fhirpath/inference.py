"""Finds names in an expression that no element has, before it ever runs: a misspelt constraint would hold for ever."""

from app.fhir.fhirpath.errors import ExpressionError
from app.fhir.fhirpath.model import Model
from app.fhir.fhirpath.syntax import Tree
from app.fhir.fhirpath.types import type_name

# The types an expression may give; None where that is not known.
Types = frozenset[str] | None
_KEEPING = frozenset(
    {"where", "first", "last", "tail", "skip", "take", "single", "distinct", "exclude", "intersect", "trace", "sort"}
)
_KEYS = frozenset({"getResourceKey", "getReferenceKey"})
_LOOPING = frozenset({"where", "exists", "all", "select", "repeat", "sort", "iif", "aggregate", "trace"})
_OPEN = frozenset({"Resource", "DomainResource", "Element", "BackboneElement", ""})


def check_names(tree: Tree, context: str, model: Model) -> None:
    """Check the element names of an expression that runs on a type, e.g. `Observation` or `Timing.repeat`.

    Raises ExpressionError for a name that no possible type has. What cannot be inferred is let pass.
    """
    start = frozenset({context})
    _Inference(model).types(tree, start, start, is_start=True)


def inferred(tree: Tree, types: Types, model: Model) -> Types:
    """The types an expression gives on elements of some types. Raises ExpressionError as check_names does."""
    return _Inference(model).types(tree, types, types, is_start=True)


class _Inference:
    def __init__(self, model: Model) -> None:
        self.model = model

    def types(self, tree: Tree, focus: Types, this: Types, *, is_start: bool) -> Types:
        match tree.kind:
            case "name":
                return self._name(tree.value, focus, is_start)
            case "path":
                left = self.types(tree.parts[0], focus, this, is_start=is_start)
                return self.types(tree.parts[1], left, this, is_start=False)
            case "index":
                self.types(tree.parts[1], this, this, is_start=True)
                return self.types(tree.parts[0], focus, this, is_start=is_start)
            case "call":
                return self._call(tree, focus, this)
            case "type":
                self.types(tree.parts[0], focus, this, is_start=True)
                return self._cast(tree.parts[1]) if tree.value == "as" else None
            case "this":
                return this if tree.value == "$this" else None
        found = [self.types(part, focus, this, is_start=True) for part in tree.parts]
        return self._together(found) if tree.value == "|" else None

    def _name(self, name: str, focus: Types, is_start: bool) -> Types:
        if focus is None or focus & _OPEN:
            return frozenset({name}) if is_start and self.model.has(name) else None
        if is_start and self.model.has(name) and any(self.model.is_a(each, name) for each in focus):
            return focus
        known = [each for each in focus if self.model.children(each)]
        if len(known) < len(focus):
            return None
        variants = [child.variants for each in known if (child := self.model.children(each).get(name))]
        if not variants:
            raise ExpressionError(f"{' or '.join(sorted(focus))} has no element {name}")
        return frozenset(variant.type for each in variants for variant in each)

    def _call(self, tree: Tree, focus: Types, this: Types) -> Types:
        name = tree.value
        if name in ("is", "as", "ofType"):
            return None if name == "is" else self._cast(tree.parts[0])
        if name in _KEYS:
            return frozenset({"string"})
        inner = focus if name in _LOOPING else this
        found = [self.types(part, inner, inner, is_start=True) for part in tree.parts]
        if name in _KEEPING:
            return focus
        if name == "select":
            return found[0]
        if name in ("union", "combine"):
            return self._together([focus, *found])
        return frozenset({"Extension"}) if name == "extension" else None

    def _cast(self, tree: Tree) -> Types:
        wanted = type_name(tree, self.model)
        return frozenset({wanted.name}) if self.model.has(wanted.name) else None

    def _together(self, found: list[Types]) -> Types:
        known = [each for each in found if each is not None]
        return frozenset().union(*known) if len(known) == len(found) else None
