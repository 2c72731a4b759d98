"""Page links: where a listing goes on, as one text.

A cursor holds the snapshot in which the first page was read, and the place of the last thing shown. It is bound to what
was asked: with other parameters, or with a letter changed, it is no cursor. The checksum is against accidents, not
against an attacker: a cursor lets nobody read what the same request without it would not show.
"""

import base64
import hashlib
import json
from typing import Any

from app.fhir.outcomes import Gone, Issue, Refused
from app.store.snapshot import Snapshot

CURSOR = "_cursor"
MINUTE = 60_000_000  # microseconds
_CHECKSUM = 6  # bytes
# A snapshot may name a thousand open transactions, a place a few sort keys; nothing of ours is longer.
_MOST = 40_000


def seal(asked: str, snapshot: Snapshot, place: list[Any]) -> str:
    """The cursor after a place: what JSON can hold, such as the sort keys and the row number of the last match.

    asked: address and parameters as they were executed, without the cursor.
    """
    content = json.dumps([snapshot.text, place], separators=(",", ":")).encode()
    return _text(_checksum(asked, content) + content)


def unseal(cursor: str, asked: str) -> tuple[Snapshot, list[Any]]:
    """The snapshot and the place of a cursor. Raises ValueError for one that was not sealed for what is asked."""
    try:
        if len(cursor) > _MOST:
            raise ValueError("too long")
        sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        checksum, content = sealed[:_CHECKSUM], sealed[_CHECKSUM:]
        # The letters are compared too: base64 has several texts for the same bytes.
        if checksum != _checksum(asked, content) or _text(sealed) != cursor:
            raise ValueError("other checksum")
        snapshot, place = json.loads(content)
        if not isinstance(place, list):
            raise ValueError("no place")
        return Snapshot.parse(snapshot), place
    except (ValueError, TypeError, RecursionError):
        raise ValueError("this is not a page link of this server for these parameters") from None


def unseal_numbers(cursor: str, asked: str, count: int) -> tuple[Snapshot, list[int]]:
    """Like unseal, of a place that is so many numbers: the checksum keeps nobody from making one that is not."""
    snapshot, place = unseal(cursor, asked)
    if len(place) != count or any(type(each) is not int or not 0 <= each < 2**63 for each in place):
        raise ValueError("these are not the numbers of a place")
    return snapshot, place


def no_link() -> Refused:
    """The refusal of what is no cursor."""
    return Refused([Issue("value", "This is not a page link of this server for these parameters.", CURSOR)])


def require_kept(at: int, now: int, minutes: int) -> None:
    """Raises Gone for a listing whose first page was read longer ago than what it shows is kept."""
    if now - at > minutes * MINUTE:
        told = "This page link is too old: what it shows is no longer kept. Ask anew, without it."
        raise Gone([Issue("expired", told, CURSOR)])


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _checksum(asked: str, content: bytes) -> bytes:
    return hashlib.blake2s(asked.encode() + b"\0" + content, digest_size=_CHECKSUM, person=b"page").digest()
