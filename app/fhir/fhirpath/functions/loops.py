"""Functions that evaluate their argument once per item."""

from collections.abc import Callable, Iterator
from typing import Any

from app.fhir.fhirpath.errors import EvaluationError
from app.fhir.fhirpath.functions.table import Items, special
from app.fhir.fhirpath.model import Model
from app.fhir.fhirpath.nodes import Frame, Step, singleton, system, truth
from app.fhir.fhirpath.operators import compare, key_of
from app.fhir.fhirpath.syntax import Tree
from app.fhir.fhirpath.types import compile_is, compile_of_type, type_name

Compile = Callable[[Tree], Step]


def each(frame: Frame, focus: Items, step: Step) -> Iterator[tuple[Any, Items]]:
    """Every item with what the step gives for it, with $this and $index set while it runs."""
    frame.spend(len(focus))
    this, index = frame.this, frame.index
    try:
        for place, item in enumerate(focus):
            frame.this, frame.index = item, place
            if not frame.trusts_patterns:
                frame.look()
            yield item, step(frame, [item])
    finally:
        frame.this, frame.index = this, index


@special("where", least=1)
def _where(tree: Tree, step: Compile, model: Model) -> Step:
    test = step(tree.parts[0])

    def where(frame: Frame, focus: Items) -> Items:
        return [item for item, found in each(frame, focus, test) if truth(found)] if focus else []

    return where


@special("exists", least=0, most=1)
def _exists(tree: Tree, step: Compile, model: Model) -> Step:
    if not tree.parts:
        return lambda frame, focus: [bool(focus)]
    test = step(tree.parts[0])
    return lambda frame, focus: [True in {truth(found) for _, found in each(frame, focus, test)}]


@special("all", least=1)
def _all(tree: Tree, step: Compile, model: Model) -> Step:
    test = step(tree.parts[0])
    return lambda frame, focus: [{truth(found) for _, found in each(frame, focus, test)} <= {True}]


@special("select", least=1)
def _select(tree: Tree, step: Compile, model: Model) -> Step:
    made = step(tree.parts[0])

    def select(frame: Frame, focus: Items) -> Items:
        selected = [item for _, found in each(frame, focus, made) for item in found]
        frame.spend(len(selected))
        return selected

    return select


@special("repeat", least=1)
def _repeat(tree: Tree, step: Compile, model: Model) -> Step:
    made = step(tree.parts[0])

    def repeat(frame: Frame, focus: Items) -> Items:
        found: dict[Any, Any] = {}
        while focus:
            reached = [item for _, items in each(frame, focus, made) for item in items]
            focus = []
            for item in reached:
                key = key_of(item)
                if key not in found:
                    found[key] = item
                    focus.append(item)
        return list(found.values())

    return repeat


@special("aggregate", least=1, most=2)
def _aggregate(tree: Tree, step: Compile, model: Model) -> Step:
    made = step(tree.parts[0])
    start = step(tree.parts[1]) if len(tree.parts) > 1 else None

    def aggregate(frame: Frame, focus: Items) -> Items:
        before = frame.total
        frame.total = start(frame, [frame.this]) if start else []
        try:
            for _, found in each(frame, focus, made):
                frame.total = found
            return frame.total
        finally:
            frame.total = before

    return aggregate


@special("iif", least=2, most=3)
def _iif(tree: Tree, step: Compile, model: Model) -> Step:
    test, then, *rest = (step(part) for part in tree.parts)

    def iif(frame: Frame, focus: Items) -> Items:
        if len(focus) > 1:
            raise EvaluationError("iif needs one value")
        this = frame.this
        frame.this = focus[0] if focus else None
        try:
            holds = singleton(test(frame, focus))
            if holds is not None and not isinstance(holds, bool):
                raise EvaluationError("iif needs a Boolean criterion")
            chosen = then if holds else rest[0] if rest else None
            return chosen(frame, focus) if chosen else []
        finally:
            frame.this = this

    return iif


@special("trace", least=1, most=2)
def _trace(tree: Tree, step: Compile, model: Model) -> Step:
    for part in tree.parts:
        step(part)
    return lambda frame, focus: focus


@special("sort", least=0, most=20)
def _sort(tree: Tree, step: Compile, model: Model) -> Step:
    parts = [(part.kind == "sign" and part.value == "-", part) for part in tree.parts]
    keys = [(backwards, step(part.parts[0] if backwards else part)) for backwards, part in parts]

    def sort(frame: Frame, focus: Items) -> Items:
        items = list(focus)
        for backwards, key in reversed(keys or [(False, _itself)]):
            made = [found for _, found in each(frame, items, key)]
            places = sorted(range(len(items)), key=lambda place: _Sortable(made[place]), reverse=backwards)
            items = [items[place] for place in places]
        return items

    return sort


def _itself(frame: Frame, focus: Items) -> Items:
    return focus


class _Sortable:
    """Orders by compare; what is empty comes first."""

    def __init__(self, items: Items) -> None:
        self.value = [system(item) for item in items[:1] if system(item) is not None]

    def __lt__(self, other: "_Sortable") -> bool:
        if not self.value or not other.value:
            return not self.value and bool(other.value)
        return compare(self.value, other.value) == -1


@special("is", least=1)
def _is(tree: Tree, step: Compile, model: Model) -> Step:
    return compile_is(type_name(tree.parts[0], model))


@special("as", least=1)
def _as(tree: Tree, step: Compile, model: Model) -> Step:
    # On several values base R4 means a filter (dom-3 does); strict compiling takes compile_as instead.
    return compile_of_type(type_name(tree.parts[0], model))


@special("ofType", least=1)
def _of_type(tree: Tree, step: Compile, model: Model) -> Step:
    return compile_of_type(type_name(tree.parts[0], model))
