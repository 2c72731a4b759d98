"""Push: what is written here reaches every target, in order, once, whatever dies on the way.

Each target is served by one worker at a time (a lease in the database). An item stays in the outbox until the
target's answer says it has it; sending again what it has changes nothing there, since it is a PUT of the same
content under the same id. So a worker may be killed anywhere.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any, TypeVar

import httpx
import structlog

from app.fhir import json as lossless
from app.fhir.references import local, references
from app.outbound import client as http_client
from app.store import outbox
from app.store.database import Database
from app.store.outbox import Delivery, Item
from app.sync.client import Meaning, Reply, put, transaction
from app.sync.targets import Target

POLL_SECONDS = 0.5
# How often a resource is sent that the target cannot take "now" before it is put aside: over some five minutes.
MOST_ATTEMPTS = 10
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_log = structlog.get_logger()


Answered = TypeVar("Answered")


class LeaseLost(Exception):
    """Another worker serves this target now."""


class Pusher:
    """Serves the targets of one process until cancelled. clock: microseconds since 1970."""

    def __init__(
        self,
        database: Database,
        targets: Sequence[Target],
        *,
        owner: str,
        lease_seconds: float,
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._targets = targets
        self._owner = owner
        self._lease = int(lease_seconds * 1_000_000)
        self._clock = clock
        self._held_until: dict[str, int] = {}

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for target in self._targets:
                group.create_task(self._serve(target))

    async def _serve(self, target: Target) -> None:
        failures = 0
        try:
            async with http_client(target.base_url) as client:
                while True:
                    wait, failures = await self._round(target, client, failures)
                    await asyncio.sleep(wait)
        finally:
            await self._release(target)

    async def _round(self, target: Target, client: httpx.AsyncClient, failures: int) -> tuple[float, int]:
        """One round; answers the seconds to wait before the next and the failures in a row."""
        try:
            reply = await self.deliver(target, client)
        except LeaseLost:
            return POLL_SECONDS, failures
        except Exception as error:  # the database is away, say: nothing is lost, try again
            reply = Reply(Meaning.LATER, 0, reason=type(error).__name__)
        if reply is None:
            return POLL_SECONDS, 0
        if reply.meaning is not Meaning.LATER:
            return 0, 0
        wait = max(reply.wait, backoff_seconds(failures, random.random()))  # noqa: S311 (jitter)
        # Without a status the reason is the name of an exception, never a text of the target's.
        reason = reply.reason if not reply.status else ""
        _log.warning("target not served", target=target.name, status=reply.status, reason=reason, wait=round(wait, 1))
        return wait, failures + 1

    async def deliver(self, target: Target, client: httpx.AsyncClient) -> Reply | None:
        """Deliver the oldest items of a target; None if there is nothing to deliver or another worker does."""
        # What is due is read again under the lease: another worker may have sent it meanwhile.
        if not await self._due(target) or not await self._claim(target):
            return None
        every = await self._due(target)
        items = newest(every)
        if not items:
            return None
        if target.delivery == "transaction" and len(items) > 1:
            whole, replies = await self._bounded(transaction(client, items))
            if whole.meaning is Meaning.LATER:
                await self._note(target, [(item, whole) for item in items])
                return whole
            if replies:
                return await self._note(target, list(zip(items, replies, strict=True)))
        return await self._singly(target, client, every)

    async def _due(self, target: Target) -> list[Item]:
        async with self._database.reading() as connection:
            return await outbox.due(connection, target.name, now=self._clock(), limit=target.batch_size)

    async def _singly(self, target: Target, client: httpx.AsyncClient, items: Sequence[Item]) -> Reply:
        """One by one, every version in its order: a resource the target refuses does not keep the others back, and
        none comes before what it refers to."""
        for item in items:
            if not await self._claim(target):
                raise LeaseLost
            reply = await self._bounded(put(client, item))
            await self._note(target, [(item, reply)])
            if reply.meaning is Meaning.LATER:
                return reply
        return reply

    async def _note(self, target: Target, replies: Sequence[tuple[Item, Reply]]) -> Reply:
        """Write down what the answers mean; answers the first that says the target is not able to, if one does."""
        now = self._clock()
        async with self._database.writing() as connection:
            done = [Delivery(i.type, i.id, i.version, r.etag) for i, r in replies if r.meaning is Meaning.DONE]
            await outbox.delivered(connection, target.name, done, now=now)
            for item, reply in replies:
                meaning = reply.meaning
                # Refused for want of what it refers to, it may be, and that is still to come.
                if meaning is Meaning.REFUSED and refers(item, await outbox.waiting(connection, target.name, now=now)):
                    meaning = Meaning.NOT_NOW
                if meaning is Meaning.REFUSED or (meaning is Meaning.NOT_NOW and _is_hopeless(item)):
                    await outbox.refused(connection, target.name, item, reply.reason)
                elif meaning is Meaning.NOT_NOW:
                    wait = max(reply.wait, backoff_seconds(item.attempts, 1))
                    await outbox.postponed(connection, item.oid, reply.reason, not_before=now + int(wait * 1_000_000))
                elif reply.meaning is Meaning.LATER:
                    await outbox.tried(connection, [item.oid], reply.reason)
        counts = Counter(reply.meaning.name.lower() for _, reply in replies)
        _log.info("delivered", target=target.name, **counts)
        return next((reply for _, reply in replies if reply.meaning is Meaning.LATER), replies[0][1])

    async def _bounded(self, sending: Coroutine[Any, Any, Answered]) -> Answered:
        """Send, but not for longer than the lease surely lasts: who takes over must not be overtaken."""
        async with asyncio.timeout(self._lease / 2_000_000):
            return await sending

    async def _claim(self, target: Target) -> bool:
        """Hold the lease for at least half its time: long enough to send once more."""
        now = self._clock()
        if self._held_until.get(target.name, 0) - now > self._lease // 2:
            return True
        async with self._database.writing() as connection:
            until = now + self._lease
            held = await outbox.claim(connection, target.name, self._owner, now=now, until=until)
        self._held_until[target.name] = until if held else 0
        return held

    async def _release(self, target: Target) -> None:
        if self._held_until.pop(target.name, 0):
            async with self._database.writing() as connection:
                await outbox.release(connection, target.name, self._owner)


def _is_hopeless(item: Item) -> bool:
    return item.attempts + 1 >= MOST_ATTEMPTS


def refers(item: Item, keys: Collection[tuple[str, str]]) -> bool:
    """Whether a version refers to one of the resources."""
    if not keys or item.content is None:
        return False
    found = (local(link, "") for link in references(lossless.parse(item.content)))
    return any(each is not None and each[:2] in keys for each in found)


def newest(items: Sequence[Item]) -> list[Item]:
    """Only the newest version of each resource, in the order in which the resources first appear."""
    found: dict[tuple[str, str], Item] = {}
    for item in items:
        found[item.type, item.id] = item
    return list(found.values())


def backoff_seconds(failures: int, random_part: float) -> float:
    """Exponential backoff with full jitter: up to 1 s, 2 s, 4 s … 60 s."""
    return float(min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(failures, 10)) * random_part)
