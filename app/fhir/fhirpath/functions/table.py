"""How a function call is compiled: the table of functions and the two ways they take arguments."""

from collections.abc import Callable
from typing import Any

from app.fhir.fhirpath.errors import ExpressionError
from app.fhir.fhirpath.model import Model
from app.fhir.fhirpath.nodes import Frame, Step
from app.fhir.fhirpath.syntax import Tree

Items = list[Any]
Plain = Callable[..., Items]
Special = Callable[[Tree, Callable[[Tree], Step], Model], Step]

_PLAIN: dict[str, tuple[Plain, range]] = {}
_SPECIAL: dict[str, tuple[Special, range]] = {}


def function(name: str, *, least: int = 0, most: int | None = None) -> Callable[[Plain], Plain]:
    """Register `make(frame, focus, *arguments)`: arguments are evaluated first, each to a list of items."""

    def register(make: Plain) -> Plain:
        _PLAIN[name] = (make, range(least, (least if most is None else most) + 1))
        return make

    return register


def special(name: str, *, least: int = 0, most: int | None = None) -> Callable[[Special], Special]:
    """Register a function that compiles its own arguments: loops, type names."""

    def register(make: Special) -> Special:
        _SPECIAL[name] = (make, range(least, (least if most is None else most) + 1))
        return make

    return register


def names() -> frozenset[str]:
    return frozenset(_PLAIN) | frozenset(_SPECIAL)


def compile_call(tree: Tree, step: Callable[[Tree], Step], model: Model) -> Step:
    """The closure of one call. Raises ExpressionError for an unknown name or a wrong number of arguments."""
    if tree.value in _SPECIAL:
        make_special, counts = _SPECIAL[tree.value]
        _check_count(tree, counts)
        return make_special(tree, step, model)
    if tree.value not in _PLAIN:
        raise ExpressionError(f"{tree.value}() is not a known function")
    make, counts = _PLAIN[tree.value]
    _check_count(tree, counts)
    return _with_arguments(make, [step(part) for part in tree.parts])


def _check_count(tree: Tree, counts: range) -> None:
    if len(tree.parts) not in counts:
        raise ExpressionError(f"{tree.value}() takes {counts[0]} to {counts[-1]} arguments")


def _with_arguments(make: Plain, arguments: list[Step]) -> Step:
    if not arguments:
        return make
    if len(arguments) == 1:
        only = arguments[0]
        return lambda frame, focus: make(frame, focus, only(frame, [frame.this]))

    def call(frame: Frame, focus: Items) -> Items:
        return make(frame, focus, *(argument(frame, [frame.this]) for argument in arguments))

    return call
