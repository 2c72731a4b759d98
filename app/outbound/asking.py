"""Asking one configured server one question, and reading a bounded answer."""

import asyncio
from dataclasses import dataclass

import httpx

from app.outbound.bare import bare
from app.outbound.reading import Unread, bounded

_TIMEOUT = httpx.Timeout(10, connect=5)
_LIMITS = httpx.Limits(max_connections=8)


def client(base_url: str) -> httpx.AsyncClient:
    """An HTTP client for one server; relative addresses only are to be used with it."""
    return bare(
        base_url=base_url,
        timeout=_TIMEOUT,
        limits=_LIMITS,
        headers={"Accept": "application/fhir+json", "User-Agent": "Dermatome"},
    )


class Unusable(Exception):
    """There is no answer that can be used; the text says why, in a few words.

    is_away: the server itself cannot be reached or does not keep up, so that asking again at once is of no use.
    """

    def __init__(self, reason: str, *, is_away: bool) -> None:
        super().__init__(reason)
        self.is_away = is_away


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    body: bytes


async def ask(client: httpx.AsyncClient, address: str, body: bytes, *, most: int, seconds: float) -> Answered:
    """POST FHIR JSON and read the answer: at most so many bytes within so many seconds. Raises Unusable."""
    headers = {"Content-Type": "application/fhir+json", "Accept-Encoding": "identity"}
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream("POST", address, content=body, headers=headers) as response,
        ):
            return Answered(response.status_code, await bounded(response, most))
    except TimeoutError:
        raise Unusable(f"no answer within {seconds:g} s", is_away=True) from None
    except Unread as error:
        raise Unusable(str(error), is_away=False) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unusable(f"it cannot be reached ({type(error).__name__})", is_away=True) from None
