"""Requests as bytes, sent as they are: what a well-behaved client library would correct is part of the attack."""

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

# Longer than anything may take; who has not answered by then hangs.
PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Request:
    """One request. url: path and query. headers: besides Host and Content-Length, in their order."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    kind: str = ""

    def header(self, name: str) -> str:
        """The first header of that name; "" without one."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def as_bytes(self, host: str) -> bytes:
        """What goes over the wire."""
        lines = [f"{self.method} {self.url} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + self.body

    def as_line(self) -> str:
        """For a file that is replayed."""
        body = base64.b64encode(self.body).decode()
        return json.dumps([self.method, self.url, self.headers, body, self.kind])

    @classmethod
    def of_line(cls, line: str) -> "Request":
        """What as_line wrote."""
        method, url, headers, body, kind = json.loads(line)
        return cls(method, url, tuple((name, value) for name, value in headers), base64.b64decode(body), kind)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. status 0: the connection ended, or nothing came in time; `reason` says which."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    reason: str = ""

    def json(self) -> Any:
        """The body, if it is JSON; None if not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Connection:
    """A connection that is opened when needed and kept as long as the server keeps it.

    token: sent with every request that does not bring an Authorization of its own.
    """

    def __init__(self, host: str, port: int, token: str = "") -> None:
        self._host, self._port, self._token = host, port, token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request) -> Answer:
        """Send and wait. Never raises for what the server does."""
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await self._exchange(request)
        except TimeoutError:
            answer = Answer(0, reason="no answer")
        except (OSError, EOFError, ValueError) as error:
            answer = Answer(0, reason=f"connection lost: {type(error).__name__}")
        if not answer.status or answer.headers.get("connection", "").lower() == "close":
            self.close()
        took = asyncio.get_running_loop().time() - started
        return Answer(answer.status, answer.headers, answer.body, took, answer.reason)

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, request: Request) -> Answer:
        if self._token and not any(name.lower() == "authorization" for name, _ in request.headers):
            request = replace(request, headers=(*request.headers, ("Authorization", f"Bearer {self._token}")))
        sent = request.as_bytes(f"{self._host}:{self._port}")
        is_kept = self._streams is not None
        try:
            return await self._once(request, sent)
        except (OSError, EOFError):
            # An idle connection may be ended by the server at any time; nothing was read of an answer then.
            self.close()
            if not is_kept:
                raise
        return await self._once(request, sent)

    async def _once(self, request: Request, sent: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=1 << 24)
        reader, writer = self._streams
        writer.write(sent)
        await writer.drain()
        status, headers = await _head(reader)
        while status == 100:
            status, headers = await _head(reader)
        has_body = request.method != "HEAD" and status not in (204, 304)
        return Answer(status, headers, await _body(reader, headers) if has_body else b"")


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines if line)
    return int(first.split(" ")[1]), {name.strip().lower(): value.strip() for name, _, value in fields}


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.read()
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)
