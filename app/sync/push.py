"""Push: what is written here reaches every target, in order, once, whatever dies on the way.

Each target is served by one worker at a time (a lease in the database). An item stays in the outbox until the
target's answer says it has it; sending again what it has changes nothing there, since it is a PUT of the same
content under the same id. So a worker may be killed anywhere.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

import httpx
import structlog

from app.outbound import client as http_client
from app.store import outbox
from app.store.database import Database
from app.store.outbox import Delivery, Item
from app.sync.client import Meaning, Reply, put, transaction
from app.sync.targets import Target

POLL_SECONDS = 0.5
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_log = structlog.get_logger()


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
        _log.warning("target not served", target=target.name, status=reply.status, wait_seconds=round(wait, 1))
        return wait, failures + 1

    async def deliver(self, target: Target, client: httpx.AsyncClient) -> Reply | None:
        """Deliver the oldest items of a target; None if there is nothing to deliver or another worker does."""
        async with self._database.reading() as connection:
            items = newest(await outbox.due(connection, target.name, limit=target.batch_size))
        if not items or not await self._claim(target):
            return None
        if target.delivery == "transaction" and len(items) > 1:
            whole, replies = await transaction(client, items)
            if whole.meaning is Meaning.LATER:
                await self._note(target, [(item, whole) for item in items])
                return whole
            if replies:
                return await self._note(target, list(zip(items, replies, strict=True)))
        return await self._singly(target, client, items)

    async def _singly(self, target: Target, client: httpx.AsyncClient, items: Sequence[Item]) -> Reply:
        """One by one: a resource the target refuses does not keep the others back."""
        for item in items:
            if not await self._claim(target):
                raise LeaseLost
            reply = await put(client, item)
            await self._note(target, [(item, reply)])
            if reply.meaning is Meaning.LATER:
                return reply
        return reply

    async def _note(self, target: Target, replies: Sequence[tuple[Item, Reply]]) -> Reply:
        """Write down what the answers mean; answers the least certain of them."""
        done = [Delivery(i.type, i.id, i.version, r.etag) for i, r in replies if r.meaning is Meaning.DONE]
        refused = [(item, reply) for item, reply in replies if reply.meaning is Meaning.REFUSED]
        later = [(item, reply) for item, reply in replies if reply.meaning is Meaning.LATER]
        async with self._database.writing() as connection:
            await outbox.delivered(connection, target.name, done, now=self._clock())
            for item, reply in refused:
                await outbox.refused(connection, target.name, item, reply.reason)
            if later:
                await outbox.tried(connection, [item.oid for item, _ in later], later[0][1].reason)
        _log.info("delivered", target=target.name, done=len(done), refused=len(refused), later=len(later))
        return later[0][1] if later else replies[0][1]

    async def _claim(self, target: Target) -> bool:
        """Hold the lease for long enough to send once more."""
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


def newest(items: Sequence[Item]) -> list[Item]:
    """Only the newest version of each resource, in the order in which the resources first appear."""
    found: dict[tuple[str, str], Item] = {}
    for item in items:
        found[item.type, item.id] = item
    return list(found.values())


def backoff_seconds(failures: int, random_part: float) -> float:
    """Exponential backoff with full jitter: up to 1 s, 2 s, 4 s … 60 s."""
    return float(min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(failures, 10)) * random_part)
