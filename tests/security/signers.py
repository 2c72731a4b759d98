"""Those who sign in the tests: key pairs, tokens with anything in them, and a JWK Set behind a counted fetch."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from app.outbound.documents import NoDocument

Json = dict[str, Any]
ISSUER, AUDIENCE = "https://id.example.org/realms/pain", "https://pain.example.org/fhir"
NOW = 1_800_000_000


@cache
def key(kid: str, algorithm: str = "ES256") -> Any:
    """A key pair of this id, made once."""
    parameters: Any = {"kid": kid}
    if algorithm[:2] in ("RS", "PS"):
        return RSAKey.generate_key(2048, parameters=parameters)
    return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[algorithm], parameters=parameters)


def public(*keys: Any) -> Json:
    """The JWK Set of some keys."""
    return {"keys": [each.as_dict(private=False) for each in keys]}


def private_keys(client: str) -> str:
    """The JWK Set that a client keeps itself, as text."""
    return json.dumps({"keys": [{**key(client, "ES384").as_dict(private=True), "alg": "ES384", "key_ops": ["sign"]}]})


def signed(by: Any, claims: Mapping[str, Any], algorithm: str = "ES256", **header: Any) -> str:
    """A token. header: replaces alg and kid, or adds to them; None leaves one out."""
    head = {"alg": algorithm, "kid": by.kid, **header}
    head = {name: value for name, value in head.items() if value is not None}
    registry = JWSRegistry({"x": HeaderParameter("Further", "int")}, [head["alg"]], strict_check_header=False)
    return jwt.encode(head, dict(claims), by, registry=registry)


def claims(now: int = NOW, **changed: Any) -> Json:
    """The claims of a token for access; None leaves one out."""
    given = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "u1",
        "azp": "app",
        "iat": now,
        "exp": now + 300,
        "jti": "t1",
        "scope": "openid system/*.rs",
    } | changed
    return {name: value for name, value in given.items() if value is not None}


def with_public_key(by: Any, claims: Mapping[str, Any]) -> str:
    """A token signed by somebody who has but the public key, and takes it for a shared secret."""
    parts = (json.dumps(each).encode() for each in ({"alg": "HS256", "kid": by.kid}, claims))
    text = ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts)
    mark = hmac.digest(by.as_pem(private=False), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mark).decode().rstrip('=')}"


@dataclass
class Documents:
    """Documents by their addresses. asked: the addresses, in the order they were fetched; is_away: nothing answers."""

    held: dict[str, Json] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_away: bool = False

    async def __call__(self, url: str) -> Json:
        self.asked.append(url)
        if self.is_away or url not in self.held:
            raise NoDocument("it answered 404")
        return self.held[url]


def provider(documents: Documents, issuer: str, *keys: Any) -> None:
    """Let an identity server with these keys be found among the documents."""
    at = f"{issuer}/certs"
    documents.held[f"{issuer}/.well-known/openid-configuration"] = {
        "issuer": issuer,
        "jwks_uri": at,
        "token_endpoint": f"{issuer}/token",
        "grant_types_supported": ["client_credentials", "authorization_code"],
    }
    documents.held[at] = public(*keys)


def assertion(client: str, by: Any, audience: str, algorithm: str = "RS384", **changed: Any) -> str:
    """What a client signs for the token endpoint; now, unless its times are given."""
    now = int(time.time())
    given = {"iss": client, "sub": client, "aud": audience, "exp": now + 240, "jti": f"j-{time.time_ns()}"} | changed
    return signed(by, {name: value for name, value in given.items() if value is not None}, algorithm)
