"""Reading a target: one page at a time, bounded in size and time."""

import asyncio
import email.utils
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

import httpx
from aiolimiter import AsyncLimiter

from app.outbound import Unread, bounded, reason_of
from app.sync.answers import Meaning, meaning_of
from app.sync.client import MOST_BYTES, retry_after
from app.sync.pull.pages import Broken, Incoming, Page, UnusablePage, read_page

# Addresses longer than some 8,000 characters are refused by many servers.
_MOST_IDS = 50
# Servers keep the results of searches for a while; we ask for what is there now.
_ASKED = {"Accept": "application/fhir+json", "Accept-Encoding": "identity", "Cache-Control": "no-cache"}


class NotRead(Exception):
    """The target could not be read; the text says why. wait: seconds it asks for; status: 0 without an answer."""

    def __init__(self, reason: str, meaning: Meaning, *, status: int = 0, wait: float = 0) -> None:
        super().__init__(reason)
        self.meaning, self.status, self.wait = meaning, status, wait


@dataclass(frozen=True, slots=True)
class Got:
    """An answer. date: its Date header; wait: seconds of its Retry-After."""

    status: int
    body: bytes
    date: str = ""
    wait: float = 0


class Get(Protocol):
    """Asks the target, with its credentials, limits and time bounds. Raises NotRead where nothing comes back."""

    async def __call__(self, address: str) -> Got: ...


@dataclass(frozen=True, slots=True)
class Source:
    """A target to be read. base: its address, without a slash at the end."""

    base: str
    get: Get

    async def page(self, address: str, resource_type: str) -> tuple[Page, int]:
        """One page, and the time there in microseconds, 0 where it does not say. Raises NotRead and UnusablePage."""
        got = await self._done(address)
        try:
            return read_page(got.body, address, resource_type), _moment(got.date)
        except Broken as error:
            raise NotRead(str(error), Meaning.LATER, status=got.status) from None

    async def resources(
        self, resource_type: str, ids: Sequence[str], more: Iterable[tuple[str, str]] = ()
    ) -> list[Incoming]:
        """Those of the resources there are, that meet the further parameters too."""
        found: list[Incoming] = []
        for start in range(0, len(ids), _MOST_IDS):
            some = ids[start : start + _MOST_IDS]
            found += await self.search(resource_type, [("_id", ",".join(some)), *more])
            _refuse_too_much(found)
        return found

    async def search(self, resource_type: str, parameters: Iterable[tuple[str, str]]) -> list[Incoming]:
        """All that a search finds: one that names what it looks for, so that its pages are few."""
        address = self.address(resource_type, [*parameters, ("_count", str(_MOST_IDS))])
        found: list[Incoming] = []
        seen: set[str] = set()
        while address:
            if address in seen or len(seen) > _MOST_IDS:
                raise UnusablePage("Its links lead from page to page without an end.")
            seen.add(address)
            page, _ = await self.page(address, resource_type)
            found += page.entries
            _refuse_too_much(found)
            address = page.next
        return found

    async def is_gone(self, resource_type: str, remote_id: str) -> bool:
        """Whether a resource that is not found any more is deleted, or never was."""
        got = await self.get(f"{self.base}/{resource_type}/{remote_id}")
        meaning = meaning_of(got.status, is_fhir=is_fhir(got.body), asked="read")
        if meaning not in (Meaning.DONE, Meaning.ABSENT):
            raise _not_read(got, meaning)
        return meaning is Meaning.ABSENT

    def address(self, path: str, parameters: Iterable[tuple[str, str]]) -> str:
        """The whole address of a search or history."""
        query = urlencode(list(parameters))
        return f"{self.base}/{path}?{query}" if query else f"{self.base}/{path}"

    async def _done(self, address: str) -> Got:
        got = await self.get(address)
        meaning = meaning_of(got.status, is_fhir=is_fhir(got.body), asked="read")
        if meaning is not Meaning.DONE:
            raise _not_read(got, meaning)
        return got


@dataclass(frozen=True, slots=True)
class Getter:
    """Asks by HTTP. http: a client for the target alone, which follows no redirects and sends the credentials."""

    http: httpx.AsyncClient
    seconds: float
    limiter: AsyncLimiter | None = None

    async def __call__(self, address: str) -> Got:
        async with AsyncExitStack() as stack:
            if self.limiter is not None:
                await stack.enter_async_context(self.limiter)
            try:
                async with asyncio.timeout(self.seconds), self.http.stream("GET", address, headers=_ASKED) as response:
                    headers = response.headers
                    body = await bounded(response, MOST_BYTES)
                    wait = retry_after(headers, now=time.time())
                    return Got(response.status_code, body, headers.get("date", ""), wait)
            except Unread as error:
                raise UnusablePage(f"It cannot be read: {error}; a smaller page_size may help.") from None
            except TimeoutError:
                raise NotRead(f"No answer within {self.seconds:g} s.", Meaning.LATER) from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                told = f"It cannot be reached, or stopped answering ({reason_of(error)})."
                raise NotRead(told, Meaning.LATER) from None


def _refuse_too_much(found: Sequence[Incoming]) -> None:
    """What is read in several pages is held as a whole."""
    if sum(len(one.text or b"") for one in found) > MOST_BYTES:
        raise UnusablePage(f"Its answers are larger than {MOST_BYTES} bytes together; a smaller page_size may help.")


def is_fhir(body: bytes) -> bool:
    """Whether a body is a resource, as far as its beginning tells."""
    return b'"resourceType"' in body[:10_000]


def _not_read(got: Got, meaning: Meaning) -> NotRead:
    leads = "it leads elsewhere, and redirects are not followed"
    told = meaning.value if is_fhir(got.body) else "that is not the answer of a FHIR server"
    told = leads if 300 <= got.status < 400 and got.status != 304 else told
    return NotRead(f"It answered {got.status}: {told}.", meaning, status=got.status, wait=got.wait)


def _moment(date: str) -> int:
    try:
        return int(email.utils.parsedate_to_datetime(date).timestamp()) * 1_000_000
    except ValueError:
        return 0
