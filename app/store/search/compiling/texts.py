"""Strings and uris: what begins in a way is a range of the key, so no LIKE; only :contains and ends look at every row
of the type and parameter."""

from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_

from app.store.index.values import STRING_LENGTH, folded
from app.store.search.tree import Address, Text

# No text of ours goes on with it, and every other letter is before it.
_LAST = "\U0010ffff"


def string(row: Any, value: Text) -> ColumnElement[bool]:
    """Whether a row of SearchString is like that."""
    column: ColumnElement[str] = row.value
    match value.how:
        case "exact":
            return and_(column == folded(value.text)[:STRING_LENGTH], row.exact == value.text)
        case "equals":
            return column == value.text
        case "contains":
            return column.contains(value.text, autoescape=True)
        case "ends":
            # The end of a longer text is not kept folded.
            return and_(column.endswith(value.text, autoescape=True), func.length(column) < STRING_LENGTH)
    return _begins(column, value.text)


def uri(row: Any, value: Address) -> ColumnElement[bool]:
    """Whether a row of SearchUri is that uri, or below it."""
    column: ColumnElement[str] = row.value
    if value.how == "equals":
        return column == value.uri
    below = _begins(column, value.uri if value.uri.endswith("/") else f"{value.uri}/")
    return or_(column == value.uri, below)


def _begins(column: Any, text: str) -> ColumnElement[bool]:
    return and_(column >= text, column < text + _LAST)
