"""What the OpenAPI document says of signing in: which operations ask for a token, and where it is to be had."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from app.routers.doors import Asks, asked
from app.security.authority import Authority
from app.security.grants import FURTHER

_METHODS = ("get", "post", "put", "patch", "delete")
_SCHEME = "smart"
_SCOPES = {
    "system/*.rs": "Read and search resources of every type; narrower ones such as system/Observation.rs",
    "system/*.cruds": "The same, and create, update and delete",
    **{name: f"What is asked for at the addresses that name {name}" for name in FURTHER},
}


def tell_access(app: FastAPI, authority: Authority | None) -> None:
    """Let the OpenAPI document name the scheme, and what of the addresses is open all the same."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        is_made = app.openapi_schema is not None
        document = plain()
        if authority is not None and not is_made:
            document.setdefault("components", {})["securitySchemes"] = {_SCHEME: _scheme(authority)}
            document["security"] = [{_SCHEME: []}]
            for asks, operation in _operations(document, authority):
                operation["security"] = _security(asks)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation does it


def _scheme(authority: Authority) -> dict[str, Any]:
    """Of our own token endpoint the flow; tokens of others are bearer tokens, however they were got."""
    told = "A token with SMART scopes, version 1 or 2; /.well-known/smart-configuration says from where."
    if authority.endpoint is None:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": told}
    flow = {"tokenUrl": authority.endpoint.address, "scopes": _SCOPES}
    return {"type": "oauth2", "description": told, "flows": {"clientCredentials": flow}}


def _operations(document: dict[str, Any], authority: Authority) -> Iterator[tuple[Asks, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield asked(method.upper(), path, has_open_docs=authority.has_open_docs), item[method]


def _security(asks: Asks) -> list[dict[str, list[str]]]:
    if asks in (Asks.NOTHING, Asks.ITS_OWN):
        return []
    return [{_SCHEME: [asks.value] if asks.value in FURTHER else []}]
