"""The parameters that shape the answer: order, pages, totals, parts, included resources (R4 3.1.1.5, 3.1.1.6)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.fhir.subset import SUMMARIES
from app.store.cursors import CURSOR
from app.store.index.definitions import SearchParameter
from app.store.parameters import SearchParameters
from app.store.search.tree import Field, TooCostly

MOST_KEYS, MOST_INCLUDES = 8, 32
# Under these the one who serves the search finds what it has to do with the answer.
PASSED_ON = ("_format", "_pretty")
_TOTALS = ("none", "estimate", "accurate")
_INCLUDES = ("_include", "_revinclude")
_MODIFIERS = ("", "iterate", "recurse")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the order. field None: of the version itself, by its code _id or _lastUpdated."""

    code: str
    field: Field | None = None
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Include:
    """Resources that go with others: those that `param` of a source refers to or, is_reverse, those that refer so.

    param "*": every reference. target "": of any type. is_iterated: asked of included resources too.
    """

    source: str
    param: str
    target: str = ""
    is_reverse: bool = False
    is_iterated: bool = False


@dataclass(slots=True)
class Results:
    """What an answer is to look like. count None: as many as a page has by default."""

    count: int | None = None
    cursor: str = ""
    total: str = "accurate"
    summary: str = "false"
    elements: list[str] = field(default_factory=list)
    order: list[Key] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    given: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Shaping:
    """Reads the parameters that shape an answer. Raises ValueError for a value they cannot have."""

    parameters: SearchParameters

    def take(self, results: Results, types: tuple[str, ...], name: str, value: str) -> None:
        """Take over one parameter of CONTROL."""
        code, _, modifier = name.partition(":")
        if code in _INCLUDES:
            self._include(results, types, code == "_revinclude", modifier, value)
            return
        if modifier:
            raise ValueError(f"the modifier :{modifier[:40]} is not supported here")
        if code in results.given and code not in ("_elements", *PASSED_ON):
            raise ValueError("it is given several times")
        results.given.add(code)
        if code == "_sort":
            results.order = self._order(types, value)
        elif taker := _TAKERS.get(code):
            taker(results, value)

    def _order(self, types: tuple[str, ...], value: str) -> list[Key]:
        keys = [each for each in value.split(",") if each]
        if not keys:
            raise ValueError("a parameter to sort by is missing")
        if len(keys) > MOST_KEYS:
            raise TooCostly(f"at most {MOST_KEYS} sort keys can be given at once")
        return [self._key(types, each) for each in keys]

    def _key(self, types: tuple[str, ...], text: str) -> Key:
        code, is_descending = text.removeprefix("-"), text.startswith("-")
        if code in ("_id", "_lastUpdated"):
            return Key(code, None, is_descending)
        found = [self.parameters.of(each).get(code) for each in types]
        parameter = found[0]
        if parameter is None or any(each is None or each.kind != parameter.kind for each in found):
            raise ValueError(f"{code[:40]} is no parameter of {types[0]}")
        if parameter.kind in ("composite", "special"):
            raise ValueError(f"a {parameter.kind} parameter such as {code[:40]} has no order")
        return Key(code, Field(parameter.name, parameter.kind), is_descending)

    def _include(self, results: Results, types: tuple[str, ...], is_reverse: bool, modifier: str, value: str) -> None:
        if modifier not in _MODIFIERS:
            raise ValueError(f"the modifier :{modifier[:40]} is not supported; :iterate is")
        if len(results.includes) >= MOST_INCLUDES:
            raise TooCostly(f"at most {MOST_INCLUDES} includes can be given at once")
        is_iterated = modifier != ""
        if value == "*":
            results.includes += [Include("*", "*", "", is_reverse, is_iterated)]
            return
        source, _, rest = value.partition(":")
        code, _, target = rest.partition(":")
        self._require_link(source, code, target)
        results.includes.append(Include(source, code, target, is_reverse, is_iterated))

    def _require_link(self, source: str, code: str, target: str) -> None:
        if source not in self.parameters.types:
            raise ValueError(f"{source[:40]} is no R4 resource type; expected Type:parameter or Type:parameter:Target")
        parameter: SearchParameter | None = self.parameters.of(source).get(code)
        if code != "*" and (parameter is None or parameter.kind != "reference"):
            raise ValueError(f"{code[:40]} is no reference parameter of {source}")
        if target and (target not in self.parameters.types or (parameter and target not in parameter.targets)):
            raise ValueError(f"{code} of {source} does not lead to {target[:40]}")


def _count(results: Results, value: str) -> None:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise ValueError("expected a number of 0 or more")
    results.count = int(value)


def _one_of(name: str, allowed: Sequence[str]) -> Callable[[Results, str], None]:
    def taker(results: Results, value: str) -> None:
        if value not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}")
        setattr(results, name, value)

    return taker


def _elements(results: Results, value: str) -> None:
    found = [each for each in value.split(",") if each]
    if not found or not all(each.replace(".", "").replace("-", "").isalnum() and each.isascii() for each in found):
        raise ValueError("expected names of elements, separated by commas")
    results.elements += found


def _cursor(results: Results, value: str) -> None:
    if not value:
        raise ValueError("expected what a page link of this server carries")
    results.cursor = value


_TAKERS: Mapping[str, Callable[[Results, str], None]] = {
    "_count": _count,
    CURSOR: _cursor,
    "_total": _one_of("total", _TOTALS),
    "_summary": _one_of("summary", SUMMARIES),
    "_elements": _elements,
}
CONTROL = (*_TAKERS, "_sort", *_INCLUDES, *PASSED_ON)
# Those that may have been meant by whoever misspelt one.
NAMED = tuple(each for each in CONTROL if each not in (*PASSED_ON, CURSOR))
