"""Existence, subsetting, combining (FHIRPath 2.0.0, sections 5.1 to 5.4) and Boolean not."""

from typing import Any

from app.fhir.fhirpath.errors import EvaluationError
from app.fhir.fhirpath.functions.table import Items, function
from app.fhir.fhirpath.nodes import Frame, integer, singleton, system, truth
from app.fhir.fhirpath.operators import distinct, key_of


@function("empty")
def empty(frame: Frame, focus: Items) -> Items:
    return [not focus]


@function("not")
def negate(frame: Frame, focus: Items) -> Items:
    value = truth(focus)
    return [] if value is None else [not value]


@function("count")
def count(frame: Frame, focus: Items) -> Items:
    return [len(focus)]


@function("first")
def first(frame: Frame, focus: Items) -> Items:
    return focus[:1]


@function("last")
def last(frame: Frame, focus: Items) -> Items:
    return focus[-1:]


@function("tail")
def tail(frame: Frame, focus: Items) -> Items:
    return focus[1:]


@function("skip", least=1)
def skip(frame: Frame, focus: Items, amount: Items) -> Items:
    return focus[max(integer(amount) or 0, 0) :]


@function("take", least=1)
def take(frame: Frame, focus: Items, amount: Items) -> Items:
    return focus[: max(integer(amount) or 0, 0)]


@function("single")
def single(frame: Frame, focus: Items) -> Items:
    singleton(focus)
    return focus


@function("distinct")
def only_distinct(frame: Frame, focus: Items) -> Items:
    return distinct(focus)


@function("isDistinct")
def is_distinct(frame: Frame, focus: Items) -> Items:
    return [len(distinct(focus)) == len(focus)]


@function("union", least=1)
def union(frame: Frame, focus: Items, other: Items) -> Items:
    return distinct(focus + other)


@function("combine", least=1, most=2)
def combine(frame: Frame, focus: Items, other: Items, keep_order: Items | None = None) -> Items:
    frame.spend(len(focus) + len(other))
    return focus + other


@function("intersect", least=1)
def intersect(frame: Frame, focus: Items, other: Items) -> Items:
    if not focus or not other:
        return []
    wanted = _keys(other)
    return [item for item in distinct(focus) if key_of(item) in wanted]


@function("exclude", least=1)
def exclude(frame: Frame, focus: Items, other: Items) -> Items:
    unwanted = _keys(other)
    return [item for item in focus if key_of(item) not in unwanted]


@function("subsetOf", least=1)
def subset_of(frame: Frame, focus: Items, other: Items) -> Items:
    return [_keys(focus) <= _keys(other)]


@function("supersetOf", least=1)
def superset_of(frame: Frame, focus: Items, other: Items) -> Items:
    return [_keys(focus) >= _keys(other)]


def _keys(items: Items) -> set[Any]:
    return {key_of(item) for item in items}


def _booleans(focus: Items) -> list[bool]:
    values = [system(item) for item in focus]
    if not all(isinstance(value, bool) for value in values):
        raise EvaluationError("Booleans are needed")
    return values


@function("allTrue")
def all_true(frame: Frame, focus: Items) -> Items:
    return [all(_booleans(focus))]


@function("anyTrue")
def any_true(frame: Frame, focus: Items) -> Items:
    return [any(_booleans(focus))]


@function("allFalse")
def all_false(frame: Frame, focus: Items) -> Items:
    return [not any(_booleans(focus))]


@function("anyFalse")
def any_false(frame: Frame, focus: Items) -> Items:
    return [not all(_booleans(focus))]
