"""One part of what is to be read of a target: its page, or a look for what is gone, and where reading stands then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.store import clock, ledger
from app.store.database import Database
from app.store.tables import Pull as Row
from app.sync.capabilities import Plan
from app.sync.pull import windows
from app.sync.pull.pages import Incoming, Page
from app.sync.pull.remote import Source
from app.sync.pull.windows import IDS

# How often a window is read anew because it changed while it was read; what is left is found by the overlap.
_MOST_AGAIN = 3
_NOTHING = Page((), "")


class Wanted(Protocol):
    """What is asked of a target here."""

    @property
    def name(self) -> str: ...
    @property
    def profiles(self) -> Sequence[str]: ...
    @property
    def page_size(self) -> int: ...
    @property
    def pull_seconds(self) -> float: ...
    @property
    def overlap_seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Part:
    """What was read: at most one version of each resource. after: where reading stands once it is taken over."""

    entries: Sequence[Incoming]
    after: Row
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one target. filters: the searches of a type, by type. Everything here raises NotRead and UnusablePage."""

    database: Database
    target: Wanted
    source: Source
    filters: Mapping[str, Sequence[str]]
    _again: dict[str, int] = field(default_factory=dict)

    async def read(self, row: Row, wanted: str, plan: Plan, now: int) -> Part:
        """The next part. wanted: how this is to be read."""
        return await (self._gone(row, now) if wanted == "ids" else self._page(row, wanted, plan, now))

    async def _page(self, row: Row, wanted: str, plan: Plan, now: int) -> Part:
        name = row.type.partition("?")[0]
        asked = windows.conditions(row.type, self.filters, self.target.profiles)
        can_search = plan.can_search_last_updated(name)
        mode = row.mode if row.pages else windows.mode_of(row, wanted, can_search=can_search)
        page, there = await self.source.page(row.next_link or self._first(row, mode, asked), name)
        begun = row if row.pages else windows.begun(row, page, mode, there=there)
        follows = wanted == "history" and mode == "search"
        after = windows.moved(begun, page) if page.next else self._ended(begun, page, follows=follows, now=now)
        entries = newest(page, newest_first=mode == "history")
        # What the address asked for already need not be asked for again.
        if asked != [[]] and (mode == "history" or len(asked) > 1):
            entries = await self._matching(name, entries, asked)
        return Part(entries, after, newest_first=mode == "history")

    def _first(self, row: Row, mode: str, conditions: Sequence[windows.Pairs]) -> str:
        asked = conditions[0] if len(conditions) == 1 else []
        overlap = int(self.target.overlap_seconds * clock.SECOND)
        path, pairs = windows.path_and_pairs(row, mode, count=self.target.page_size, overlap=overlap, asked=asked)
        return self.source.address(path, pairs)

    def _ended(self, row: Row, page: Page, *, follows: bool, now: int) -> Row:
        """After the last page. A window that changed while it was read is read anew, though not for ever."""
        # A history that follows tells all that changed meanwhile.
        is_again = row.mode == "search" and not follows and windows.has_changed(row, page)
        if is_again:
            self._again[row.type] = (self._again.get(row.type, 0) + 1) % (_MOST_AGAIN + 1)
            is_again = self._again[row.type] > 0
        seconds = self.target.pull_seconds
        return windows.ended(row, page, follows=follows, now=now, seconds=seconds, is_again=is_again)

    async def _matching(
        self, name: str, entries: Sequence[Incoming], conditions: Sequence[windows.Pairs]
    ) -> list[Incoming]:
        """Those that the target's own search says are wanted; what is held here stays in step, whatever it says now."""
        async with self.database.reading() as connection:
            held = await ledger.by_remote(connection, self.target.name, (one.key for one in entries))
        kept = {key for key, one in held.items() if not one.deleted} | {one.key for one in entries if one.deleted}
        asked = [one.id for one in entries if one.key not in kept]
        for pairs in conditions if asked else ():
            kept |= {one.key for one in await self.source.resources(name, asked, pairs)}
        return [one for one in entries if one.key in kept]

    async def _gone(self, row: Row, now: int) -> Part:
        """A part of what is held of a type: what is not found there any more was deleted."""
        name, limit = row.type.removesuffix(IDS), self.target.page_size
        async with self.database.reading() as connection:
            known = await ledger.page(connection, self.target.name, name, after=row.next_link, limit=limit)
        asked = [one.remote_id or one.id for one in known if not one.deleted]
        found = {one.id for one in await self.source.resources(name, asked, [("_elements", "id")])} if asked else set()
        gone = [each for each in asked if each not in found and await self.source.is_gone(name, each)]
        if len(known) == limit:
            after = windows.changed(row, next_link=known[-1].id, pages=row.pages + 1, failures=0, error="")
        else:
            after = windows.ended(row, _NOTHING, follows=False, now=now, seconds=self.target.pull_seconds)
        return Part([Incoming(name, each, "", 0, None) for each in gone], after)


def newest(page: Page, *, newest_first: bool) -> list[Incoming]:
    """One version of each resource of a page: the newest."""
    entries = reversed(page.entries) if newest_first else page.entries
    return list({one.key: one for one in entries}.values())
