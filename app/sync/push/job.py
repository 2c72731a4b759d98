"""Push: what is written here reaches every target, in order, once, whatever dies on the way.

An item stays in the outbox until the target's answer says it has it, or it was read there. Whatever may have been sent
without an answer is looked up before it is sent again. So a worker may be killed anywhere.
"""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog

from app.fhir import json as lossless
from app.store import outbox, sync_state
from app.store.database import Database
from app.store.ledger import Held
from app.store.outbox import Became, Item, Noted
from app.store.repository import Key
from app.sync import health
from app.sync.answers import AWAY, UNDERSTOOD, Meaning
from app.sync.capabilities import Plan
from app.sync.client import Client, Reply
from app.sync.conflicts.cases import Partner
from app.sync.conflicts.settling import Settled
from app.sync.health import Gate, jittered
from app.sync.planning import Planned, Planner, Unplanned
from app.sync.pull.pages import Incoming
from app.sync.push.gathering import Batch, Gatherer, Wants, waits_for
from app.sync.push.lookups import Unanswered
from app.sync.push.ordering import units
from app.sync.push.round import Round
from app.sync.push.sending import Sending, is_understood

# How often a resource is sent that the target cannot take "now" before it is put aside: over some half an hour.
MOST_ATTEMPTS = 12
# After so many attempts in vain, resources are sent one by one: one of them may be what the target fails at.
_SUSPECT = 3
# A target that does not let us in, or is none, is asked again so often.
_LOST_SECONDS = 300.0
_log = structlog.get_logger()


class Pushed(Planned, Partner, Protocol):
    """What is asked of a target here."""

    @property
    def references(self) -> Literal["send", "keep"]: ...

    @property
    def ids(self) -> Literal["same", "identifier"]: ...


class Settles(Protocol):
    """Decides about what both sides have changed (app/sync/conflicts/settling.py)."""

    async def settle_item(
        self, partner: Partner, item: Item, remote: Mapping[str, Any] | None, remote_etag: str, known: Held | None
    ) -> Settled: ...


@dataclass(frozen=True, slots=True)
class Push:
    """The job that tells one target. Several steps may be going on at once, of different patients.

    owner: of this job; steps of one job that go on at once need different ones, so each makes its own from it.
    """

    database: Database
    target: Pushed
    client: Client
    conflicts: Settles
    wants: Wants
    owner: str
    lease_seconds: float
    base: str = ""

    async def step(self) -> float:
        """Tell the target of one batch; the seconds until there is more, 0 after anything was done."""
        name, owner = self.target.name, f"{self.owner}/{id(asyncio.current_task()):x}"
        async with self.database.reading() as connection:
            wait = await outbox.waiting(connection, name)
            state = await sync_state.read(connection, name)
        if wait != 0:
            return math.inf if wait is None else wait
        async with self.database.writing() as connection:
            gate = await health.enter(connection, name, probe_seconds=self.lease_seconds)
        if gate.wait:
            return gate.wait
        try:
            plan = await Planner(self.database, self.client, self.target)()
        except Unplanned as unplanned:
            return await self._failed(unplanned.reply, gate)
        limit = min(plan.batch_size, state.batch_size or plan.batch_size)
        batch = await self._gather(owner, limit)
        if not batch.items:
            await self._note(owner, batch.noted)
            # What a writer holds just now was passed over, though it is due.
            return 0 if batch.noted else 0.1
        return await self._tell(owner, plan, batch, limit, gate)

    async def _gather(self, owner: str, limit: int) -> Batch:
        gatherer = Gatherer(self.target.name, owner, self.lease_seconds, self.wants, self.target.references, self.base)
        async with self.database.writing() as connection:
            await sync_state.hold(connection, self.target.name)
            return await gatherer.gather(connection, limit)

    async def _tell(self, owner: str, plan: Plan, batch: Batch, limit: int, gate: Gate) -> float:
        """Look, send, and note what became of everything."""
        told = Round(self.database, self.client, plan, batch, self._settle)
        is_suspect = max(item.attempts for item in batch.items.values()) >= _SUSPECT

        async def again(key: Key, reply: Reply) -> Reply:
            return await told.again(key, reply, sending.one)

        limit = 1 if is_suspect else limit
        sending = Sending(
            self.client,
            told.make,
            again,
            told.nameless,
            batch.refers,
            batch.there(),
            plan.delivery,
            limit,
            told.replies,
        )
        try:
            async with self._kept(owner, [item.oid for item in batch.items.values()]):
                await told.look()
                await sending.send(units(told.to_send(), lambda key: key, batch.refers))
        except Unanswered as unanswered:
            sending.stopped = unanswered.reply
        except TimeoutError:
            sending.stopped = Reply(Meaning.LATER, reason="what was claimed could not be kept any longer")
            for key in set(sending.asked) - told.replies.keys():
                told.replies[key] = sending.stopped
        if told.plan is not plan:
            await Planner(self.database, self.client, self.target).keep(told.plan)
        noted = [*batch.noted, *Noting(told, sending.stopped).all()]
        await self._note(owner, noted)
        return await self._conclude(told, sending, gate, None if is_suspect else limit)

    @asynccontextmanager
    async def _kept(self, owner: str, oids: Sequence[int]) -> AsyncIterator[None]:
        """Keep the claims for as long as a slow target needs; TimeoutError where they cannot be kept.

        Whoever takes over when a lease is over must not be overtaken, so the end comes half a lease after the last
        renewal. Each single request has its own bound (timeout_seconds).
        """
        loop = asyncio.get_running_loop()

        async def renew(bound: asyncio.Timeout) -> None:
            while True:
                await asyncio.sleep(self.lease_seconds / 6)
                begun = loop.time()
                async with self.database.writing() as connection:
                    await outbox.renew(connection, owner, oids, lease_seconds=self.lease_seconds)
                bound.reschedule(begun + self.lease_seconds / 2)

        async with asyncio.timeout(self.lease_seconds / 2) as bound:
            renewing = asyncio.create_task(renew(bound))
            try:
                yield
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)

    async def _settle(self, item: Item, theirs: Incoming | None, known: Held | None) -> Settled:
        remote = lossless.parse_object(theirs.text or b"") if theirs else None
        return await self.conflicts.settle_item(self.target, item, remote, theirs.etag if theirs else "", known)

    async def _note(self, owner: str, noted: Sequence[Noted]) -> None:
        if noted:
            async with self.database.writing() as connection:
                await outbox.note(connection, self.target.name, owner, noted)
            counts = Counter(each.became.name.lower() for each in noted)
            _log.info("told", target=self.target.name, **counts)

    async def _conclude(self, told: Round, sending: Sending, gate: Gate, limit: int | None) -> float:
        """Note how the target does, and go on or leave it alone. limit: the size that was tried, if one was."""
        replies = list(told.replies.values())
        if sending.stopped and not any(map(is_understood, replies)):
            return await self._failed(sending.stopped, gate, retried=len(replies))
        counts = {
            "sent": sum(reply.meaning is Meaning.DONE for reply in replies),
            "refused": sum(reply.meaning is Meaning.REFUSED for reply in replies),
            "retried": sum(reply.meaning not in UNDERSTOOD for reply in replies),
        }
        name = self.target.name
        async with self.database.writing() as connection:
            await health.answered(connection, name, **counts)
            if limit is not None and sending.limit < limit:
                await sync_state.change(connection, name, batch_size=sending.limit)
            elif limit is not None and len(told.batch.items) >= limit < told.plan.batch_size:
                # It may have been one odd Bundle, or another release by now.
                await sync_state.change(connection, name, batch_size=limit + 1)
        return await self._failed(sending.stopped, gate) if sending.stopped else 0

    async def _failed(self, reply: Reply, gate: Gate, *, retried: int = 0) -> float:
        """The target is left alone for a while."""
        is_lost = reply.meaning is Meaning.LOST
        asked = max(reply.wait, _LOST_SECONDS if is_lost else 0)
        # What the target said of itself may hold anything, and stays with the items; ours is fit to be shown.
        reason = reply.reason if not reply.is_fhir else f"{reply.status}: {reply.meaning.value}"
        reason = f"{reason}; {reply.meaning.value}" if is_lost and not reply.is_fhir else reason
        async with self.database.writing() as connection:
            wait = await health.failed(connection, self.target.name, reason, asked=asked, gate=gate, retried=retried)
        _log.warning("target not served", target=self.target.name, status=reply.status, wait=round(wait, 1))
        return wait


