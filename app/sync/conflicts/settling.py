"""Settling what both sides changed: by the rules of the target where they say, else by a person, who gets a Task.

Whatever comes out passes the one door, in one transaction with the ledger, the outbox and the note of the conflict.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from app.fhir import json as lossless
from app.fhir.outcomes import Conflict as Moved
from app.fhir.outcomes import Issue, PreconditionFailed, Refused
from app.intake.accept import LARGE, Intake
from app.intake.writes import Caller, Write, Written
from app.store import conflicts, ledger, repository, sync_state
from app.store.database import Connection
from app.store.enqueue import enqueue_current
from app.store.idempotency import Answer
from app.store.ledger import Held
from app.store.repository import Key
from app.sync.conflicts.asking import Asking, noted, waits_for
from app.sync.conflicts.cases import Case, Partner, Theirs, gather, read_theirs
from app.sync.conflicts.decisions import Kind, Outcome
from app.sync.pull.pages import Incoming
from app.sync.pull.provenance import Taken, provenance

# "send": what is here holds, with the ETag now in the ledger; "kept": both sides say the same; "written": what holds
# was written here, and the outbox tells what of it is still to be sent; "manual": a person decides.
Settled = Literal["send", "kept", "written", "manual"]

_SETTLED: dict[Kind, Settled] = {"alike": "kept", "ours": "send", "theirs": "written", "merged": "written"}
_ROUNDS = 5


class Keyed(Protocol):
    """An item of the outbox."""

    @property
    def key(self) -> Key: ...


@dataclass(frozen=True, slots=True)
class Decided:
    """How an open conflict was decided. by: "person" through the API, "task" by the Task."""

    cid: str
    resolution: Literal["ours", "theirs", "merged"]
    by: Literal["person", "task"]


class Conflicts:
    """Settles conflicts. base: the address of this server's FHIR endpoint."""

    def __init__(self, intake: Intake, base: str = "") -> None:
        self.intake, self.base = intake, base
        self.database = intake.database
        self.asking = Asking(intake, base)

    async def settle(self, partner: Partner, key: Key, theirs: Theirs, known: Held | None) -> Settled:
        """Decide about a resource that the target holds in a version we have not seen. Doing it again does no harm.

        known: what the ledger said when their version was looked at. Raises PreconditionFailed where it says something
        else by now: their version may be an old one. Raises Moved where others keep changing the resource here.
        """
        for _ in range(_ROUNDS):
            async with self.database.reading() as connection:
                case = await gather(connection, partner, key, theirs)
            _require_same(case.held, known)
            try:
                settled = await self._settle(case)
            except PreconditionFailed:
                continue  # somebody wrote it meanwhile
            await self.asking.close_all(partner.name, key)
            return settled
        raise Moved([Issue("conflict", "Others kept changing it here while a conflict was settled.")])

    async def settle_item(
        self, partner: Partner, item: Keyed, remote: Mapping[str, Any] | None, remote_etag: str, known: Held | None
    ) -> Settled:
        """The same for what the target was just asked about: its resource as it answered, None if deleted there."""
        async with self.database.reading() as connection:
            theirs = await read_theirs(connection, partner, item.key, remote, remote_etag)
        return await self.settle(partner, item.key, theirs, known)

    async def _settle(self, case: Case) -> Settled:
        if case.known:
            async with self.database.writing() as connection:
                await conflicts.hold(connection, case.partner.name, case.key, waits_for(case.cid))
            return "manual"
        found = await weighed(case)
        if found.kind == "manual":
            await self.asking.ask(case, found, ())
            return "manual"
        try:
            await self.apply(case, found)
        except PreconditionFailed:
            raise
        except Refused as refused:
            await self._require_still(case)
            await self.asking.ask(case, found, refused.issues)
            return "manual"
        return _SETTLED[found.kind]

    async def apply(
        self, case: Case, found: Outcome, caller: Caller | None = None, decided: Decided | None = None
    ) -> None:
        """Write what holds, and what follows for the target. decided: what a person has said about an open conflict.

        Raises Refused where the door does not take it, PreconditionFailed where somebody came in between.
        """
        given = caller or self.asking.caller(case.partner.name)

        async def answer(written: list[Written]) -> Answer:
            async with self.database.reading() as connection:
                await self._note(connection, case, found, written[0].stored.version, decided)
            return Answer(200, b"")

        if found.kind in ("theirs", "merged"):
            # Of what the target has already it is not told again; everybody else is.
            origin = case.partner.name if found.kind == "theirs" else ""
            # What is itself such a record needs none; of a target that is not listed any more no address is known.
            is_recorded = case.key[0] != "Provenance" and case.partner.base_url
            records = [self._record(case, found)] if is_recorded else []
            writes = [_write(case, found), *records]
            await self.intake.accept(writes, replace(given, origin=origin), answer)
            return
        async with self.database.writing() as connection:
            await self._note(connection, case, found, case.version, decided)
        self.intake.ring()

    def _record(self, case: Case, found: Outcome) -> Write:
        """The record of where what holds comes from, as of everything that came from a target."""
        (type_, id_), theirs = case.key, case.theirs
        came = Incoming(type_, theirs.remote_id, theirs.version, theirs.updated, theirs.text, theirs.etag)
        taken = Taken(type_, id_, case.version + (found.resource is not None), came)
        record_id, partner, now = self.intake.new_id(), case.partner, self.intake.clock()
        tree = provenance([taken], target=partner.name, base=partner.base_url, record_id=record_id, now=now)
        return Write("POST", "Provenance", record_id, lossless.dumps(tree), tree, path="record", is_local=True)

    async def _note(
        self, connection: Connection, case: Case, found: Outcome, version: int, decided: Decided | None
    ) -> None:
        """What is true once the outcome stands. version: ours that holds."""
        name, key, now = case.partner.name, case.key, self.intake.clock()
        _require_same((await ledger.read(connection, name, [key])).get(key), case.held)
        is_same = found.kind in ("alike", "theirs")
        common = version if is_same else case.base_version if case.is_theirs_unchanged else 0
        await ledger.write(connection, name, [case.theirs.held(key, common)], anew=True)
        if decided is not None:
            told = (decided.cid, decided.resolution, decided.by)
            if not await conflicts.decided(connection, *told, result=version, now=now):
                raise PreconditionFailed([Issue("conflict", "Somebody else has just decided it.")])
        elif not case.is_erased and (found.differences or not (is_same or common)):
            await conflicts.note(connection, noted(case, found, now, resolution=found.kind, result=version))
            await sync_state.count(connection, name, conflicts=1)
        await conflicts.supersede(connection, name, key, "alike" if is_same else "superseded", but="", now=now)
        if is_same:
            await conflicts.strike(connection, name, key, version)
        elif case.partner.direction != "pull":
            await conflicts.release(connection, name, key)
            await enqueue_current(connection, name, [key], self.base)

    async def _require_still(self, case: Case) -> None:
        """Raises PreconditionFailed where a refusal only says that others were faster."""
        async with self.database.reading() as connection:
            now = await repository.read(connection, *case.key)
        if (now.version if now else 0) != case.version:
            raise PreconditionFailed([Issue("conflict", "It was changed meanwhile.")])


def _require_same(held: Held | None, known: Held | None) -> None:
    """Raises PreconditionFailed where the ledger has moved on: what was read of the target before may be old."""
    # A deletion that is noted says nothing of what there is now.
    live, before = (None if one is None or one.deleted else one for one in (held, known))
    if live != before:
        raise PreconditionFailed([Issue("conflict", "What the other server holds was noted anew meanwhile.")])


async def weighed(case: Case, person: Literal["ours", "theirs"] | None = None) -> Outcome:
    """What comes of a case. What takes long to compare must not keep the others waiting."""
    is_large = len(case.ours or b"") + len(case.theirs.text or b"") > LARGE
    return await asyncio.to_thread(case.outcome, person) if is_large else case.outcome(person)


def _write(case: Case, found: Outcome) -> Write:
    type_, id_ = case.key
    match = case.current.version if case.current else None
    if found.resource is None:
        return Write("DELETE", type_, id_, if_match=match)
    # Their own text where that is what holds, so that it stays as it was written.
    text = case.theirs.text if found.kind == "theirs" and case.theirs.text else found.text
    tree = lossless.parse_object(text)
    return Write("PUT" if case.current else "POST", type_, id_, text, tree, if_match=match)
