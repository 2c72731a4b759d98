"""A terminology server of somebody else, on a real port: a good one, and every bad one."""

import asyncio
import gzip
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.processes import free_port

SNOMED = "http://snomed.info/sct"
VALUE_SET = "https://example.org/ValueSet/methods"
KNOWN = {"1": "First", "2": "Second"}
IN_VALUE_SET = {"1"}


class OtherServer:
    """base: its address; each way of answering is a path below it. asked: what it was sent, as (way, kind, parts)."""

    def __init__(self) -> None:
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.at_once: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()

    @property
    def application(self) -> Starlette:
        return Starlette(routes=[Route("/{way}/{kind}/$validate-code", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        body = json.loads(await request.body())
        parts = {each["name"]: next(v for k, v in each.items() if k != "name") for each in body["parameter"]}
        way, kind = request.path_params["way"], request.path_params["kind"]
        self.asked.append((way, kind, parts))
        self.headers.append(dict(request.headers))
        self.at_once[way] += 1
        self.most_at_once[way] = max(self.at_once[way], self.most_at_once[way])
        try:
            return await _WAYS[way](kind, parts)
        finally:
            self.at_once[way] -= 1


def said(result: Any, **more: Any) -> Response:
    parts: list[dict[str, Any]] = [{"name": "result", "valueBoolean": result}]
    for name, value in more.items():
        kind = "resource" if isinstance(value, dict) else "valueString"
        parts.append({"name": name.replace("_", "-"), kind: value})
    return _fhir({"resourceType": "Parameters", "parameter": parts})


def _fhir(tree: Any, status: int = 200) -> Response:
    return Response(json.dumps(tree), status, media_type="application/fhir+json")


async def _good(kind: str, parts: dict[str, Any]) -> Response:
    display = KNOWN.get(parts["code"])
    if display is None or (kind == "ValueSet" and parts["code"] not in IN_VALUE_SET):
        return said(False, message="Unknown code in the CodeSystem")
    if parts.get("display", display) != display:
        return said(False, message="Wrong display", display=display)
    return said(True, display=display)


async def _unhurried(kind: str, parts: dict[str, Any]) -> Response:
    await asyncio.sleep(0.05)
    return await _good(kind, parts)


async def _slow(kind: str, parts: dict[str, Any]) -> Response:
    await asyncio.sleep(4)
    return said(True)


async def _drip(kind: str, parts: dict[str, Any]) -> Response:
    async def drops() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" "
            await asyncio.sleep(0.1)

    return StreamingResponse(drops())


async def _endless(kind: str, parts: dict[str, Any]) -> Response:
    async def flood() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 16_384
            await asyncio.sleep(0)

    return StreamingResponse(flood())


def _fixed(response: Response) -> Callable[[str, dict[str, Any]], Awaitable[Response]]:
    async def answer(kind: str, parts: dict[str, Any]) -> Response:
        return response

    return answer


def _issues(code: str) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}


_PACKED = gzip.compress(json.dumps({"resourceType": "Parameters"}).encode() + b" " * 50_000_000)
_WAYS: dict[str, Callable[[str, dict[str, Any]], Awaitable[Response]]] = {
    "good": _good,
    "unhurried": _unhurried,
    "slow": _slow,
    "drip": _drip,
    "endless": _endless,
    "broken": _fixed(Response("broken", 500)),
    "busy": _fixed(Response("busy", 429)),
    "refusing": _fixed(_fhir(_issues("not-supported"), 400)),
    "missing": _fixed(_fhir(_issues("not-found"), 404)),
    "moved": _fixed(RedirectResponse("/good/CodeSystem/$validate-code", 307)),
    "page": _fixed(Response("<html>Sign in</html>", media_type="text/html")),
    "empty": _fixed(Response(b"")),
    "binary": _fixed(Response(b"\xff\xfe\x00")),
    "nested": _fixed(Response(b"[" * 60_000)),
    "packed": _fixed(Response(_PACKED, headers={"Content-Encoding": "gzip"})),
    "word": _fixed(said("true")),
    "number": _fixed(said(1)),
    "list": _fixed(_fhir([])),
    "patient-record": _fixed(_fhir({"resourceType": "Patient"})),
    "odd-parts": _fixed(_fhir({"resourceType": "Parameters", "parameter": [None, 7, {"name": ["result"]}]})),
    "unknown-part": _fixed(said(False, x_caused_by_unknown_system=SNOMED)),
    "unknown-issue": _fixed(said(False, issues=_issues("not-found"))),
    "unknown-words": _fixed(said(False, message=f"A definition for CodeSystem '{SNOMED}' could not be found")),
    "odd-display": _fixed(said(True, display="\x1b[31mA\u202e\nB" + "C" * 5000)),
}
NO_ANSWERS = sorted({*_WAYS} - {"good", "unhurried", "odd-display", "slow", "drip"})


@contextmanager
def running() -> Iterator[OtherServer]:
    """The server, started in a thread of its own and stopped."""
    other = OtherServer()
    config = uvicorn.Config(
        other.application, port=other.port, log_level="error", timeout_graceful_shutdown=5, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
        yield other
    finally:
        server.should_exit = True
        thread.join(20)
