"""Calling the endpoint of a subscriber: one request, whose answer counts by its status only."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from app.outbound import Guard, guarded, reason_of
from app.sync.client import retry_after

_MOST_READ = 65_536


@dataclass(frozen=True, slots=True)
class Called:
    """What became of a call. reason: "" where it was taken; wait: seconds the subscriber asks for."""

    reason: str = ""
    wait: float = 0

    @property
    def is_taken(self) -> bool:
        return not self.reason


@dataclass(frozen=True, slots=True)
class Hook:
    """Calls endpoints. guard: which may be called; what http dials, it judges once more."""

    http: httpx.AsyncClient = field(repr=False)
    guard: Guard

    async def call(self, method: str, url: str, body: bytes, headers: list[tuple[str, str]], seconds: float) -> Called:
        """One request; never raises for what it answers. What the subscriber writes back is not read."""
        if told := self.guard.problems(url):
            return Called(" ".join(told))
        try:
            async with (
                asyncio.timeout(seconds),
                self.http.stream(method, url, content=body, headers=headers) as response,
            ):
                await _rest(response)
                return _called(response)
        except TimeoutError:
            return Called(f"The endpoint gave no answer within {seconds:g} s.")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Called(f"The endpoint cannot be reached, or stopped answering ({reason_of(error)}).")


@asynccontextmanager
async def calling(guard: Guard) -> AsyncIterator[Hook]:
    """A hook with a client of its own: no redirects, no proxies of the environment, no cookies kept."""
    async with guarded(guard, connections=16) as client:
        yield Hook(client, guard)


async def _rest(response: httpx.Response) -> None:
    """A short answer is read away, so that the connection can be used again; a long one ends it."""
    length = 0
    async for part in response.aiter_raw():
        length += len(part)
        if length > _MOST_READ:
            return


def _called(response: httpx.Response) -> Called:
    if 200 <= response.status_code < 300:
        return Called()
    told = f"The endpoint answered {response.status_code}."
    return Called(told, retry_after(response.headers, now=time.time()))
