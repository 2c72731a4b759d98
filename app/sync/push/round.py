"""One round of telling a target: what it has already, what is therefore sent, and what the answers come to."""

import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from app.fhir import json as lossless
from app.fhir.outcomes import PreconditionFailed, Refused
from app.fhir.references import rewrite
from app.store import repository
from app.store.database import Database
from app.store.ledger import Held
from app.store.outbox import Item
from app.store.repository import Key, Past
from app.sync.answers import Meaning
from app.sync.capabilities import Offer, Plan
from app.sync.client import Client, Reply
from app.sync.conflicts.likeness import alike
from app.sync.pull.pages import Incoming
from app.sync.push import outgoing
from app.sync.push.gathering import Batch
from app.sync.push.lookups import Found, look
from app.sync.push.outgoing import Known, Outgoing

# What was decided about a resource that both sides changed: ours is sent over theirs; theirs stands and nothing is
# sent; what came of both was written here and follows by itself; a person decides.
Settled = Literal["send", "kept", "written", "manual"]
Settle = Callable[[Item, Incoming | None, Held | None], Awaitable[Settled]]

# How often one resource is sent in a round, when somebody changes it there at the same time.
_MOST_TRIES = 3
# How many versions of ours are compared with what is there: the answer to one of them may have been lost.
_LOOK_BACK = 20


