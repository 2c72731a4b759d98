"""The stored answers to POSTs that carried an Idempotency-Key."""

from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.fhir.outcomes import Issue, Refused
from app.store.tables import Idempotency


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it goes out: status, body, and the headers that depend on what was written."""

    status: int
    body: bytes
    location: str = ""
    etag: str = ""
    last_modified: str = ""
    replayed: bool = False


async def recall(connection: AsyncConnection, key: str, request_hash: str) -> Answer | None:
    """The answer given the first time. Raises Refused if the key was used for another request."""
    row = (await connection.execute(select(Idempotency.__table__).where(col(Idempotency.key) == key))).first()  # type: ignore[attr-defined]
    if row is None:
        return None
    if row.request_hash != request_hash:
        raise Refused([Issue("business-rule", "This Idempotency-Key was used for another request.")])
    return Answer(row.status, row.answer, row.location, row.etag, row.last_modified, replayed=True)


async def remember(connection: AsyncConnection, key: str, request_hash: str, answer: Answer, now: int) -> None:
    """Keep the answer, in the transaction of what it tells."""
    row = {
        "key": key,
        "request_hash": request_hash,
        "status": answer.status,
        "answer": answer.body,
        "location": answer.location,
        "etag": answer.etag,
        "last_modified": answer.last_modified,
        "created_at": now,
    }
    await connection.execute(insert(Idempotency), [row])
