"""Talking to a target: one request, and what its answer means."""

import email.utils
import re
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
_LONGEST_WAIT = 3600.0


class Meaning(Enum):
    """What an answer means for what was sent."""

    DONE = "the target has it"
    REFUSED = "the target has understood and refused"
    NOT_NOW = "the target cannot take this resource now; others it can"
    LATER = "nothing is known, or the target is not able to: try again"


# One table of answers. Any other 2xx is DONE, any other 4xx REFUSED, all else LATER.
# 413 is a refusal whoever says it: the same body will be as large the next time.
# 401 and 403 are about our credentials, not about the resource. 409 passes when the other write is done, or never
# does: a deletion of what is still referred to.
_MEANINGS = {
    401: Meaning.LATER,
    403: Meaning.LATER,
    408: Meaning.LATER,
    409: Meaning.NOT_NOW,
    425: Meaning.LATER,
    429: Meaning.LATER,
}
# A deletion of what is not there, or no longer, has what it wanted.
_DELETED_ALREADY = (404, 410)


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
    if item.content is not None:
        return await _send(client, "PUT", address, item.content)
    reply = await _send(client, "DELETE", address, b"")
    found = reply.status in _DELETED_ALREADY and reply.meaning is Meaning.REFUSED
    return Reply(Meaning.DONE, reply.status) if found else reply


async def transaction(client: httpx.AsyncClient, items: Sequence[Item]) -> tuple[Reply, list[Reply]]:
    """Send versions as one transaction; the reply to the whole and, if that is DONE, one for each item.

    A server that processes a transaction as a batch answers 200 with entries that failed: each is read by itself.
    """
    base = str(client.base_url).rstrip("/")
    body = bundle("transaction", [_entry(base, item) for item in items])
    whole = await _send(client, "POST", "", body)
    if whole.meaning is not Meaning.DONE:
        return whole, []
    entries = _responses(whole.body or {})
    if len(entries) != len(items):
        told = f"The target answered {len(entries)} readable entries for {len(items)} sent."
        return Reply(Meaning.LATER, whole.status, reason=told), []
    return whole, [_entry_reply(item, response) for item, response in zip(items, entries, strict=True)]


def meaning_of(status: int, *, is_fhir: bool) -> Meaning:
    """What a status means. is_fhir: the body is what a FHIR server answers: a resource, or for success nothing.

    Anything else comes from something before the FHIR server: a sign-in page is no delivery, a proxy's 404 no refusal.
    """
    if status == 413:
        return Meaning.REFUSED
    if not is_fhir:
        return Meaning.LATER
    if 200 <= status < 300:
        return Meaning.DONE
    return _MEANINGS.get(status, Meaning.REFUSED if 400 <= status < 500 else Meaning.LATER)


def _entry(base: str, item: Item) -> Entry:
    address = f"{item.type}/{item.id}"
    request = {"method": "PUT" if item.content is not None else "DELETE", "url": address}
    return Entry(f"{base}/{address}" if item.content else "", item.content or b"", {"request": request})


def _responses(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The responses of a Bundle's entries that have a status to read."""
    entries = answer.get("entry")
    found = [entry.get("response") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [one for one in found if isinstance(one, dict) and re.match("[1-5][0-9]{2}", str(one.get("status")))]


def _entry_reply(item: Item, response: dict[str, Any]) -> Reply:
    status = int(str(response["status"])[:3])
    if item.content is None and status in _DELETED_ALREADY:
        return Reply(Meaning.DONE, status)
    outcome = response.get("outcome")
    reason = f"{status} {lossless.dumps(outcome).decode() if outcome else ''}".strip()
    return Reply(meaning_of(status, is_fhir=True), status, str(response.get("etag", "")), reason=reason)


async def _send(client: httpx.AsyncClient, method: str, address: str, body: bytes) -> Reply:
    try:
        response = await client.request(method, address, content=body, headers=_FHIR_JSON if body else None)
    except httpx.HTTPError as error:
        return Reply(Meaning.LATER, 0, reason=type(error).__name__)
    found = _object(response.content)
    if 200 <= response.status_code < 300:
        is_fhir = not response.content or "resourceType" in found
    else:
        is_fhir = found.get("resourceType") == "OperationOutcome"
    meaning = meaning_of(response.status_code, is_fhir=is_fhir)
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
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return 0
    return max(0.0, min(moment.timestamp() - time.time(), _LONGEST_WAIT))
