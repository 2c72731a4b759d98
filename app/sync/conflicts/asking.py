"""Asking a person: the Task of a conflict and the note beside it, from the question to the answer."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

import structlog

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, PreconditionFailed, Refused
from app.intake.accept import Intake
from app.intake.writes import Caller, Write, Written
from app.store import conflicts, repository, sync_state
from app.store.audit.rows import Agent
from app.store.conflicts import Conflict
from app.store.database import Connection
from app.store.idempotency import Answer
from app.store.repository import Key, Stored
from app.sync.conflicts.cases import Case
from app.sync.conflicts.decisions import Outcome
from app.sync.conflicts.task import closed_task, open_task, patient_in

_log = structlog.get_logger()


class Asking:
    """Writes the Tasks. base: the address of this server's FHIR endpoint."""

    def __init__(self, intake: Intake, base: str) -> None:
        self.intake, self.base = intake, base
        self.database = intake.database

    async def ask(self, case: Case, found: Outcome, issues: Sequence[Issue]) -> None:
        """Leave it to a person: a Task, and the target is told nothing of the resource meanwhile."""
        conflict = noted(case, found, self.intake.clock(), issues=issues)

        async def note(connection: Connection) -> None:
            await conflicts.note(connection, conflict)
            await conflicts.supersede(
                connection, case.partner.name, case.key, "superseded", but=conflict.cid, now=self.intake.clock()
            )
            await conflicts.hold(connection, case.partner.name, case.key, waits_for(conflict.cid))
            await sync_state.count(connection, case.partner.name, conflicts=1)

        async def answer(_: list[Written]) -> Answer:
            async with self.database.reading() as connection:
                await note(connection)
            return Answer(201, b"")

        patient_ref = patient_in(conflict, case.ours, self.base)
        for contains in (True, False):
            task = open_task(conflict, patient_ref, self.intake.clock(), contains_theirs=contains)
            write = _written("POST", conflict.cid, lossless.dumps(task))
            try:
                await self.intake.accept([write], self.caller(case.partner.name), answer)
            except PreconditionFailed:
                break  # the Task is there: somebody found the same conflict before
            except Refused as refused:
                # Their version may be none that can be stored here, not even in a Task.
                _log.info("task refused", contains=contains, rules=sorted({one.rule for one in refused.issues}))
                continue
            return
        async with self.database.writing() as connection:
            await note(connection)

    async def ask_again(self, conflict: Conflict, task: Stored) -> None:
        """Open a Task anew that was closed without deciding anything."""
        async with self.database.reading() as connection:
            current = await repository.read(connection, *conflict.key)
        patient_ref = patient_in(conflict, current.content if current else None, self.base)
        for contains in (True, False):
            made = open_task(conflict, patient_ref, self.intake.clock(), contains_theirs=contains)
            write = _written("PUT", conflict.cid, lossless.dumps(made), task.version)
            try:
                await self.intake.accept([write], self.caller(conflict.target), lambda _: Answer(200, b""))
                return
            except PreconditionFailed:
                return  # somebody changes it just now
            except Refused:
                continue

    async def close_all(self, target: str, key: Key) -> None:
        """The Tasks of what was decided about a resource tell so."""
        async with self.database.reading() as connection:
            found = await conflicts.of_resource(connection, target, key)
        for one in found:
            if one.state == "closing":
                await self.close(one)

    async def close(self, conflict: Conflict) -> None:
        """The Task of a decided conflict tells so; where there is none any more, nobody has to be told."""
        async with self.database.reading() as connection:
            stored = await repository.read(connection, "Task", conflict.cid)

        async def answer(_: list[Written]) -> Answer:
            async with self.database.reading() as connection:
                await conflicts.closed(connection, conflict.cid)
            return Answer(200, b"")

        if stored is not None and stored.content is not None:
            task = closed_task(lossless.parse_object(stored.content), conflict, self.intake.clock())
            write = _written("PUT", conflict.cid, lossless.dumps(task), stored.version)
            try:
                await self.intake.accept([write], self.caller(conflict.target), answer)
                return
            except PreconditionFailed:
                return  # somebody changed it just now: the next round sees what it says then
            except Refused as refused:
                _log.warning("task cannot be closed", task=conflict.cid, issues=len(refused.issues))
        async with self.database.writing() as connection:
            await conflicts.closed(connection, conflict.cid)

    def caller(self, target: str) -> Caller:
        """Sync itself. What it refers to may have been deleted: that is what it is about."""
        return Caller(Agent(f"sync {target}", str(uuid.uuid4())), self.base, tells_dangling=True)


def noted(
    case: Case, found: Outcome, now: int, *, issues: Sequence[Issue] = (), resolution: str = "", result: int = 0
) -> Conflict:
    """The note of a conflict. resolution: how the rules decided it, "" while a person is asked.

    issues: why what would have come of it was refused.
    """
    theirs = case.theirs
    told = [f"{one.rule or one.code} {one.expression}: {one.diagnostics}" for one in issues if one.is_error]
    differences = [asdict(one) for one in found.differences]
    return Conflict(
        cid=case.cid,
        target=case.partner.name,
        type=case.key[0],
        id=case.key[1],
        version=case.version,
        base_version=case.base_version,
        base=case.base,
        remote_id=theirs.remote_id,
        remote_version=theirs.version,
        remote_etag=theirs.etag,
        remote_updated=theirs.updated,
        content=theirs.text,
        differences=lossless.dumps(differences).decode(),
        issues=lossless.dumps(told).decode(),
        state="settled" if resolution else "open",
        resolution=resolution,
        decided_by="rule" if resolution else "",
        result=result,
        created_at=now,
        settled_at=now if resolution else 0,
    )


def waits_for(cid: str) -> str:
    """What the queue says of what a person decides about."""
    return f"Both servers have changed it: Task/{cid} asks a person which version holds."


def _written(method: Literal["POST", "PUT"], cid: str, text: bytes, match: int | None = None) -> Write:
    """A Task of sync's own: no target is told of it."""
    return Write(method, "Task", cid, text, lossless.parse_object(text), if_match=match, is_local=True)
