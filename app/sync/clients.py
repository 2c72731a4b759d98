"""The HTTP client of a target: who we are to it, whom we trust, and what may be reached."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from aiolimiter import AsyncLimiter

from app import outbound
from app.outbound import Guard, NoSecret, NoToken, NotPem, Secrets, tls
from app.outbound.tokens import FixedAuth, Registration, SmartAuth, basic, bearer
from app.sync.client import Client, limiter
from app.sync.registry import FILE, Registry
from app.sync.targets import Basic, Bearer, Smart, Target


@dataclass(frozen=True, slots=True)
class Opened:
    """A client for one target, and what talks to the target by it."""

    http: httpx.AsyncClient
    client: Client


@dataclass(frozen=True, slots=True)
class Clients:
    """Opens clients. guard: for what the admin API names; what stands in the operator's file is his own decision."""

    registry: Registry
    secrets: Secrets
    guard: Guard
    _limits: dict[str, tuple[float | None, AsyncLimiter | None]] = field(default_factory=dict, repr=False)

    @asynccontextmanager
    async def open(self, target: Target) -> AsyncGenerator[Opened, None]:
        """A client for a target alone. What is wrong with its secrets is told by every request."""
        verify: ssl.SSLContext | bool = True
        auth: httpx.Auth | None
        try:
            verify = self._tls(target)
            auth = self._auth(target, verify)
        except (NoSecret, NotPem) as error:
            auth = _Broken(str(error))
        async with self._http(target, verify, auth) as http:
            limit, instance, seconds = self._limiter(target), await self.registry.instance(), target.timeout_seconds
            yield Opened(http, Client(http, target.base_url, seconds=seconds, limiter=limit, instance=instance))

    def _limiter(self, target: Target) -> AsyncLimiter | None:
        """One for all that is done with a target here, whatever clients are open for it."""
        rate, limit = self._limits.get(target.name, (None, None))
        if rate != target.requests_per_second:
            rate, limit = target.requests_per_second, limiter(target.requests_per_second)
            self._limits[target.name] = rate, limit
        return limit

    def _http(self, target: Target, verify: ssl.SSLContext | bool, auth: httpx.Auth | None = None) -> httpx.AsyncClient:
        guard = self.guard
        if self.registry.origin_of(target.name) == FILE:
            # Where the target leads further, to a token endpoint of its choice, it is guarded like any other.
            named = [target.base_url, *([target.auth.token_url] if isinstance(target.auth, Smart) else [])]
            guard = guard.allowing(*filter(None, named))
        transport = outbound.GuardedTransport(guard, verify=verify, connections=target.concurrency + 1)
        return outbound.bare(
            transport=transport,
            auth=auth,
            timeout=httpx.Timeout(target.timeout_seconds, connect=5),
            headers={"User-Agent": "Dermatome"},
        )

    def _tls(self, target: Target) -> ssl.SSLContext:
        parts = target.tls
        read = [self.secrets.read(name) if name else "" for name in (parts.ca, parts.certificate, parts.key)]
        return tls.context(*read)

    def _auth(self, target: Target, verify: ssl.SSLContext) -> httpx.Auth | None:
        auth = target.auth
        if isinstance(auth, Basic):
            return FixedAuth(lambda: basic(auth.username, self._secret(auth.secret)))
        if isinstance(auth, Bearer):
            return FixedAuth(lambda: bearer(self._secret(auth.secret)))
        if isinstance(auth, Smart):
            return SmartAuth(lambda: self._registration(target.base_url, auth), lambda: self._http(target, verify))
        return None

    def _registration(self, base_url: str, auth: Smart) -> Registration:
        key = self._secret(auth.key)
        return Registration(base_url, auth.client_id, key, auth.kid, auth.algorithm, auth.scope, auth.token_url)

    def _secret(self, name: str) -> str:
        try:
            return self.secrets.read(name)
        except NoSecret as error:
            raise NoToken(str(error)) from None


class _Broken(httpx.Auth):
    """Lets every request fail with the reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        raise NoToken(self._reason)
        yield request
