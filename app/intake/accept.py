"""The one door in: check everything, then save everything, or nothing.

Every write, whichever way it came, passes here: the same validation, and one transaction with the versions, their
search values, outbox items, audit rows and the remembered answer to an Idempotency-Key.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from app.fhir import json as lossless
from app.fhir.instants import instant
from app.fhir.outcomes import Gone, Issue, NotFound, PreconditionFailed, Refused
from app.fhir.references import is_conditional, references, rewrite
from app.intake.conditions import Conditions
from app.store import idempotency, repository
from app.store.database import Connection, Database
from app.store.idempotency import Answer
from app.store.parameters import SearchParameters
from app.store.repository import Change, Stored
from app.store.search import Searcher

Method = Literal["POST", "PUT", "DELETE"]
Outcome = Literal["created", "updated", "unchanged", "existing", "deleted"]


class Checker(Protocol):
    """What validation offers to this door."""

    def check(self, resource: dict[str, Any], *, profiles: Sequence[str] = ()) -> list[Issue]: ...


@dataclass(frozen=True, slots=True)
class Write:
    """One write asked for.

    id: the client's for PUT and DELETE; for POST empty, or one that the service itself assigned.
    text: the resource as sent, b"" for DELETE; tree: the same, parsed.
    if_none_exist: the search of a conditional create. path: where it stood, e.g. "Bundle.entry[3]".
    full_url: what other writes of the same transaction call it.
    """

    method: Method
    type: str
    id: str = ""
    text: bytes = b""
    tree: Mapping[str, Any] | None = None
    if_match: int | None = None
    if_none_exist: str = ""
    path: str = ""
    full_url: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write: the version that now stands, and the warnings about it."""

    outcome: Outcome
    stored: Stored
    warnings: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: actor for the audit, request id, and the client's Idempotency-Key with the body it covers."""

    actor: str
    request_id: str
    base: str = ""
    idempotency_key: str = ""
    request_hash: str = ""


@dataclass(frozen=True, slots=True)
class Intake:
    """The door, with what it needs: store, rules, targets to tell, clock (microseconds) and ids."""

    database: Database
    checker: Checker
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
        warnings = self.check(writes)
        async with self.database.writing() as connection:
            if caller.idempotency_key:
                await self.database.lock(connection, [f"idempotency {caller.idempotency_key}"])
                if replay := await idempotency.recall(connection, caller.idempotency_key, caller.request_hash):
                    return replay
            written = await self._write(connection, writes, caller)
            made = answer([replace(w, warnings=tuple(warnings[i])) for i, w in enumerate(written)])
            if caller.idempotency_key:
                key = caller.idempotency_key
                await idempotency.remember(connection, key, caller.request_hash, made, self.clock())
            return made

    def check(self, writes: Sequence[Write]) -> list[list[Issue]]:
        """The warnings about each write. Raises Refused if any has an error."""
        found = [self._issues(write) for write in writes]
        if errors := [issue for issues in found for issue in issues if issue.is_error]:
            raise Refused(errors)
        return found

    def _issues(self, write: Write) -> list[Issue]:
        if write.tree is None:
            return []
        where = f"{write.path}.resource" if write.path else ""
        issues = [*_identity(write), *self.checker.check(_checkable(write))]
        return [issue.within(where) if where else issue for issue in issues]

    async def _write(self, connection: Connection, writes: Sequence[Write], caller: Caller) -> list[Written]:
        conditions = Conditions(self.searcher, connection, caller.base)
        names = [f"{w.type}/{w.id}" for w in writes if w.id] + [
            name for w in writes for name in conditions.locks(w.type, w.if_none_exist, w.tree)
        ]
        await self.database.lock(connection, names)
        matches = [await conditions.match(w.type, w.if_none_exist, w.path) if w.if_none_exist else "" for w in writes]
        placed = [replace(w, id=match or w.id or self.new_id()) for w, match in zip(writes, matches, strict=True)]
        _refuse_twice(placed, matches)
        placed = await _linked(placed, writes, conditions)
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
        return Written("existing", current[write.type, write.id])

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


