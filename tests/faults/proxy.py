"""A network that fails as networks do: an HTTP proxy before one server, with the faults a seed draws."""

import asyncio
import email.utils
import json
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

_HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Cut(Exception):
    """The connection is reset here. sent: what the client still gets of the answer."""

    def __init__(self, sent: bytes = b"") -> None:
        self.sent = sent
        super().__init__()


@dataclass
class Proxy:
    """Carries requests to a server. rate: the share of requests that meet a fault; kinds: which faults there are.

    counts: how often each fault was met. storm: while True, every request is answered 429 or 503.
    """

    upstream: str
    chance: random.Random
    rate: float = 0.0
    kinds: tuple[str, ...] = ()
    storm: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    port: int = 0

    async def __aenter__(self) -> "Proxy":
        self._client = httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=32))
        self._later: set[asyncio.Task[None]] = set()
        self._forwarded = asyncio.Event()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self.settle()
        await self._client.aclose()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def settle(self) -> None:
        """Wait until what was to arrive late has arrived."""
        if self._later:
            await asyncio.gather(*self._later, return_exceptions=True)

    async def next_answer(self) -> None:
        """Wait until the server has answered something that is now on its way."""
        self._forwarded.clear()
        await self._forwarded.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read(reader):
                answer = await self._answer(request)
                writer.write(_wire(answer))
                await writer.drain()
        except Cut as cut:
            writer.write(cut.sent)
            with suppress(ConnectionError):
                await writer.drain()
            _reset(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request) -> Answer:
        if self.storm:
            return await self._met("storm", request)
        if self.kinds and self.chance.random() < self.rate:
            return await self._met(self.chance.choice(self.kinds), request)
        return await self._forward(request)

    async def _met(self, kind: str, request: Request) -> Answer:
        self.counts[kind] += 1
        return await FAULTS[kind](self, request)

    async def _forward(self, request: Request) -> Answer:
        hidden = ("host", "connection", "content-length", "transfer-encoding")
        headers = {name: value for name, value in request.headers.items() if name not in hidden}
        try:
            found = await self._client.request(
                request.method, f"{self.upstream}{request.path}", content=request.body, headers=headers
            )
        except (httpx.HTTPError, RuntimeError):
            raise Cut from None  # the server is away, or was killed while it answered; or the proxy is just closed
        self._forwarded.set()
        # Links to further pages, and to what is made meanwhile, lead through the same network.
        told = {n: v.replace(self.upstream, self.base) for n, v in found.headers.items()}
        kept = {n: v for n, v in told.items() if n.lower() not in (*hidden, "content-encoding")}
        body = found.content.replace(self.upstream.encode(), self.base.encode())
        return Answer(found.status_code, kept, body)

    # The faults. Each takes the request and answers, or cuts.

    async def lost_request(self, request: Request) -> Answer:
        raise Cut

    async def lost_answer(self, request: Request) -> Answer:
        await self._forward(request)
        raise Cut

    async def reset_in_body(self, request: Request) -> Answer:
        whole = _wire(await self._forward(request))
        raise Cut(whole[: max(1, len(whole) * 2 // 3)])

    async def truncated_body(self, request: Request) -> Answer:
        """HTTP is as it should be; the JSON ends early."""
        answer = await self._forward(request)
        return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])

    async def late(self, request: Request) -> Answer:
        await asyncio.sleep(self.chance.uniform(0.05, 1.5))
        return await self._forward(request)

    async def twice(self, request: Request) -> Answer:
        """The request arrives twice; the second answer is told."""
        await self._forward(request)
        return await self._forward(request)

    async def again_later(self, request: Request) -> Answer:
        """What was conditional on a version arrives once more when others have followed; else at once."""
        answer = await self._forward(request)
        # Of a Bundle each entry: what creates under a given id has no condition in R4 and overwrites what follows.
        asked, conditions = request.body.count(b'"request"'), request.body.count(b'"ifMatch"')
        if "if-match" not in request.headers and not 0 < asked == conditions:
            return await self._forward(request)
        task = asyncio.create_task(self._repeat(request, self.chance.uniform(0.2, 2)))
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        return answer

    async def _repeat(self, request: Request, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with suppress(Cut):
            await self._forward(request)

    async def busy_storm(self, request: Request) -> Answer:
        form = self.chance.choice(("seconds", "date", "none"))
        date = email.utils.formatdate(time.time() + 1, usegmt=True)
        wait = {"seconds": {"retry-after": "1"}, "date": {"retry-after": date}, "none": {}}[form]
        return Answer(self.chance.choice((429, 503)), wait, b"")

    async def html(self, request: Request) -> Answer:
        status = self.chance.choice((200, 502, 404))
        return Answer(status, {"content-type": "text/html"}, _HTML)

    async def said_conflict(self, request: Request) -> Answer:
        """409 or 412 for nothing: as of a lock that is gone a moment later."""
        if request.method == "GET":
            return await self._forward(request)
        outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "conflict"}]}
        headers = {"content-type": "application/fhir+json"}
        return Answer(self.chance.choice((409, 412)), headers, json.dumps(outcome).encode())

    async def failed(self, request: Request) -> Answer:
        """500 after it was done: as of a server that fails while it forms the answer."""
        if self.chance.random() < 0.5:
            await self._forward(request)
        return Answer(500, {"content-type": "text/plain"}, b"internal error")


FAULTS: dict[str, Callable[[Proxy, Request], Awaitable[Answer]]] = {
    "request lost": Proxy.lost_request,
    "answer lost after commit": Proxy.lost_answer,
    "reset in the body": Proxy.reset_in_body,
    "truncated body": Proxy.truncated_body,
    "late": Proxy.late,
    "delivered twice": Proxy.twice,
    "delivered again later": Proxy.again_later,
    "429 or 503": Proxy.busy_storm,
    "HTML": Proxy.html,
    "409 or 412": Proxy.said_conflict,
    "500": Proxy.failed,
}
_STORM = {"storm": Proxy.busy_storm}
KINDS = tuple(FAULTS)
FAULTS |= _STORM


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if "chunked" in headers.get("transfer-encoding", ""):
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).strip() or b"0", 16):
        found += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return bytes(found)


def _wire(answer: Answer) -> bytes:
    head = [f"HTTP/1.1 {answer.status} X"]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    head.append(f"content-length: {len(answer.body)}")
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + answer.body


def _reset(writer: asyncio.StreamWriter) -> None:
    """A TCP reset instead of an end in good order."""
    found = writer.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
