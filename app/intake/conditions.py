"""Conditions of a write: a search that decides which resource is meant, or whether one is made."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from app.fhir.outcomes import Issue, PreconditionFailed, Refused
from app.intake.writes import Write
from app.store.database import Connection, Lock
from app.store.lookups import Sought, holders, sought
from app.store.search import CONTROL, Searcher, codes, matching_ids

_IDENTIFIER = "identifier"


def locks(write: Write) -> Iterator[Lock]:
    """What a write must hold so that conditions see it, and it sees what they made, one after the other.

    A condition on identifiers meets every write of a resource with one of their values; any other condition meets
    every write of its type.
    """
    if write.id:
        yield from of_resource(write.type, write.id, is_deletion=write.method == "DELETE")
    given = pairs(write.search)
    values = [code for name, value in given if name == _IDENTIFIER for code in codes(value)]
    yield Lock(f"{write.type}?", shared=not given or (bool(values) and all(values)))
    values += [str(one.get("value")) for one in identifiers(write.tree or {})]
    yield from (Lock(f"{write.type}?{value}") for value in values)


def of_type(resource_type: str) -> Lock:
    """Held alone, it keeps everybody else from writing any resource of the type."""
    return Lock(f"{resource_type}?")


def of_resource(resource_type: str, resource_id: str, *, is_deletion: bool = False) -> Iterator[Lock]:
    """What whoever changes a resource holds; whoever deletes it keeps out those who are about to refer to it, too."""
    yield Lock(f"{resource_type}/{resource_id}")
    if is_deletion:
        yield replace(referred(resource_type, resource_id), shared=False)


def referred(resource_type: str, resource_id: str) -> Lock:
    """What all who refer to a resource hold together, so that it is not deleted meanwhile."""
    return Lock(f"{resource_type}/{resource_id} is here", shared=True)


def is_held(lock: Lock, held: frozenset[Lock]) -> bool:
    """Whether somebody who has these locks has this one, too."""
    # Whoever holds a type alone keeps away everybody who would change or delete one of its resources.
    whole = of_type(re.split("[/?]", lock.name)[0])
    return lock in held or replace(lock, shared=False) in held or whole in held


def pairs(condition: str) -> list[tuple[str, str]]:
    """The (parameter, value) pairs of a condition, with or without a type before them."""
    return parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True)


def identifiers(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The business identifiers that the search parameter of that name finds: identifier, and masterIdentifier."""
    for name, value in resource.items():
        if name.endswith(("identifier", "Identifier")):
            yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Mapping))


def has_chain(condition: str) -> bool:
    """Whether a condition looks at resources of other types too."""
    return any("." in name or name.startswith("_has") for name, _ in pairs(condition))


def _one_identifier(resource_type: str, condition: str) -> Sought | None:
    """The identifier that is all a condition asks for, as nearly every one does."""
    named, mark, _ = condition.partition("?")
    given = pairs(condition)
    if len(given) != 1 or (mark and named != resource_type):
        return None
    return sought(resource_type, *given[0])


def are_apart(writes: Sequence[Write], asked: Iterable[tuple[str, str]]) -> bool:
    """Whether it can be seen without a search that each of the (type, condition) pairs fits one of the writes at most:
    it asks for one identifier, and only one of them has its value."""
    held = Counter(
        (w.type, value) for w in writes for value in {str(i.get("value")) for i in identifiers(w.tree or {})}
    )
    found = (_one_identifier(type_, condition) for type_, condition in asked)
    return all(one is not None and held[one.type, one.value] < 2 for one in found)


class Conditions:
    """Evaluates conditions inside one write transaction. base: the address of this server's FHIR endpoint."""

    def __init__(self, searcher: Searcher, connection: Connection, base: str) -> None:
        self._searcher = searcher
        self._connection = connection
        self._base = base
        self._known: dict[tuple[str, str], list[str]] = {}

    async def gather(self, asked: Iterable[tuple[str, str]]) -> None:
        """Answer those of the (type, condition) pairs that can be answered together, as things stand now.

        `matches` gives these answers until the next call.
        """
        plain = {(type_, text): one for type_, text in asked if (one := _one_identifier(type_, text))}
        found = await holders(self._connection, plain.values()) if len(plain) > 1 else {}
        self._known = {key: found[one] for key, one in plain.items() if one in found}

    async def matches(self, resource_type: str, condition: str, path: str, *, limit: int) -> list[str]:
        """The ids of the first matches. Raises Refused for a condition that does not select."""
        if (known := self._known.get((resource_type, condition))) is not None:
            return known[:limit]
        named, mark, _ = condition.partition("?")
        if mark and named != resource_type:
            told = f"A condition on {resource_type} cannot search another type."
            raise Refused([Issue("value", told, path, rule="dmt-condition")])
        given = pairs(condition)
        if not given or any(name.partition(":")[0] in CONTROL for name, _ in given):
            told = "A condition needs at least one search parameter, and none that only shapes the answer."
            raise Refused([Issue("value", told, path, rule="dmt-condition")])
        try:
            # An ignored parameter would make the condition wider than the client meant: always strict.
            query = self._searcher.parse(resource_type, given, strict=True, base=self._base)
        except Refused as refused:
            raise Refused(replace(issue, expression=path or issue.expression) for issue in refused.issues) from None
        return await matching_ids(self._connection, query, limit=limit)

    async def match(self, resource_type: str, condition: str, path: str) -> str:
        """The id of the one match, "" if there is none. Raises PreconditionFailed if there are several."""
        found = await self.matches(resource_type, condition, path, limit=2)
        if len(found) > 1:
            text = f"The condition matches several {resource_type} resources."
            raise PreconditionFailed([Issue("multiple-matches", text, path, rule="dmt-condition")])
        return found[0] if found else ""

    async def reference(self, link: str, path: str) -> str:
        """The literal reference that a conditional one such as Patient?identifier=s|v stands for."""
        resource_type = link.partition("?")[0]
        found = await self.match(resource_type, link, path)
        if not found:
            text = f"A conditional reference matches no {resource_type}."
            raise PreconditionFailed([Issue("not-found", text, path, rule="dmt-condition")])
        return f"{resource_type}/{found}"
