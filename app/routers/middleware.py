"""Pure ASGI around every request: a request id, one log line without patient data, and no bare 500."""

import re
import time
import uuid
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import of_error
from app.routers.errors import unexpected

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
# What logs commonly say for a client that left before it was answered; nobody receives it.
_CLIENT_CLOSED = 499
_log = structlog.get_logger()


class Envelope:
    """Wraps the application. HEAD is GET without the body.

    The log names the route (`/fhir/{resource_type}/{resource_id}`), never the address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        scope = {**scope, **_mended(scope), "method": "GET" if is_head else scope["method"]}
        request_id = _request_id(scope)
        scope.setdefault("state", {}).update(request_id=request_id, is_head=is_head)
        started, sent = time.perf_counter(), {"status": 0}

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            sent["status"] = sent["status"] or _CLIENT_CLOSED
        except Exception as error:
            _log.error("unexpected error", request_id=request_id, **of_error(error))
            if not sent["status"]:
                await unexpected(Request(scope), request_id)(scope, receive, send_with_id)
        duration_ms = round((time.perf_counter() - started) * 1000, 1)
        route = getattr(scope.get("route"), "path_format", "")
        _log.info(
            "request",
            request_id=request_id,
            method="HEAD" if is_head else scope["method"],
            route=route,
            status=sent["status"],
            duration_ms=duration_ms,
        )


def _mended(scope: Scope) -> dict[str, Any]:
    """The address without a slash at the end, its letters beyond ASCII encoded: they are UTF-8 (R4 3.1.0.1.1)."""
    query = _NOT_ASCII.sub(lambda found: b"%%%02X" % ord(found[0]), scope["query_string"])
    return {"path": scope["path"].rstrip("/") or "/", "query_string": query}


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(b"x-request-id", b"")
    return given.decode() if _ID.fullmatch(given) else uuid.uuid4().hex
