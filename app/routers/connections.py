"""HTTP/1.1 connections that cannot be held for nothing: bounded heads, and an end for those who send or read nothing.

uvicorn bounds neither how long a head may take nor how long it may be, and lets go of no client that does not read.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

# What a client that reads has taken of an answer within its time; one that takes less holds it for nothing.
_LEAST_READ = 16_384
# Requests that may be sent before the one before them is answered: their heads lie in memory.
_MOST_WAITING = 16
_JSON = b"content-type: application/fhir+json\r\nconnection: close\r\n"
_OUTCOME = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"%s","diagnostics":"%s"}]}'

# How long, and how much, a client that is refused may go on sending before the connection ends. Were it closed at once,
# the system would throw away what it has not read yet of the answer (RFC 9112, 9.6).
_LINGER_SECONDS, _LINGER_BYTES = 2.0, 16 * 1024 * 1024

# Status, its phrase, issue code and what is told.
Refusal = tuple[int, bytes, bytes, bytes]
_NO_REQUEST: Refusal = 400, b"Bad Request", b"structure", b"This is no request of HTTP/1.1."
_NO_BODY: Refusal = (
    400,
    b"Bad Request",
    b"structure",
    b"The body does not come as the headers say, or is no chunked one.",
)
# RFC 9112, 6.1: whoever does not know the coding of a body cannot tell where it ends, and says so.
_CODED: Refusal = 501, b"Not Implemented", b"not-supported", b"The only Transfer-Encoding that is taken is chunked."


@dataclass(frozen=True, slots=True)
class Bounds:
    """head_bytes: request line and headers; head_seconds: how long they may take, and how long nothing may come;
    reading_seconds: how long a client may leave an answer unread; connections: open at once."""

    head_bytes: int
    head_seconds: float
    reading_seconds: float
    connections: int


class Connection(HttpToolsProtocol):
    """One connection. `look` is called about once a second by the server."""

    def __init__(
        self,
        bounds: Bounds,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        # Bytes that came since the last request, or the last piece of a body: of a head, or of trailers.
        self._head = 0
        # Why the head that was read last is refused.
        self._refusal: Refusal | None = None
        # Whether the request that was read last is, with its body.
        self._is_whole = True
        # When it was refused to read on, and how much came since.
        self._refused_at, self._came_since = 0.0, 0
        # When the connection was made, the head began that is being read, or the last answer was given.
        self._since = time.monotonic()
        # How much of the answers lay unread, and since when no less does.
        self._unread = (0, self._since)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            self._refuse(503, b"Service Unavailable", b"throttled", b"This server has no room for more connections.")
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._refused_at:
            self._came_since += len(data)
            if self._came_since > _LINGER_BYTES:
                self.transport.abort()
            return
        if not self._head and self._is_whole:
            self._since = time.monotonic()
        self._head += len(data)
        super().data_received(data)
        # The parser keeps a name or value until it has all of it.
        if self._head > self._bounds.head_bytes and not self._refused_at and not self.transport.is_closing():
            self._end(self._too_long)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._bounds.head_bytes or len(self.pipeline) >= _MOST_WAITING:
            self._refusal = self._too_long
        elif any(name == b"transfer-encoding" and value.strip().lower() != b"chunked" for name, value in self.headers):
            self._refusal = _CODED
        if self._refusal:
            # What is raised here ends the reading; send_400_response tells why.
            raise ValueError("the head is refused")
        self._head, self._is_whole = 0, False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head, self._is_whole = 0, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._since = time.monotonic()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        if self._is_whole:
            self._end(self._refusal or _NO_REQUEST)
        elif self.cycle and not self.pipeline and not self.cycle.response_started:
            # Who waits for the rest of the body is told that none comes; what he answers goes nowhere.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._refuse(*_NO_BODY)
        else:
            self.transport.abort()

    def look(self, now: float) -> None:
        """End the connection if nothing is done with it."""
        if self._refused_at:
            if now - self._refused_at > _LINGER_SECONDS:
                self.transport.abort()
            return
        left = self.transport.get_write_buffer_size()
        mark, since = self._unread
        if left == 0 or left > mark or left <= mark - _LEAST_READ:
            self._unread = left, now
        elif now - since > self._bounds.reading_seconds:
            self.transport.abort()
            return
        # Between two requests uvicorn waits for as long as timeout_keep_alive says.
        is_begun = self.cycle is None or self._head or not self._is_whole
        if self._is_idle and is_begun and not left and now - self._since > self._bounds.head_seconds:
            self.transport.abort()

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def _too_long(self) -> Refusal:
        told = b"The request line and headers are longer than the %d bytes this server takes." % self._bounds.head_bytes
        return 431, b"Request Header Fields Too Large", b"too-long", told

    def _end(self, refusal: Refusal) -> None:
        """Say why no more is read, unless another request is being answered."""
        if self._is_idle:
            self._refuse(*refusal)
        else:
            self.transport.abort()

    def _refuse(self, status: int, phrase: bytes, code: bytes, told: bytes) -> None:
        body = _OUTCOME % (code, told)
        head = b"HTTP/1.1 %d %s\r\ncontent-length: %d\r\n" % (status, phrase, len(body))
        retry = b"retry-after: 2\r\n" if status == 503 else b""
        self.transport.write(head + _JSON + retry + b"\r\n" + body)
        if self.transport.can_write_eof():
            self._refused_at = time.monotonic()
            self.transport.write_eof()
        else:
            self.transport.close()


def look_at(connections: Any) -> None:
    """Look at every open connection."""
    now = time.monotonic()
    for each in list(connections):
        if isinstance(each, Connection):
            each.look(now)
