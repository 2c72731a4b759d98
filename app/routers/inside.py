"""Answering a request that stands inside another one: an entry of a Bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from fastapi import Request
from starlette.responses import Response
from starlette.types import Message

from app.routers.noting import noted_of

_SURROUNDINGS = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path", "extensions")
_INHERITED = (b"host", b"prefer", b"authorization")
_QUERY = "%!$&'()*+,;=:@/?-._~|"
_FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Inner:
    """A request below the FHIR endpoint. url: path and query; headers: its own conditions, names in lower case."""

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] | None = None


async def answered(request: Request, inner: Inner) -> Response:
    """What the application answers, in JSON, to a request inside this one; by the same client, as far as it matters."""
    answer = Response()
    body = bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": inner.body}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status_code, answer.raw_headers = message["status"], list(message["headers"])
        else:
            body.extend(message.get("body", b""))

    await request.app(_scope(request, inner), receive, send)
    answer.body = bytes(body)
    return answer


def _scope(request: Request, inner: Inner) -> dict[str, object]:
    path, _, query = inner.url.partition("?")
    scope = {name: request.scope[name] for name in _SURROUNDINGS if name in request.scope}
    own = {"accept": _FHIR_JSON, "content-type": _FHIR_JSON, "content-length": str(len(inner.body))}
    own |= inner.headers or {}
    # Conditions and the body's headers belong to the request around it.
    scope["headers"] = [
        *((name, value) for name, value in request.scope["headers"] if name in _INHERITED),
        (b"x-request-id", request.state.request_id.encode()),
        *((name.encode(), value.encode("latin-1", "replace")) for name, value in own.items()),
    ]
    return scope | {
        # The Bundle around it decides the format.
        "state": {"is_inside": True, "principal": request.state.principal, "outer": noted_of(request)},
        "method": inner.method,
        "path": f"/fhir/{unquote(path)}",
        "query_string": quote(query, safe=_QUERY).encode(),
    }
