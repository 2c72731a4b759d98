"""What the claims of a believed token let one do: who it is for, and the scopes, whichever server has written it."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.fhir.references import is_id
from app.security.grants import Principal, further, parse
from app.security.verifying import Invalid

# Where servers write the client: RFC 9068, OpenID Connect (Keycloak), Okta, Microsoft.
_CLIENT = ("client_id", "azp", "cid", "appid")
# Keycloak says of each token what it is; only one of these is for calling us.
_ACCESS = ("bearer", "at+jwt", "access")
# OpenID Connect Core 2, 3.1.3.6: these stand in what tells a client who signed in, and that is no key to anything.
_OF_ID_TOKENS = ("nonce", "at_hash", "c_hash")
_MOST_NAME = 255


def principal_of(claims: Mapping[str, Any]) -> Principal:
    """Who asks. Raises Invalid for a token that is not one for access, or says what cannot be."""
    kind = claims.get("typ")
    if (kind is not None and str(kind).lower() not in _ACCESS) or any(name in claims for name in _OF_ID_TOKENS):
        raise Invalid("The token is not one for access.")
    scope = " ".join(_scopes(claims))
    return Principal(
        subject=_text(claims, "sub"),
        client_id=next((_text(claims, name) for name in _CLIENT if name in claims), ""),
        issuer=_text(claims, "iss"),
        grants=parse(scope),
        patient=_patient(claims),
        fhir_user=_text(claims, "fhirUser") if "fhirUser" in claims else "",
        token_id=_text(claims, "jti") if "jti" in claims else "",
        expires=int(claims["exp"]),
        further=further(scope),
    )


def _scopes(claims: Mapping[str, Any]) -> Iterator[str]:
    """`scope` is a text (RFC 8693 4.2); others write a list, or `scp`."""
    for name in ("scope", "scp"):
        value = claims.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (each for each in value if isinstance(each, str))


def _patient(claims: Mapping[str, Any]) -> str:
    """The id of the patient of a launch; some write Patient/12."""
    if claims.get("patient") in (None, ""):
        return ""
    found = _text(claims, "patient").removeprefix("Patient/")
    if not is_id(found):
        raise Invalid("The token's patient is no id.")
    return found


def _text(claims: Mapping[str, Any], name: str) -> str:
    found = claims.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= _MOST_NAME or not found.isprintable():
        raise Invalid(f"The token's {name} is no text of 1 to {_MOST_NAME} characters.")
    return found
