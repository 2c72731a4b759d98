"""Looking, before a person's decision is taken, whether the other server still holds what it was about."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from app.fhir.outcomes import Refused
from app.store.conflicts import Conflict
from app.store.database import Database
from app.sync.answers import Meaning
from app.sync.client import Client
from app.sync.conflicts.cases import Partner, Theirs, read_theirs


@dataclass(frozen=True, slots=True)
class Looking:
    """Reads one resource. open: a client for a target, closed at the end; None for one nothing is sent to any more."""

    database: Database
    open: Callable[[Partner], AbstractAsyncContextManager[Client] | None]

    async def __call__(self, partner: Partner, conflict: Conflict) -> Theirs | None:
        """What the target holds now; None where it does not say: then If-Match tells when it is sent."""
        opened = self.open(partner)
        if opened is None:
            return None
        async with opened as client:
            reply = await client.ask("GET", f"{conflict.type}/{conflict.remote_id}", "read")
        if reply.meaning is Meaning.ABSENT:
            return Theirs(conflict.remote_id, "", "", 0, None)
        if reply.meaning is not Meaning.DONE or not reply.body:
            return None
        try:
            async with self.database.reading() as connection:
                return await read_theirs(connection, partner, conflict.key, reply.body, reply.etag)
        except Refused:
            return None
