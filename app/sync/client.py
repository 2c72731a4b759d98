"""Talking to a target: one request, and what its answer means."""

import email.utils
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httpx

from app.fhir import json as lossless
from app.fhir.bundles import Entry, bundle
from app.fhir.outcomes import Refused
from app.store.outbox import Item

_FHIR_JSON = {"Content-Type": "application/fhir+json"}


class Meaning(Enum):
    """What an answer means for what was sent."""

    DONE = "the target has it"
    REFUSED = "the target has understood and refused"
    LATER = "nothing is known, or the target is not able to: try again"


# One table of answers. Any other 2xx is DONE, any other 4xx REFUSED, all else LATER.
# 401 and 403 are about our credentials, not about the resource; 409 passes when the other write is done.
_MEANINGS = {
    401: Meaning.LATER,
    403: Meaning.LATER,
    408: Meaning.LATER,
    409: Meaning.LATER,
    425: Meaning.LATER,
    429: Meaning.LATER,
}
_LONGEST_WAIT = 3600.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read. body: parsed JSON object, {} if there is none; wait: seconds the target asks to wait."""

    meaning: Meaning
    status: int
    etag: str = ""
    body: dict[str, Any] | None = None
    reason: str = ""
    wait: float = 0


async def put(client: httpx.AsyncClient, item: Item) -> Reply:
    """Send one version: PUT with the same id, or DELETE."""
    address = f"{item.type}/{item.id}"
    if item.content is None:
        reply = await _send(client, "DELETE", address, b"")
        # Not there, or no longer there: that is what was wanted.
        return Reply(Meaning.DONE, reply.status) if reply.status in (404, 410) else reply
    return await _send(client, "PUT", address, item.content)


async def transaction(client: httpx.AsyncClient, items: Sequence[Item]) -> tuple[Reply, list[Reply]]:
    """Send versions as one transaction; the reply to the whole and, if that is DONE, one for each item.

    A server that processes a transaction as a batch answers 200 with entries that failed: each is read by itself.
    """
    base = str(client.base_url).rstrip("/")
    body = bundle("transaction", [_entry(base, item) for item in items])
    whole = await _send(client, "POST", "", body)
    if whole.meaning is not Meaning.DONE:
        return whole, []
    entries = (whole.body or {}).get("entry", [])
    if len(entries) != len(items):
        told = f"The target answered {len(entries)} entries for {len(items)} sent."
        return Reply(Meaning.LATER, whole.status, reason=told), []
    return whole, [_entry_reply(entry.get("response", {})) for entry in entries]


def meaning_of(status: int, *, is_fhir: bool) -> Meaning:
    """What a status means. A 4xx without an OperationOutcome comes from something before the FHIR server."""
    if 200 <= status < 300:
        return Meaning.DONE
    if status in _MEANINGS or not 400 <= status < 500 or not is_fhir:
        return _MEANINGS.get(status, Meaning.LATER)
    return Meaning.REFUSED


def _entry(base: str, item: Item) -> Entry:
    address = f"{item.type}/{item.id}"
    request = {"method": "PUT" if item.content is not None else "DELETE", "url": address}
    return Entry(f"{base}/{address}" if item.content else "", item.content or b"", {"request": request})


def _entry_reply(response: dict[str, Any]) -> Reply:
    status = int(str(response.get("status", "0"))[:3] or 0)
    outcome = response.get("outcome")
    reason = lossless.dumps(outcome).decode() if outcome else ""
    return Reply(meaning_of(status, is_fhir=bool(outcome)), status, str(response.get("etag", "")), reason=reason)


async def _send(client: httpx.AsyncClient, method: str, address: str, body: bytes) -> Reply:
    try:
        response = await client.request(method, address, content=body, headers=_FHIR_JSON if body else None)
    except httpx.HTTPError as error:
        return Reply(Meaning.LATER, 0, reason=type(error).__name__)
    found = _object(response.content)
    meaning = meaning_of(response.status_code, is_fhir=found.get("resourceType") == "OperationOutcome")
    reason = "" if meaning is Meaning.DONE else f"{response.status_code} {response.text[:2000]}"
    etag = response.headers.get("etag", "")
    return Reply(meaning, response.status_code, etag, found, reason, _retry_after(response))


def _object(text: bytes) -> dict[str, Any]:
    try:
        return lossless.parse_object(text) if text else {}
    except Refused:
        return {}


def _retry_after(response: httpx.Response) -> float:
    """Seconds that Retry-After asks for, in either of its forms."""
    value = response.headers.get("retry-after", "")
    if value.isdigit():
        return min(float(value), _LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return 0
    return max(0.0, min(moment.timestamp() - time.time(), _LONGEST_WAIT))
