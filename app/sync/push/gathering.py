"""Claiming what is sent together: the oldest that is due, and before it what it refers to and the target lacks."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from app.fhir import json as lossless
from app.store import ledger, outbox
from app.store.database import Connection
from app.store.enqueue import enqueue_current
from app.store.ledger import Held
from app.store.outbox import Became, Item, Noted
from app.store.references import held as existing
from app.store.repository import Key
from app.sync.health import jittered
from app.sync.push.ordering import referred

# Which of the items, none of which the target has yet, it is to be told of.
Wants = Callable[[Connection, Sequence[Item]], Awaitable[Collection[Key]]]
# How long something waits at most for what it refers to before it is looked at again; mostly it is freed before.
_LONGEST_BLOCK = 60.0


@dataclass(slots=True)
class Batch:
    """What is sent together. items: by key, in their order; trees: their content; refers: what each refers to.

    held: what the target has of them and of what they refer to. noted: what is not sent after all.
    """

    items: dict[Key, Item] = field(default_factory=dict)
    trees: dict[Key, Mapping[str, Any] | None] = field(default_factory=dict)
    refers: dict[Key, frozenset[Key]] = field(default_factory=dict)
    held: dict[Key, Held] = field(default_factory=dict)
    noted: list[Noted] = field(default_factory=list)

    def there(self) -> set[Key]:
        """Those the target has, in whatever version."""
        return {key for key, one in self.held.items() if not one.deleted}


@dataclass(frozen=True, slots=True)
class Gatherer:
    """Claims for one target. references: "send" for what it refers to also being sent; base: as for `enqueue`."""

    target: str
    owner: str
    lease_seconds: float
    wants: Wants
    references: Literal["send", "keep"]
    base: str

    async def gather(self, connection: Connection, limit: int) -> Batch:
        """Claim a batch. The caller holds the target's row of sync_state."""
        claimed = await outbox.claim(connection, self.target, self.owner, lease_seconds=self.lease_seconds, limit=limit)
        batch = Batch()
        pool = {item.key: item for item in claimed}
        batch.held |= await ledger.read(connection, self.target, pool)
        there = batch.there()
        unknown = [item for item in claimed if item.key not in there and item.content is not None]
        wanted = await self.wants(connection, unknown) if unknown else ()
        chosen = {key for key, item in pool.items() if key in there or item.content is None or key in wanted}
        blockers = await self._close(connection, batch, pool, [pool[key] for key in pool if key in chosen])
        batch.noted += [Noted(item, Became.UNWANTED) for key, item in pool.items() if key not in batch.items]
        _set_aside(batch, blockers)
        batch.items = dict(sorted(batch.items.items(), key=lambda pair: pair[1].oid))
        return batch

    async def _close(
        self, connection: Connection, batch: Batch, pool: Mapping[Key, Item], waiting: list[Item]
    ) -> dict[Key, str]:
        """Add the items, and all they refer to that the target lacks; what cannot be had now, and why not."""
        blockers: dict[Key, str] = {}
        while waiting:
            missing: set[Key] = set()
            for item in waiting:
                batch.items[item.key] = item
                tree = lossless.parse_object(item.content) if item.content is not None else None
                batch.trees[item.key], batch.refers[item.key] = tree, referred(tree)
                missing |= batch.refers[item.key]
            batch.held |= await ledger.read(connection, self.target, missing - batch.held.keys())
            missing -= batch.items.keys() | batch.there() | blockers.keys()
            waiting = [pool[key] for key in pool if key in missing]
            more, others = await self._claim_more(connection, missing - pool.keys())
            waiting += more
            blockers |= others
        return blockers

    async def _claim_more(self, connection: Connection, keys: Collection[Key]) -> tuple[list[Item], dict[Key, str]]:
        here = await existing(connection, keys) if keys else set()
        if not here:
            return [], {}
        items, others = await self._claimed(connection, here)
        unnoted = here - others.keys() - {item.key for item in items}
        if unnoted and self.references == "send":
            await enqueue_current(connection, self.target, unnoted, self.base)
            more, later = await self._claimed(connection, unnoted)
            items, others = items + more, others | later
        return items, others

    async def _claimed(self, connection: Connection, keys: Iterable[Key]) -> tuple[list[Item], dict[Key, str]]:
        return await outbox.claim_more(connection, self.target, self.owner, keys, lease_seconds=self.lease_seconds)


def _set_aside(batch: Batch, blockers: Mapping[Key, str]) -> None:
    """Take out what refers to something that cannot be had now, and what refers to that."""
    why, there = dict(blockers), batch.there()
    while aside := [key for key in batch.items if any(each in why for each in batch.refers[key])]:
        for key in aside:
            item = batch.items.pop(key)
            by = next(each for each in batch.refers[key] if each in why)
            batch.noted.append(waits_for(item, by, why[by]))
            # What the target has in another version keeps nothing back.
            why |= {} if key in there else {key: "waiting"}


def waits_for(item: Item, by: Key, why: str) -> Noted:
    """What is noted of an item that is not sent for want of another."""
    wait = max(1.0, jittered(item.attempts + 4, _LONGEST_BLOCK))
    reason = f"It refers to {'/'.join(by)}, which the target does not have yet ({why})."
    return Noted(item, Became.BLOCKED, reason=reason, wait=wait, blocked_by=by)
