"""What the OpenAPI document says of signing in: which operations ask for a token, and where it is to be had."""

from collections.abc import Iterable, Iterator
from typing import Any

from app.routers.doors import Asks, asked
from app.security.authority import Authority
from app.security.grants import FURTHER

_METHODS = ("get", "post", "put", "patch", "delete")
_SCHEME, _BEARER = "smart", "bearer"
_SCOPES = {
    "system/*.rs": "Read and search resources of every type; narrower ones such as system/Observation.rs",
    "system/*.cruds": "The same, and create, update and delete",
    **{name: f"What is asked for at the addresses that name {name}" for name in FURTHER},
}


def secure(document: dict[str, Any], authority: Authority | None) -> None:
    """Name the schemes in an OpenAPI document, and what of the addresses is open all the same."""
    if authority is None:
        document["security"] = []
        return
    schemes = _schemes(authority)
    document["components"]["securitySchemes"] = schemes
    document["security"] = [{name: []} for name in schemes]
    for asks, operation in _operations(document, authority):
        operation["security"] = _security(asks, schemes)


def _schemes(authority: Authority) -> dict[str, Any]:
    """Of our own token endpoint the flow; tokens of others are bearer tokens, however they were got."""
    told = "A token with SMART scopes, version 1 or 2; /.well-known/smart-configuration says from where."
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": told}
    if authority.endpoint is None:
        return {_BEARER: bearer}
    flow = {"tokenUrl": authority.endpoint.address, "scopes": _SCOPES}
    return {
        _SCHEME: {"type": "oauth2", "description": told, "flows": {"clientCredentials": flow}},
        _BEARER: bearer,
    }


def _operations(document: dict[str, Any], authority: Authority) -> Iterator[tuple[Asks, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield asked(method.upper(), path, has_open_docs=authority.has_open_docs), item[method]


def _security(asks: Asks, schemes: Iterable[str]) -> list[dict[str, list[str]]]:
    if asks in (Asks.NOTHING, Asks.ITS_OWN):
        return []
    return [{name: [asks.value] if asks.value in FURTHER else []} for name in schemes]
