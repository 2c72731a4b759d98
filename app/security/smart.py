"""What clients are told of signing in, as SMART configuration and in the CapabilityStatement, from one source.

Source: SMART App Launch 2.2, "Conformance".
"""

from collections.abc import Mapping
from typing import Any

from app.security.authority import KEYS_PATH, Authority
from app.security.endpoint import ALGORITHMS, GRANT_TYPE
from app.security.grants import FURTHER, RIGHTS
from app.security.remote import Unreachable

_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SERVICES = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_PERMISSIONS = ("permission-v1", "permission-v2")
# What an identity server says of itself in OpenID Connect Discovery and SMART says by the same names.
_PASSED_ON = (
    "issuer",
    "jwks_uri",
    "authorization_endpoint",
    "token_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
    "registration_endpoint",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "grant_types_supported",
    "response_types_supported",
)
_CLIENTS = {"private_key_jwt": "client-confidential-asymmetric", "client_secret_basic": "client-confidential-symmetric"}
_ADDRESSES = {"token": "token_endpoint", "authorize": "authorization_endpoint", "revoke": "revocation_endpoint"}
_OFF = "Authentication is off: whoever reaches this server may read and write everything."


async def configuration(authority: Authority) -> dict[str, Any]:
    """The SMART configuration: of our own token endpoint, else of the first identity server. Raises Unreachable."""
    if authority.endpoint:
        return _own(authority.base, authority.endpoint.address)
    first = next(iter(authority.discovered.values()))
    told = await first.get()
    methods = told.get("token_endpoint_auth_methods_supported", ())
    kinds = [name for method, name in _CLIENTS.items() if method in methods]
    passed = {name: told[name] for name in _PASSED_ON if name in told}
    if "S256" in told.get("code_challenge_methods_supported", ()):
        # The only one that SMART allows, whatever else the server takes.
        passed["code_challenge_methods_supported"] = ["S256"]
    scopes = [*_scopes("system"), *_scopes("user"), *_scopes("patient"), *FURTHER]
    return {**passed, "scopes_supported": scopes, "capabilities": [*kinds, *_PERMISSIONS]}


def _own(base: str, address: str) -> dict[str, Any]:
    return {
        "issuer": base,
        "jwks_uri": f"{base}{KEYS_PATH}",
        "token_endpoint": address,
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": [GRANT_TYPE],
        "scopes_supported": [*_scopes("system"), "system/AuditEvent.rs", *FURTHER],
        "capabilities": ["client-confidential-asymmetric", *_PERMISSIONS],
    }


def _scopes(context: str) -> list[str]:
    return [f"{context}/*.{rights}" for rights in (RIGHTS, "rs", "read", "write", "*")]


async def security(authority: Authority | None) -> Mapping[str, Any]:
    """CapabilityStatement.rest.security. An identity server that is away keeps nobody from reading the rest."""
    if authority is None:
        return {"description": _OFF}
    coding = {"system": _SERVICES, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}
    made: dict[str, Any] = {"service": [{"coding": [coding], "text": "OAuth 2.0 by SMART on FHIR"}]}
    made["description"] = "Bearer tokens with SMART scopes (version 1 and 2); see .well-known/smart-configuration."
    try:
        told = await configuration(authority)
    except Unreachable:
        return made
    uris = [{"url": url, "valueUri": told[name]} for url, name in _ADDRESSES.items() if name in told]
    return {"extension": [{"url": _OAUTH_URIS, "extension": uris}], **made}