@dataclass(slots=True)
class Round:
    """Knows, of each resource of a batch, where it is at the target and what was answered.

    known: where each is there, as far as it is; replies: what was answered; settled: conflicts that are decided without
    anything being sent; read: those that the target was found to have as they are; seen: the ids there of those that
    were found, whatever is there of them.
    """

    database: Database
    client: Client
    plan: Plan
    batch: Batch
    settle: Settle
    known: dict[Key, Known] = field(default_factory=dict)
    replies: dict[Key, Reply] = field(default_factory=dict)
    settled: dict[Key, Settled] = field(default_factory=dict)
    read: set[Key] = field(default_factory=set)
    tries: dict[Key, int] = field(default_factory=dict)
    seen: dict[Key, str] = field(default_factory=dict)

    async def look(self) -> None:
        """Find out what the target has of what it is not known to have, or may have in another version by now.

        Raises Unanswered.
        """
        there = self.batch.there()
        for key in there & self.batch.items.keys():
            held = self.batch.held[key]
            self.known[key] = Known(held.remote_id or key[1], held.remote_etag)
        # Of some the target never told the version: without it, whatever is there would be written over.
        unsure = {key for key, one in self.known.items() if not one.etag and self._offer(key).versioned}
        asked = [key for key, item in self.batch.items.items() if key not in there or item.attempts or key in unsure]
        for key, found in (await self._found(asked)).items():
            if (reply := await self._weighed(key, found, Reply(Meaning.CONFLICT))) is not None:
                self.replies[key] = reply

    def to_send(self) -> list[Key]:
        """What is still to be sent after looking, deletions last: what refers to them is changed before."""
        keys = [key for key in self.batch.items if key not in self.replies]
        return sorted(keys, key=lambda key: self.batch.items[key].content is None)

    def make(self, key: Key, together: Collection[Key]) -> Outgoing:
        """The request about a resource, by what is known now."""
        item, known, offer = self.batch.items[key], self.known.get(key), self._offer(key)
        if known is None and self._is_same(key):
            known = Known(key[1])
        if known is not None and not offer.versioned:
            known = Known(known.remote_id)
        if item.content is None:
            return outgoing.deletion(key, known or Known(key[1]))
        text = self._content(key, item.content, together)
        if known is not None:
            return outgoing.update(key, text, known)
        return outgoing.creation(
            key,
            text,
            _urn(key),
            conditional_update=offer.conditional_update,
            conditional_create=offer.conditional_create,
            instance=self.client.instance,
        )

    async def again(self, key: Key, reply: Reply, send: Callable[[Key], Awaitable[Reply]]) -> Reply:
        """What holds after a CONFLICT or ABSENT: what is really there is looked at, and if need be sent again."""
        while reply.meaning in (Meaning.CONFLICT, Meaning.ABSENT):
            self.tries[key] = self.tries.get(key, 0) + 1
            if self.tries[key] > _MOST_TRIES:
                return replace(reply, meaning=Meaning.NOT_NOW)
            found = (await self._found([key])).get(key)
            if reply.meaning is Meaning.ABSENT and not found:
                self._forget(key, reply)
            elif (known := await self._weighed(key, found, reply)) is not None:
                return known
            reply = await send(key)
        return reply

    def nameless(self, key: Key) -> Key | None:
        """What a resource refers to, is in this batch, and has no name at the target yet."""
        others = sorted(self.batch.refers[key] & self.batch.items.keys())
        return next((each for each in others if not self._is_same(each) and not self._there(each, "", ())), None)

    def remote_id(self, key: Key) -> str:
        """The id at the target of what was sent, "" if it does not tell."""
        known, reply = self.known.get(key), self.replies.get(key)
        told = (known.remote_id if known else "") or (reply.remote_id if reply else "")
        return told or (key[1] if self._is_same(key) else "")

    def _forget(self, key: Key, reply: Reply) -> None:
        """What was known to be there is not: it is created again. Where even that is answered so, ids are its own."""
        held = self.batch.held.pop(key, None)
        if self.known.pop(key, None) is None and held is None and self._is_same(key):
            offer = replace(self._offer(key), update_create=False)
            said = f"It does not create {key[0]} by PUT ({reply.status}), so our sync identifier is the key there."
            self.plan = replace(self.plan, types={**self.plan.types, key[0]: offer}, said=(*self.plan.said, said))

    async def _found(self, keys: Collection[Key]) -> Found:
        """What the target has of the resources, by their ids there or by our sync identifier."""
        remote = {key: self.known[key].remote_id for key in keys if key in self.known}
        remote |= {key: key[1] for key in keys if key not in remote and self._is_same(key)}
        found = await look(self.client, self.plan, list(keys), remote)
        # Before any is compared: what one refers to may be called by another's.
        self.seen |= {key: each[0].id for key, each in found.items() if len(each) == 1}
        return found

    async def _weighed(self, key: Key, found: list[Incoming] | None, reply: Reply) -> Reply | None:
        """What follows from what the target has; None for: send, to what is now known."""
        item, held = self.batch.items[key], self.batch.held.get(key)
        if found is None:
            return None
        if len(found) > 1:
            told = f"There are {len(found)} resources with our sync identifier; which of them is meant is not known."
            return Reply(Meaning.REFUSED, reply.status, told)
        if not found:
            if item.content is None:
                self.read.add(key)
                return Reply(Meaning.ALREADY)
            # Deleted there, since the request that told of a version was understood.
            is_deleted = bool(held and not held.deleted and reply.status)
            return await self._decided(key, None) if is_deleted else None
        one = found[0]
        agreed = await self._agreed(item, one, held.version if held and not held.deleted else 0)
        if agreed == item.version and item.content is not None:
            self.read.add(key)
            self.known[key] = Known(one.id, one.etag)
            return Reply(Meaning.ALREADY, etag=one.etag, remote_id=one.id, updated=one.updated)
        if agreed or (held and one.version and one.version == held.remote_version):
            self.known[key] = Known(one.id, one.etag)
            return None
        return await self._decided(key, one)

    async def _decided(self, key: Key, one: Incoming | None) -> Reply | None:
        """Ask what holds of two versions."""
        # What it refers to may have arrived since it was looked for, under a name that is not known yet.
        others = self.batch.refers[key] & (self.seen.keys() | self.batch.items.keys())
        if unnoted := sorted(each for each in others if not self._is_noted(each)):
            told = f"It differs, and what {'/'.join(unnoted[0])} is there is not noted yet: compared again later."
            return Reply(Meaning.NOT_NOW, reason=told)
        try:
            decided = await self.settle(self.batch.items[key], one, self.batch.held.get(key))
        except PreconditionFailed:
            return Reply(
                Meaning.NOT_NOW, reason="What it holds was read by another worker meanwhile; it is looked at again."
            )
        except Refused as refused:
            told = "; ".join(issue.diagnostics for issue in refused.issues)
            return Reply(Meaning.NOT_NOW, reason=f"Its version there cannot be compared with ours: {told}")
        if decided != "send":
            self.settled[key] = decided
            return Reply(Meaning.ALREADY, etag=one.etag if one else "", remote_id=one.id if one else "")
        if one is not None:
            self.known[key] = Known(one.id, one.etag)
        else:
            self.known.pop(key, None)
            self.batch.held.pop(key, None)
        return None

    async def _agreed(self, item: Item, one: Incoming, first: int) -> int:
        """The newest version of ours that says what is there, 0 for none: theirs is then no change of theirs."""
        try:
            base = self.client.base_url
            theirs = lossless.parse_object(rewrite(one.text or b"", lambda link: link.removeprefix(f"{base}/")))
        except Refused:
            return 0
        if item.content is not None and alike(self._tree(item.key, item.content), theirs):
            return item.version
        async with self.database.reading() as connection:
            past = Past(item.type, item.id)
            versions = [v for _, v in await repository.history(connection, past, count=_LOOK_BACK)]
        earlier = (v for v in versions if first <= v.version < item.version and v.content is not None)
        return next((v.version for v in earlier if alike(self._tree(item.key, v.content or b""), theirs)), 0)

    def _tree(self, key: Key, content: bytes) -> Mapping[str, Any]:
        return lossless.parse_object(self._content(key, content, ()))

    def _content(self, key: Key, content: bytes, together: Collection[Key]) -> bytes:
        def there(other: Key, version: str) -> str | None:
            return self._there(other, version, together)

        return outgoing.content(
            content, key, is_marked=not self._is_same(key), there=there, instance=self.client.instance
        )

    def _there(self, key: Key, version: str, together: Collection[Key]) -> str | None:
        """What a resource here is called at the target, None where it does not have it."""
        reply, held, known = self.replies.get(key), self.batch.held.get(key), self.known.get(key)
        if known is None and key in together:
            return f"{key[0]}/{key[1]}" if self._is_same(key) else _urn(key)
        arrived = reply is not None and reply.meaning in (Meaning.DONE, Meaning.ALREADY)
        if key in self.batch.items and arrived and reply is not None:
            remote_id, own, theirs = self.remote_id(key), self.batch.items[key].version, reply.remote_version
        elif held is not None and not held.deleted:
            remote_id, own, theirs = held.remote_id or key[1], held.version, held.remote_version
        elif key in self.seen:
            remote_id, own, theirs = self.seen[key], 0, ""
        else:
            return None
        if not remote_id:
            return None
        # A version that it never had is, there, the resource as it stands.
        named = f"/_history/{theirs}" if version and theirs and version == str(own) else ""
        return f"{key[0]}/{remote_id}{named}"

    def _is_noted(self, key: Key) -> bool:
        """Whether others know by the ledger what it is called there."""
        return self._is_same(key) or key in self.batch.there()

    def _is_same(self, key: Key) -> bool:
        return self.plan.ids_of(key[0]) == "same"

    def _offer(self, key: Key) -> Offer:
        return self.plan.offer(key[0])


def _urn(key: Key) -> str:
    """A name for a resource within one Bundle; always the same, which makes what is sent comparable."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, '/'.join(key))}"
