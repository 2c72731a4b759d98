"""The type of a column of words: text for FTS5 of SQLite, a tsvector with positions for PostgreSQL."""

from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.types import TypeDecorator, TypeEngine

# What a tsvector can hold: places up to this one, and so many of each word.
_LAST_PLACE, _MOST_PLACES = 16_383, 255


class Words(TypeDecorator[str]):
    """Words joined by spaces. On PostgreSQL they become a tsvector here: its own parser would split them anew."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(TSVECTOR() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return tsvector(value) if value is not None and dialect.name == "postgresql" else value


def tsvector(text: str) -> str:
    """Words as the text form of a tsvector. They hold letters and digits only, so nothing needs quoting."""
    places: dict[str, list[str]] = {}
    for place, word in enumerate(text.split(" ") if text else (), 1):
        known = places.setdefault(word, [])
        if len(known) < _MOST_PLACES:
            known.append(str(min(place, _LAST_PLACE)))
    return " ".join(f"{word}:{','.join(found)}" for word, found in places.items())
