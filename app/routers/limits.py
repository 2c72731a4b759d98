"""Pure ASGI around every request: no client takes all the room, all the time, or all the turns.

What a connection may do is in connections.py; what a single search or Bundle may ask for, where it is read.
"""

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass

from aiolimiter import AsyncLimiter
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.fhir.outcomes import Busy, Issue, Late, Refused, TooLarge, TooMany, WrongMediaType
from app.routers.errors import refusal
from app.settings import Settings
from app.store.patience import within
from app.validation.patience import together

# Whoever looks after the service must see that it lives, just when it is busy.
_ALWAYS = "/health"
# Clients told apart; of more, those heard least lately begin anew.
MOST_CLIENTS = 10_000
_RATE_WITH_TOKENS = 100.0
# Of a length that is a number of bytes: more are an attack on whoever reads it as a number.
_DIGITS = 15


@dataclass(slots=True)
class _Held:
    """What the requests of this process hold. requests: being answered; size: bytes of their bodies."""

    requests: int = 0
    size: int = 0


class Room:
    """Outside of everything but the log: so many requests at once, with so much and for so long."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self.held = _Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _is_free(scope):
            await self._app(scope, receive, send)
            return
        if problem := self._problem(scope):
            answer = refusal(Request(scope), problem)
            await answer(scope, receive, send)
            return
        body = _Arriving(receive, self.held, self._settings)
        self.held.requests += 1
        try:
            with within(self._settings.query_seconds), together():
                await self._app(scope, body.receive, send)
        finally:
            self.held.requests -= 1
            self.held.size -= body.size

    def _problem(self, scope: Scope) -> Refused | None:
        """Why a request is not looked at. Its body may be read in several ways, all of which trust in this."""
        if self.held.requests >= self._settings.max_requests:
            told = f"This server answers {self._settings.max_requests} requests already. Try again soon."
            return Busy([Issue("throttled", told)])
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > _DIGITS or int(length) > self._settings.max_body_bytes:
            return _too_large(self._settings)
        if headers.get(b"content-encoding", b"").strip().lower() not in (b"", b"identity"):
            return WrongMediaType([Issue("not-supported", "Send the body as it is: nothing is unpacked here.")])
        return None


def _too_large(settings: Settings) -> TooLarge:
    return TooLarge(
        [Issue("too-long", f"The body is larger than the {settings.max_body_bytes} bytes this server takes.")]
    )


class _Arriving:
    """The body of one request as it arrives."""

    def __init__(self, receive: Receive, held: _Held, settings: Settings) -> None:
        self._receive, self._held, self._settings = receive, held, settings
        self._until = 0.0
        self._is_whole = False
        self.size = 0

    async def receive(self) -> Message:
        """The next piece. Raises Late, TooLarge, and Busy where there is no room for it."""
        if self._is_whole:
            # Some wait here for the client to leave, while they answer.
            return await self._receive()
        self._until = self._until or asyncio.get_running_loop().time() + self._settings.upload_seconds
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            told = f"The body did not arrive within {self._settings.upload_seconds:g} seconds."
            raise Late([Issue("timeout", told)]) from None
        more = len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        self.size += more
        self._held.size += more
        if self.size > self._settings.max_body_bytes:
            raise _too_large(self._settings)
        if self._held.size > self._settings.max_bodies_bytes:
            told = "This server holds as many bytes of requests as it can. Try again soon."
            raise Busy([Issue("throttled", told)])
        return message


class Turns:
    """Inside of who asks: so many requests of each client, by a leaky bucket for each.

    A client is who holds tokens under one client_id; while authentication is off, who has one address.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        usual = _RATE_WITH_TOKENS if settings.auth != "off" else 0.0
        self._rate = usual if settings.requests_per_second is None else settings.requests_per_second
        self._burst = settings.request_burst
        self.buckets: OrderedDict[str, AsyncLimiter] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._rate and not _is_free(scope):
            bucket = self._bucket(_client(scope))
            if not bucket.has_capacity():
                answer = refusal(Request(scope), self._too_many())
                await answer(scope, receive, send)
                return
            await bucket.acquire()
        await self._app(scope, receive, send)

    def _bucket(self, client: str) -> AsyncLimiter:
        found = self.buckets.get(client)
        if found is None:
            found = self.buckets[client] = AsyncLimiter(self._burst, self._burst / self._rate)
            if len(self.buckets) > MOST_CLIENTS:
                self.buckets.popitem(last=False)
        else:
            self.buckets.move_to_end(client)
        return found

    def _too_many(self) -> TooMany:
        told = f"A client may send {self._rate:g} requests a second, and {self._burst} at once. Wait before the next."
        return TooMany([Issue("throttled", told)], after=max(1, math.ceil(1 / self._rate)))


def _is_free(scope: Scope) -> bool:
    """Whether nothing is counted: inside a Bundle the request around it was."""
    is_inside = scope.get("state", {}).get("is_inside", False)
    return scope["type"] != "http" or is_inside or str(scope["path"]).startswith(_ALWAYS)


def _client(scope: Scope) -> str:
    known = scope["state"]["principal"].client_id
    host = scope["client"][0] if scope.get("client") else ""
    return f"client {known}" if known else f"address {host}"
