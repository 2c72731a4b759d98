"""Erasing one patient: a dry run that tells what would go, and the erasure of just that, in one transaction.

What is erased is deleted first, like by anybody, so that targets, subscribers and those who follow $changes hear of it;
then its versions go, and whatever else was kept of it. Numbers and ids stay, in deletions, ledger and audit.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from app.fhir import json as lossless
from app.fhir.outcomes import Conflict, Issue, PreconditionFailed, Refused, operation_outcome
from app.intake.accept import Intake
from app.intake.writes import Caller, Write, Written
from app.rights.person import PATIENT
from app.rights.plan import Finder, Plan, Shared
from app.rights.records import is_record
from app.store import erasing
from app.store.database import Connection, Database, Unavailable
from app.store.idempotency import Answer
from app.store.references import referrers

_log = structlog.get_logger()
_GONE = "What was asked for with this Idempotency-Key was erased since."
_AGAIN = "Somebody wrote about this patient meanwhile; nothing was erased. Ask for the dry run again."


@dataclass(frozen=True, slots=True)
class Consent:
    """What whoever erases has agreed to. token: of the dry run; references: resources that stay lose their references
    to what goes; ids: ids that say an identifier of the patient stay."""

    token: str
    references: bool = False
    ids: bool = False


@dataclass(frozen=True, slots=True)
class Erasure:
    """Erases through the one door."""

    database: Database
    intake: Intake
    finder: Finder

    async def plan(self, patient_id: str) -> Plan:
        """What would go. Raises NotFound, Gone and TooLarge like Finder.find."""
        async with self.database.reading() as connection:
            plan = await self.finder.find(connection, patient_id)
        plan.shared = await asyncio.to_thread(lambda: [self._judged(each) for each in plan.shared])
        return plan

    def _judged(self, shared: Shared) -> Shared:
        """What would not be valid without its references cannot be without them."""
        if shared.tree is not None:
            try:
                self.intake.check([_without(shared)])
            except Refused:
                return replace(shared, tree=None)
        return shared

    async def erase(self, patient_id: str, consent: Consent, caller: Caller) -> Plan:
        """Erase what the dry run told. Raises PreconditionFailed where that is not what would go any more, Conflict
        with all that was not agreed to, and what the door refuses; then nothing was changed."""
        plan = await self.plan(patient_id)
        if consent.token != plan.token:
            told = "The dry run that this confirms found something else; ask for it again, and confirm what it tells."
            raise PreconditionFailed([Issue("conflict", told, "confirm")])
        if problems := obstacles(plan, consent):
            raise Conflict(problems)

        async def finish(_: list[Written]) -> Answer:
            async with self.database.reading() as connection:
                await self._finish(connection, plan)
            return Answer(200, b"")

        # A response that is erased takes its own Observations with it: they are among what was found.
        door = replace(self.intake, extraction=None)
        await door.accept(list(_writes(plan)), caller, finish)
        is_clean = False
        # It is erased already, whoever else holds the file just now.
        with suppress(Unavailable):
            is_clean = await self.database.scrub()
        if not is_clean:
            _log.warning("traces of what was erased may stand in unused parts of the database file: run VACUUM")
        return plan

    async def _finish(self, connection: Connection, plan: Plan) -> None:
        """In the transaction of the deletions: everything else, unless others were faster."""
        known = {each.held.key for each in plan.shared}
        async for each in erasing.holding(connection, plan.person.words, unless=plan.snapshot):
            if each.key not in known and plan.person.places(lossless.parse_object(each.text)):
                raise Conflict([Issue("conflict", _AGAIN)])
        if await referrers(connection, plan.own):
            raise Conflict([Issue("conflict", _AGAIN)])
        await erasing.remove(connection, list(plan.gone.values()), plan.own)
        await erasing.end_exports(connection, plan.person.id)
        answer = lossless.dumps(operation_outcome([Issue("deleted", _GONE)]))
        await erasing.remove_copies(connection, plan.copies, [*plan.own, *(e.held.key for e in plan.shared)], answer)


def obstacles(plan: Plan, consent: Consent) -> list[Issue]:
    """What keeps the plan from being carried out, as long as no more is agreed to."""
    found = []
    for each in plan.shared:
        if each.tree is None:
            told = f"{_name(each)} stays, and cannot be without its reference to what goes: change or delete it first."
            found.append(Issue("conflict", told, each.paths[0], rule="dmt-still-referred"))
        elif not each.is_record and not consent.references:
            told = f"{_name(each)} stays, and refers to what goes; references=true takes that out."
            found.append(Issue("conflict", told, each.paths[0], rule="dmt-still-referred"))
    if plan.is_told_by_id and not consent.ids:
        told = "Ids are kept, as in the audit, and one of them says an identifier of the patient; ids=true agrees."
        found.append(Issue("business-rule", told, f"{PATIENT}.id"))
    return found


def _name(shared: Shared) -> str:
    return f"{shared.held.type}/{shared.held.id}"


def _writes(plan: Plan) -> Sequence[Write]:
    deletions = [
        Write("DELETE", type_, id_, if_match=version) for (type_, id_), version in sorted(plan.own.items()) if version
    ]
    return [*deletions, *(_without(each) for each in plan.shared)]


def _without(shared: Shared) -> Write:
    held, text = shared.held, lossless.dumps(shared.tree)
    tree = lossless.parse_object(text)
    name, own = _name(shared), is_record(tree)
    return Write("PUT", held.type, held.id, text, tree, if_match=held.version, path=name, is_local=own)
