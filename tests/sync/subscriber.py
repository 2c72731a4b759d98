"""A subscriber: a real HTTP server that keeps what it is told, and answers as a test wants."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def bundle(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def status(self) -> dict[str, Any]:
        """The first values of the status Parameters, by name."""
        parts = self.bundle["entry"][0]["resource"]["parameter"]
        return {p["name"]: next(v for n, v in p.items() if n.startswith("value")) for p in parts if "part" not in p}

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events, each with the first value by name."""
        parts = self.bundle["entry"][0]["resource"]["parameter"]
        return [_values(part["part"]) for part in parts if part["name"] == "notification-event"]

    @property
    def kind(self) -> str:
        return str(self.status["type"])


def _values(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {part["name"]: next(v for n, v in part.items() if n.startswith("value")) for part in reversed(parts)}


@dataclass(slots=True)
class Subscriber:
    """Listens while the block lasts. answers: statuses given in turn, then 200; 0: no answer, the connection ends."""

    answers: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    taken: list[Received] = field(default_factory=list)
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> "Subscriber":
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server
        self._server.shutdown()
        self._server.server_close()

    @property
    def numbers(self) -> list[int]:
        """The event numbers that were taken, in the order they came."""
        told = [one for one in self.taken if one.body and one.kind == "event-notification"]
        return [int(event["event-number"]) for one in told for event in one.events]

    async def until(self, is_so: Callable[["Subscriber"], bool], seconds: float = SECONDS) -> None:
        """Wait; fails with what came if it is not so in time."""
        end = time.monotonic() + seconds
        while not is_so(self):
            assert time.monotonic() < end, [(one.method, one.path, one.body[:2000]) for one in self.received[-5:]]
            await asyncio.sleep(0.02)


def _handler(subscriber: Subscriber) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            one = Received(self.command, self.path, headers, body)
            subscriber.received.append(one)
            status = subscriber.answers.pop(0) if subscriber.answers else 200
            if not status:
                self.close_connection = True
                return
            if 200 <= status < 300:
                subscriber.taken.append(one)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PUT = _take  # noqa: N815 (the names by which http.server finds them)

        def log_message(self, *_: object) -> None:
            """Nothing to the console."""

    return Handler
