"""Taking over what a target tells, through the one door: a page in one transaction, the refused ones put aside."""

import re
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, PreconditionFailed, Refused, operation_outcome
from app.intake.accept import Intake
from app.intake.writes import Caller, Write, Written
from app.store import clock, erasing, ledger, pulls, quarantine, sync_state
from app.store.audit.rows import Agent
from app.store.database import Connection, Unavailable
from app.store.idempotency import Answer
from app.store.ledger import Held
from app.store.repository import Key
from app.sync.pull.identities import Identities
from app.sync.pull.incoming import is_record, url_of
from app.sync.pull.judging import Seen, Verdict, is_old
from app.sync.pull.pages import Incoming
from app.sync.pull.provenance import provenance
from app.sync.pull.weighing import Step, weigh

Note = Callable[[Connection], Awaitable[None]]
Refusal = tuple[Incoming, Refused]

_RESPONSE = "QuestionnaireResponse"
_FIRST_WAIT, _LONGEST_WAIT = 60.0, 86_400.0
_ROUNDS = 3
# Where a write stands in the transaction, and the element of it that an issue is about.
_PLACE = re.compile(r"entry\[(?P<place>\d+)\](?:\.resource)?(?P<rest>\..+)?", re.DOTALL)
_log = structlog.get_logger()


class KeepsChanging(Exception):
    """Others kept changing here what came; the page is read again later."""


@dataclass(frozen=True, slots=True)
class Taker:
    """Takes over what one target tells.

    own_base: the address of this server. identify: which resource here each one is. settle: decides about what both
    sides have changed, and notes it. scored: those of the responses (ids there) of which the target has the scores,
    which are pulled: no others are made of them here.
    """

    target: str
    base: str
    own_base: str
    intake: Intake
    identify: Callable[[Connection, Sequence[Incoming]], Awaitable[Identities]]
    settle: Callable[[Step], Awaitable[None]]
    scored: Callable[[Sequence[str]], Awaitable[Collection[str]]]

    async def take(
        self, entries: Sequence[Incoming], note: Note, *, newest_first: bool = False, is_retry: bool = False
    ) -> Counter[str]:
        """Take over a page; `note` is called in the transaction that completes it. Answers what was done how often.

        entries: at most one version of each resource. newest_first: earlier pages had newer versions. is_retry: they
        come out of the quarantine. Raises KeepsChanging.
        """
        for _ in range(_ROUNDS):
            try:
                return await self._take(entries, note, newest_first=newest_first, is_retry=is_retry)
            except PreconditionFailed:
                # Somebody wrote one of them here after it was weighed.
                continue
        raise KeepsChanging

    async def _take(
        self, entries: Sequence[Incoming], note: Note, *, newest_first: bool, is_retry: bool
    ) -> Counter[str]:
        async with self.intake.database.reading() as connection:
            noted = await self._noted(connection, entries, with_refused=not is_retry)
            fresh = [one for one in entries if not _is_noted(one, noted, newest_first=newest_first)]
            records = [one for one in fresh if is_record(one)]
            # Another instance of this service has them too. In force are those of our package, whatever theirs say.
            own = [one for one in fresh if one.type in self.intake.own.types and self._is_own(one)]
            kept = [one for one in fresh if one not in records and one not in own]
            identities = await self.identify(connection, kept)
            gone = await self._erased(connection, kept, identities)
            steps, refused = await weigh(connection, [one for one in kept if one not in gone], identities)
        counts = Counter(seen=len(entries), records=len(records), own=len(own), erased=len(gone))
        for step in steps:
            if step.verdict is Verdict.SETTLE:
                await self.settle(step)
                counts["settled"] += 1
        page = _Page(self, note, entries if is_retry else fresh, refused, counts)
        await page.save([step for step in steps if step.verdict is not Verdict.SETTLE])
        return counts

    def is_wanted(self, one: Incoming) -> bool:
        """Whether one is taken over: not what another server's sync noted, and no definition of this service."""
        return not is_record(one) and not (one.type in self.intake.own.types and self._is_own(one))

    def _is_own(self, one: Incoming) -> bool:
        """Whether it is one of the definitions of this service."""
        return self.intake.own.by_url.get(url_of(one), ("", ""))[0] == one.type

    async def _erased(
        self, connection: Connection, entries: Sequence[Incoming], identities: Identities
    ) -> list[Incoming]:
        """What was erased here, and does not come back; that it is deleted there is noted like of any other."""
        keys = {one.key: (one.type, identities.ids[one.key]) for one in entries if one.key in identities.ids}
        known = await erasing.erased(connection, keys.values())
        return [one for one in entries if not one.deleted and keys.get(one.key) in known]

    async def _noted(
        self, connection: Connection, entries: Sequence[Incoming], *, with_refused: bool
    ) -> list[Mapping[Key, Held]]:
        """The versions that were taken over before and, unless that is where they come from, refused."""
        keys = [one.key for one in entries]
        held = await ledger.by_remote(connection, self.target, keys)
        kept = await quarantine.held(connection, self.target, keys) if with_refused else {}
        told = {key: Held(*key, 0, remote_version=one.version, remote_updated=one.updated) for key, one in kept.items()}
        return [held, told]


