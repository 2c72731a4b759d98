"""Talking to a target: one request with bounded answers, and what was answered."""

import asyncio
import email.utils
import re
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
from aiolimiter import AsyncLimiter

from app.fhir import json as lossless
from app.fhir.outcomes import Refused
from app.outbound import TooLong, Unread, bounded, reason_of
from app.sync.answers import NO_ANSWER, Asked, Meaning, meaning_of
from app.sync.pull.pages import etag_of, moment, version_of

# An answer to a Bundle of 500 entries with all their resources fits; one that goes on for ever does not.
MOST_BYTES = 32_000_000
LONGEST_WAIT = 3600.0
_LONGEST_REASON = 4_000
_FHIR_JSON = {"Content-Type": "application/fhir+json"}
# Packed answers are not asked for: unpacked they may be of any size. What is written need not be told back.
# Servers keep the results of searches (HAPI: for a minute), and we ask for what is there now.
_ALWAYS = {
    "Accept": "application/fhir+json",
    "Accept-Encoding": "identity",
    "Cache-Control": "no-cache",
    "Prefer": "return=minimal",
}
_STATUS = re.compile("[1-5][0-9]{2}(?![0-9])")
_LOCATION = re.compile(r"(?:.*/)?[A-Z][A-Za-z]+/(?P<id>[A-Za-z0-9.-]{1,64})(?:/_history/(?P<version>[^/?#]+))?/?")
# R4 issue-type, and the words servers use, for a Bundle with more entries than they take.
_TOO_MUCH = ("too-long", "too-costly")
_MANY = re.compile(r"entr(y|ies)", re.IGNORECASE)
_TOO_MANY = re.compile(r"too many|exceed|maximum|limit|at most|more than", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read. body: the FHIR resource that was answered, {} if none; reason: the status and what was said.

    etag, remote_id, updated: of the resource it is about, as far as it tells; wait: seconds the target asks to wait;
    text: the body as it came.
    """

    meaning: Meaning
    status: int = NO_ANSWER
    reason: str = ""
    etag: str = ""
    remote_id: str = ""
    updated: int = 0
    wait: float = 0
    is_fhir: bool = False
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    text: bytes = field(default=b"", repr=False)

    @property
    def remote_version(self) -> str:
        """The version that the ETag names."""
        return version_of(self.etag)


class Client:
    """A target as this process talks to it: within its rate, one answer at a time, nothing unbounded.

    http: a client for the target alone, which follows no redirects and sends the credentials.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        *,
        seconds: float,
        limiter: AsyncLimiter | None = None,
        instance: str = "",
    ) -> None:
        """instance: our name in the marks of what we send (app/store/instance.py)."""
        self.base_url, self.instance = base_url, instance
        self._http = http
        self._seconds = seconds
        self.limiter = limiter

    async def ask(
        self, method: str, address: str, asked: Asked, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request at an address below the target's; "" is the target's own. Never raises for what it answers."""
        url = f"{self.base_url}/{address}" if address else self.base_url
        told = {**_ALWAYS, **(_FHIR_JSON if body else {}), **(headers or {})}
        async with AsyncExitStack() as stack:
            if self.limiter is not None:
                await stack.enter_async_context(self.limiter)
            try:
                async with (
                    asyncio.timeout(self._seconds),
                    self._http.stream(method, url, content=body or None, headers=told) as response,
                ):
                    return read(response.status_code, response.headers, await bounded(response, MOST_BYTES), asked)
            except TimeoutError:
                return Reply(Meaning.LATER, reason=f"no answer within {self._seconds:g} s")
            except TooLong as error:
                # Less can be asked for at once; what was written is written.
                return Reply(Meaning.TOO_MUCH if asked == "read" else Meaning.LATER, reason=str(error))
            except Unread as error:
                return Reply(Meaning.LATER, reason=str(error))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                return Reply(Meaning.LATER, reason=f"it cannot be reached or stopped answering ({reason_of(error)})")


def limiter(requests_per_second: float | None) -> AsyncLimiter | None:
    """The limiter for a rate, None for none: at most a second's worth of requests at once."""
    if requests_per_second is None:
        return None
    most = max(1.0, requests_per_second)
    return AsyncLimiter(most, most / requests_per_second)


def read(status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> Reply:
    """What an answer says. headers: by their names in lower case."""
    found = _object(body)
    is_fhir = _is_fhir(status, found, body, asked)
    meaning = meaning_of(status, is_fhir=is_fhir, asked=asked)
    if meaning is Meaning.REFUSED and asked == "bundle" and says_too_much(found):
        meaning = Meaning.TOO_MUCH
    remote_id, version = _placed(headers.get("location", "") or headers.get("content-location", ""))
    meta = found.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    version = version or str(meta.get("versionId") or "")
    return Reply(
        meaning,
        status,
        "" if meaning in (Meaning.DONE, Meaning.ALREADY) else _reason(status, headers, body, is_fhir=is_fhir),
        headers.get("etag", "") or etag_of(version),
        remote_id,
        moment(meta.get("lastUpdated")) or _http_date(headers.get("last-modified", "")),
        retry_after(headers, now=time.time()),
        is_fhir,
        found,
        body,
    )


def read_entries(answer: Mapping[str, Any], asked: list[Asked]) -> list[Reply] | None:
    """What a transaction-response or batch-response says of each entry; None if it cannot be told which is which."""
    entries = answer.get("entry")
    found = [entry.get("response") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    told = [one for one in found if isinstance(one, dict) and _STATUS.match(str(one.get("status")))]
    if not str(answer.get("type", "")).endswith("-response") or len(told) != len(asked):
        return None
    return [_entry(one, each) for one, each in zip(told, asked, strict=True)]


def says_too_much(outcome: Mapping[str, Any]) -> bool:
    """Whether an OperationOutcome is about the number of entries or the size of a Bundle."""
    issues = outcome.get("issue")
    for issue in issues if isinstance(issues, list) else ():
        told = str(issue.get("diagnostics", "")) + str(issue.get("details", "")) if isinstance(issue, dict) else ""
        if isinstance(issue, dict) and issue.get("code") in _TOO_MUCH:
            return True
        if _MANY.search(told) and _TOO_MANY.search(told):
            return True
    return False


def retry_after(headers: Mapping[str, str], *, now: float) -> float:
    """Seconds that the target asks to wait: milliseconds (Azure), seconds or a date (RFC 9110 10.2.3)."""
    milliseconds, value = headers.get("x-ms-retry-after-ms", ""), headers.get("retry-after", "")
    if milliseconds.isascii() and milliseconds.isdigit():
        return min(int(milliseconds[:12]) / 1000, LONGEST_WAIT)
    if value.isascii() and value.isdigit():
        return min(float(value[:12]), LONGEST_WAIT)
    try:
        asked = email.utils.parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return 0
    return max(0.0, min(asked, LONGEST_WAIT))


def _entry(response: Mapping[str, Any], asked: Asked) -> Reply:
    status = int(str(response["status"])[:3])
    meaning = meaning_of(status, is_fhir=True, asked=asked)
    outcome = response.get("outcome")
    said = lossless.dumps(outcome).decode() if outcome else ""
    remote_id, version = _placed(str(response.get("location", "")))
    is_good = meaning in (Meaning.DONE, Meaning.ALREADY)
    return Reply(
        meaning,
        status,
        "" if is_good else f"{status} {said}"[:_LONGEST_REASON].strip(),
        str(response.get("etag", "")) or etag_of(version),
        remote_id,
        moment(response.get("lastModified")),
        is_fhir=True,
    )


def _is_fhir(status: int, found: Mapping[str, Any], body: bytes, asked: Asked) -> bool:
    """Whether a FHIR server answered. A write may be answered with nothing, a read or a Bundle may not."""
    if not 200 <= status < 300:
        return found.get("resourceType") == "OperationOutcome"
    if not body:
        return asked in ("write", "delete")
    return isinstance(found.get("resourceType"), str) and (asked != "bundle" or found["resourceType"] == "Bundle")


def _reason(status: int, headers: Mapping[str, str], body: bytes, *, is_fhir: bool) -> str:
    """What the target said: its OperationOutcome; of anything else only what it is."""
    if is_fhir:
        return f"{status} {body.decode('utf-8', 'replace')}"[:_LONGEST_REASON]
    if 300 <= status < 400 and status != 304:
        return f"{status}: it leads elsewhere, and redirects are not followed"
    kind = headers.get("content-type", "").partition(";")[0][:80] or "no content type"
    return f"{status}, {len(body)} bytes, {kind}: not the answer of a FHIR server"


def _placed(location: str) -> tuple[str, str]:
    """The id and version that a Location names."""
    found = _LOCATION.fullmatch(location)
    return (found["id"], found["version"] or "") if found else ("", "")


def _http_date(value: str) -> int:
    try:
        return int(email.utils.parsedate_to_datetime(value).timestamp() * 1_000_000) if value else 0
    except (ValueError, OverflowError):
        return 0


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        return lossless.parse_object(text) if text else {}
    except Refused:
        return {}
