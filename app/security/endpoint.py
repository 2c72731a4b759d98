"""The built-in token endpoint: client credentials, with a client that signs who it is.

Source: RFC 6749 4.4 and 5, RFC 7523 3, SMART App Launch 2.2 "Backend Services" and "Asymmetric (public key) client
authentication".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from app.security.clients import Client, Clients
from app.security.granting import granted
from app.security.grants import Principal, parse
from app.security.signing import SigningKeys
from app.security.verifying import Expected, Invalid, checked, unchecked

ALGORITHMS = ("RS384", "ES384")
GRANT_TYPE = "client_credentials"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# SMART: "no more than five minutes in the future".
LONGEST_ASSERTION = 300
MOST_BYTES = 65_536
_MOST_FIELDS, _MOST_JTI = 20, 255
_UNKNOWN = "It is not signed with a key that is registered for the client it names."


class OAuthError(Exception):
    """What is answered to a request for a token that is not served. code: of RFC 6749 5.2."""

    def __init__(self, code: str, told: str, status: int = 400) -> None:
        self.code, self.told, self.status = code, told, status
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Asserted:
    """A client that has shown who it is. token_id: of its assertion, which counts once; until: when that has ended."""

    client: Client
    token_id: str
    until: int

    def principal(self, issuer: str) -> Principal:
        """Who asks, where what the client has signed is taken in place of a token."""
        name, grants = self.client.id, parse(self.client.scopes)
        return Principal(name, name, issuer, grants, token_id=self.token_id, expires=self.until)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """address: of the token endpoint itself; issuer, audience: what its tokens name. clock: microseconds since 1970.

    seconds: for which a token holds; leeway: by which clocks may differ.
    """

    address: str
    issuer: str
    audience: str
    clients: Clients
    signing: SigningKeys
    clock: Callable[[], int]
    new_id: Callable[[], str]
    seconds: int
    leeway: int

    async def asserted(self, form: Mapping[str, str]) -> Asserted:
        """Who asks. Raises OAuthError, and Unreachable where the client's keys cannot be had now."""
        if "grant_type" not in form:
            raise OAuthError("invalid_request", "The request has no grant_type.")
        if form["grant_type"] != GRANT_TYPE:
            raise OAuthError("unsupported_grant_type", f"Only the grant type {GRANT_TYPE} is served.")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise OAuthError("invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}.")
        if "client_assertion" not in form:
            raise OAuthError("invalid_request", "The request has no client_assertion.")
        try:
            return await self._asserted(form["client_assertion"], form.get("client_id"))
        except Invalid as error:
            raise _unknown(str(error).replace("The token", "The assertion", 1)) from None

    async def _asserted(self, assertion: str, client_id: str | None) -> Asserted:
        asserted, claims = await self._signed(assertion, self.address, ("exp", "sub", "jti"))
        if client_id not in (None, asserted.client.id):
            raise _unknown(_UNKNOWN)
        if claims["sub"] != asserted.client.id:
            raise Invalid("The token's sub must be the client, as its iss is.")
        return asserted

    async def called(self, token: str, address: str) -> Asserted | None:
        """A client of CDS Hooks that signs each call itself; None for a token that no client of ours has made.

        address: of the service that is called. Raises Invalid and Unreachable.
        Source: CDS Hooks 2.0, "Trusting CDS Clients".
        """
        if self.clients.find(unchecked(token).issuer) is None:
            return None
        try:
            return (await self._signed(token, address, ("exp", "iat", "jti")))[0]
        except OAuthError as error:
            raise Invalid(error.told) from None

    async def _signed(self, token: str, address: str, needed: tuple[str, ...]) -> tuple[Asserted, Mapping[str, Any]]:
        """Who has signed a token for an address, and what it says. Raises Invalid, OAuthError and Unreachable."""
        told = unchecked(token, ALGORITHMS)
        client = self.clients.find(told.issuer)
        key = await self.clients.keys(client).key(told.kid, told.algorithm) if client else None
        if client is None or key is None:
            raise _unknown(_UNKNOWN)
        now = self._now
        claims = checked(token, key, told.algorithm, Expected(client.id, (address,), now, self.leeway, needed))
        if claims["exp"] > now + LONGEST_ASSERTION + self.leeway:
            raise Invalid(f"The token holds for longer than {LONGEST_ASSERTION} seconds.")
        if not 0 < len(claims["jti"]) <= _MOST_JTI:
            raise Invalid(f"The token's jti must have 1 to {_MOST_JTI} characters.")
        return Asserted(client, claims["jti"], int(claims["exp"]) + self.leeway + 1), claims

    def token(self, client: Client, scope: str | None) -> dict[str, str | int]:
        """The answer to a client that has shown who it is. Raises OAuthError."""
        if not scope or not scope.strip():
            raise OAuthError("invalid_scope", "The request has no scope; ask for one such as system/Observation.rs.")
        given = granted(scope, client.scopes)
        if not given:
            raise OAuthError("invalid_scope", "None of the scopes asked for is registered for this client.")
        now = self._now
        claims = {
            "iss": self.issuer,
            "sub": client.id,
            "client_id": client.id,
            "aud": self.audience,
            "iat": now,
            "exp": now + self.seconds,
            "jti": self.new_id(),
            "scope": given,
        }
        token = self.signing.sign(claims)
        return {"access_token": token, "token_type": "bearer", "expires_in": self.seconds, "scope": given}

    def require_registered(self, principal: Principal) -> None:
        """Refuse a token of a client that is not registered any more. Raises Invalid."""
        if self.clients.find(principal.client_id) is None:
            raise Invalid("The client is not registered any more.")

    @property
    def _now(self) -> int:
        return self.clock() // 1_000_000


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a request. Raises OAuthError: each may be given once (RFC 6749 3.2)."""
    try:
        given = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except (ValueError, UnicodeDecodeError):
        raise OAuthError("invalid_request", "The body is no form with a few fields.") from None
    names = [name for name, _ in given]
    if twice := sorted({name[:64] for name in names if names.count(name) > 1}):
        raise OAuthError("invalid_request", f"A parameter is given more than once: {', '.join(twice)}.")
    # A parameter without a value counts as left out.
    return {name: value for name, value in given if value}


def _unknown(told: str) -> OAuthError:
    return OAuthError("invalid_client", told, 401)
