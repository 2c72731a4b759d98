"""Figures for Prometheus."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from app.export import metrics as of_exports
from app.routers.exchange import service
from app.store import events, exports
from app.sync.metrics import exposition
from app.sync.status import overview

router = APIRouter(tags=["Operators"])


@router.get("/metrics", summary="Queues, lag, retries, breakers and dead letters of sync, and exports, for Prometheus")
async def metrics(request: Request) -> Response:
    parts = service(request)
    found = await overview(parts.database, await parts.registry.registered(), counts_ledger=False)
    async with parts.database.reading() as connection:
        subscriptions = await events.figures(connection)
        exported = of_exports.exposition(await exports.figures(connection), parts.clock())
    return Response(exposition(found, subscriptions) + exported, media_type=CONTENT_TYPE_LATEST)
