"""The one door in: check everything, then save everything, or nothing.

Every write, whichever way it came, passes here: the same validation, and one transaction with the versions, their
search values, outbox items, audit rows and the remembered answer to an Idempotency-Key.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from app.fhir import json as lossless
from app.fhir.canonicals import claimed_profiles
from app.fhir.instants import instant
from app.fhir.outcomes import Issue, PreconditionFailed, Refused
from app.intake.conditions import Conditions, locks, pairs
from app.intake.definitions import LOCK, DefinitionsChanged, PostedDefinitions
from app.intake.links import checkable, linked
from app.intake.writes import ANY_VERSION, Caller, Write, Written, misaddressed
from app.store import idempotency, repository
from app.store.database import Connection, Database, Lock, Unavailable
from app.store.idempotency import Answer
from app.store.parameters import SearchParameters
from app.store.repository import Change, Stored
from app.store.search import Searcher
from app.validation.packages.shapes import DEFINITION_TYPES

LARGE = 100_000  # bytes
_ATTEMPTS = 5


class Checker(Protocol):
    """What validation offers to this door."""

    def check(self, resource: dict[str, Any], *, profiles: Sequence[str] = ()) -> list[Issue]: ...

    def problems(self, resource: dict[str, Any]) -> list[Issue]: ...


@dataclass(frozen=True, slots=True)
class Intake:
    """The door, with what it needs: store, rules, posted definitions, targets to tell, clock (microseconds) and ids."""

    database: Database
    checker: Checker
    definitions: PostedDefinitions
    parameters: SearchParameters
    searcher: Searcher
    targets_of: Callable[[str], Sequence[str]]
    clock: Callable[[], int]
    new_id: Callable[[], str]

    async def accept(
        self, writes: Sequence[Write], caller: Caller, answer: Callable[[list[Written]], Answer]
    ) -> Answer:
        """Do all the writes in one transaction and give the answer made from what became of them.

        The same Idempotency-Key with the same request gets the first answer again and nothing is done.
        Raises Refused (or a kind of it) with every issue; then nothing was changed.
        """
        if not any(write.type in DEFINITION_TYPES for write in writes):
            return await self._accept(writes, caller, answer)
        made = await self.recall(caller) or await self._accept_definitions(writes, caller, answer)
        await self.definitions.written()
        return made

    async def _accept_definitions(
        self, writes: Sequence[Write], caller: Caller, answer: Callable[[list[Written]], Answer]
    ) -> Answer:
        """Like _accept. What others did to definitions in between may change the judgement, so it is made anew."""
        # One after the other, so that only other processes can come in between.
        async with self.definitions.turn:
            for _ in range(_ATTEMPTS):
                await self.definitions.look()
                with suppress(DefinitionsChanged):
                    return await self._accept(writes, caller, answer, self.definitions.state)
        raise Unavailable("definitions keep changing")

    async def _accept(
        self,
        writes: Sequence[Write],
        caller: Caller,
        answer: Callable[[list[Written]], Answer],
        state: int | None = None,
    ) -> Answer:
        """state: the definitions by which those among the writes are judged."""
        warnings = await self._checked(writes, is_thorough=caller.wants_outcome)
        async with self.database.writing() as connection:
            # All locks at once: they are taken in one order, so no two transactions wait for each other.
            own = [Lock(f"idempotency {caller.idempotency_key}")] if caller.idempotency_key else []
            kept = [LOCK] if state is not None else []
            await self.database.lock(connection, [*own, *kept, *(lock for write in writes for lock in locks(write))])
            if state is not None:
                await self.definitions.require_state(connection, state)
            if replay := own and await idempotency.recall(connection, caller.idempotency_key, caller.request_hash):
                return replay
            written = await self._write(connection, writes, caller)
            made = answer([replace(w, warnings=tuple(warnings[i])) for i, w in enumerate(written)])
            if caller.idempotency_key:
                key = caller.idempotency_key
                await idempotency.remember(connection, key, caller.request_hash, made, self.clock())
            return made

    async def recall(self, caller: Caller) -> Answer | None:
        """The answer already given to this Idempotency-Key, so that nothing has to be checked again."""
        if not caller.idempotency_key:
            return None
        async with self.database.reading() as connection:
            return await idempotency.recall(connection, caller.idempotency_key, caller.request_hash)

    def check(self, writes: Sequence[Write]) -> list[list[Issue]]:
        """The warnings about each write. Raises Refused if any has an error."""
        return _without_errors(self._all_issues(writes, is_thorough=True))

    async def _checked(self, writes: Sequence[Write], *, is_thorough: bool) -> list[list[Issue]]:
        """By the definitions of now, posted ones among them; these are judged as definitions too.

        is_thorough: warnings are asked for too; otherwise what the fast gate admits is not looked at again.
        """
        if any(write.type not in DEFINITION_TYPES or claimed_profiles(write.tree) for write in writes):
            await self.definitions.refresh(write.tree for write in writes)
        found = _without_errors(await self._found(writes, is_thorough=is_thorough))
        about = await self.definitions.judge(writes)
        return _without_errors([[*issues, *more] for issues, more in zip(found, about, strict=True)])

    async def _found(self, writes: Sequence[Write], *, is_thorough: bool) -> list[list[Issue]]:
        # What takes long to check must not keep the others waiting.
        is_large = sum(len(write.text) for write in writes) > LARGE or self.definitions.has_profiles
        look = partial(self._all_issues, writes, is_thorough=is_thorough)
        return await asyncio.to_thread(look) if is_large else look()

    def _all_issues(self, writes: Sequence[Write], *, is_thorough: bool) -> list[list[Issue]]:
        look = self.checker.check if is_thorough else self.checker.problems
        return [self._issues(write, look) for write in writes]

    def _issues(self, write: Write, look: Callable[[dict[str, Any]], list[Issue]]) -> list[Issue]:
        if write.tree is None:
            return []
        where = f"{write.path}.resource" if write.path else ""
        issues = [
            *misaddressed(write.tree, write.type, write.id if write.method == "PUT" else ""),
            *look(checkable(write)),
        ]
        return [issue.within(where) if where else issue for issue in issues]

    async def _write(self, connection: Connection, writes: Sequence[Write], caller: Caller) -> list[Written]:
        conditions = Conditions(self.searcher, connection, caller.base)
        matches = [await conditions.match(w.type, w.if_none_exist, w.path) if w.if_none_exist else "" for w in writes]
        placed = [replace(w, id=match or w.id or self.new_id()) for w, match in zip(writes, matches, strict=True)]
        _refuse_twice(placed, matches)
        placed = await linked(placed, conditions)
        current = await repository.read_all(connection, [(w.type, w.id) for w in placed])
        done = [
            self._existing(w, current) if match else self._next(w, current.get((w.type, w.id)))
            for w, match in zip(placed, matches, strict=True)
        ]
        changes = [
            Change(written.stored, _tree(write, written), self.targets_of(write.type))
            for write, written in zip(placed, done, strict=True)
            if written.outcome in ("created", "updated", "deleted")
        ]
        await repository.save(
            connection,
            changes,
            parameters=self.parameters,
            actor=caller.actor,
            request_id=caller.request_id,
            base=caller.base,
        )
        return done

    def _existing(self, write: Write, current: Mapping[repository.Key, Stored]) -> Written:
        stored = current[write.type, write.id]
        if stored.deleted:
            told = f"The {write.type} that matched was deleted at the same moment."
            raise PreconditionFailed([Issue("conflict", told, write.path)])
        return Written("existing", stored)

    def _next(self, write: Write, current: Stored | None) -> Written:
        """The version this write makes of the current one, or the current one if nothing changes."""
        _require_match(write, current)
        if write.method == "DELETE":
            return self._deletion(write, current)
        if current and not current.deleted and write.method == "POST":
            raise PreconditionFailed([Issue("conflict", f"{write.type}/{write.id} exists already.", write.path)])
        if current and current.content is not None and lossless.same_content(write.text, current.content):
            return Written("unchanged", current)
        version, now = (current.version if current else 0) + 1, self.clock()
        text = lossless.splice(write.text, resource_id=write.id, version=version, last_updated=instant(now))
        stored = Stored(write.type, write.id, version, write.method, now, text)
        return Written("updated" if current and not current.deleted else "created", stored)

    def _deletion(self, write: Write, current: Stored | None) -> Written:
        now = self.clock()
        if current is None or current.deleted:
            return Written("unchanged", current or Stored(write.type, write.id, 0, "DELETE", now, None))
        return Written("deleted", Stored(write.type, write.id, current.version + 1, "DELETE", now, None))


def _without_errors(found: list[list[Issue]]) -> list[list[Issue]]:
    if errors := [issue for issues in found for issue in issues if issue.is_error]:
        raise Refused(errors)
    return found


def _require_match(write: Write, current: Stored | None) -> None:
    if write.if_match is None:
        return
    if current is None or (write.if_match == ANY_VERSION and current.deleted):
        told = f"{write.type}/{write.id} is not here."
        raise PreconditionFailed([Issue("conflict", told, write.path, rule="dmt-version")])
    if write.if_match not in (ANY_VERSION, current.version):
        text = f"If-Match asks for version {write.if_match}, the current one is {current.version}."
        raise PreconditionFailed([Issue("conflict", text, write.path, rule="dmt-version")])


def _refuse_twice(placed: Sequence[Write], matches: Sequence[str]) -> None:
    """R4 3.1.0.11.2: a transaction must not name one resource twice, be it by id or by condition."""
    seen: set[repository.Key] = set()
    twice = []
    for write, match in zip(placed, matches, strict=True):
        names = {(write.type, write.id)}
        if write.if_none_exist and not match:
            names.add((write.type, f"?{sorted(pairs(write.if_none_exist))}"))
        if names & seen:
            told = f"Another entry concerns the same {write.type}."
            twice.append(Issue("duplicate", told, write.path, rule="dmt-bundle-twice"))
        seen |= names
    if twice:
        raise Refused(twice)


def _tree(write: Write, written: Written) -> dict[str, Any] | None:
    return None if written.stored.deleted or write.tree is None else {**write.tree, "id": write.id}
