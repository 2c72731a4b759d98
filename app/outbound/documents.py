"""Fetching one JSON document from an address that was configured, such as the keys of an identity server."""

import asyncio
import json
from typing import Any, Protocol

import httpx

from app.outbound.addresses import AddressRefused, Guard, GuardedTransport
from app.outbound.bare import bare
from app.outbound.reading import Unread, bounded
from app.outbound.tls import context

_SECONDS = 10.0
_MOST_BYTES = 1_000_000


class NoDocument(Exception):
    """There is no document that can be used; the text says why, as a clause."""


class Fetch(Protocol):
    """Gets a JSON object. Raises NoDocument."""

    async def __call__(self, url: str) -> dict[str, Any]: ...


def fetching(guard: Guard, ca: str = "") -> Fetch:
    """A Fetch that calls what the guard allows, of addresses that the operator or whom he trusts has named; they may
    share our host. ca: PEM of whom their certificates come from, "" for those the world trusts. Raises NotPem.

    It is used seldom, so no connection is kept.
    """
    verify = context(ca) if ca else True

    def _transport() -> GuardedTransport:
        return GuardedTransport(guard, verify=verify, connections=1)

    async def fetch(url: str) -> dict[str, Any]:
        try:
            problems = guard.own(url)
        except ValueError:
            raise NoDocument("it is no address") from None
        if problems:
            raise NoDocument(" ".join(problems))
        try:
            async with asyncio.timeout(_SECONDS), bare(transport=_transport()) as client:
                return await _read(client, url)
        except TimeoutError:
            raise NoDocument(f"there was no answer within {_SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            cause = error.__cause__
            told = str(cause) if isinstance(cause, AddressRefused) else type(error).__name__
            raise NoDocument(f"it cannot be reached ({told})") from None

    return fetch


async def _read(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Dermatome"}
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code != 200:
            raise NoDocument(f"it answered {response.status_code}")
        try:
            found = json.loads(await bounded(response, _MOST_BYTES))
        except Unread as error:
            raise NoDocument(str(error)) from None
        except (ValueError, RecursionError):
            raise NoDocument("it answered no JSON") from None
    if not isinstance(found, dict):
        raise NoDocument("it answered no JSON object")
    return found
