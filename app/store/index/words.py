r"""Text queries: words, "phrases in quotes", beginnings of words (neuro*), AND, OR, NOT and parentheses (R4 3.1.1.4.1).

Words side by side are all wanted. What one engine cannot do, the other need not: a query must ask for something that
is there.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r'\s*(?:"(?P<phrase>[^"]*)"?|(?P<sign>[()])|(?P<word>[^\s()"]+))')
_MOST_PARTS, _MOST_DEPTH = 100, 20
Words = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Query:
    """A query in the languages of both engines. negated: what must not be there; only between things that must."""

    fts5: str
    tsquery: str
    negated: bool = False


def read(text: str, words_of: Words) -> Query:
    """The query of a text. Raises ValueError for one that asks for nothing, or is not well formed."""
    reader = _Reader(text, words_of)
    found = reader.either()
    if reader.place < len(reader.tokens):
        raise ValueError("it has a parenthesis without its other half")
    if found is None:
        raise ValueError("expected at least one word")
    if found.negated:
        raise ValueError("expected something to look for beside what must not be there")
    return found


class _Reader:
    def __init__(self, text: str, words_of: Words) -> None:
        self.tokens = [(str(token.lastgroup), token[token.lastgroup or 0]) for token in _TOKEN.finditer(text)]
        self.place, self._depth, self._words_of = 0, 0, words_of
        if len(self.tokens) > _MOST_PARTS:
            raise ValueError(f"expected at most {_MOST_PARTS} words and signs")

    def _is(self, *wanted: str) -> bool:
        return self.place < len(self.tokens) and self.tokens[self.place][1].upper() in wanted and self._is_bare()

    def _is_bare(self) -> bool:
        return self.tokens[self.place][0] != "phrase"

    def either(self) -> Query | None:
        parts = [self._all()]
        while self._is("OR"):
            self.place += 1
            parts.append(self._all())
        known = [each for each in parts if each is not None]
        if len(known) < len(parts) and len(parts) > 1:
            raise ValueError("expected a word on both sides of OR")
        if len(known) > 1 and any(each.negated for each in known):
            raise ValueError("expected NOT after something to look for")
        return _joined(known, " OR ", " | ") if known else None

    def _all(self) -> Query | None:
        wanted: list[Query] = []
        unwanted: list[Query] = []
        while self.place < len(self.tokens) and not self._is("OR", ")"):
            if self._is("AND"):
                self.place += 1
                continue
            found = self._one()
            if found is not None:
                (unwanted if found.negated else wanted).append(found)
        if not wanted:
            return unwanted[0] if unwanted else None
        found = _joined(wanted, " AND ", " & ")
        for each in unwanted:
            found = Query(f"({found.fts5} NOT {each.fts5})", f"({found.tsquery} & !{each.tsquery})")
        return found

    def _one(self) -> Query | None:
        if self._is("NOT"):
            self.place += 1
            if self.place == len(self.tokens) or self._is("OR", "AND", "NOT", ")"):
                raise ValueError("expected a word after NOT")
            found = self._one()
            return found and Query(found.fts5, found.tsquery, negated=True)
        kind, text = self.tokens[self.place]
        self.place += 1
        if kind != "sign":
            return _phrase(self._words_of(text), is_beginning=kind == "word" and text.endswith("*"))
        return self._inner()

    def _inner(self) -> Query | None:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise ValueError("it has too many parentheses")
        found = self.either()
        if not self._is(")"):
            raise ValueError("it has a parenthesis without its other half")
        self.place += 1
        self._depth -= 1
        if found and found.negated:
            raise ValueError("expected something to look for beside what must not be there")
        return found


def _phrase(words: Sequence[str], *, is_beginning: bool) -> Query | None:
    """Words that follow each other; is_beginning: of the last one only the beginning is given."""
    if not words:
        return None
    star, prefix = (" *", ":*") if is_beginning else ("", "")
    following = " <-> ".join(f"'{word}'" for word in words) + prefix
    return Query(f'"{" ".join(words)}"{star}', f"({following})")


def _joined(parts: Sequence[Query], fts5: str, tsquery: str) -> Query:
    if len(parts) == 1:
        return parts[0]
    return Query(f"({fts5.join(each.fts5 for each in parts)})", f"({tsquery.join(each.tsquery for each in parts)})")
