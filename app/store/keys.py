"""Naming many resources in one statement, so that an index finds each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, or_

# What one statement names at most: SQLite takes 32,766 variables, PostgreSQL 32,767.
_CHUNK = 1_000
_Named = TypeVar("_Named")


def chunks(values: Sequence[_Named]) -> Iterator[Sequence[_Named]]:
    """The values in parts, each no more than one statement may name."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def among(type_column: Any, id_column: Any, keys: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    """Whether a row is of one of the resources; there must be some.

    Type by type: SQLite reads a whole index for pairs in a list.
    """
    by_type: dict[str, list[str]] = {}
    for resource_type, resource_id in keys:
        by_type.setdefault(resource_type, []).append(resource_id)
    return or_(*(and_(type_column == name, id_column.in_(ids)) for name, ids in by_type.items()))
