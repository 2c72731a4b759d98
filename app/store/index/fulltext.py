"""Full text for _text and _content, by the database's own engine: FTS5 of SQLite, text search of PostgreSQL.

Words are letters and digits between anything else, without regard to case and accents; they are taken apart here, so
that both engines find the same. Of a very long text the first part is indexed.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import col

from app.profiles import r4
from app.store.index.values import folded
from app.store.index.words import read
from app.store.tables import SearchText

PARAMETERS = {"_text": "narrative", "_content": "content"}
# PostgreSQL holds at most 1 MB of words per row.
LENGTH = 200_000
_WORD = re.compile(r"[^\W_]+")
_LONGEST_WORD = 100
_MARKUP = re.compile(r"""<(?>[^>"']|"[^"]*"|'[^']*')*>""")
_TEXT_TYPES = {"string", "markdown", "code"}


def text_row(resource: Mapping[str, Any]) -> dict[str, str]:
    """The words of the narrative, and of all there is to read in a resource."""
    narrative, meta = resource.get("text"), resource.get("meta")
    if isinstance(meta, dict) and "versionId" in meta:
        # What a client has read and sends back has the number of the version before.
        resource = {**resource, "meta": {name: value for name, value in meta.items() if name != "versionId"}}
    div = narrative.get("div") if isinstance(narrative, dict) else None
    return {
        "narrative": _joined([_readable(div)]) if isinstance(div, str) else "",
        "content": _joined(_texts(resource)),
    }


def _joined(texts: Iterable[str]) -> str:
    found: list[str] = []
    left = 2 * LENGTH
    for text in texts:
        found.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    # All at once: there are many short ones.
    return " ".join(words_of(" ".join(found)))[:LENGTH]


def words_of(text: str) -> list[str]:
    """The words of a text as they are indexed."""
    return [word[:_LONGEST_WORD] for word in _WORD.findall(folded(text))]


def _texts(node: Any) -> Iterator[str]:
    """Every text of a resource, in document order."""
    for name, value in node.items():
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, dict):
                yield from _texts(each)
            elif isinstance(each, str) and name in _text_names():
                yield each
            elif isinstance(each, str) and name == "div":
                yield _readable(each)


def _readable(div: str) -> str:
    return html.unescape(_MARKUP.sub(" ", div[: LENGTH * 4]))


@cache
def _text_names() -> frozenset[str]:
    """The names of elements that hold text or codes somewhere in R4. A reference is a link, a type a type."""
    found = set()
    for definition in r4()["types"].values():
        for element in definition["element"]:
            name = element["path"].rpartition(".")[2]
            for code in _TEXT_TYPES & {each["code"] for each in element.get("type", ())}:
                found.add(name.replace("[x]", code[0].upper() + code[1:]))
    return frozenset(found) - {"reference", "resourceType"}


def check(text: str) -> None:
    """Raises ValueError, fit for the end of a sentence, for a text that cannot be searched."""
    read(text, words_of)


def matches(parameter: str, text: str, vid: Any) -> ColumnElement[bool]:
    """Whether the version with this row number has the words, for _text or _content. Raises ValueError like check."""
    query = read(text, words_of)
    column = col(getattr(SearchText, PARAMETERS[parameter]))
    found = select(SearchText.vid).where(_has_words(column, literal(query.fts5), literal(query.tsquery)))  # type: ignore[call-overload]
    belongs: ColumnElement[bool] = vid.in_(found)
    return belongs


class _has_words(FunctionElement[Any]):  # noqa: N801 (reads as a function of SQL)
    """column, query for SQLite, query for PostgreSQL."""

    # Of no declared type: SQLAlchemy would compare a boolean with 1, and MATCH can only stand alone.
    inherit_cache = True


@compiles(_has_words, "sqlite")
def _sqlite(element: _has_words, compiler: Any, **options: Any) -> str:
    column, query, _ = element.clauses
    return f"{compiler.process(column, **options)} MATCH {compiler.process(query, **options)}"


@compiles(_has_words, "postgresql")
def _postgresql(element: _has_words, compiler: Any, **options: Any) -> str:
    column, _, query = element.clauses
    return f"{compiler.process(column, **options)} @@ CAST({compiler.process(query, **options)} AS tsquery)"
