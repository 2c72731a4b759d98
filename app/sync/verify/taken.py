"""What a target that is read holds, beside what was taken over from it.

Type by type: each page of what is there, for what was never taken over; then what the ledger knows, for what was
changed or deleted there since. What differs is taken over as pulling does it, through the one door and by the rules for
conflicts.
"""

import random
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass

from app.fhir import json as lossless
from app.fhir.outcomes import Refused
from app.store import clock, ledger, pulls, quarantine, repository
from app.store.database import Connection, Database
from app.store.ledger import Held
from app.store.letters import letters_of
from app.store.repository import Key, Stored
from app.store.tables import Pull as Row
from app.sync.capabilities import Plan
from app.sync.conflicts.cases import read_theirs
from app.sync.conflicts.likeness import alike
from app.sync.pull import windows
from app.sync.pull.judging import Seen, is_old
from app.sync.pull.pages import Incoming, Page
from app.sync.pull.pulling import Pulled, by_type
from app.sync.pull.reading import newest
from app.sync.pull.remote import Source
from app.sync.pull.taking import KeepsChanging, Taker
from app.sync.verify.report import Kind, Report, is_drift

Found = dict[Key, tuple[Kind, Incoming]]


@dataclass(frozen=True, slots=True)
class Taken:
    """The comparison with one target that is read. types: those that are read of it; sample: the share of contents
    compared though versions agree; repair: whether what differs is taken over."""

    database: Database
    target: Pulled
    source: Source
    plan: Plan
    taker: Taker
    types: Collection[str]
    sample: float = 0.05
    repair: bool = False

    async def run(self, report: Report) -> AsyncIterator[Report]:
        """Compare everything; the report after each page. Raises NotRead and UnusablePage."""
        report.place, report.places = 0, 2 * len(self.types)
        for name in windows.in_order(self.types):
            read_to = await self._read_to(name)
            async for page in self._pages(name):
                await self._look(await self._not_taken(page, read_to, report), report)
                yield report
            report.place += 1
            async for known in self._known(name):
                await self._look(await self._changed(name, known, read_to, report), report)
                yield report
            report.place += 1
        yield report

    async def _read_to(self, name: str) -> int:
        """What was written there before this moment was to be read by now; 0 where it was never read."""
        async with self.database.reading() as connection:
            rows = await pulls.rows(connection, self.target.name)
        own = [row.watermark for row in rows if row.type.partition("?")[0] == name and row.mode != "ids"]
        return max(0, min(own, default=0) - int(self.target.overlap_seconds * clock.SECOND))

    async def _pages(self, name: str) -> AsyncIterator[Page]:
        for asked in windows.conditions(name, by_type(self.target.filters), self.target.profiles):
            order = [("_sort", "_lastUpdated")] if self.plan.can_search_last_updated(name) else []
            row = Row(target=self.target.name, type=name)
            row.next_link = self.source.address(name, [*asked, *order, ("_count", str(self.target.page_size))])
            while row.next_link:
                page, _ = await self.source.page(row.next_link, name)
                yield page
                # It is also what notices links that lead in a circle.
                row = windows.moved(row, page)

    async def _known(self, name: str) -> AsyncIterator[Sequence[Held]]:
        after, limit = "", self.target.page_size
        while True:
            async with self.database.reading() as connection:
                page = await ledger.page(connection, self.target.name, name, after=after, limit=limit)
            yield [one for one in page if not one.deleted]
            if len(page) < limit:
                return
            after = page[-1].id

    async def _not_taken(self, page: Page, read_to: int, report: Report) -> Found:
        """Those of a page that the ledger does not know."""
        entries = [one for one in newest(page, newest_first=False) if self.taker.is_wanted(one)]
        async with self.database.reading() as connection:
            held = await ledger.by_remote(connection, self.target.name, [one.key for one in entries])
            untold = [one for one in entries if one.key not in held or held[one.key].deleted]
            unknown = await self._unseen(connection, untold)
            aside = await quarantine.held(connection, self.target.name, [one.key for one in unknown])
        found: Found = {}
        for one in unknown:
            report.seen += 1
            report.tally(one.type, here=False, there=True)
            kept = aside.get(one.key)
            kind = _since(one, read_to, "not taken")
            found[one.key] = ("quarantined" if kept and kept.version == one.version else kind), one
        return found

    async def _unseen(self, connection: Connection, entries: Sequence[Incoming]) -> Sequence[Incoming]:
        """Without those that are here, where the target is told of writes too: they are compared as such."""
        if self.target.direction != "both" or not entries:
            return entries
        ids = (await self.taker.identify(connection, entries)).ids
        keys = {one.key: (one.type, ids[one.key]) for one in entries if one.key in ids}
        stored = await repository.read_all(connection, keys.values())
        here = {key for key, each in stored.items() if not each.deleted}
        return [one for one in entries if keys.get(one.key) not in here]

    async def _changed(self, name: str, known: Sequence[Held], read_to: int, report: Report) -> Found:
        """Those of the ledger that are there in another version, or not any more."""
        ids = {one.remote_id or one.id: one for one in known}
        entries = {one.id: one for one in await self.source.resources(name, list(ids))} if ids else {}
        gone = [each for each in ids if each not in entries and await self.source.is_gone(name, each)]
        found: Found = {}
        async with self.database.reading() as connection:
            keys = [one.key for one in known]
            waiting = await letters_of(connection, self.target.name, keys)
            stored = await repository.read_all(connection, keys)
            aside = await quarantine.held(connection, self.target.name, [(name, each) for each in ids])
            for each, held in ids.items():
                one, here = entries.get(each), stored.get(held.key)
                self._tally(name, here, one, report)
                if here is None or here.deleted:
                    continue
                if held.key in waiting:
                    kind: Kind | None = "waiting"
                elif one is None:
                    kind = "still here" if each in gone else "unknown"
                else:
                    kept = aside.get(one.key)
                    is_aside = kept is not None and kept.version == one.version
                    kind = (
                        "quarantined" if is_aside else await self._judged(connection, one, held, here, read_to, report)
                    )
                if kind:
                    found[name, each] = kind, one or Incoming(name, each, "", 0, None)
        return found

    async def _judged(
        self, connection: Connection, one: Incoming, held: Held, here: Stored, read_to: int, report: Report
    ) -> Kind | None:
        if one.version and held.remote_version and one.version != held.remote_version:
            return _since(one, read_to, "outdated")
        # What was changed here since is no drift; what the target is told of is compared as such.
        is_common = self.target.direction == "pull" and held.version == here.version
        if not is_common or random.random() >= self.sample:  # noqa: S311
            return None
        report.compared += 1
        try:
            remote = lossless.parse_object(one.text or b"")
            theirs = (await read_theirs(connection, self.target, held.key, remote, one.etag)).tree
        except Refused:
            return "different"
        return (
            None if theirs is not None and alike(lossless.parse_object(here.content or b"{}"), theirs) else "different"
        )

    def _tally(self, name: str, here: Stored | None, one: Incoming | None, report: Report) -> None:
        if self.target.direction == "pull":
            report.seen += 1
            report.tally(name, here=here is not None and not here.deleted, there=one is not None)

    async def _look(self, found: Found, report: Report) -> None:
        """Note what was found and, if it is to be, take it over."""
        for key, (kind, _) in found.items():
            # A target that is told too: the outbox was looked at already.
            if kind != "waiting" or self.target.direction == "pull":
                report.note(kind, key)
        wrong = {key: (kind, one) for key, (kind, one) in found.items() if is_drift(kind)}
        if wrong and self.repair:
            await self._forget(wrong)
            try:
                counts = await self.taker.take([one for _, one in wrong.values()], _nothing)
            except KeepsChanging:
                return
            report.repaired += len(wrong) - counts["refused"]

    async def _forget(self, wrong: Mapping[Key, tuple[Kind, Incoming]]) -> None:
        """What would be passed over as known, since the ledger is wrong or the target was set back."""
        async with self.database.writing() as connection:
            held = await ledger.by_remote(connection, self.target.name, wrong)
            known = {
                key: one for key, one in held.items() if is_old(_seen(wrong[key][1]), one) and not wrong[key][1].deleted
            }
            await ledger.forget(connection, self.target.name, [one.key for one in known.values()])


def _since(one: Incoming, read_to: int, kind: Kind) -> Kind:
    """The kind, unless the next reading is to find it anyway."""
    return "to be read" if not read_to or (one.updated and one.updated >= read_to) else kind


def _seen(one: Incoming) -> Seen:
    return Seen(one.version, one.updated, one.deleted)


async def _nothing(_: Connection) -> None:
    """Where reading has come to does not change."""
