"""Changing the status of a Subscription as the service decides: through the one door, as everything is written."""

import uuid
from dataclasses import dataclass

import structlog

from app.fhir import json as lossless
from app.fhir.outcomes import Conflict, Gone, NotFound, PreconditionFailed
from app.intake.accept import Intake
from app.intake.writes import Caller, Write, Written
from app.store import events, repository
from app.store.audit.rows import Agent
from app.store.events import State
from app.store.idempotency import Answer

TYPE = "Subscription"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Statuses:
    """Writes statuses. No target is told: whether a partner's server notifies somebody is not decided here."""

    intake: Intake
    base: str

    async def become(self, state: State, status: str, error: str = "") -> bool:
        """The version that was looked at with another status; False if a client was faster: its version counts then.

        error: one sentence for Subscription.error, "" to take away what it says.
        """
        database = self.intake.database
        async with database.reading() as connection:
            stored = await repository.read_version(connection, TYPE, state.id, state.version)
        if stored is None or stored.content is None:
            return False
        kept = {name: value for name, value in lossless.parse_object(stored.content).items() if name != "error"}
        tree = {**kept, "status": status, **({"error": error} if error else {})}
        write = Write("PUT", TYPE, state.id, lossless.dumps(tree), tree, if_match=state.version, is_local=True)

        async def answer(written: list[Written]) -> Answer:
            async with database.reading() as connection:
                version = written[0].stored.version
                await events.became(connection, state, version=version, status=status, error=error)
            return Answer(200, b"")

        caller = Caller(Agent("subscriptions", str(uuid.uuid4())), self.base, is_local=True)
        try:
            await self.intake.accept([write], caller, answer)
        except (PreconditionFailed, Conflict, Gone, NotFound):
            return False
        _log.info("subscription", id=state.id, status=status)
        return True
