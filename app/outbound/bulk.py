"""A server with Bulk Data Access as its client sees it: kick-off, progress, files in parts (Bulk Data Access 3.0.0)."""

import base64
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from app.outbound.bare import bare
from app.outbound.reading import Unread, bounded

_MOST_BYTES = 8_388_608
_CHUNK = 262_144
_TIMEOUT = httpx.Timeout(60, connect=10)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")
_PERCENT = re.compile(r"(\d[\d,]*) of (\d[\d,]*)|(\d{1,3})(?:\.\d+)? ?%")


class Unanswered(Exception):
    """There is no answer that can be used; the text says why. is_passing: asking again later may help; after: seconds
    that the server wants to be left alone, 0 where it said nothing; status: of the answer, 0 where there was none."""

    def __init__(self, reason: str, *, is_passing: bool, after: float = 0, status: int = 0) -> None:
        super().__init__(reason)
        self.is_passing, self.after, self.status = is_passing, after, status


@dataclass(frozen=True, slots=True)
class Progress:
    """An export that is being made: how much of it, from 0 to 1, None where the server does not say; its own words;
    seconds until it may be asked again."""

    share: float | None
    told: str
    after: float


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is being read. start: the first byte that comes; size: of the whole; both as the server says.
    sha256: of the whole, "" where it does not say."""

    start: int
    size: int | None
    sha256: str
    parts: AsyncGenerator[bytes, None]


class BulkServer:
    """Use as an async context. base: of its FHIR endpoint. token: sent to that server only, "" for none."""

    def __init__(self, base: str, token: str = "") -> None:
        self._base, self._token = httpx.URL(base.rstrip("/") + "/"), token
        self._client = bare(timeout=_TIMEOUT, headers={"User-Agent": "Dermatome"})

    async def __aenter__(self) -> "BulkServer":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def kick_off(self, path: str, query: Sequence[tuple[str, str]], *, is_lenient: bool) -> str:
        """Ask for an export; answers the address where it can be asked for. path: such as "Patient/$export"."""
        prefer = ["respond-async", *(["handling=lenient"] if is_lenient else [])]
        headers = {"Accept": "application/fhir+json", "Prefer": ", ".join(prefer)}
        response, _ = await self._ask("GET", str(self._base.join(path).copy_merge_params(list(query))), headers)
        place = response.headers.get("content-location", "")
        if response.status_code != 202 or not place:
            raise Unanswered("the server took the export on, but does not say where", is_passing=False)
        return str(self._base.join(place))

    async def look(self, place: str) -> Progress | Mapping[str, Any]:
        """How far an export is; its manifest when it is complete."""
        response, body = await self._ask("GET", place, {"Accept": "application/json"})
        if response.status_code == 202:
            told = response.headers.get("x-progress", "")
            return Progress(_share(told), told, _after(response) or 2)
        try:
            manifest = json.loads(body)
        except ValueError:
            manifest = None
        if not isinstance(manifest, dict) or not isinstance(manifest.get("output"), list):
            raise Unanswered("the server answers with something that is no manifest", is_passing=True)
        return manifest

    async def open(self, address: str, start: int) -> Opened:
        """Read a file from a byte on; a server that cannot do that sends the whole, and start says so. The parts must
        be read or closed."""
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        request = self._client.build_request("GET", address, headers=headers | self._own(address))
        try:
            response = await self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _away(error) from None
        if response.status_code not in (200, 206):
            raise await _refused(response)
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("content-range", ""))
        if response.status_code == 206 and not found:
            await response.aclose()
            raise Unanswered("the server does not say which part of the file it sends", is_passing=False)
        digest = _DIGEST.search(response.headers.get("repr-digest", ""))
        length = response.headers.get("content-length", "")
        size = int(found[2]) if found else int(length) if length.isdecimal() else None
        sha256 = base64.b64decode(digest[1]).hex() if digest else ""
        return Opened(int(found[1]) if found else 0, size, sha256, _parts(response))

    async def forget(self, place: str) -> None:
        """Tell the server that its files are needed no more."""
        await self._ask("DELETE", place, {"Accept": "application/fhir+json"})

    async def take(self, bundle: bytes, key: str) -> Mapping[str, Any]:
        """Post a batch or transaction; answers the Bundle of its answers. key: the same for the same request, which is
        then done once however often it is sent."""
        headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json", "Idempotency-Key": key}
        _, body = await self._ask("POST", str(self._base).rstrip("/"), headers, bundle)
        try:
            told = json.loads(body)
        except ValueError:
            told = None
        if not isinstance(told, dict) or not isinstance(told.get("entry", []), list):
            raise Unanswered("the server answers with something that is no Bundle", is_passing=True)
        return told

    async def _ask(
        self, method: str, address: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> tuple[httpx.Response, bytes]:
        given = {"Accept-Encoding": "identity", **headers, **self._own(address)}
        try:
            async with self._client.stream(method, address, headers=given, content=content) as response:
                if not response.is_success:
                    raise await _refused(response)
                return response, await bounded(response, _MOST_BYTES)
        except Unread as error:
            raise Unanswered(str(error), is_passing=False) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _away(error) from None

    def _own(self, address: str) -> dict[str, str]:
        """The token, for the server it is meant for: a manifest may lead elsewhere."""
        url = httpx.URL(address)
        is_own = (url.scheme, url.host, url.port) == (self._base.scheme, self._base.host, self._base.port)
        return {"Authorization": f"Bearer {self._token}"} if self._token and is_own else {}


async def _parts(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    try:
        async for part in response.aiter_raw(_CHUNK):
            yield part
    except httpx.HTTPError as error:
        raise _away(error) from None
    finally:
        await response.aclose()


async def _refused(response: httpx.Response) -> Unanswered:
    """What the server said of it, in the words of its OperationOutcome if it sent one."""
    status = response.status_code
    try:
        issues = json.loads(await bounded(response, _MOST_BYTES))["issue"]
        said = " ".join(str(each.get("diagnostics") or each.get("code")) for each in issues)
    except (ValueError, KeyError, TypeError, AttributeError, Unread, httpx.HTTPError):
        said = ""
    finally:
        await response.aclose()
    reason = f"the server answers {status}" + (f": {said}" if said else "")
    return Unanswered(reason, is_passing=status in _PASSING, after=_after(response), status=status)


def _away(error: Exception) -> Unanswered:
    is_address = isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol)
    reason = "this is no address" if is_address else f"the server cannot be reached ({type(error).__name__})"
    return Unanswered(reason, is_passing=not is_address)


def _after(response: httpx.Response) -> float:
    """Seconds of a Retry-After header, which is a number or a date."""
    told = response.headers.get("retry-after", "").strip()
    if told.isdecimal():
        return float(told)
    try:
        then, sent = parsedate_to_datetime(told), parsedate_to_datetime(response.headers.get("date", ""))
        return max(0.0, (then - sent).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _share(told: str) -> float | None:
    found = _PERCENT.search(told)
    if not found:
        return None
    if found[3]:
        return min(1.0, int(found[3]) / 100)
    done, total = (int(found[place].replace(",", "")) for place in (1, 2))
    return min(1.0, done / total) if total else None
