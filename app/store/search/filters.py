"""The `_filter` parameter: an expression of comparisons with and, or, not (R4 3.1.3)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.store.index.definitions import SearchParameter
from app.store.search.criteria import SPECIAL, Criteria, missing
from app.store.search.tree import All, Criterion, Field, Match, No, Range, Some, TooCostly, Unlike, Unserved, Value
from app.store.search.values import read, string

# SQLite parses about 17 parentheses inside each other.
_MOST_TERMS, _MOST_DEPTH = 64, 10
_TOKEN = re.compile(r"""\s*(?:(?P<sign>[()])|"(?P<text>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()"]+))""")
_ORDERED = ("eq", "ne", "gt", "lt", "ge", "le", "ap", "sa", "eb")
_OPERATORS = (*_ORDERED, "co", "sw", "ew", "pr", "po", "ss", "sb", "in", "ni", "re")
_TEXTS = {"eq": "equals", "ne": "equals", "co": "contains", "sw": "starts", "ew": "ends"}
# Operators that are a modifier of a token parameter: what the value subsumes is below it.
_MODIFIERS = {"ss": "below", "sb": "above", "in": "in", "ni": "in", "eq": "", "ne": ""}


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    is_quoted: bool = False


@dataclass(slots=True)
class _Reader:
    """Goes through the words of a filter once."""

    criteria: Criteria
    words: list[_Word]
    place: int = 0
    terms: int = 0
    depth: int = 0

    def peek(self) -> str:
        """The next word, "" at the end and for a quoted text."""
        word = self.words[self.place] if self.place < len(self.words) else _Word("")
        return "" if word.is_quoted else word.text

    def take(self, expected: str) -> _Word:
        if self.place == len(self.words):
            raise ValueError(f"it ends where {expected} was expected")
        self.place += 1
        return self.words[self.place - 1]

    def take_sign(self, sign: str) -> None:
        if self.take(sign).text != sign:
            raise ValueError(f"{sign} was expected at word {self.place}")


def filtered(criteria: Criteria, types: tuple[str, ...], text: str) -> Criterion:
    """The criterion of a filter. Raises ValueError for what is no filter, or what is not supported in one."""
    reader = _Reader(criteria, list(_words(text)))
    found = _either(reader, types)
    if reader.place < len(reader.words):
        raise ValueError(f"and, or, or the end was expected at word {reader.place + 1}")
    return found


def _words(text: str) -> Iterator[_Word]:
    place, text = 0, text.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ValueError("a text without its closing quotation mark")
        place = found.end()
        if found["text"] is not None:
            yield _Word(re.sub(r"\\(.)", r"\1", found["text"]), is_quoted=True)
        else:
            yield _Word(found[0].strip())


def _either(reader: _Reader, types: tuple[str, ...]) -> Criterion:
    parts = [_both(reader, types)]
    while reader.peek() == "or":
        reader.place += 1
        parts.append(_both(reader, types))
    return parts[0] if len(parts) == 1 else Some(tuple(parts))


def _both(reader: _Reader, types: tuple[str, ...]) -> Criterion:
    parts = [_one(reader, types)]
    while reader.peek() == "and":
        reader.place += 1
        parts.append(_one(reader, types))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _one(reader: _Reader, types: tuple[str, ...]) -> Criterion:
    is_not = reader.peek() == "not"
    reader.place += is_not
    if reader.peek() == "(":
        found = _inside(reader, types)
        return No(found) if is_not else found
    if is_not:
        raise ValueError("expected ( after not")
    return _comparison(reader, types)


def _inside(reader: _Reader, types: tuple[str, ...]) -> Criterion:
    reader.take_sign("(")
    reader.depth += 1
    if reader.depth > _MOST_DEPTH:
        raise TooCostly(f"a filter goes at most {_MOST_DEPTH} parentheses deep")
    found = _either(reader, types)
    reader.take_sign(")")
    reader.depth -= 1
    return found


def _comparison(reader: _Reader, types: tuple[str, ...]) -> Criterion:
    reader.terms += 1
    if reader.terms > _MOST_TERMS:
        raise TooCostly(f"a filter has at most {_MOST_TERMS} comparisons")
    path, operator, value = reader.take("a parameter"), reader.take("an operator"), reader.take("a value")
    if "[" in path.text or "]" in path.text:
        raise ValueError("filters in brackets are not supported")
    if operator.text not in _OPERATORS or operator.is_quoted:
        raise ValueError(f"{operator.text[:20]} is no operator; they are {', '.join(_OPERATORS)}")
    links = path.text.split(".")
    if len(links) > reader.criteria.most_links + 1:
        raise TooCostly(f"a chain of more than {reader.criteria.most_links} links is not followed")
    return _path(reader.criteria, types, links, operator.text, value.text)


def _path(criteria: Criteria, types: tuple[str, ...], links: list[str], operator: str, value: str) -> Criterion:
    head, *rest = links
    if not rest:
        return _compared(criteria, types, head, operator, value)
    try:
        return criteria.chain(types, head, lambda targets: _path(criteria, targets, rest, operator, value))
    except Unserved as unserved:
        raise ValueError(f"{unserved.name[:40]} is not served for {unserved.types[0]}") from None


def _compared(criteria: Criteria, types: tuple[str, ...], name: str, operator: str, value: str) -> Criterion:
    if name in SPECIAL:
        return _special(criteria, types, name, operator, value)
    try:
        parameter = criteria.of(types, name)
    except Unserved:
        raise ValueError(f"{name[:40]} is not served for {types[0]}") from None
    if operator == "pr":
        # present is the opposite of missing
        return missing(parameter, {"true": "false", "false": "true"}.get(value, value))
    values = tuple(_values(criteria, parameter, operator, value))
    if operator == "ne" and parameter.kind not in ("number", "date", "quantity"):
        values = tuple(Unlike(each) for each in values)
    found = Match(Field(parameter.name, parameter.kind), values)
    return No(found) if operator == "ni" else found


def _values(criteria: Criteria, parameter: SearchParameter, operator: str, value: str) -> list[Value]:
    kind, reading = parameter.kind, criteria.reading
    if kind == "string" and operator in _TEXTS:
        return [string(_TEXTS[operator], value)]
    if kind == "token" and operator in _MODIFIERS:
        return read(parameter, _MODIFIERS[operator], _escaped(value), reading)
    if kind in ("number", "date", "quantity") and operator in _ORDERED:
        return read(parameter, "", operator + _escaped(value), reading)
    if kind == "date" and operator == "po":
        return [Range("ap", each.low, each.high) for each in _ranges(read(parameter, "", _escaped(value), reading))]
    if (kind == "reference" and operator in ("re", "eq", "ne")) or (kind == "uri" and operator in ("eq", "ne")):
        return read(parameter, "", _escaped(value), reading)
    if kind == "uri" and operator in ("sw", "ss"):
        return read(parameter, "below", _escaped(value), reading)
    raise ValueError(f"the operator {operator} cannot compare a {kind} parameter")


def _ranges(values: list[Value]) -> Iterator[Range]:
    return (each for each in values if isinstance(each, Range))


def _special(criteria: Criteria, types: tuple[str, ...], name: str, operator: str, value: str) -> Criterion:
    allowed: Mapping[str, tuple[str, ...]] = {"_id": ("eq", "ne"), "_lastUpdated": _ORDERED}
    if name == "_filter" or operator not in allowed.get(name, ("eq", "co")):
        raise ValueError(f"the operator {operator} cannot compare {name}")
    if name == "_lastUpdated":
        return criteria.parse(types, name, operator + _escaped(value))
    found = criteria.parse(types, name, _escaped(value))
    return No(found) if operator == "ne" else found


def _escaped(value: str) -> str:
    """A value of a filter, in which only | separates, as a value of a parameter."""
    return re.sub(r"([\\,$])", r"\\\1", value)
