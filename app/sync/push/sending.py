"""Sending what a target is to have: as a transaction, as a batch or one by one, so that what it refuses keeps nothing
else back."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from app.fhir.bundles import Entry, bundle
from app.store.repository import Key
from app.sync.answers import AWAY, NO_ANSWER, UNDERSTOOD, Asked, Meaning, in_company
from app.sync.capabilities import Delivery
from app.sync.client import Client, Reply, read_entries
from app.sync.push.ordering import layers, packed
from app.sync.push.outgoing import Outgoing

_log = structlog.get_logger()
Part = Sequence[Key]
# Makes the request about a resource; together: what is in the same Bundle and may be called by its fullUrl.
Make = Callable[[Key, Collection[Key]], Outgoing]

# Decides about a CONFLICT or ABSENT: the answer that holds then.
Again = Callable[[Key, Reply], Awaitable[Reply]]

# What a resource refers to and the target, which gives ids itself, has not named yet: only in a circle.
Nameless = Callable[[Key], Key | None]

# A target that fails at so many in a row, one by one, is not able to.
_MOST_FAILURES = 3
_ARRIVED = (Meaning.DONE, Meaning.ALREADY)
_PLACE = re.compile(r"Bundle\.entry\[(\d+)\]")


@dataclass(slots=True)
class Sending:
    """One round of sending. limit: the most entries of one Bundle, halved as the target asks.

    nameless: see `Nameless`. again: what is done about a conflict, at once, so that what refers to the resource can
    follow. refers: what each refers to among those sent; there: those of them the target has, in whatever version.
    replies: what was answered so far; what has none was not sent, since what it refers to did not arrive (waiting), or
    the target stopped answering. asked: what was sent last; failures: how often in a row one by one was in vain.
    """

    client: Client
    make: Make
    again: Again
    nameless: Nameless
    refers: Mapping[Key, Collection[Key]]
    there: Collection[Key]
    delivery: Delivery
    limit: int
    replies: dict[Key, Reply] = field(default_factory=dict)
    stopped: Reply | None = None
    asked: Collection[Key] = ()
    failures: int = 0
    waiting: set[Key] = field(default_factory=set)

    async def send(self, parts: Sequence[Part]) -> None:
        """Send parts, each after all it refers to; the members of a part refer to each other."""
        if self.delivery == "transaction":
            for group in packed(parts, self.limit):
                await self._transaction(group)
        elif self.delivery == "batch":
            for layer in layers(parts, lambda key: key, self.refers):
                for chunk in packed([[key] for key in layer], self.limit):
                    await self._batch([part[0] for part in chunk])
        else:
            await self._singly([key for part in parts for key in part])
        self._judge_in_company()
        # Where nothing was understood, it is about the target.
        if self.stopped is None and not any(map(is_understood, self.replies.values())):
            waiting = (Meaning.LATER, Meaning.LOST)
            self.stopped = next((reply for reply in self.replies.values() if reply.meaning in waiting), None)

    async def one(self, key: Key) -> Reply:
        """Send one by itself, again if need be."""
        outgoing, self.asked = self.make(key, ()), (key,)
        asked: Asked = "delete" if outgoing.method == "DELETE" else "write"
        reply = await self.client.ask(
            outgoing.method, outgoing.address, asked, body=outgoing.text, headers=outgoing.headers()
        )
        return _of_creation(outgoing, reply)

    async def _transaction(self, group: Sequence[Part]) -> None:
        group = [part for part in group if all(map(self._can_go, part))]
        keys = [key for part in group for key in part]
        if self.stopped or not keys:
            return
        if len(keys) == 1:
            await self._singly(keys)
            return
        reply = await self._bundle("transaction", keys)
        if reply.meaning not in (Meaning.REFUSED, Meaning.TOO_MUCH):
            return
        _log.info("bundle refused whole", status=reply.status, entries=len(keys), meaning=reply.meaning.name)
        if reply.meaning is Meaning.TOO_MUCH:
            self.limit = max(1, len(keys) // 2)
        if len(group) == 1:
            # A circle that is refused whole: of each by itself the target says what is wrong with it.
            await self._singly(keys)
            return
        for part in _split(group, reply):
            await self._transaction(part)

    async def _batch(self, keys: Sequence[Key]) -> None:
        keys = [key for key in keys if self._can_go(key)]
        if self.stopped or not keys:
            return
        if len(keys) == 1:
            await self._singly(keys)
            return
        reply = await self._bundle("batch", keys)
        if reply.meaning in (Meaning.REFUSED, Meaning.TOO_MUCH):
            half = len(keys) // 2
            self.limit = max(1, half) if reply.meaning is Meaning.TOO_MUCH else self.limit
            await self._batch(keys[:half])
            await self._batch(keys[half:])

    async def _bundle(self, kind: str, keys: Sequence[Key]) -> Reply:
        """Send one Bundle; what is answered for each entry, or for all where there is no hope, is noted."""
        sent = [self.make(key, keys if kind == "transaction" else ()) for key in keys]
        entries = [Entry(self._full_url(one), one.text, {"request": one.request()}) for one in sent]
        self.asked = keys
        whole = await self.client.ask("POST", "", "bundle", body=bundle(kind, entries))
        if whole.meaning is Meaning.DONE:
            asked: list[Asked] = ["delete" if one.method == "DELETE" else "write" for one in sent]
            read = read_entries(whole.body, asked)
            if read is None:
                told = f"{whole.status}: it did not tell what became of each of {len(sent)} entries"
                whole = Reply(Meaning.LATER, whole.status, told)
            else:
                for key, one, reply in zip(keys, sent, read, strict=True):
                    await self._settled(key, _of_creation(one, reply))
        if whole.meaning in (Meaning.LATER, Meaning.LOST):
            self.replies |= dict.fromkeys(keys, whole)
            self.stopped = whole
        return whole

    def _full_url(self, one: Outgoing) -> str:
        """R4 bundle.html#bundle-unique: absolute; none for a deletion."""
        is_relative = one.full_url and not one.full_url.startswith("urn:")
        return f"{self.client.base_url}/{one.full_url}" if is_relative else one.full_url

    async def _singly(self, keys: Sequence[Key]) -> None:
        for key in keys:
            if self.stopped or not self._can_go(key):
                continue
            if other := self.nameless(key):
                told = (
                    f"It and {'/'.join(other)} refer to each other; where the target gives ids, only a transaction can."
                )
                self.replies[key] = Reply(Meaning.REFUSED, reason=told)
                continue
            reply = await self._settled(key, await self.one(key))
            is_vain = reply.meaning in (Meaning.LATER, Meaning.LOST)
            self.failures = self.failures + 1 if is_vain else 0
            if self.failures >= _MOST_FAILURES or (reply.meaning is Meaning.LATER and reply.status in AWAY):
                self.stopped = reply

    async def _settled(self, key: Key, reply: Reply) -> Reply:
        """Note an answer, of a conflict the one that holds in the end."""
        # Kept before: should time run out meanwhile, it is known to have been sent.
        self.replies[key] = reply
        if reply.meaning in (Meaning.CONFLICT, Meaning.ABSENT):
            self.replies[key] = reply = await self.again(key, reply)
        return reply

    def _can_go(self, key: Key) -> bool:
        """Whether the target has all that a resource refers to, and has named it, as far as it was sent in this round.

        What has arrived and was given no name in the answer is looked for in the next round; what waits for it, and
        what refers to that, goes then.
        """
        other = self.nameless(key)
        is_unnamed = other is not None and other in self.replies
        if is_unnamed or any(map(self._keeps_back, self.refers.get(key, ()))):
            self.waiting.add(key)
        return key not in self.waiting

    def _keeps_back(self, key: Key) -> bool:
        """Whether what refers to a resource must wait, since that did not arrive."""
        reply = self.replies.get(key)
        is_away = key in self.waiting or (reply is not None and reply.meaning not in _ARRIVED)
        return is_away and key not in self.there

    def _judge_in_company(self) -> None:
        understood = any(map(is_understood, self.replies.values()))
        for key, reply in self.replies.items():
            meaning = in_company(reply.meaning, reply.status, is_fhir=reply.is_fhir, others_understood=understood)
            self.replies[key] = replace(reply, meaning=meaning)


def is_understood(reply: Reply) -> bool:
    """Whether the target did something with what was sent. What was only read there says nothing of that."""
    return reply.status != NO_ANSWER and reply.meaning in UNDERSTOOD


def _of_creation(outgoing: Outgoing, reply: Reply) -> Reply:
    """The reply, unless it does not say what was to be known.

    200 to a conditional create says that one exists, not that it has this content (R4 http.html#ccreate).
    """
    if outgoing.method == "POST" and outgoing.if_none_exist and reply.status == 200:
        return replace(reply, meaning=Meaning.CONFLICT, reason="200: it was there already")
    return reply


def _split(group: Sequence[Part], reply: Reply) -> list[Sequence[Part]]:
    """A group that was refused in smaller ones: around the entry that the OperationOutcome names, else in halves."""
    named = _PLACE.search(reply.reason) if reply.meaning is Meaning.REFUSED else None
    count = 0
    for number, part in enumerate(group if named else ()):
        count += len(part)
        if named and int(named[1]) < count:
            return [each for each in (group[:number], group[number : number + 1], group[number + 1 :]) if each]
    half = len(group) // 2
    return [group[:half], group[half:]]
