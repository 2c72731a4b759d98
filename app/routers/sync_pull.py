"""Pulling: how far each target was read, and what came and could not be kept."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.instants import instant
from app.fhir.outcomes import Issue, NotFound, NotSupported
from app.routers import exchange
from app.routers.exchange import service
from app.routers.numbers import RowName, RowNumber
from app.store import pulls, quarantine
from app.store.idempotency import Answer
from app.store.tables import Pull
from app.sync.targets import Target

router = APIRouter(prefix="/sync", tags=["Sync"])
_JSON = "application/json"
_Target = Query("", pattern="^[a-z0-9-]{0,64}$", description="Only this target.")
_After = Query(0, ge=0, le=2**62, description="Only items after this number: the `next` of the page before.")
_Limit = Query(100, ge=1, le=1000, alias="_count", description="Items per page.")


@router.get("/pulls", summary="How far each target was read, by type, and what keeps it from being read")
async def read_so_far(request: Request, target: str = _Target) -> Response:
    exchange.require_known(request, "target")
    async with service(request).database.reading() as connection:
        found = await pulls.rows(connection, target)
    return _answer(request, 200, {"pulls": [_row(row) for row in found]})


@router.post("/targets/{name}/pull", summary="Read a target now, whenever its turn would be", status_code=202)
async def pull(request: Request, name: RowName) -> Response:
    exchange.require_known(request)
    return await ask_again(request, await pulled(request, name), "")


@router.get("/quarantine", summary="What came from targets and could not be kept, oldest first, and why")
async def refused(request: Request, target: str = _Target, after: int = _After, limit: int = _Limit) -> Response:
    exchange.require_known(request, "target", "after", "_count")
    async with service(request).database.reading() as connection:
        found = await quarantine.listed(connection, target=target, after=after, limit=limit)
    following = found[-1]["qid"] if len(found) == limit else None
    return _answer(request, 200, {"items": [_item(one) for one in found], "next": following})


@router.get("/quarantine/{number}", summary="One of them, with its content as it came")
async def one_refused(request: Request, number: RowNumber) -> Response:
    exchange.require_known(request)
    async with service(request).database.reading() as connection:
        found = await quarantine.read(connection, number)
    if found is None:
        raise _no_such(number)
    # As it came: it may be no JSON that can be read.
    content = found.content.decode("utf-8", "replace") if found.content is not None else None
    return _answer(request, 200, {**_item(found.model_dump()), "content": content})


@router.post("/quarantine/{number}/retry", summary="Try one again now", status_code=202)
async def retry(request: Request, number: RowNumber) -> Response:
    exchange.require_known(request)
    async with service(request).database.writing() as connection:
        if not await quarantine.retry(connection, number):
            raise _no_such(number)
    service(request).bell.ring()
    return Response(status_code=202)


@router.delete("/quarantine/{number}", summary="Want this version no longer; a newer one comes all the same")
async def discard(request: Request, number: RowNumber) -> Response:
    exchange.require_known(request)
    async with service(request).database.writing() as connection:
        if not await quarantine.discard(connection, number):
            raise _no_such(number)
    return Response(status_code=204)


async def pulled(request: Request, name: str) -> Target:
    """The target of this name. Raises a kind of Refused where there is none, or none that is read."""
    found = (await service(request).registry.find(name)).target
    if not found.is_pulled:
        raise NotSupported([Issue("not-supported", "This target is not read: its direction is push.", "direction")])
    return found


async def ask_again(request: Request, target: Target, resource_type: str) -> Response:
    """Have another round begin now, of one type or of all."""
    async with service(request).database.writing() as connection:
        count = await pulls.request(connection, target.name, resource_type)
    service(request).bell.ring()
    return _answer(request, 202, {"target": target.name, "reads": count})


def _no_such(number: int) -> NotFound:
    return NotFound([Issue("not-found", f"There is nothing in quarantine under {number}, or it was discarded.")])


def _row(row: Pull) -> dict[str, Any]:
    return {
        "target": row.target,
        "read": row.type,
        "mode": row.mode,
        "read_to": instant(row.watermark) if row.watermark else None,
        "page": row.pages,
        "finished_at": instant(row.finished_at) if row.finished_at else None,
        "next_at": instant(row.not_before) if row.not_before else None,
        "requested": row.requested,
        "failures": row.failures,
        "error": row.error or None,
    }


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "number": row["qid"],
        "target": row["target"],
        "reference": f"{row['type']}/{row['remote_id']}",
        "version": row["remote_version"] or None,
        "updated": instant(row["remote_updated"]) if row["remote_updated"] else None,
        "since": instant(row["created_at"]),
        "attempts": row["attempts"],
        "next_at": None if row["discarded"] else instant(row["not_before"]),
        "discarded": row["discarded"],
        "issues": lossless.parse(row["issues"].encode())["issue"],
    }


def _answer(request: Request, status: int, told: dict[str, Any]) -> Response:
    return exchange.respond(request, Answer(status, lossless.dumps(told)), _JSON)
