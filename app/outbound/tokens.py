"""Signing in: by HTTP Basic, a fixed token, or SMART Backend Services (client credentials with a signed assertion).

Secrets are read when they are used, so that one that was renewed holds from the next request on.

Source: SMART App Launch 2.2, Backend Services and asymmetric client authentication.
"""

import asyncio
import base64
import json
import re
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from app.outbound.bare import bare
from app.outbound.reading import Unread, bounded

# The specification allows five minutes at most; clocks differ.
_ASSERTION_SECONDS = 240
# A token is renewed before it ends, so that it lasts as long as a request does.
_SPARE_SECONDS = 30
_DEFAULT_SECONDS = 300
_MOST_BYTES = 100_000
# RFC 7518 3.3; a longer wait than a day for the next token is none.
_LEAST_BITS, _MOST_SECONDS = 2048, 86_400.0
# RFC 6750 2.1 allows fewer; servers hand out others. What is left out would end the header, or be no ASCII.
_TOKEN = re.compile("[!-~]+")
_DISCOVERY = ".well-known/smart-configuration"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class NoToken(httpx.TransportError):
    """No token was given; the text says why, without a word of the answer."""


class FixedAuth(httpx.Auth):
    """Credentials that do not change by themselves. read: what stands in the header Authorization. Raises NoToken."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = self._read()
        yield request


def basic(username: str, password: str) -> str:
    """What HTTP Basic puts into the header (RFC 7617, in UTF-8)."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def bearer(token: str) -> str:
    """What a token puts into the header (RFC 6750). Raises NoToken for what is none."""
    if not _TOKEN.fullmatch(token):
        raise NoToken("The bearer token is none: it holds characters that no token has, or nothing.")
    return f"Bearer {token}"


@dataclass(frozen=True, slots=True)
class Registration:
    """A client as it is registered. key: PEM or JWK; token_url: "" for the one the server names itself."""

    base_url: str
    client_id: str
    key: str = field(repr=False)
    kid: str = ""
    algorithm: str = "RS384"
    scope: str = ""
    token_url: str = ""


class SmartAuth(httpx.Auth):
    """Gets a token when there is none that lasts, once for all requests, and anew when one is refused."""

    def __init__(
        self,
        read: Callable[[], Registration],
        open_client: Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]],
    ) -> None:
        self._read, self._open = read, open_client
        self._token, self._until = "", 0.0
        self._one = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token = await self._current("")
        request.headers["Authorization"] = token
        response = yield request
        if response.status_code == 401:
            await _leave(response)
            request.headers["Authorization"] = await self._current(token)
            yield request

    async def _current(self, refused: str) -> str:
        """What stands in the header for a token that lasts, and is not the one that was refused."""
        async with self._one:
            if not self._token or self._token == refused or time.monotonic() >= self._until:
                self._token, seconds = await self._ask()
                self._until = time.monotonic() + max(0.0, seconds - _SPARE_SECONDS)
            return self._token

    async def _ask(self) -> tuple[str, float]:
        registration = self._read()
        async with self._open() as client:
            url = registration.token_url or await _discovered(client, registration.base_url)
            form = _form(registration, url, time.time())
            told = await _json(client, "POST", url, "The token endpoint", data=form)
        token, seconds = told.get("access_token"), told.get("expires_in", _DEFAULT_SECONDS)
        if not isinstance(token, str) or str(told.get("token_type", "")).lower() != "bearer":
            raise NoToken("The token endpoint gave no bearer token.")
        is_number = isinstance(seconds, int | float) and seconds >= 0
        return bearer(token), min(seconds, _MOST_SECONDS) if is_number else _DEFAULT_SECONDS


async def requested(registration: Registration, clock: Callable[[], float]) -> str:
    """One token, as an operator asks for it to try a registration out. Raises NoToken, also where nobody answers."""
    async with bare(timeout=httpx.Timeout(10)) as client:
        try:
            url = registration.token_url or await _discovered(client, registration.base_url)
            told = await _json(client, "POST", url, "The token endpoint", data=_form(registration, url, clock()))
        except NoToken:
            raise
        except httpx.HTTPError as error:
            raise NoToken(f"{registration.base_url} cannot be reached ({type(error).__name__}).") from None
    return bearer(str(told.get("access_token", ""))).removeprefix("Bearer ")


async def _discovered(client: httpx.AsyncClient, base_url: str) -> str:
    told = await _json(client, "GET", f"{base_url}/{_DISCOVERY}", f"Its {_DISCOVERY}")
    url = told.get("token_endpoint")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise NoToken(f"Its {_DISCOVERY} names no token endpoint.")
    if base_url.lower().startswith("https:") and not url.startswith("https:"):
        raise NoToken(f"Its {_DISCOVERY} names a token endpoint without TLS.")
    return url


def _form(registration: Registration, url: str, now: float) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "scope": registration.scope,
        "client_assertion_type": _ASSERTION_TYPE,
        "client_assertion": assertion(registration, url, now),
    }


def assertion(registration: Registration, audience: str, now: float) -> str:
    """The signed assertion for a token endpoint. Raises NoToken where the key cannot be used."""
    claims = {
        "iss": registration.client_id,
        "sub": registration.client_id,
        "aud": audience,
        "iat": int(now),
        "exp": int(now) + _ASSERTION_SECONDS,
        "jti": uuid.uuid4().hex,
    }
    header = {"alg": registration.algorithm, "typ": "JWT", **({"kid": registration.kid} if registration.kid else {})}
    kind = RSAKey if registration.algorithm.startswith("RS") else ECKey
    try:
        text = registration.key.strip()
        key = kind.import_key(json.loads(text) if text.startswith("{") else text)
        if isinstance(key, RSAKey) and key.public_key.key_size < _LEAST_BITS:
            raise NoToken(f"The private key is shorter than {_LEAST_BITS} bits.")
        return jwt.encode(header, claims, key, algorithms=[registration.algorithm])
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise NoToken("The private key is none for this algorithm.") from None


async def _leave(response: httpx.Response) -> None:
    """Read nothing of an answer. httpx reads one to its end, and unpacks it, before it asks again."""
    if isinstance(response.stream, httpx.AsyncByteStream):
        await response.stream.aclose()
    response.stream = httpx.ByteStream(b"")
    response.headers.pop("content-encoding", None)


async def _json(client: httpx.AsyncClient, method: str, url: str, what: str, **sent: Any) -> dict[str, Any]:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with client.stream(method, url, headers=headers, **sent) as response:
        if response.status_code != 200:
            raise NoToken(f"{what} answered {response.status_code}.")
        try:
            told: Any = json.loads(await bounded(response, _MOST_BYTES))
        except Unread as error:
            raise NoToken(f"{what} cannot be used: {error}.") from None
        except (ValueError, RecursionError):
            told = None
    if not isinstance(told, dict):
        raise NoToken(f"{what} answered no JSON object.")
    return told
