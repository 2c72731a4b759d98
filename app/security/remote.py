"""Documents of other servers that keys are read from: kept for a while, fetched anew when a key is not among them.

Whoever sends tokens decides which keys are asked for, so a key that is not known makes us ask again only so often.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import structlog

from app.outbound.documents import Fetch, NoDocument
from app.security.keys import Key, KeySet, NoKeys, read_keys

T = TypeVar("T")
# A key that was taken back is believed for so long; a server that is away is bridged for so long.
FRESH_SECONDS, KEPT_SECONDS = 600.0, 86_400.0
# However many tokens name keys that are not known; and before the other server was reached at all.
AGAIN_SECONDS, SOON_SECONDS = 30.0, 5.0
_log = structlog.get_logger()


class Unreachable(Exception):
    """What is needed to check a token cannot be had now; later it may."""


class Kept(Generic[T]):
    """Something that is fetched, and kept. make: fetches it, or raises NoDocument or NoKeys; what: its name."""

    def __init__(
        self, what: str, make: Callable[[], Awaitable[T]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._make, self._clock = what, make, clock
        self._value: T | None = None
        self._made_at = self._tried_at = float("-inf")
        self._one = asyncio.Lock()

    async def get(self, *, wants_newer: bool = False) -> T:
        """It, as it is or was not long ago. wants_newer: what was got had not what was looked for.

        Raises Unreachable.
        """
        if self._value is None or wants_newer or self._age > FRESH_SECONDS:
            await self._renew(is_needed=self._value is None or wants_newer or self._age > KEPT_SECONDS)
        if self._value is None or self._age > KEPT_SECONDS:
            raise Unreachable(f"{self._what} cannot be had now.")
        return self._value

    @property
    def _age(self) -> float:
        return self._clock() - self._made_at

    async def _renew(self, *, is_needed: bool) -> None:
        """Once for all who ask meanwhile; who has something to go on with does not wait for another one's."""
        if self._one.locked() and not is_needed:
            return
        async with self._one:
            pause = AGAIN_SECONDS if self._value is not None else SOON_SECONDS
            if self._clock() - self._tried_at < pause:
                return
            self._tried_at = self._clock()
            try:
                self._value = await self._make()
                self._made_at = self._clock()
            except (NoDocument, NoKeys, Unreachable) as error:
                _log.warning("keys cannot be had", of=self._what, reason=str(error))


class RemoteKeys:
    """The keys at an address. url: is asked for each time, since a discovery document may come to name another."""

    def __init__(
        self,
        what: str,
        url: Callable[[], Awaitable[str]],
        fetch: Fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        async def make() -> KeySet:
            return read_keys(await fetch(await url()))

        self._kept = Kept(what, make, clock)

    async def key(self, kid: str, algorithm: str) -> Key | None:
        """The key of this id that fits the algorithm; None where there is none. Raises Unreachable."""
        found = (await self._kept.get()).key(kid, algorithm)
        return found or (await self._kept.get(wants_newer=True)).key(kid, algorithm)


class Discovered:
    """What an OpenID provider says of itself. Source: OpenID Connect Discovery 1.0, section 4."""

    def __init__(self, issuer: str, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._fetch = issuer, fetch
        self._kept = Kept(f"the discovery document of {issuer}", self._make, clock)

    async def get(self) -> dict[str, Any]:
        """The document. Raises Unreachable."""
        return await self._kept.get()

    async def keys_at(self) -> str:
        """Where its keys are. Raises Unreachable."""
        return str((await self.get())["jwks_uri"])

    async def _make(self) -> dict[str, Any]:
        found = await self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._issuer:
            # Section 4.3: they must be the same, letter for letter.
            raise NoDocument(f"it says of itself that it is another issuer than {self._issuer}")
        address = found.get("jwks_uri")
        if not isinstance(address, str) or not address.startswith(("https:", "http:")):
            raise NoDocument("it names no keys (jwks_uri)")
        if self._issuer.startswith("https:") and not address.startswith("https:"):
            raise NoDocument("its keys (jwks_uri) are not behind TLS")
        return found
