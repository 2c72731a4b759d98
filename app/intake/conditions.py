"""Conditions of a write: "only if none exists", and references by search instead of by id."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from app.fhir.outcomes import Issue, PreconditionFailed, Refused
from app.store.database import Connection
from app.store.search import Searcher, matching_ids


class Conditions:
    """Evaluates conditions inside one write transaction."""

    def __init__(self, searcher: Searcher, connection: Connection, base: str) -> None:
        self._searcher = searcher
        self._connection = connection
        self._base = base

    def locks(self, resource_type: str, condition: str, tree: Mapping[str, Any] | None) -> Iterator[str]:
        """Names to lock so that two writes on the same condition follow one another.

        One name per value searched for, so that system|value and value alone meet.
        """
        if condition:
            for name, value in parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True):
                yield f"{resource_type}?{name}={value.rpartition('|')[2]}"

    async def match(self, resource_type: str, condition: str, path: str) -> str:
        """The id of the one match, "" if there is none. Raises PreconditionFailed if there are several."""
        given = parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True)
        if not given:
            raise Refused([Issue("value", "The condition names no search parameter.", path)])
        # An ignored parameter would make the condition wider than the client meant: always strict.
        query = self._searcher.parse(resource_type, given, strict=True, base=self._base)
        found = await matching_ids(self._connection, query)
        if len(found) > 1:
            text = f"The condition matches several {resource_type} resources."
            raise PreconditionFailed([Issue("multiple-matches", text, path)])
        return found[0] if found else ""

    async def reference(self, link: str, path: str) -> str:
        """The literal reference that a conditional one such as Patient?identifier=s|v stands for."""
        resource_type = link.partition("?")[0]
        found = await self.match(resource_type, link, path)
        if not found:
            text = f"A conditional reference matches no {resource_type}."
            raise PreconditionFailed([Issue("not-found", text, f"{path}.resource")])
        return f"{resource_type}/{found}"
