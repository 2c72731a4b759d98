"""The stored answers to requests that carried an Idempotency-Key.

What failed changed nothing, so it is not remembered: the same key may be sent again with what was wrong put right.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.fhir.outcomes import Issue, Unprocessable
from app.store.tables import Idempotency
from app.store.upserts import upsert

_KEPT: Any = Idempotency.__table__  # type: ignore[attr-defined]
_OTHER = "This Idempotency-Key was used for another request: a new request needs a new key."
# Answers forgotten in one statement.
_MANY = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it goes out: status, body, and the headers that depend on what was written."""

    status: int
    body: bytes
    location: str = ""
    etag: str = ""
    last_modified: str = ""
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """An Idempotency-Key, whose it is, and the request it stands for, as a hash."""

    client: str
    key: str
    request_hash: str


async def recall(connection: AsyncConnection, key: Key) -> Answer | None:
    """The answer given the first time. Raises Unprocessable if the key was used for another request."""
    own = (_KEPT.c.client == key.client, _KEPT.c.key == key.key)
    row = (await connection.execute(select(_KEPT).where(*own))).first()
    if row is None:
        return None
    if row.request_hash != key.request_hash:
        raise Unprocessable([Issue("business-rule", _OTHER)])
    return Answer(row.status, row.answer, row.location, row.etag, row.last_modified, replayed=True)


async def remember(connection: AsyncConnection, key: Key, answer: Answer, now: int) -> None:
    """Keep the answer, in the transaction of what it tells."""
    row = {
        "client": key.client,
        "key": key.key,
        "request_hash": key.request_hash,
        "status": answer.status,
        "answer": answer.body,
        "location": answer.location,
        "etag": answer.etag,
        "last_modified": answer.last_modified,
        "created_at": now,
    }
    await connection.execute(upsert(connection, Idempotency, [row], ["client", "key"]))


async def forget(connection: AsyncConnection, before: int) -> int:
    """Forget some of the answers given before that time; answers of how many."""
    old = select(_KEPT.c.client, _KEPT.c.key).where(_KEPT.c.created_at < before).limit(_MANY)
    rows = (await connection.execute(old)).all()
    for row in rows:
        await connection.execute(delete(_KEPT).where(_KEPT.c.client == row.client, _KEPT.c.key == row.key))
    return len(rows)


async def has_older(connection: AsyncConnection, before: int) -> bool:
    """Whether there are answers given before that time."""
    return (
        await connection.execute(select(_KEPT.c.key).where(_KEPT.c.created_at < before).limit(1))
    ).first() is not None
