"""Stores our own definitions at start, where this package has others than were stored last."""

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Any

import structlog

from app.fhir import json as lossless
from app.intake.accept import Intake
from app.intake.definitions import LOCK
from app.intake.own import Own
from app.intake.writes import Caller, Write
from app.store import published, repository
from app.store.audit.rows import Agent
from app.store.database import Connection
from app.store.idempotency import Answer
from app.store.repository import Key

_CALLER = Caller(Agent("system", "start"), is_system=True)
_log = structlog.get_logger()


async def seed(intake: Intake) -> None:
    """Write what is new or changed and delete what is no longer published, through the door.

    Of several processes that start at once the later ones find nothing changed: nothing is stored twice.
    """
    own = intake.own
    writes, digest = _written(own)
    async with intake.database.reading() as connection:
        before = await published.noted(connection)
        if before and before.digest == digest:
            return
        theirs = await _of_others(connection, own, before.keys if before else ())
    gone = [key for key in before.keys if key not in own.keys] if before else []
    await intake.accept([*writes, *(Write("DELETE", *key) for key in gone)], _CALLER, lambda _: Answer(204, b""))
    async with intake.database.writing() as connection:
        # Whoever stored the same at the same moment notes the same.
        await intake.database.lock(connection, [LOCK])
        await published.note(connection, digest, own.keys)
    if theirs:
        _log.warning("replaced by a definition of this service; the former one is in its history", resources=theirs)


async def _of_others(connection: Connection, own: Own, before: Iterable[Key]) -> list[str]:
    """What others have stored under the ids of our definitions, in a database from before these were stored."""
    found = await repository.read_all(connection, own.keys.difference(before))
    wanted = {key: url for url, key in own.by_url.items()}
    live = ((key, lossless.parse_object(one.content)) for key, one in found.items() if one.content is not None)
    return sorted("/".join(key) for key, tree in live if tree.get("url") != wanted[key])


@cache
def _written(own: Own) -> tuple[tuple[Write, ...], str]:
    """The writes of all definitions, and a hash of what they say."""
    writes = tuple(_write(dict(one)) for one in own.resources)
    return writes, hashlib.sha256(b"\n".join(sorted(write.text for write in writes))).hexdigest()


def _write(tree: dict[str, Any]) -> Write:
    return Write("PUT", tree["resourceType"], tree["id"], lossless.dumps(tree), tree)
