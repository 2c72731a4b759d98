"""A resource that is being patched: plain values to work on, and every number as it was written."""

import json
from decimal import Decimal
from typing import Any

import msgspec

from app.fhir.json import dumps


class Document:
    """tree: the resource, decimals exact. Decimal keeps the digits of 1.50, though not the form of 1e-7; so the text
    of each is remembered with the very object that was made from it."""

    def __init__(self) -> None:
        self.tree: Any = None
        self._written: dict[int, tuple[Decimal, str]] = {}

    @classmethod
    def read(cls, text: bytes) -> "Document":
        """The document of a text that was parsed before."""
        made = cls()
        made.tree = json.loads(text, parse_float=made._decimal, parse_int=made._integer)
        return made

    def text(self) -> bytes:
        """The JSON text of the tree as it is now."""
        return dumps(self._as_written(self.tree))

    def _decimal(self, text: str) -> Decimal:
        value = Decimal(text)
        self._written[id(value)] = (value, text)
        return value

    def _integer(self, text: str) -> int | Decimal:
        # An int has no negative zero.
        return self._decimal(text) if text == "-0" else int(text)

    def _as_written(self, node: Any) -> Any:
        if type(node) is dict:
            return {name: self._as_written(value) for name, value in node.items()}
        if type(node) is list:
            return [self._as_written(value) for value in node]
        if type(node) is Decimal and id(node) in self._written:
            return msgspec.Raw(self._written[id(node)][1].encode())
        return node
