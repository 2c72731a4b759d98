"""Figures for Prometheus."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from app.routers.exchange import service
from app.store import events
from app.sync.metrics import exposition
from app.sync.status import overview

router = APIRouter(tags=["Operators"])


@router.get("/metrics", summary="Queues, lag, retries, breakers and dead letters of sync, for Prometheus")
async def metrics(request: Request) -> Response:
    parts = service(request)
    found = await overview(parts.database, await parts.registry.registered(), counts_ledger=False)
    async with parts.database.reading() as connection:
        subscriptions = await events.figures(connection)
    return Response(exposition(found, subscriptions), media_type=CONTENT_TYPE_LATEST)
