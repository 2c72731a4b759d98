"""The one door in: check everything, then save everything, or nothing.

Every write, whichever way it came, passes here: the same validation, and one transaction with the versions, their
search values, outbox items, audit rows and the remembered answer to an Idempotency-Key.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import isawaitable
from typing import Any, Protocol

from app.fhir.canonicals import claimed_profiles
from app.fhir.outcomes import Conflict, Issue, NotSupported, Refused
from app.fhir.provenance import TYPE as PROVENANCE
from app.intake.conditions import Conditions, is_held, locks, of_type, pairs
from app.intake.definitions import LOCK, DefinitionsChanged, PostedDefinitions
from app.intake.extraction import Extraction, part_locks
from app.intake.integrity import reference_locks
from app.intake.links import checkable
from app.intake.own import Own
from app.intake.patches import Ready, needs_reading, ready
from app.intake.policy import Policy
from app.intake.rights import require_rights
from app.intake.rounds import PATIENT_ROUNDS, ROUNDS, SECONDS, Moved, Turns, pause
from app.intake.saving import Saving
from app.intake.subsets import subset_issues
from app.intake.writes import Caller, Write, Written, misaddressed
from app.store import idempotency
from app.store.audit.rows import noted, patients_of, row
from app.store.audit.rows import write as write_rows
from app.store.database import Connection, Contended, Database, Lock, Unavailable, seen_from
from app.store.idempotency import Answer
from app.store.parameters import SearchParameters
from app.store.search import Searcher, asks_terms
from app.validation.packages.shapes import DEFINITION_TYPES

Answers = Callable[[list[Written]], Answer | Awaitable[Answer]]
TargetsOf = Callable[[str], Sequence[str]]
Rule = Callable[[Write, Caller], Awaitable[list[Issue]]]

LARGE = 100_000  # bytes
_NO_CHANGE = ("unchanged", "existing")
_AUDIT_STAYS = "AuditEvents are made by this server, of what is done here; nobody writes, changes or deletes one."
_ATTEMPTS = 5


class Checker(Protocol):
    """What validation offers to this door."""

    def check(self, resource: dict[str, Any], *, profiles: Sequence[str] = ()) -> list[Issue]: ...

    def problems(self, resource: dict[str, Any]) -> list[Issue]: ...


@dataclass(frozen=True, slots=True)
class Intake:
    """The door, with what it needs: store, rules, posted definitions, clock (microseconds), ids, what the operator has
    decided, if responses are to be scored, how, and the definitions that are ours.

    telling: which targets are told of a type, as it stands in a write transaction. ring: wakes those who tell them.
    rules: what else is asked of a write, by those who act on what it says, as on a Subscription. seals: what is done to
    one after it was checked, so that what nobody may read is not stored in clear.
    """

    database: Database
    checker: Checker
    definitions: PostedDefinitions
    parameters: SearchParameters
    searcher: Searcher
    telling: Callable[[Connection], Awaitable[TargetsOf]]
    clock: Callable[[], int]
    new_id: Callable[[], str]
    policy: Policy = field(default_factory=Policy)
    extraction: Extraction | None = None
    own: Own = field(default_factory=Own)
    turns: Turns = field(default_factory=Turns)
    ring: Callable[[], None] = lambda: None
    rules: Sequence[Rule] = ()
    seals: Callable[[Write], Write] = lambda write: write

    async def accept(self, writes: Sequence[Write], caller: Caller, answer: Answers) -> Answer:
        """Do all the writes in one transaction and give the answer made from what became of them.

        answer: is called inside the transaction; what it reads by the database then is the state the writes made.
        The same Idempotency-Key with the same request gets the first answer again and nothing is done.
        Raises Refused (or a kind of it) with every issue; then nothing was changed. Forbidden where the one who looks
        (app/store/sight.py) may not do it.
        """
        _refuse_audit(writes)
        require_rights(writes, says=caller.provenance is not None)
        async with self.turns.of(f"{w.type}/{w.id}?{w.condition}" for w in writes if w.method == "PATCH"):
            made = await self._in_turn(writes, caller, answer)
        self.ring()
        return made

    async def _in_turn(self, writes: Sequence[Write], caller: Caller, answer: Answers) -> Answer:
        if not any(write.type in DEFINITION_TYPES for write in writes):
            return await self._accept(writes, caller, answer)
        made = await self.recall(caller) or await self._accept_definitions(writes, caller, answer)
        await self.definitions.written()
        return made

    async def _accept_definitions(self, writes: Sequence[Write], caller: Caller, answer: Answers) -> Answer:
        """Like _accept. What others did to definitions in between may change the judgement, so it is made anew."""
        # One after the other, so that only other processes can come in between.
        async with self.definitions.turn:
            for _ in range(_ATTEMPTS):
                await self.definitions.look()
                with suppress(DefinitionsChanged):
                    return await self._accept(writes, caller, answer, self.definitions.state)
        raise Unavailable("definitions keep changing")

    async def _accept(
        self, writes: Sequence[Write], caller: Caller, answer: Answers, state: int | None = None
    ) -> Answer:
        """Round after round, each from clean state, until nobody came in between.

        state: the definitions by which those among the writes are judged.
        """
        made, held, is_patient = None, frozenset[Lock](), False
        end = asyncio.get_running_loop().time() + SECONDS
        for done in range(1, ROUNDS + 1):
            made = made or await self._ready(writes, caller)
            is_last = done == ROUNDS
            try:
                return await self._transaction(made, caller, answer, state, held, is_patient=is_patient)
            except Contended:
                if is_last or asyncio.get_running_loop().time() > end:
                    raise
            except Moved as moved:
                if is_last:
                    raise _kept_changing(writes) from None
                held |= moved.locks
                # Whoever finds things moved again and again keeps everybody else away from them.
                if done >= PATIENT_ROUNDS:
                    held |= {of_type(write.type) for write in writes if write.search or write.method == "PATCH"}
                    is_patient = is_patient or moved.is_stale
                elif moved.is_stale:
                    made = None
            await pause(done)
        raise _kept_changing(writes)

    async def _ready(self, writes: Sequence[Write], caller: Caller) -> Ready:
        """The writes as they are saved, checked."""
        made = Ready(writes, writes, [""] * len(writes), [0] * len(writes))
        if asks_terms(name for write in writes for name, _ in pairs(write.search)):
            await self.definitions.refresh()
        if any(needs_reading(write) for write in writes):
            async with self.database.reading() as connection:
                made = await ready(
                    writes, connection, partial(Conditions, self.searcher, base=caller.base), self.policy
                )
        warnings = await self._checked(made, caller)
        return replace(made, warnings=warnings, writes=[self.seals(write) for write in made.writes])

    async def _transaction(
        self,
        made: Ready,
        caller: Caller,
        answer: Answers,
        state: int | None,
        held: frozenset[Lock],
        *,
        is_patient: bool,
    ) -> Answer:
        """is_patient: patches are applied and checked anew while nobody else can change what is patched."""
        async with self.database.writing() as connection:
            locked = self._locks(made, caller, state) | held
            # All locks at once: they are taken in one order, so no two transactions wait for each other.
            await self.database.lock(connection, locked)
            if is_patient:
                made = await self._ready(made.asked, caller)
                more = [lock for lock in self._locks(made, caller, state) if not is_held(lock, locked)]
                if more and not self.database.is_sqlite:
                    raise Moved(more, is_stale=True)
            if state is not None:
                await self.definitions.require_state(connection, state)
            if replay := await _recalled(connection, caller):
                return replay
            written = await self._save(connection, made, caller, locked)
            return await self._answered(connection, written, caller, answer)

    def _locks(self, made: Ready, caller: Caller, state: int | None) -> frozenset[Lock]:
        own = [_key_lock(caller)] if caller.key else []
        kept = [LOCK] if state is not None else []
        concerned = (lock for write in made.writes for lock in locks(write))
        referred = reference_locks(made.writes, self.policy, caller)
        derived = part_locks(made.writes) if self.extraction else ()
        records = [replace(of_type(PROVENANCE), shared=True)] if caller.provenance or derived else []
        return frozenset([*own, *kept, *concerned, *referred, *derived, *records])

    async def _save(
        self, connection: Connection, made: Ready, caller: Caller, locked: frozenset[Lock]
    ) -> list[Written]:
        saving = Saving(
            connection=connection,
            conditions=Conditions(self.searcher, connection, caller.base),
            parameters=self.parameters,
            policy=self.policy,
            caller=caller,
            # SQLite has one writer: whatever is not named here is held all the same.
            held=None if self.database.is_sqlite else locked,
            targets_of=await self.telling(connection),
            now=self.clock(),
            new_id=self.new_id,
            extraction=self.extraction,
            own=self.own,
        )
        written = await saving.save(made)
        await self._note(connection, made, written, caller)
        warnings = zip(written, made.warnings, strict=True)
        return [replace(one, warnings=(*told, *one.warnings)) for one, told in warnings]

    async def _note(self, connection: Connection, made: Ready, written: list[Written], caller: Caller) -> None:
        """What a client asked for and changed nothing is noted too."""
        if not (request := noted()):
            return
        kept = [
            (write.method, one.stored)
            for write, one in zip(made.writes, written, strict=True)
            if one.outcome in _NO_CHANGE
        ]
        if kept:
            patients = await patients_of(connection, [(stored.type, stored.id) for _, stored in kept])
            rows = [
                row(self.clock(), caller.agent, method, stored.type, stored.id)
                | {"patient": next(iter(patients[stored.type, stored.id]), ""), "status": 200}
                for method, stored in kept
            ]
            await write_rows(connection, rows)
            request.changes += len(rows)

    async def _answered(
        self, connection: Connection, written: list[Written], caller: Caller, answer: Answers
    ) -> Answer:
        with seen_from(connection):
            given = answer(written)
            made = await given if isawaitable(given) else given
        if caller.key:
            await idempotency.remember(connection, caller.key, made, self.clock())
        return made

    async def recall(self, caller: Caller) -> Answer | None:
        """The answer already given to this Idempotency-Key, so that nothing has to be checked again."""
        async with self.database.reading() as connection:
            return await _recalled(connection, caller)

    async def keep(self, caller: Caller, answer: Answer) -> Answer:
        """Remember an answer that no one transaction has made, as that of a batch, whose entries are remembered each
        with its write. Of two who make it at once the first is the answer."""
        if not caller.key:
            return answer
        async with self.database.writing() as connection:
            await self.database.lock(connection, [_key_lock(caller)])
            if replay := await _recalled(connection, caller):
                return replay
            await idempotency.remember(connection, caller.key, answer, self.clock())
        return answer

    def check(self, writes: Sequence[Write]) -> list[list[Issue]]:
        """The warnings about each write. Raises Refused if any has an error."""
        return _without_errors(self._all_issues(writes, is_thorough=True))

    async def _checked(self, made: Ready, caller: Caller) -> list[list[Issue]]:
        """By the definitions of now, posted ones among them; these are judged as definitions too.

        Unless warnings are asked for, what the fast gate admits is not looked at again.
        """
        writes = made.writes
        if any(write.type not in DEFINITION_TYPES or claimed_profiles(write.tree) for write in writes):
            await self.definitions.refresh(write.tree for write in writes)
        sound = await self._found(writes, is_thorough=caller.wants_outcome)
        ruled = [await self._ruled(write, caller) for write in writes]
        found = _without_errors([[*issues, *more] for issues, more in zip(sound, ruled, strict=True)])
        if caller.provenance:
            said = Write("POST", PROVENANCE, tree=caller.provenance.checked)
            _without_errors([[*self.checker.problems(caller.provenance.checked), *await self._ruled(said, caller)]])
        named = [replace(w, id=w.id or id_) for w, id_ in zip(writes, made.foreseen, strict=True)]
        about = await self.definitions.judge(named)
        return _without_errors([[*issues, *more] for issues, more in zip(found, about, strict=True)])

    async def _found(self, writes: Sequence[Write], *, is_thorough: bool) -> list[list[Issue]]:
        # What takes long to check must not keep the others waiting.
        is_large = sum(len(write.text) for write in writes) > LARGE or self.definitions.has_profiles
        look = partial(self._all_issues, writes, is_thorough=is_thorough)
        return await asyncio.to_thread(look) if is_large else look()

    async def _ruled(self, write: Write, caller: Caller) -> list[Issue]:
        issues = [issue for rule in self.rules for issue in await rule(write, caller)]
        return [issue.within(write.where) if write.where else issue for issue in issues]

    def _all_issues(self, writes: Sequence[Write], *, is_thorough: bool) -> list[list[Issue]]:
        look = self.checker.check if is_thorough else self.checker.problems
        return [self._issues(write, look) for write in writes]

    def _issues(self, write: Write, look: Callable[[dict[str, Any]], list[Issue]]) -> list[Issue]:
        if write.tree is None:
            return []
        issues = [
            *misaddressed(write.tree, write.type, write.id if write.method == "PUT" else ""),
            *subset_issues(write),
            *look(checkable(write)),
        ]
        return [issue.within(write.where) if write.where else issue for issue in issues]


async def _recalled(connection: Connection, caller: Caller) -> Answer | None:
    return await idempotency.recall(connection, caller.key) if caller.key else None


def _key_lock(caller: Caller) -> Lock:
    """Who sends the same key meanwhile waits for the first answer."""
    return Lock(f"idempotency {caller.client} {caller.idempotency_key}")


def _refuse_audit(writes: Sequence[Write]) -> None:
    problems = [Issue("not-supported", _AUDIT_STAYS, write.path) for write in writes if write.type == "AuditEvent"]
    if problems:
        raise NotSupported(problems)


def _without_errors(found: list[list[Issue]]) -> list[list[Issue]]:
    if errors := [issue for issues in found for issue in issues if issue.is_error]:
        raise Refused(errors)
    return found


def _kept_changing(writes: Sequence[Write]) -> Conflict:
    told = "Others kept changing what this is about; nothing was changed. Read it again, and try again."
    return Conflict([Issue("conflict", told, writes[0].path if len(writes) == 1 else "")])
