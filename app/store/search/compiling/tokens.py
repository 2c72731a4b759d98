"""Tokens: a primary key that begins with type, param, value, system serves them."""

from typing import Any

from sqlalchemy import ColumnElement, and_

from app.store.index.values import indexed
from app.store.search.tree import Codes


def token(row: Any, value: Codes) -> ColumnElement[bool]:
    """Whether a row of SearchToken is one of the codes."""
    conditions = []
    if value.codes is not None:
        wanted = [indexed(code) for code in value.codes]
        conditions.append(row.value == wanted[0] if len(wanted) == 1 else row.value.in_(wanted))
    if value.system is not None:
        conditions.append(row.system == indexed(value.system))
    return and_(*conditions)
