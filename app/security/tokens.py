"""Bearer tokens: whose they are, by the keys of the issuers that the operator trusts."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from app.security.claims import principal_of
from app.security.grants import Principal
from app.security.keys import Key
from app.security.verifying import Expected, Invalid, checked, unchecked

# Checking a signature takes longer than finding it was checked. Short, since a key or a client may be withdrawn.
_REMEMBERED_SECONDS, _MOST_REMEMBERED = 30, 4_096


class Keys(Protocol):
    """The keys of one issuer. Raises Unreachable where they cannot be had."""

    async def key(self, kid: str, algorithm: str) -> Key | None: ...


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whom tokens are believed from. audiences: what they must be meant for, one of them.

    accepts: a last look at what a token says, such as whether the client is still registered. Raises Invalid.
    """

    name: str
    keys: Keys
    audiences: tuple[str, ...]
    accepts: Callable[[Principal], None] = lambda _: None


@dataclass(slots=True)
class Tokens:
    """clock: microseconds since 1970; leeway: seconds by which clocks may differ."""

    issuers: Mapping[str, Issuer]
    clock: Callable[[], int]
    leeway: int
    _known: OrderedDict[bytes, tuple[int, Principal]] = field(default_factory=OrderedDict)

    async def principal(self, token: str) -> Principal:
        """Who asks with a token. Raises Invalid, or Unreachable where that cannot be told now."""
        now, mark = self.clock() // 1_000_000, hashlib.sha256(token.encode("utf-8", "replace")).digest()
        until, found = self._known.get(mark, (0, None))
        if found is None or now >= min(until, found.expires + self.leeway):
            found = await self._checked(token, now)
            self._remember(mark, found, now)
        self.issuers[found.issuer].accepts(found)
        return found

    async def _checked(self, token: str, now: int) -> Principal:
        told = unchecked(token)
        issuer = self.issuers.get(told.issuer)
        if issuer is None:
            raise Invalid("The token is from an issuer that is not trusted here (iss).")
        key = await issuer.keys.key(told.kid, told.algorithm)
        if key is None:
            raise Invalid("The token is signed with a key that its issuer does not have (kid).")
        expected = Expected(issuer.name, issuer.audiences, now, self.leeway)
        return principal_of(checked(token, key, told.algorithm, expected))

    def _remember(self, mark: bytes, found: Principal, now: int) -> None:
        self._known[mark] = now + _REMEMBERED_SECONDS, found
        self._known.move_to_end(mark)
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)
