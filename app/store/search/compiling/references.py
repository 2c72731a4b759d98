"""References: the key begins with type, param, target_id."""

from typing import Any

from sqlalchemy import ColumnElement, and_

from app.store.search.tree import Target


def reference(row: Any, value: Target) -> ColumnElement[bool]:
    """Whether a row of SearchReference leads there; an id alone is that of any type here."""
    of_type = row.target_type != "" if value.type is None else row.target_type == value.type
    return and_(row.target_id == value.id, of_type)
