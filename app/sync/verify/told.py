"""What a target that is told of writes holds, beside what the ledger says of it and what is here.

Page by page, in the order of writing: what is here is asked for there, by the id it has there or by our identifier.
Most is settled by the version the target tells; of the rest, and of a sample, the contents are compared. Nothing is
written over blindly: what differs goes through the outbox, and meets the rules for conflicts there.
"""

import random
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from app.fhir import json as lossless
from app.fhir.outcomes import Refused
from app.store import ledger, outbox, repository, untold
from app.store.database import Connection, Database
from app.store.enqueue import enqueue_current
from app.store.ledger import Held
from app.store.letters import letters_of
from app.store.repository import Key, Stored
from app.store.untold import Current
from app.sync.capabilities import Plan
from app.sync.client import Client
from app.sync.conflicts.cases import Partner, Theirs, read_theirs
from app.sync.conflicts.likeness import alike
from app.sync.pull.pages import Incoming
from app.sync.push.backfill import PRIVATE
from app.sync.push.gathering import Wants
from app.sync.push.lookups import Found, look
from app.sync.verify.report import Kind, Report, is_drift

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Told:
    """The comparison with one target that is told of writes.

    own: definitions that every instance has itself; sample: the share of contents compared though versions agree.
    taken: the types that are taken from it as well (app/sync/verify/taken.py, which tells what was changed there).
    """

    database: Database
    target: Partner
    client: Client
    plan: Plan
    wants: Wants
    own: Collection[Key]
    base: str = ""
    sample: float = 0.05
    repair: bool = False
    taken: Collection[str] = ()

    async def run(self, report: Report) -> AsyncIterator[Report]:
        """Compare everything; the report after each page. Raises Unanswered where the target does not answer."""
        async with self.database.reading() as connection:
            report.place, report.places = 0, await untold.last(connection)
        while await self._page(report):
            yield report
        report.place = report.places
        yield report

    async def _page(self, report: Report) -> bool:
        """Compare the next page; whether there was one."""
        async with self.database.reading() as connection:
            page = await untold.current(connection, without=PRIVATE, after=report.place, limit=_PAGE)
            chosen = await self._chosen(connection, [one for one in page if one.key not in self.own])
            waiting = await letters_of(connection, self.target.name, chosen)
        report.place = page[-1].vid if page else report.place
        found = await look(self.client, self.plan, list(chosen), self._remote_ids(chosen)) if chosen else {}
        await self._compare(chosen, waiting, found, report)
        return bool(page)

    async def _chosen(self, connection: Connection, page: Sequence[Current]) -> dict[Key, tuple[Current, Held | None]]:
        """What the target is to hold, or was told of, with what the ledger says."""
        held = await ledger.read(connection, self.target.name, [one.key for one in page])
        unknown = [one for one in page if one.key not in held and not one.deleted]
        stored = await repository.read_all(connection, [one.key for one in unknown])
        wanted = await self.wants(connection, [_item(one, stored[one.key]) for one in unknown if one.key in stored])
        return {one.key: (one, held.get(one.key)) for one in page if one.key in held or one.key in wanted}

    def _remote_ids(self, chosen: Mapping[Key, tuple[Current, Held | None]]) -> dict[Key, str]:
        known = {key: held.remote_id for key, (_, held) in chosen.items() if held and held.remote_id}
        same = {key: key[1] for key in chosen if self.plan.ids_of(key[0]) == "same"}
        return same | known

    async def _compare(
        self,
        chosen: Mapping[Key, tuple[Current, Held | None]],
        waiting: Collection[Key],
        found: Found,
        report: Report,
    ) -> None:
        kinds: dict[Key, tuple[Kind, Theirs | None]] = {}
        async with self.database.reading() as connection:
            later = await letters_of(connection, self.target.name, chosen)
            stored = await repository.read_all(connection, chosen)
            for key, (one, held) in chosen.items():
                report.seen += 1
                live = [entry for entry in found.get(key, ()) if not entry.deleted]
                report.tally(key[0], here=not stored[key].deleted, there=bool(live))
                # What was written while the target was asked is on its way, or was sent meanwhile.
                if key in waiting or key in later or stored[key].version != one.version:
                    kinds[key] = "waiting", None
                elif key not in found:
                    kinds[key] = "unknown", None
                elif judged := await self._judged(connection, key, held, stored[key], live, report):
                    kinds[key] = judged
        for key, (kind, _) in kinds.items():
            report.note(kind, key)
        if self.repair:
            report.repaired += await self._repair({k: v for k, v in kinds.items() if is_drift(v[0])}, chosen)

    async def _judged(
        self,
        connection: Connection,
        key: Key,
        held: Held | None,
        stored: Stored,
        live: Sequence[Incoming],
        report: Report,
    ) -> tuple[Kind, Theirs | None] | None:
        """What is wrong with one, None for nothing; with what the target holds where that is known."""
        if len(live) > 1:
            return "twice", None
        if stored.deleted:
            return _gone(held, live)
        is_held = held is not None and not held.deleted
        if is_held and held and key[0] in self.taken and _was_changed(held, live):
            return None
        if not live:
            return "missing", None
        is_noted = is_held and held is not None and held.version == stored.version
        is_same = held is not None and held.remote_version == live[0].version
        if is_noted and is_same and random.random() >= self.sample:  # noqa: S311
            return None
        report.compared += 1
        theirs = await self._theirs(connection, key, live[0])
        if theirs is None or not _is_alike(stored, theirs):
            return "different", theirs
        if not is_noted:
            return "unnoted", theirs
        # Some targets do not say which version they made of what they took: then there is none to be wrong.
        return None if is_same or (held and not held.remote_version) else ("stale", theirs)

    async def _theirs(self, connection: Connection, key: Key, entry: Incoming) -> Theirs | None:
        try:
            remote = lossless.parse_object(entry.text or b"")
            return await read_theirs(connection, self.target, key, remote, entry.etag or f'W/"{entry.version}"')
        except Refused:
            return None

    async def _repair(
        self, kinds: Mapping[Key, tuple[Kind, Theirs | None]], chosen: Mapping[Key, tuple[Current, Held | None]]
    ) -> int:
        """Note in the ledger what is so, and in the outbox what is to be sent. Answers how many."""
        noted, again, forgotten = [], [], []
        for key, (kind, theirs) in kinds.items():
            current = chosen[key][0]
            if kind in ("stale", "unnoted") and theirs:
                noted.append(_verified(theirs.held(key, current.version)))
            elif kind == "not deleted" and theirs:
                noted.append(_verified(theirs.held(key, current.version - 1)))
                again.append(key)
            elif kind in ("missing", "different"):
                # Without a row in the ledger it is looked up before it is sent, and what differs is a conflict.
                forgotten.append(key)
                again.append(key)
        async with self.database.writing() as connection:
            await ledger.forget(connection, self.target.name, forgotten)
            await ledger.write(connection, self.target.name, noted, anew=True)
            await enqueue_current(connection, self.target.name, again, self.base)
        return len(noted) + len(forgotten)


def _item(one: Current, stored: Stored) -> outbox.Item:
    return outbox.Item(0, one.type, one.id, one.version, "", 0, 0, stored.content)


def _is_alike(stored: Stored, theirs: Theirs) -> bool:
    tree = theirs.tree
    return tree is not None and alike(lossless.parse_object(stored.content or b"{}"), tree)


def _gone(held: Held | None, live: Sequence[Incoming]) -> tuple[Kind, Theirs] | None:
    """What is wrong with one that is deleted here."""
    if live:
        return "not deleted", _seen(live[0])
    if held is None or held.deleted:
        return None
    return "unnoted", Theirs(held.remote_id, "", "", 0, None)


def _was_changed(held: Held, live: Sequence[Incoming]) -> bool:
    """Whether the target has another version than the ledger says, or none."""
    return not live or held.remote_version not in ("", live[0].version)


def _seen(entry: Incoming) -> Theirs:
    return Theirs(entry.id, entry.version, entry.etag or f'W/"{entry.version}"', entry.updated, b"{}")


def _verified(held: Held) -> Held:
    return replace(held, verified="verify")
