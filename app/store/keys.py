"""Naming many resources in one statement, so that an index finds each."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, and_, or_


def among(type_column: Any, id_column: Any, keys: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    """Whether a row is of one of the resources; there must be some.

    Type by type: SQLite reads a whole index for pairs in a list.
    """
    by_type: dict[str, list[str]] = {}
    for resource_type, resource_id in keys:
        by_type.setdefault(resource_type, []).append(resource_id)
    return or_(*(and_(type_column == name, id_column.in_(ids)) for name, ids in by_type.items()))
