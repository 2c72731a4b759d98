"""What a person decides about a conflict, by the API or by closing its Task; nothing is left hanging."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import structlog

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, NotFound, PreconditionFailed, Refused
from app.intake.writes import Caller
from app.store import conflicts, ledger, repository
from app.store.conflicts import UNSETTLED, Conflict
from app.store.database import Connection, Database
from app.store.repository import Stored
from app.sync.conflicts.cases import Case, Partner, Theirs, gather, theirs_of
from app.sync.conflicts.decisions import Outcome
from app.sync.conflicts.likeness import alike
from app.sync.conflicts.rules import Rule
from app.sync.conflicts.settling import Conflicts, Decided, weighed
from app.sync.conflicts.task import answer_of, is_finished

Resolution = Literal["ours", "theirs", "merged"]
# Reads from the target what it holds now; None where it does not answer: If-Match shows it when it is sent.
Look = Callable[[Partner, Conflict], Awaitable[Theirs | None]]
WAIT = 30.0
_PAGE = 100
_ROUNDS = 5
_log = structlog.get_logger()


class Changed(Exception):
    """It cannot be decided like this any more. conflict: what is to be decided, or was, now."""

    def __init__(self, conflict: Conflict, why: str) -> None:
        self.conflict, self.why = conflict, why
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class _Ask:
    default: Rule = "manual"
    elements: Mapping[str, Rule] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class _Former:
    """A target that was taken off the list: nothing is sent to it, and no rule of it is left."""

    name: str
    base_url: str = ""
    ids: str = "same"
    direction: str = "pull"
    conflict: _Ask = field(default_factory=_Ask)


@dataclass(slots=True)
class Resolving:
    """Conflicts that wait for a person. partner_of: the target of a name, None for one that is no longer listed."""

    conflicts: Conflicts
    partner_of: Callable[[str], Awaitable[Partner | None]]
    look: Look | None = None
    after: int = 0
    due: float = 0.0

    async def resolve(self, cid: str, resolution: Resolution, text: bytes | None, caller: Caller) -> Conflict:
        """Decide an open conflict; deciding it again in the same way answers the same.

        text: the resource that holds, for "merged". Raises Changed where either side has changed since it was found or
        it was decided otherwise, NotFound, and Refused where the door does not take what would hold.
        """
        return await self._resolve(cid, Decided(cid, resolution, "person"), text, caller)

    async def _resolve(self, cid: str, decided: Decided, text: bytes | None, caller: Caller) -> Conflict:
        for _ in range(_ROUNDS):
            async with self._database.reading() as connection:
                found = await _required(connection, cid)
                if found.state != "open":
                    if found.resolution == decided.resolution:
                        return found
                    raise Changed(await _latest(connection, found), f"It was decided before: {found.resolution}.")
            partner = await self.partner(found.target)
            await self._require_current(partner, found)
            async with self._database.reading() as connection:
                case = await gather(connection, partner, found.key, theirs_of(found))
            try:
                outcome = await _outcome(case, found, decided.resolution, text)
                await self.conflicts.apply(case, outcome, caller, decided)
            except PreconditionFailed:
                continue  # somebody came in between: what is asked now is seen in the next round
            await self.conflicts.asking.close_all(found.target, found.key)
        raise PreconditionFailed([Issue("conflict", "Others keep changing what this is about. Read it again.")])

    async def _require_current(self, partner: Partner, found: Conflict) -> None:
        """Raises Changed where either side is not as the conflict has it; what is to be decided now is found first."""
        why, theirs = await self._moved(found), theirs_of(found)
        if not why and self.look and (seen := await self.look(partner, found)):
            theirs = seen
            why = "" if _is_same(seen, theirs_of(found)) else "The other server has changed it since."
        if why:
            await self._anew(partner, found, theirs)
            async with self._database.reading() as connection:
                raise Changed(await _latest(connection, found), why)

    async def _moved(self, found: Conflict) -> str:
        """What has changed here since the conflict was found, "" for nothing."""
        async with self._database.reading() as connection:
            if await _is_agreed(connection, found):
                return "Both servers came to hold the same."
            current = await repository.read(connection, *found.key)
        now = current.version if current else 0
        return "" if now == found.version else f"It was changed here since: version {found.version} is now {now}."

    async def _anew(self, partner: Partner, found: Conflict, theirs: Theirs) -> None:
        """Settle what there is now instead."""
        async with self._database.reading() as connection:
            is_agreed = await _is_agreed(connection, found)
            held = (await ledger.read(connection, found.target, [found.key])).get(found.key)
        if not is_agreed:
            await self.conflicts.settle(partner, found.key, theirs, held)
            return
        now = self.conflicts.intake.clock()
        async with self._database.writing() as connection:
            await conflicts.supersede(connection, found.target, found.key, "alike", but="", now=now)
            await conflicts.release(connection, found.target, found.key)
        self.conflicts.intake.ring()
        await self.conflicts.asking.close_all(found.target, found.key)

    async def step(self) -> float:
        """Look after some of the conflicts that are not settled; answers the seconds until there is to be another.

        Whoever writes rings for the targets, not for this: in between nothing is read.
        """
        now = asyncio.get_running_loop().time()
        if now < self.due:
            return self.due - now
        async with self._database.reading() as connection:
            found = await conflicts.page(connection, UNSETTLED, after=self.after, limit=_PAGE)
            tasks = await repository.read_all(connection, [("Task", one.cid) for one in found])
        for one in found:
            try:
                await self._look_after(one, tasks.get(("Task", one.cid)))
            except Refused as refused:  # it stays as it is, and the others are looked after
                _log.warning("conflict not looked after", conflict=one.cid, issues=len(refused.issues))
        self.after = found[-1].sid if len(found) == _PAGE else 0
        self.due = 0 if self.after else now + WAIT
        return 0 if self.after else WAIT

    async def _look_after(self, found: Conflict, task: Stored | None) -> None:
        if found.state == "closing":
            await self.conflicts.asking.close(found)
            return
        if await self._moved(found):
            await self._anew(await self.partner(found.target), found, theirs_of(found))
        elif task is not None:
            tree = lossless.parse_object(task.content) if task.content else {"status": "entered-in-error"}
            if is_finished(tree):
                await self._heed(found, task, tree)

    async def _heed(self, found: Conflict, task: Stored, tree: Mapping[str, Any]) -> None:
        """A Task that somebody closed decides if it says how; else it is opened again: nothing was decided."""
        answer = answer_of(tree)
        if answer is not None:
            try:
                caller = self.conflicts.asking.caller(found.target)
                await self._resolve(found.cid, Decided(found.cid, answer, "task"), None, caller)
                return
            except Changed:
                return  # another Task asks about what is there now
            except Refused as refused:
                _log.warning("task cannot be heeded", task=found.cid, issues=len(refused.issues))
        await self.conflicts.asking.ask_again(found, task)

    async def read(self, cid: str) -> Conflict:
        """One conflict. Raises NotFound."""
        async with self._database.reading() as connection:
            return await _required(connection, cid)

    async def partner(self, name: str) -> Partner:
        """The target of a name, as far as it is known."""
        return await self.partner_of(name) or _Former(name)

    @property
    def _database(self) -> Database:
        return self.conflicts.database


def among(partners: Iterable[Partner]) -> Callable[[str], Awaitable[Partner | None]]:
    """What finds a target of these by its name."""
    known: dict[str, Partner] = {one.name: one for one in partners}

    async def partner_of(name: str) -> Partner | None:
        return known.get(name)

    return partner_of


async def _outcome(case: Case, found: Conflict, resolution: Resolution, text: bytes | None) -> Outcome:
    """What holds by the word of a person. Where the merge itself was refused, ours or theirs is the whole version."""
    if resolution == "merged":
        tree = lossless.parse_object(text or b"")
        theirs = case.theirs.tree
        if theirs is not None and alike(tree, theirs):
            return case.whole("theirs")
        ours = case.whole("ours").resource
        return case.whole("ours") if ours is not None and alike(tree, ours) else Outcome("merged", tree)
    return case.whole(resolution) if found.issues != "[]" else await weighed(case, resolution)


def _is_same(one: Theirs, other: Theirs) -> bool:
    """Whether the target still holds what it held. A deletion read again has no version; some servers have none."""
    if one.text is None or other.text is None:
        return one.text is other.text
    if one.version or other.version:
        return one.version == other.version
    return alike(lossless.parse_object(one.text), lossless.parse_object(other.text))


async def _is_agreed(connection: Connection, found: Conflict) -> bool:
    """Whether both sides came to hold the same since, in other versions than these."""
    current = await repository.read(connection, *found.key)
    held = (await ledger.read(connection, found.target, [found.key])).get(found.key)
    is_other = held is not None and held.remote_version != found.remote_version
    return is_other and current is not None and held is not None and held.version == current.version


async def _required(connection: Connection, cid: str) -> Conflict:
    found = await conflicts.read(connection, cid)
    if found is None:
        raise NotFound([Issue("not-found", "There is no conflict of this id here; /sync/conflicts lists them.")])
    return found


async def _latest(connection: Connection, found: Conflict) -> Conflict:
    """The last conflict about the same resource and target."""
    return (await conflicts.of_resource(connection, found.target, found.key))[0]
