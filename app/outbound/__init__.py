"""The only outgoing HTTP. Every client is tied to what it may reach, follows no redirects and has timeouts."""

import httpx

from app.outbound.addresses import AddressRefused, Guard, GuardedTransport
from app.outbound.asking import Answered, Unusable, ask, client
from app.outbound.bare import bare
from app.outbound.reading import TooLong, Unread, bounded
from app.outbound.secrets import NoSecret, Secrets
from app.outbound.tls import NotPem
from app.outbound.tokens import NoToken

__all__ = [
    "AddressRefused",
    "Answered",
    "Guard",
    "GuardedTransport",
    "NoSecret",
    "NoToken",
    "NotPem",
    "Secrets",
    "TooLong",
    "Unread",
    "Unusable",
    "ask",
    "bare",
    "bounded",
    "client",
    "guarded",
    "reason_of",
]


def reason_of(error: Exception) -> str:
    """Why there was no answer, in a few words that hold nothing of what was sent or said."""
    cause = error.__cause__
    if isinstance(cause, AddressRefused):
        return str(cause)
    return str(error) if isinstance(error, NoToken) else type(error).__name__


def guarded(guard: Guard, *, connections: int = 8) -> httpx.AsyncClient:
    """A client for addresses that others have named."""
    return bare(transport=GuardedTransport(guard, connections=connections))
