"""Saving the writes of one transaction: which resource each concerns, what it makes of it, and what refers to what."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from app.fhir.outcomes import Issue
from app.fhir.references import local
from app.intake.conditions import Conditions, is_held, of_resource, referred
from app.intake.extraction import Extraction
from app.intake.integrity import Done, Integrity
from app.intake.links import conditional, linked
from app.intake.order import in_order
from app.intake.own import Own
from app.intake.patches import Ready, needs_reading
from app.intake.policy import Policy
from app.intake.problems import Problems
from app.intake.provenance import Records
from app.intake.resolution import Resolver, concerned, refuse_twice, rivals
from app.intake.rights import require_covered, shown, standing
from app.intake.rounds import Moved
from app.intake.versions import Placed, given_id, next_version, require_kept
from app.intake.writes import Caller, Written
from app.store import erasing, granted, repository
from app.store.database import Connection, Lock
from app.store.parameters import SearchParameters
from app.store.repository import Change, Stored
from app.store.sight import wholly

# Business of this server: a Subscription that were told to another one would notify from there as well.
_OF_THIS_SERVER = frozenset({"Subscription"})


@dataclass(frozen=True, slots=True)
class Saving:
    """One write transaction, with what it needs. held: the locks it has; None where it has everything."""

    connection: Connection
    conditions: Conditions
    parameters: SearchParameters
    policy: Policy
    caller: Caller
    held: frozenset[Lock] | None
    targets_of: Callable[[str], Sequence[str]]
    now: int
    new_id: Callable[[], str]
    extraction: Extraction | None = None
    own: Own = field(default_factory=Own)
    problems: Problems = field(default_factory=Problems)

    async def save(self, made: Ready) -> list[Written]:
        """What became of each write. Raises Refused with all that is wrong, and Moved where it must be done anew."""
        resolver = Resolver(self.conditions, self.policy, self.new_id, self.problems)
        deleted = await resolver.deletions(made.writes)
        self._require_held(lock for one in deleted for lock in _locks(one))
        others, found = await self._resolved(made, resolver, deleted)
        self._require_foreseen([*deleted, *others], made)
        self._require_held([*(lock for one in others for lock in _locks(one)), *_referred(found.values(), others)])
        texts = linked([one.write for one in others], found)
        placed = [replace(one, write=text) for one, text in zip(others, texts, strict=True)]
        if not self.caller.is_system:
            self.own.refuse([*placed, *deleted], self.problems)
            self.problems.refuse()
        derived, notes = await self._derived(placed)
        done = await self._store([*placed, *deleted, *derived])
        self.problems.refuse()
        if records := Records(self.caller, self.now, self.new_id).of(done, len(made.writes)):
            done += await self._store(records)
            self.problems.refuse()
        await require_covered(self.connection, ((one.placed, one.written) for one in done), self.problems)
        self.problems.refuse()
        await self._keep_grants(done)
        told = await Integrity(self.connection, self.policy, self.caller, self.problems).look(done)
        self.problems.refuse()
        # Of what is said of all of them, the first one tells.
        told[0] = [*told.get(0, ()), *told.pop(len(made.writes), ())]
        asked = [one for one in done if one.placed.place < len(made.writes) and not one.is_record]
        made_of = _by_place(len(made.writes), asked, [told, notes])
        return [await shown(self.connection, written) for written in made_of]

    async def _keep_grants(self, done: Sequence[Done]) -> None:
        """Whoever is notified later is told what the subscriber may read now; our own changes alter nothing."""
        if self.caller.is_system or self.caller.is_local:
            return
        written = [one for one in done if one.placed.write.type == "Subscription" and one.is_change]
        gone = [one.placed.write.id for one in written if one.written.stored.deleted]
        await granted.forget(self.connection, gone)
        await granted.keep(self.connection, (one.placed.write.id for one in written if one.placed.write.id not in gone))

    async def _derived(self, placed: Sequence[Placed]) -> tuple[list[Placed], dict[int, list[Issue]]]:
        """What follows from the writes and is written with them, and what is to be told of that."""
        if self.extraction is None:
            return [], {}
        with wholly():
            return await self.extraction.parts(self.connection, placed, self.now, self.caller.base)

    async def _resolved(
        self, made: Ready, resolver: Resolver, deleted: Sequence[Placed]
    ) -> tuple[list[Placed], dict[str, str]]:
        """What is not deleted, with its ids, and what the references by search stand for."""
        links = conditional(made.writes)
        if not links and not any(write.search for write in made.writes):
            others = [*await resolver.creations(made.writes), *await resolver.changes(made.writes, made.based_on)]
            self._refuse_twice([*deleted, *others])
            return others, {}
        async with self._trial():
            # What is named twice is refused below, along with all else.
            await self._store(list({(one.key, one.place if not one.write.id else 0): one for one in deleted}.values()))
            return await self._tried(made, resolver, deleted, links)

    async def _tried(
        self, made: Ready, resolver: Resolver, deleted: Sequence[Placed], links: dict[str, str]
    ) -> tuple[list[Placed], dict[str, str]]:
        """Step by step, each step stored as far as conditions may find it."""
        created = await resolver.creations(made.writes)
        self._refuse_twice([*deleted, *created])
        asked = [(w.type, w.condition) for w in made.writes if w.condition and w.method != "DELETE"]
        sought = [(link.partition("?")[0], link) for link in links]
        await self._store(concerned([*asked, *sought, *rivals(created)], created))
        if rivals(created):
            await resolver.require_distinct(created)
        changed = await resolver.changes(made.writes, made.based_on)
        self._refuse_twice([*deleted, *created, *changed])
        await self._store(concerned([*sought, *rivals(changed)], changed))
        if rivals(changed):
            await resolver.require_distinct(changed)
        found = await self._references(links)
        self.problems.refuse()
        return [*created, *changed], found

    async def _references(self, links: dict[str, str]) -> dict[str, str]:
        found = {}
        await self.conditions.gather((link.partition("?")[0], link) for link in links)
        for link, path in links.items():
            with self.problems.kept():
                found[link] = await self.conditions.reference(link, path)
        return found

    def _refuse_twice(self, placed: Sequence[Placed]) -> None:
        refuse_twice(placed, self.problems)
        self.problems.refuse()

    @asynccontextmanager
    async def _trial(self) -> AsyncIterator[None]:
        """What is stored within the block can be found within it only."""
        savepoint = await self.connection.begin_nested()
        try:
            yield
        finally:
            await savepoint.rollback()

    async def _store(self, placed: Sequence[Placed]) -> list[Done]:
        """Store what each makes of what is current. Of one that cannot be, the problem is kept."""
        known = [one.key for one in placed if one.write.id and not one.is_fresh]
        with wholly():
            current = await repository.read_all(self.connection, known)
        stands = await standing(self.connection, placed, current)
        deleted = [key for key, stored in current.items() if stored.deleted]
        gone = await erasing.erased(self.connection, deleted) if deleted else set()
        done = []
        for one in placed:
            with self.problems.kept():
                require_kept(one, gone)
                before = stands.of(one)
                done.append(Done(one, next_version(one, before, self.policy, self.now), before))
        await repository.save(
            self.connection,
            in_order([self._change(one) for one in done if one.is_change], current, self.caller.base),
            parameters=self.parameters,
            agent=self.caller.agent,
            base=self.caller.base,
        )
        return done

    def _change(self, done: Done) -> Change:
        return Change(done.written.stored, done.placed.tree, self._told(done.placed))

    def _told(self, placed: Placed) -> Sequence[str]:
        """The targets to be told. Where it came from is known there; what was derived from it here is not."""
        caller = self.caller
        if caller.is_system or caller.is_local or placed.write.is_local or placed.write.type in _OF_THIS_SERVER:
            return ()
        told = self.targets_of(placed.write.type)
        return [name for name in told if name != caller.origin or placed.is_derived]

    def _require_held(self, locks: Iterable[Lock]) -> None:
        """Whatever a condition has led to must be held from before it was asked, else it may have changed since."""
        held = self.held
        if held is not None and (missing := [lock for lock in locks if not is_held(lock, held)]):
            raise Moved(missing)

    def _require_foreseen(self, placed: Sequence[Placed], made: Ready) -> None:
        for one in placed:
            found = "" if one.is_new else one.write.id
            if needs_reading(made.writes[one.place]) and found != made.foreseen[one.place]:
                raise Moved(is_stale=True)


def _locks(placed: Placed) -> Iterator[Lock]:
    """What must be held because of what a condition has found. Of a new resource nobody else knows the id."""
    write = placed.write
    if placed.is_existing:
        yield referred(write.type, write.id)
    elif write.condition and write.id and (not placed.is_new or given_id(write.tree)):
        yield from of_resource(write.type, write.id, is_deletion=write.method == "DELETE")


def _referred(links: Iterable[str], written: Sequence[Placed]) -> Iterator[Lock]:
    """What must be held because references by search lead there; what is written here is held already, or new."""
    own = {one.key for one in written}
    keys = (local(link, "") for link in links)
    yield from (referred(key[0], key[1]) for key in keys if key and key[:2] not in own)


def _by_place(count: int, done: Sequence[Done], told: Sequence[dict[int, list[Issue]]]) -> list[Written]:
    """What became of each write, in the order they were asked for."""
    by_place: list[list[Written]] = [[] for _ in range(count)]
    derived: list[list[Stored]] = [[] for _ in range(count)]
    for one in done:
        if one.placed.is_derived:
            derived[one.placed.place].append(one.written.stored)
        else:
            by_place[one.placed.place].append(one.written)
    return [
        replace(
            first,
            warnings=tuple(issue for each in told for issue in each.get(place, ())),
            others=tuple(one.stored for one in others),
            derived=tuple(derived[place]),
        )
        for place, (first, *others) in enumerate(by_place)
    ]
