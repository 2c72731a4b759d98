"""What sync is doing: targets, what waits, what was refused, and who holds what."""

from typing import Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from app.fhir.instants import instant
from app.fhir.outcomes import Issue, Refused
from app.fhir.references import local
from app.routers import exchange
from app.routers.exchange import service
from app.store import outbox
from app.store.tables import Outbox

router = APIRouter(prefix="/sync", tags=["Sync"])
_Target = Query("", pattern="^[a-z0-9-]{0,64}$", description="Only this target.")
_After = Query(0, ge=0, le=2**62, description="Only items after this number: the `next` of the page before.")
_Limit = Query(100, ge=1, le=1000, alias="_count", description="Items per page.")


@router.get("/targets", summary="The servers that are told of writes")
async def targets(request: Request) -> Response:
    exchange.require_known(request)
    return JSONResponse({"targets": [target.model_dump(mode="json") for target in service(request).targets]})


@router.get("/status", summary="What waits, what was refused and what arrived, per target")
async def status(request: Request) -> Response:
    exchange.require_known(request)
    async with service(request).database.reading() as connection:
        found = {row["target"]: row for row in await outbox.status(connection)}
    names = [target.name for target in service(request).targets]
    return JSONResponse({"targets": [_status(name, found.get(name, {})) for name in sorted({*names, *found})]})


@router.get("/queue", summary="What waits to be delivered, oldest first")
async def queue(request: Request, target: str = _Target, after: int = _After, limit: int = _Limit) -> Response:
    return await _letters(request, "pending", target, after, limit)


@router.get("/dead-letters", summary="What a target refused for good, with what it said")
async def dead_letters(request: Request, target: str = _Target, after: int = _After, limit: int = _Limit) -> Response:
    return await _letters(request, "dead", target, after, limit)


@router.get("/ledger", summary="Which version of a resource each target holds")
async def ledger(request: Request, reference: str = Query(description="Such as Observation/1.")) -> Response:
    exchange.require_known(request, "reference")
    target = local(reference, "")
    if not target:
        raise Refused([Issue("value", "reference must be Type/id.", "reference")])
    async with service(request).database.reading() as connection:
        rows = await outbox.ledger(connection, *target[:2])
    return JSONResponse(
        {
            "reference": reference,
            "held": [
                {
                    "target": row.target,
                    "version": row.version,
                    "etag": row.remote_etag,
                    "since": instant(row.delivered_at),
                    "verified": row.verified,
                }
                for row in rows
            ],
        }
    )


def _status(name: str, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "target": name,
        "pending": row.get("pending", 0),
        "dead": row.get("dead", 0),
        "delivered": row.get("delivered", 0),
        "oldest_pending_since": instant(row["oldest"]) if "oldest" in row else None,
        "last_delivered_at": instant(row["latest"]) if "latest" in row else None,
    }


async def _letters(request: Request, state: str, target: str, after: int, limit: int) -> Response:
    exchange.require_known(request, "target", "after", "_count")
    async with service(request).database.reading() as connection:
        rows = await outbox.letters(connection, state, target=target, after=after, limit=limit)
    items = [_letter(row) for row in rows]
    return JSONResponse({"items": items, "next": rows[-1].oid if len(rows) == limit else None})


def _letter(row: Outbox) -> dict[str, Any]:
    return {
        "number": row.oid,
        "target": row.target,
        "reference": f"{row.type}/{row.id}",
        "version": row.version,
        "attempts": row.attempts,
        "reason": row.reason,
        "since": instant(row.created_at),
    }
