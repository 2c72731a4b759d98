"""Columns and indexes that tables have in common."""

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, String, text
from sqlmodel import Field

# SQLite numbers rows by itself only where the key is exactly INTEGER.
KEY = BigInteger().with_variant(Integer, "sqlite")


def key() -> Column[int]:
    return Column(KEY, primary_key=True, autoincrement=True)


def where(condition: str) -> dict[str, Any]:
    """The options of an index that holds some rows only."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# Prefixes are looked up in indexes, and order must not depend on the language of the database.
BYTEWISE = String().with_variant(String(collation="C"), "postgresql")


def text_key() -> Any:
    return Field(sa_column=Column(BYTEWISE, primary_key=True))


def vid_key() -> Any:
    return Field(sa_column=Column(BigInteger, primary_key=True))


def big(*, nullable: bool = False) -> Column[int]:
    return Column(BigInteger, nullable=nullable)
