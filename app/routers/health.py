"""Whether the service is well, for operators and orchestrators."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from app.routers.exchange import service

router = APIRouter(prefix="/health", tags=["Operators"])


@router.get("/live", summary="Whether the process runs")
async def live() -> Response:
    return JSONResponse({"status": "live"})


@router.get("/ready", summary="Whether the service can work: database and schema")
async def ready(request: Request) -> Response:
    is_ready = await service(request).database.is_ready()
    return JSONResponse({"status": "ready" if is_ready else "schema is not current"}, 200 if is_ready else 503)
