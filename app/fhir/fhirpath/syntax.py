"""Reads FHIRPath text into a syntax tree (FHIRPath 2.0.0, section 12: grammar)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from app.fhir.fhirpath.errors import ExpressionError

MAX_LENGTH = 20_000
MAX_NESTING = 100
MAX_DIGITS = 60


@dataclass(frozen=True, slots=True)
class Tree:
    """One node. kind: literal, quantity, temporal, empty, name, this, variable, call, path, index, sign, binary, type.

    value: the literal, the name or the operator; parts: operands, or the arguments of a call.
    """

    kind: str
    value: Any = None
    parts: tuple["Tree", ...] = ()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int


_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<temporal>@(?:T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?|\d{4}(?:-\d\d(?:-\d\d)?)?(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?(?:Z|[+-]\d\d:\d\d)?)?))
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<quoted>`(?:[^`\\]|\\.)*`)
    |(?P<variable>%(?:[A-Za-z_][A-Za-z0-9_\-]*|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`))
    |(?P<this>\$[a-z]+)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<symbol><=|>=|!=|!~|[-+*/&|<>=~.,(){}\[\]])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("implies",),
    ("or", "xor"),
    ("and",),
    ("in", "contains"),
    ("=", "~", "!=", "!~"),
    ("<=", "<", ">", ">="),
    ("|",),
    ("is", "as"),
    ("+", "-", "&"),
    ("*", "/", "div", "mod"),
)
_LEVEL = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}
CALENDAR_WORDS = frozenset(
    word + plural
    for word in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
)


@lru_cache(maxsize=4096)
def parse(text: str) -> Tree:
    """The syntax tree of an expression. Raises ExpressionError telling the place where reading stopped."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH} characters")
    return _Reader(text, _tokens(text)).whole()


def unescape(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    mark = match[1]
    return chr(int(mark[1:], 16)) if len(mark) == 5 else _ESCAPES.get(mark, mark)


def _tokens(text: str) -> list[_Token]:
    found, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if not match or (text.startswith("/*", place) and match.lastgroup == "symbol"):
            raise ExpressionError(f"cannot read the expression at character {place + 1}")
        if match.lastgroup != "space":
            found.append(_Token(str(match.lastgroup), match[0], place))
        place = match.end()
    return [*found, _Token("end", "", len(text))]


class _Reader:
    def __init__(self, text: str, tokens: Sequence[_Token]) -> None:
        self.text, self.tokens, self.place, self.depth = text, tokens, 0, 0

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def whole(self) -> Tree:
        tree = self.expression()
        if self.next.kind != "end":
            self.fail("the end of the expression")
        return tree

    def expression(self, level: int = 0) -> Tree:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise ExpressionError("the expression is nested too deeply")
        tree = self.operators(self.signed(), level)
        self.depth -= 1
        return tree

    def operators(self, left: Tree, level: int) -> Tree:
        while True:
            operator = self.next.text if self.next.kind in ("symbol", "name") else ""
            found = _LEVEL.get(operator)
            if found is None or found < level:
                return left
            self.place += 1
            if operator in ("is", "as"):
                left = Tree("type", operator, (left, self.type_name()))
            else:
                left = Tree("binary", operator, (left, self.expression(found + 1)))

    def signed(self) -> Tree:
        if self.next.kind == "symbol" and self.next.text in "+-":
            sign = self.take().text
            return Tree("sign", sign, (self.signed(),))
        return self.postfix(self.term())

    def postfix(self, tree: Tree) -> Tree:
        while self.next.kind == "symbol" and self.next.text in ".[":
            if self.take().text == ".":
                tree = Tree("path", None, (tree, self.invocation()))
            else:
                tree = Tree("index", None, (tree, self.expression()))
                self.expect("]")
        return tree

    def term(self) -> Tree:
        token = self.next
        if token.kind in ("name", "quoted", "this"):
            return self.invocation()
        self.place += 1
        match token.kind, token.text:
            case "number", text if len(text) <= MAX_DIGITS:
                return self.number(Decimal(text) if "." in text else int(text))
            case "string", text:
                return Tree("literal", unescape(text[1:-1]))
            case "temporal", text:
                return Tree("temporal", text)
            case "variable", text:
                return Tree("variable", unescape(text[2:-1]) if text[1] in "'`" else text[1:])
            case "symbol", "(":
                tree = self.expression()
                self.expect(")")
                return tree
            case "symbol", "{":
                self.expect("}")
                return Tree("empty")
        self.place -= 1
        return self.fail("a value, a name or a function")

    def number(self, value: int | Decimal) -> Tree:
        if self.next.kind == "string":
            return Tree("quantity", (Decimal(value), unescape(self.take().text[1:-1]), False))
        if self.next.kind == "name" and self.next.text in CALENDAR_WORDS:
            return Tree("quantity", (Decimal(value), self.take().text, True))
        return Tree("literal", value)

    def invocation(self) -> Tree:
        token = self.take()
        if token.kind == "this":
            if token.text not in ("$this", "$index", "$total"):
                self.fail("$this, $index or $total")
            return Tree("this", token.text)
        if token.kind not in ("name", "quoted"):
            self.place -= 1
            return self.fail("a name")
        name = unescape(token.text[1:-1]) if token.kind == "quoted" else token.text
        if token.kind == "name" and name in ("true", "false") and self.next.text != "(":
            return Tree("literal", name == "true")
        if self.next.text != "(" or self.next.kind != "symbol":
            return Tree("name", name)
        self.place += 1
        return Tree("call", name, self.arguments())

    def arguments(self) -> tuple[Tree, ...]:
        found: list[Tree] = []
        while not self.met(")"):
            if found:
                self.expect(",")
            found.append(self.expression())
        return tuple(found)

    def type_name(self) -> Tree:
        tree = self.invocation()
        while self.met("."):
            tree = Tree("path", None, (tree, self.invocation()))
        return tree

    def take(self) -> _Token:
        self.place += 1
        return self.tokens[self.place - 1]

    def met(self, symbol: str) -> bool:
        if self.next.kind == "symbol" and self.next.text == symbol:
            self.place += 1
            return True
        return False

    def expect(self, symbol: str) -> None:
        if not self.met(symbol):
            self.fail(f"'{symbol}'")

    def fail(self, expected: str) -> Tree:
        raise ExpressionError(f"expected {expected} at character {self.next.start + 1}")