def _is_noted(one: Incoming, noted: Sequence[Mapping[Key, Held]], *, newest_first: bool) -> bool:
    """Whether a version is one that was dealt with, or older."""
    seen = Seen(one.version, one.updated, one.deleted)
    return any(one.key in each and is_old(seen, each[one.key], newest_first=newest_first) for each in noted)


@dataclass(slots=True)
class _Page:
    """One page on its way in. came: what leaves the quarantine, unless refused; held: what is noted without a write."""

    taker: Taker
    note: Note
    came: Sequence[Incoming]
    refused: list[Refusal]
    counts: Counter[str]
    held: list[Held] = field(default_factory=list)
    is_noted: bool = False

    async def save(self, steps: Sequence[Step]) -> None:
        """Write what is to be written, and note the rest."""
        quiet = [step for step in steps if step.verdict is not Verdict.WRITE]
        self.held = [step.common(step.version) for step in quiet]
        writing = [step for step in steps if step.verdict is Verdict.WRITE]
        asked = [step.incoming.id for step in writing if step.incoming.type == _RESPONSE and not step.incoming.deleted]
        scored = set(await self.taker.scored(asked)) if asked else set()
        apart = [step for step in writing if step.incoming.type == _RESPONSE and step.incoming.id in scored]
        if apart:
            others = [step for step in writing if step not in apart]
            await self._written(apart, replace(self.taker.intake, extraction=None), is_last=not others)
            writing = others
        if writing:
            await self._written(writing, self.taker.intake, is_last=True)
        if not self.is_noted:
            async with self.taker.intake.database.writing() as connection:
                await self._finish(connection, [])

    async def _written(self, steps: Sequence[Step], door: Intake, *, is_last: bool) -> None:
        """Through the door, together; what is refused is put aside, and the others tried without it."""
        while steps:
            try:
                await self._transaction(steps, door, is_last=is_last and not self.refused)
                return
            except (Unavailable, PreconditionFailed):
                raise
            except Refused as error:
                guilty = _guilty(error, steps)
            except (
                Exception
            ) as error:  # a fault of ours in one must not keep the others back; it is told, and tried again
                _log.error("pull failed at a resource", target=self.taker.target, error=type(error).__name__)
                guilty = {0: _fault(error)} if len(steps) == 1 else {}
            if not guilty:
                half = len(steps) // 2
                await self._written(steps[:half], door, is_last=False)
                await self._written(steps[half:], door, is_last=is_last)
                return
            self.refused += [(steps[place].incoming, why) for place, why in guilty.items()]
            steps = [step for place, step in enumerate(steps) if place not in guilty]

    async def _transaction(self, steps: Sequence[Step], door: Intake, *, is_last: bool) -> None:
        writes = [step.write(f"entry[{place}]") for place, step in enumerate(steps)]
        caller = Caller(
            Agent(f"sync {self.taker.target}", str(uuid.uuid4())), self.taker.own_base, origin=self.taker.target
        )

        async def answer(written: list[Written]) -> Answer:
            async with door.database.reading() as connection:
                done = [one.common(each.stored.version) for one, each in zip(steps, written, strict=False)]
                await (self._finish(connection, done) if is_last else self._common(connection, done))
                await sync_state.count(connection, self.taker.target, pulled=len(done))
            return Answer(200, b"")

        await door.accept([*writes, *self._record(steps)], caller, answer)
        self.is_noted = is_last
        self.counts.update("deleted" if step.incoming.deleted else "written" for step in steps)

    def _record(self, steps: Sequence[Step]) -> list[Write]:
        """The record of where they come from; what is itself such a record needs none."""
        taken = [step.taken for step in steps if step.incoming.type != "Provenance"]
        if not taken:
            return []
        taker, record_id = self.taker, self.taker.intake.new_id()
        now = taker.intake.clock()
        tree = provenance(taken, target=taker.target, base=taker.base, record_id=record_id, now=now)
        return [Write("POST", "Provenance", record_id, lossless.dumps(tree), tree, path="record", is_local=True)]

    async def _finish(self, connection: Connection, done: Sequence[Held]) -> None:
        """The last of the page's transactions: what is known, what was refused, and that the page is done."""
        refused = {one.key for one, _ in self.refused}
        await self._common(connection, [*self.held, *done])
        await quarantine.release(
            connection, self.taker.target, [one.key for one in self.came if one.key not in refused]
        )
        await self._put_aside(connection)
        await self.note(connection)

    async def _common(self, connection: Connection, done: Sequence[Held]) -> None:
        await ledger.write(connection, self.taker.target, done)
        await pulls.strike(connection, self.taker.target, {one.key: one.version for one in done})

    async def _put_aside(self, connection: Connection) -> None:
        if not self.refused:
            return
        target, now = self.taker.target, await clock.now(connection)
        before = await quarantine.held(connection, target, (one.key for one, _ in self.refused))
        await quarantine.put(connection, [_row(target, one, why, before, now) for one, why in self.refused])
        self.counts["refused"] = len(self.refused)


