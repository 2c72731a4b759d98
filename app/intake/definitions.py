"""Posted StructureDefinitions, ValueSets and CodeSystems: judged when they come in, and kept in force.

The database is the truth. Every process compiles what is in it, at start and whenever it has changed.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from app.fhir import json as lossless
from app.fhir.canonicals import claimed_profiles
from app.fhir.outcomes import Issue
from app.intake.writes import Write
from app.logs import of_error
from app.store import definitions as store
from app.store import repository
from app.store.database import Connection, Database, Lock, Unavailable
from app.store.repository import Key, Stored
from app.store.sight import wholly
from app.validation.packages.definitions import Definitions
from app.validation.packages.shapes import DEFINITION_TYPES
from app.validation.snapshots.broken import Flaw

# How long a change made by another process may stay unseen here.
SECONDS = 2.0
_MAX_ASKED = 10_000
LOCK = Lock("definitions")
_log = structlog.get_logger()


class DefinitionsChanged(Exception):
    """Others have changed definitions between judging some and storing them; judged again they may be fine."""


class PostedDefinitions:
    """The definitions of the database, and the validator that knows them."""

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        *,
        seconds: float = SECONDS,
        own: frozenset[Key] = frozenset(),
    ) -> None:
        """own: those that are stored for reading only; they are in force from the package."""
        self._database, self._definitions, self._seconds, self._own = database, definitions, seconds, own
        self._state = 0
        self._looked_at = float("-inf")
        self._versions: dict[Key, int] = {}
        self._posted: dict[Key, Mapping[str, Any]] = {}
        # Whether there may be profiles of strangers in force: their constraints may take long on any resource.
        self.has_profiles = False
        self._one = asyncio.Lock()
        # Held by whoever judges definitions and stores them.
        self.turn = asyncio.Lock()
        # Profiles found to be unknown since the last look: asking again at once would tell nothing new.
        self._unknown: set[str] = set()

    async def refresh(
        self,
        resources: Iterable[Mapping[str, Any] | None] = (),
        *,
        asked: Iterable[str] = (),
    ) -> None:
        """Before a check: put the definitions of now in force, if they changed here, or, by other processes, a while
        ago.

        resources: what is to be checked; asked: profiles it is to be checked against. One that is not known may be
        new, so it is looked for at once. While the database is away, what was known before holds.
        """
        named = {url for resource in resources for url in claimed_profiles(resource)} | set(asked)
        fresh = {url for url in named - self._unknown if not self._definitions.knows(url)}
        if fresh or time.monotonic() - self._looked_at >= self._seconds:
            with suppress(Unavailable):
                await self.look()
            if len(fresh) < _MAX_ASKED:
                self._unknown |= fresh
        if self._definitions.is_behind:
            async with self._one:
                await self._build()

    async def look(self) -> None:
        """Look for changes now, so that definitions are judged by what is there. They are in force from the next
        refresh on: whoever posts many one by one need not wait for each."""
        async with self._one:
            self._looked_at = time.monotonic()
            self._unknown.clear()
            # What a transaction that asks here has not committed yet must not come into force.
            async with self._database.reading(committed=True) as connection:
                state = await store.state(connection, DEFINITION_TYPES, self._own)
                if state == self._state:
                    return
                versions = await store.versions(connection, DEFINITION_TYPES, self._own)
                changed = [key for key, version in versions.items() if self._versions.get(key) != version]
                # Whoever asks first, they are in force for everybody.
                with wholly():
                    found = await repository.read_all(connection, changed)
            fresh = await asyncio.to_thread(_parsed, found)
            # In the order of first creation: of two with one url the older counts.
            self._posted = {key: fresh.get(key) or self._posted[key] for key in versions}
            self.has_profiles = any(type_ == "StructureDefinition" for type_, _ in versions)
            self._state, self._versions = state, versions
            await self._take()

    async def written(self) -> None:
        """Definitions were written here: they hold from the next request on."""
        try:
            await self.look()
        except Unavailable:
            # What was written stays written, and is found by whoever asks next.
            self._looked_at = float("-inf")

    async def _take(self) -> None:
        try:
            flaws = await asyncio.to_thread(self._definitions.take, list(self._posted.values()))
        except Exception as error:
            # Definitions of strangers must not take the service down: those of before stay in force.
            _log.error("posted definitions cannot be used", **of_error(error))
            return
        for flaw in flaws:
            _log.warning("posted definition not used", definition=flaw.definition, reason=flaw.reason)

    async def _build(self) -> None:
        if not self._definitions.is_behind:
            # Another request has waited for this before.
            return
        try:
            await asyncio.to_thread(self._definitions.build)
        except Exception as error:
            _log.error("posted definitions cannot be used", **of_error(error))

    @property
    def state(self) -> int:
        """Which definitions are in force here."""
        return self._state

    async def require_state(self, connection: Connection, state: int) -> None:
        """Raises DefinitionsChanged if others have changed definitions since they were judged. Hold LOCK before."""
        if await store.state(connection, DEFINITION_TYPES, self._own) != state:
            raise DefinitionsChanged

    async def judge(self, writes: Sequence[Write]) -> list[list[Issue]]:
        """What is to be said of definitions among the writes. An error says that one cannot be used, or that another
        one could not be used any more."""
        found: list[list[Issue]] = [[] for _ in writes]
        if any(write.type in DEFINITION_TYPES for write in writes):
            await self.look()
            told = await asyncio.to_thread(self._judged, writes)
            for place, issue in told:
                found[place].append(_within(issue, writes[place]))
        return found

    def _judged(self, writes: Sequence[Write]) -> list[tuple[int, Issue]]:
        places = [place for place, write in enumerate(writes) if write.type in DEFINITION_TYPES]
        issues: list[tuple[int, Issue]] = []
        changes: dict[str, Mapping[str, Any] | None] = {}
        by_url: dict[str, int] = {}
        for place in places:
            if gone := self._url_before(writes[place]):
                changes[gone], by_url[gone] = None, place
        for place in places:
            tree = writes[place].tree
            if tree is None:
                continue
            if reason := self._definitions.unused(tree):
                issues.append((place, _unused(writes[place].type, reason)))
                continue
            url = str(tree["url"])
            if holder := self._holder(url, writes, place):
                issues.append((place, _double(writes[place].type, holder)))
            changes[url], by_url[url] = tree, place
        found = self._definitions.flaws(changes)
        for flaws in found.values():
            issues += [(_place(flaw, by_url, places), _broken(flaw, writes, by_url)) for flaw in flaws]
        for url, tree in changes.items():
            told = self._definitions.notes(tree, changes) if tree and url not in found else []
            issues += [(by_url[url], _note(each)) for each in told]
        return issues

    def _url_before(self, write: Write) -> str:
        """The url of the definition that a write takes the place of, if it is in force."""
        before = self._posted.get((write.type, write.id))
        return str(before["url"]) if before and not self._definitions.unused(before) else ""

    def _holder(self, url: str, writes: Sequence[Write], place: int) -> str:
        """Who else has a url: a stored resource, or an earlier entry; "" if nobody."""
        if writes[place].if_none_exist:
            # It may find the very resource that has the url; and if two ever had one, the first would count.
            return ""
        touched = {(write.type, write.id) for write in writes if write.id}
        for key, each in self._posted.items():
            if each.get("url") == url and key not in touched:
                return "/".join(key)
        earlier = (write for write in writes[:place] if write.type in DEFINITION_TYPES)
        return next((write.path for write in earlier if (write.tree or {}).get("url") == url), "")


def _parsed(found: Mapping[Key, Stored]) -> dict[Key, Mapping[str, Any]]:
    return {key: lossless.parse_object(one.content or b"{}") for key, one in found.items()}


def _unused(type_: str, reason: str) -> Issue:
    told = f"The {type_} is stored, but plays no part in validation here: {reason}."
    return Issue("informational", told, type_, "warning", "dmt-definition-unused")


def _note(told: str) -> Issue:
    text = f"Of this profile, {told}."
    return Issue("informational", text, "StructureDefinition", "warning", "dmt-definition-unused")


def _double(type_: str, holder: str) -> Issue:
    told = f"{holder} has this url already: change that one, or delete it first."
    return Issue("business-rule", told, f"{type_}.url", rule="dmt-definition-double")


def _place(flaw: Flaw, by_url: Mapping[str, int], places: Sequence[int]) -> int:
    return by_url.get(flaw.definition, places[0])


def _broken(flaw: Flaw, writes: Sequence[Write], by_url: Mapping[str, int]) -> Issue:
    place = by_url.get(flaw.definition)
    tree = writes[place].tree if place is not None else None
    if tree is None:
        # What is stored, and is to stay, could not be used after this.
        told = f"Another profile that is stored here could not be used any more: {flaw}."
        return Issue("business-rule", told, "StructureDefinition.url", rule="dmt-definition-needed")
    path = _path(flaw, tree)
    told = f"{flaw.element}: {flaw.reason}" if flaw.element else flaw.reason
    return Issue("business-rule", f"This profile cannot be used: {told}.", path, rule="dmt-definition")


def _path(flaw: Flaw, tree: Mapping[str, Any]) -> str:
    """Where in the StructureDefinition the element of a flaw is: by its id, else, without ids, by its place."""
    if flaw.place < 0:
        return "StructureDefinition"
    for part in ("differential", "snapshot"):
        ids = [each.get("id") for each in tree.get(part, {}).get("element", ())]
        if flaw.element in ids:
            return f"StructureDefinition.{part}.element[{ids.index(flaw.element)}]"
    return f"StructureDefinition.differential.element[{flaw.place}]"


def _within(issue: Issue, write: Write) -> Issue:
    return issue.within(f"{write.path}.resource") if write.path else issue
