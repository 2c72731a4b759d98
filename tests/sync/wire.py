"""The network between two servers, with the failures a test asks for."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx

BASE = "http://partner.test/fhir"


class Wire(httpx.AsyncBaseTransport):
    """Carries requests to the partner.

    answers: given to writes instead of the partner's, in turn; everything: given to every request; lose_answers: how
    many of the partner's answers to writes get lost; twice: how many writes arrive there twice, of which the second
    answer is told; late: how many writes seem lost, and arrive there before the first read of what begins with
    `before`; refuse: references whose writes are answered with the status
    `refusal` and this outcome; seconds: how long a write takes; statement: what is changed of the CapabilityStatement;
    seen: every request, in order, as (method, path with query, body, headers).
    """

    def __init__(self, partner: httpx.AsyncClient) -> None:
        self.partner = partner
        self.answers: list[httpx.Response] = []
        self.lose_answers = 0
        self.twice = 0
        self.late, self.before = 0, ""
        self._held: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.refuse: dict[str, Any] = {}
        self.refusal = 422
        self.seconds = 0.0
        self.everything: httpx.Response | None = None
        self.statement: Callable[[dict[str, Any]], object] = lambda _: None
        self.seen: list[tuple[str, str, bytes, httpx.Headers]] = []

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self, base_url=BASE)

    def writes(self) -> list[tuple[str, str]]:
        """(method, path) of what was written, in order."""
        return [(method, path.removeprefix("/fhir")) for method, path, *_ in self.seen if method != "GET"]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body, path = await request.aread(), request.url.raw_path.decode()
        self.seen.append((request.method, path, body, request.headers))
        if self.everything is not None:
            return _streamed(self.everything)
        is_write = request.method != "GET"
        await asyncio.sleep(self.seconds * is_write)
        if is_write and self.answers:
            return _streamed(self.answers.pop(0))
        for reference, outcome in self.refuse.items() if is_write else ():
            if path.endswith(f"/{reference}") or f'"{reference}"'.encode() in body:
                return _streamed(httpx.Response(self.refusal, content=json.dumps(outcome)))
        kept = ("content-type", "if-match", "if-none-exist", "prefer")
        headers = {name: value for name, value in request.headers.items() if name in kept}
        if is_write and self.late:
            self.late -= 1
            self._held.append((request.method, path, body, headers))
            raise httpx.ReadTimeout("no answer", request=request)
        while self._held and not is_write and path.startswith(self.before):
            method, place, content, kept_headers = self._held.pop(0)
            await self.partner.request(method, place, content=content, headers=kept_headers)
        if is_write and self.twice:
            self.twice -= 1
            await self.partner.request(request.method, path, content=body, headers=headers)
        answer = await self.partner.request(request.method, path, content=body, headers=headers)
        if is_write and self.lose_answers:
            self.lose_answers -= 1
            raise httpx.ReadError("connection lost", request=request)
        content = answer.content
        if path.endswith("/metadata"):
            statement = answer.json()
            self.statement(statement)
            content = json.dumps(statement).encode()
        told = {name: value for name, value in answer.headers.items() if name != "content-length"}
        return _streamed(httpx.Response(answer.status_code, headers=told, content=content))


def _streamed(answer: httpx.Response) -> httpx.Response:
    """The answer as it comes over a network, piece by piece."""
    return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))