def _guilty(error: Refused, steps: Sequence[Step]) -> dict[int, Refused]:
    """Which of the writes were refused, and for what; nothing where that is not told, unless there is one only."""
    by_place: dict[int, list[Issue]] = {}
    for issue in error.issues:
        if issue.is_error and (found := _PLACE.fullmatch(issue.expression)):
            place = int(found["place"])
            path = f"{steps[place].incoming.type}{found['rest'] or ''}"
            by_place.setdefault(place, []).append(replace(issue, expression=path))
    if len(steps) == 1:
        return {0: Refused(by_place.get(0, error.issues))}
    return {place: Refused(issues) for place, issues in by_place.items()}


def _fault(error: Exception) -> Refused:
    told = f"This server failed at it ({type(error).__name__}); it is tried again."
    return Refused([Issue("exception", told)])


def _row(target: str, one: Incoming, why: Refused, before: Mapping[Key, Any], now: int) -> dict[str, Any]:
    known = before.get(one.key)
    attempts = known.attempts + 1 if known and known.version == one.version else 1
    wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempts - 1, 12))
    return {
        "target": target,
        "type": one.type,
        "remote_id": one.id,
        "remote_version": one.version,
        "remote_updated": one.updated,
        "content": one.text,
        "issues": lossless.dumps(operation_outcome(why.issues)).decode(),
        "attempts": attempts,
        "not_before": clock.later(now, wait),
        "discarded": False,
        "created_at": now,
    }
