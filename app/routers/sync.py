"""What sync is doing: targets, what waits, what was refused, and who holds what."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from app.fhir.instants import instant
from app.fhir.outcomes import Issue, NotFound, Refused
from app.fhir.references import local
from app.routers import exchange
from app.routers.exchange import service
from app.routers.numbers import RowName, RowNumber
from app.store import ledger as held_by
from app.store import letters as noted
from app.store.ledger import Held
from app.store.repository import Key
from app.store.tables import Outbox
from app.sync.status import overview

router = APIRouter(prefix="/sync", tags=["Sync"])
_Target = Query("", pattern="^[a-z0-9-]{0,64}$", description="Only this target.")
_After = Query(0, ge=0, le=2**62, description="Only items after this number: the `next` of the page before.")
_Limit = Query(100, ge=1, le=1000, alias="_count", description="Items per page.")


@router.get("/status", summary="What waits, what was refused and what arrived, per target")
async def status(request: Request) -> Response:
    exchange.require_known(request)
    parts = service(request)
    return JSONResponse({"targets": await overview(parts.database, await parts.registry.registered())})


@router.get("/queue", summary="What waits to be delivered, oldest first")
async def queue(request: Request, target: str = _Target, after: int = _After, limit: int = _Limit) -> Response:
    return await _letters(request, "pending", target, after, limit)


@router.get("/dead-letters", summary="What a target refused for good, with what it said")
async def dead_letters(request: Request, target: str = _Target, after: int = _After, limit: int = _Limit) -> Response:
    return await _letters(request, "dead", target, after, limit)


@router.post("/dead-letters/{number}/replay", summary="Send one again", status_code=202)
async def replay(request: Request, number: RowNumber) -> Response:
    return await _decided(request, number, noted.replay, 202)


@router.delete("/dead-letters/{number}", summary="Give one up; what refers to it is buried with it", status_code=204)
async def discard(request: Request, number: RowNumber) -> Response:
    return await _decided(request, number, noted.discard, 204)


@router.post("/targets/{name}/replay", summary="Send all dead letters of a target again")
async def replay_all(request: Request, name: RowName) -> Response:
    exchange.require_known(request)
    count = 0
    while True:
        async with service(request).database.writing() as connection:
            done = await noted.replay(connection, name)
        count += done
        if not done:
            break
    service(request).bell.ring()
    return JSONResponse({"replayed": count})


@router.get("/ledger", summary="Which version of a resource each target holds, or all that one target holds")
async def ledger(
    request: Request,
    reference: str = Query("", description="Such as Observation/1."),
    target: str = _Target,
    after: str = Query("", description="Only items after this reference: the `next` of the page before."),
    limit: int = _Limit,
) -> Response:
    exchange.require_known(request, "reference", "target", "after", "_count")
    if bool(reference) == bool(target):
        told = "Either reference or target must be given: who holds a resource, or what a target holds."
        raise Refused([Issue("required", told, "reference")])
    if target:
        return await _held_by(request, target, after, limit)
    key = _key(reference, "reference")
    async with service(request).database.reading() as connection:
        rows = await held_by.of_reference(connection, *key)
    return JSONResponse({"reference": reference, "held": [{"target": name, **_held(row)} for name, row in rows]})


async def _held_by(request: Request, target: str, after: str, limit: int) -> Response:
    place = _key(after, "after") if after else ("", "")
    async with service(request).database.reading() as connection:
        rows = await held_by.of_target(connection, target, after=place, limit=limit)
    items = [{"reference": "/".join(row.key), **_held(row)} for row in rows]
    following = items[-1]["reference"] if len(items) == limit else None
    return JSONResponse({"target": target, "held": items, "next": following})


def _key(reference: str, name: str) -> Key:
    found = local(reference, "")
    if not found:
        raise Refused([Issue("value", f"{name} must be Type/id.", name)])
    return found[0], found[1]


def _held(row: Held) -> dict[str, Any]:
    return {
        "version": row.version,
        "deleted": row.deleted,
        "remote_id": row.remote_id,
        "remote_version": row.remote_version,
        "etag": row.remote_etag,
        "since": instant(row.delivered_at),
        "verified": row.verified,
    }


async def _letters(request: Request, state: str, target: str, after: int, limit: int) -> Response:
    exchange.require_known(request, "target", "after", "_count")
    async with service(request).database.reading() as connection:
        rows = await noted.letters(connection, state, target=target, after=after, limit=limit)
    items = [_letter(row) for row in rows]
    return JSONResponse({"items": items, "next": rows[-1].oid if len(rows) == limit else None})


Decide = Callable[..., Awaitable[int]]


async def _decided(request: Request, number: int, decide: Decide, status: int) -> Response:
    """What an operator decides about one dead letter. Raises NotFound where there is none of that number."""
    exchange.require_known(request)
    async with service(request).database.writing() as connection:
        target = await noted.target_of(connection, number)
        if target is None or not await decide(connection, target, oids=[number]):
            raise NotFound([Issue("not-found", f"There is no dead letter {number}.", "number")])
    service(request).bell.ring()
    return Response(status_code=status)


def _letter(row: Outbox) -> dict[str, Any]:
    return {
        "number": row.oid,
        "target": row.target,
        "reference": f"{row.type}/{row.id}",
        "version": row.version,
        "attempts": row.attempts,
        "waits_for": row.blocked_by or None,
        "status": row.status or None,
        "reason": row.reason,
        "since": instant(row.created_at),
    }
