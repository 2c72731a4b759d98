"""Checking a signed token: RFC 7515 and 7519 by joserfc, with what it must say for us to believe it (RFC 8725)."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jws import JWSRegistry
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from app.security.keys import ALGORITHMS, Key

# Larger ones are not looked at: parsing is done before anything is known of who sends them.
MOST_CHARACTERS = 16_384
_MOST_HEADER = 2_048
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_MOST_KID = 255


class Invalid(Exception):
    """A token that is not believed; the text says why, without a word of it."""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """What a token says of itself, to find the key it must be signed with. Nothing of it is believed yet."""

    algorithm: str
    kid: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What must stand in it. audiences: one of them is enough. now: seconds; leeway: by which clocks may differ."""

    issuer: str
    audiences: tuple[str, ...]
    now: int
    leeway: int
    needed: tuple[str, ...] = ("exp", "sub")


def unchecked(token: str, algorithms: Iterable[str] = ALGORITHMS) -> Unchecked:
    """Which key a token asks to be checked with. Raises Invalid for what is no signed token of an allowed kind."""
    if len(token) > MOST_CHARACTERS:
        raise Invalid(f"The token is longer than {MOST_CHARACTERS} characters.")
    if not _FORM.fullmatch(token):
        raise Invalid("The token is no signed JWT.")
    header, payload = (_object(part) for part in token.split(".")[:2])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise Invalid(f"The token is not signed with one of {', '.join(sorted(algorithms))}.")
    kid, issuer = header.get("kid"), payload.get("iss")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MOST_KID:
        raise Invalid("The header of the token names no key (kid).")
    if not isinstance(issuer, str) or not issuer:
        raise Invalid("The token names no issuer (iss).")
    return Unchecked(algorithm, kid, issuer)


def checked(token: str, key: Key, algorithm: str, expected: Expected) -> dict[str, Any]:
    """The claims of a token that is signed with the key and says what is expected. Raises Invalid."""
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = _MOST_HEADER
    try:
        claims = jwt.decode(token, key, algorithms=[algorithm], registry=registry).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise Invalid("The signature of the token does not hold.") from None
    _require(claims, expected)
    return claims


def _require(claims: dict[str, Any], expected: Expected) -> None:
    audiences: list[str | int | bool] = list(expected.audiences)
    options: dict[str, ClaimsOption] = {name: {"essential": True} for name in expected.needed}
    options |= {"iss": {"essential": True, "value": expected.issuer}, "aud": {"essential": True, "values": audiences}}
    registry = JWTClaimsRegistry(expected.now, expected.leeway, **options)
    try:
        registry.validate(claims)
    except ExpiredTokenError:
        raise Invalid("The token has expired.") from None
    except MissingClaimError as error:
        raise Invalid(f"The token lacks {error.claim}.") from None
    except InvalidClaimError as error:
        raise Invalid(_WRONG.get(error.claim, f"The token's {error.claim} is not right.")) from None


_WRONG: Mapping[str, str] = {
    "aud": "The token is meant for somebody else (aud).",
    "iss": "The token is from another issuer (iss).",
    "nbf": "The token does not hold yet (nbf).",
    "iat": "The token was made in the future (iat).",
    "exp": "The token's exp is no time.",
}


def _object(part: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.b64decode(part + "=" * (-len(part) % 4), altchars="-_", validate=True))
    except (ValueError, RecursionError):
        raise Invalid("The token is no signed JWT.") from None
    if not isinstance(found, dict):
        raise Invalid("The token is no signed JWT.")
    return found
