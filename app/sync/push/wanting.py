"""What a target is to be told of: the current version of a resource judged by its types, filters and profiles."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

from app.fhir import json as lossless
from app.fhir.outcomes import Refused
from app.store.database import Connection
from app.store.outbox import Item
from app.store.repository import Key
from app.store.search import Searcher, matching_ids


class Choosing(Protocol):
    """What is asked of a target here."""

    @property
    def filters(self) -> Sequence[str]: ...

    @property
    def profiles(self) -> Sequence[str]: ...

    @property
    def chosen_types(self) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class Wanting:
    """Judges for one target. A type that has filters is to meet one of them; a profile is one it claims itself."""

    searcher: Searcher
    target: Choosing

    async def __call__(self, connection: Connection, items: Sequence[Item]) -> set[Key]:
        """Those of the items, none of which is a deletion, that the target wants. Raises Refused while the index that a
        filter needs is being made."""
        chosen = self.target.chosen_types
        named = [item for item in items if not chosen or item.type in chosen]
        wanted = [item for item in named if not self.target.profiles or _claims(item, self.target.profiles)]
        queries = self._queries()
        found = {item.key for item in wanted if item.type not in queries}
        for resource_type, asked in queries.items():
            ids = [item.id for item in wanted if item.type == resource_type]
            for query in asked if ids else ():
                found |= await self._matching(connection, resource_type, query, ids)
        return found

    async def _matching(self, connection: Connection, resource_type: str, query: str, ids: Sequence[str]) -> set[Key]:
        given = [*parse_qsl(query, keep_blank_values=True), ("_id", ",".join(ids))]
        asked = self.searcher.parse(resource_type, given, strict=True)
        return {(resource_type, each) for each in await matching_ids(connection, asked, limit=len(ids))}

    def _queries(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for each in self.target.filters:
            name, _, query = each.partition("?")
            found.setdefault(name, []).append(query)
        return found


def _claims(item: Item, profiles: Collection[str]) -> bool:
    """Whether a resource claims one of the profiles, in any version of it."""
    meta = lossless.parse_object(item.content or b"{}").get("meta", {})
    return any(each.partition("|")[0] in profiles or each in profiles for each in meta.get("profile", []))


def problem_of(searcher: Searcher, filter_: str) -> str:
    """What is wrong with a filter such as "Observation?category=survey", "" if nothing is."""
    name, _, query = filter_.partition("?")
    try:
        searcher.parse(name, parse_qsl(query, keep_blank_values=True), strict=True)
    except Refused as refused:
        return " ".join(issue.diagnostics for issue in refused.issues)
    return ""