def request_hash(*parts: bytes | str) -> str:
    """What an Idempotency-Key covers: method, address and body."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return digest.hexdigest()


def _checkable(write: Write) -> dict[str, Any]:
    """The resource as it is checked: in a transaction a reference may be conditional, and is resolved later."""
    if not write.path or not any(is_conditional(link) for link in references(write.tree)):
        return dict(write.tree or {})
    text = rewrite(write.text, lambda link: f"{link.partition('?')[0]}/condition" if is_conditional(link) else link)
    return lossless.parse_object(text)


def _identity(write: Write) -> list[Issue]:
    """Whether the resource is what the address says it is."""
    issues = []
    tree = write.tree or {}
    found_type, found_id = tree.get("resourceType"), tree.get("id")
    if found_type != write.type:
        text = f"The address says {write.type}, the resource another resourceType."
        issues.append(Issue("value", text, f"{write.type}.resourceType"))
    if write.method == "PUT" and found_id != write.id:
        text = "The id of the resource must be the id in the address."
        issues.append(Issue("value" if found_id else "required", text, f"{write.type}.id"))
    return issues


def _require_match(write: Write, current: Stored | None) -> None:
    if write.if_match is None:
        return
    if current is None:
        raise PreconditionFailed([Issue("conflict", f"{write.type}/{write.id} has no version yet.", write.path)])
    if write.if_match != current.version:
        text = f"If-Match asks for version {write.if_match}, the current one is {current.version}."
        raise PreconditionFailed([Issue("conflict", text, write.path)])


def _refuse_twice(placed: Sequence[Write], matches: Sequence[str]) -> None:
    """R4 3.1.0.11.2: a transaction must not name one resource twice, be it by id or by condition."""
    seen: set[repository.Key] = set()
    twice = []
    for write, match in zip(placed, matches, strict=True):
        names = {(write.type, write.id)}
        if write.if_none_exist and not match:
            names.add((write.type, f"?{write.if_none_exist}"))
        if names & seen:
            twice.append(Issue("duplicate", f"Another entry concerns the same {write.type}.", write.path))
        seen |= names
    if twice:
        raise Refused(twice)


async def _linked(placed: Sequence[Write], asked: Sequence[Write], conditions: Conditions) -> list[Write]:
    """The writes with links between them, and conditional references, replaced by literal references."""
    names = {w.full_url: f"{w.type}/{w.id}" for w in placed if w.full_url}
    names |= {
        f"{w.type}/{w.tree['id']}": f"{w.type}/{p.id}"
        for w, p in zip(asked, placed, strict=True)
        if w.method == "POST" and w.full_url and w.tree and w.tree.get("id")
    }
    linked = []
    for write in placed:
        if write.tree is None or not (write.path or names):
            linked.append(write)
            continue
        found = {link: names[link] for link in references(write.tree) if link in names}
        for link in set(references(write.tree)) - found.keys():
            if is_conditional(link):
                found[link] = await conditions.reference(link, write.path)
            elif link.startswith(("urn:uuid:", "urn:oid:")):
                text = "A reference names no entry of this transaction."
                raise Refused([Issue("not-found", text, f"{write.path}.resource")])
        linked.append(_relinked(write, names | found))
    return linked


def _relinked(write: Write, names: Mapping[str, str]) -> Write:
    text = rewrite(write.text, lambda link: names.get(link, link))
    return write if text == write.text else replace(write, text=text, tree=lossless.parse_object(text))


def _tree(write: Write, written: Written) -> dict[str, Any] | None:
    return None if written.stored.deleted or write.tree is None else {**write.tree, "id": write.id}


def gone_or_missing(resource_type: str, resource_id: str, stored: Stored | None) -> Refused:
    """Why a resource cannot be read: it never was, or it was deleted."""
    if stored is None:
        return NotFound([Issue("not-found", f"{resource_type}/{resource_id} is not here.")])
    return Gone([Issue("deleted", f"{resource_type}/{resource_id} was deleted; its history is kept.")])