@dataclass(frozen=True, slots=True)
class Noting:
    """What became of each item of a round. stopped: the answer after which nothing more was sent."""

    told: Round
    stopped: Reply | None

    def all(self) -> list[Noted]:
        """What is written down of every item."""
        return [self._one(key, item) for key, item in self.told.batch.items.items()]

    def _one(self, key: Key, item: Item) -> Noted:
        reply = self.told.replies.get(key)
        if reply is None:
            return self._unsent(key, item)
        if key in self.told.settled:
            return _settled(item, self.told.settled[key])
        if reply.meaning in (Meaning.DONE, Meaning.ALREADY):
            return self._delivered(key, item, reply)
        status, reason = reply.status, reply.reason or reply.meaning.value
        is_hopeless = reply.meaning is Meaning.NOT_NOW and item.attempts + 1 >= MOST_ATTEMPTS
        if reply.meaning is Meaning.REFUSED or is_hopeless:
            return Noted(item, Became.DEAD, status=status, reason=reason)
        # Where the target as a whole is away, it is left alone as a whole.
        is_own = reply.meaning is Meaning.NOT_NOW or status not in AWAY
        wait = max(reply.wait, jittered(item.attempts)) if is_own else 0
        return Noted(item, Became.LATER, status=status, reason=reason, wait=wait)

    def _delivered(self, key: Key, item: Item, reply: Reply) -> Noted:
        remote_id = self.told.remote_id(key)
        if item.content is not None and not remote_id:
            told = "It took it and did not tell under which id; it is looked for."
            return Noted(item, Became.LATER, status=reply.status, reason=told, wait=1)
        # Not every server says which version a deletion made: what a pull read of the one before it is old.
        before = self.told.batch.held.get(key) if item.content is None else None
        held = Held(
            item.type,
            item.id,
            item.version,
            item.content is None,
            remote_id,
            reply.remote_version or (before.remote_version if before else ""),
            reply.etag,
            max(reply.updated, before.remote_updated if before else 0),
            verified="read" if key in self.told.read else "answer",
        )
        return Noted(item, Became.DELIVERED, held)

    def _unsent(self, key: Key, item: Item) -> Noted:
        """One that was not sent: for want of what it refers to, or since the target stopped answering."""
        batch, there = self.told.batch, self.told.batch.there()
        for other in batch.refers[key] & batch.items.keys() - there:
            reply = self.told.replies.get(other)
            if reply is not None and reply.meaning not in (Meaning.DONE, Meaning.ALREADY):
                return waits_for(item, other, "refused" if reply.meaning is Meaning.REFUSED else "not taken yet")
        return Noted(item, Became.BLOCKED, reason=self.stopped.reason if self.stopped else "")


def _settled(item: Item, settled: Settled) -> Noted:
    """What became of one that both sides had changed; what holds, and that it does, is written down already."""
    if settled == "manual":
        return Noted(item, Became.CONFLICT)
    return Noted(item, Became.DELIVERED)
