"""A service that asks for tokens, and clients that have them."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from app.settings import Settings
from tests.conftest import BASE, serving
from tests.security.signers import Json, assertion, key, public

TOKEN_URL = f"{BASE}/auth/token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def clients_file(folder: Path, scopes: Mapping[str, str]) -> Path:
    """A file of clients (id -> scopes), each with the key pair of its id."""
    blocks = []
    for name, scope in scopes.items():
        jwk = ", ".join(
            f"{part} = {json.dumps(value)}" for part, value in public(key(name, "ES384"))["keys"][0].items()
        )
        blocks.append(f'[[client]]\nid = "{name}"\nscopes = {json.dumps(scope)}\njwks.keys = [{{{jwk}}}]\n')
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "clients.toml"
    file.write_text("\n".join(blocks))
    return file


def form(name: str, scope: str, address: str = TOKEN_URL, **changed: Any) -> dict[str, str]:
    """What a client sends to the token endpoint."""
    return {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(name, key(name, "ES384"), address, "ES384", **changed),
    }


@dataclass
class Protected:
    """The application, and clients of it."""

    app: FastAPI
    http: httpx.AsyncClient
    scopes: Mapping[str, str]

    async def answer(self, name: str, scope: str = "", **changed: Any) -> httpx.Response:
        """The answer of the token endpoint to a client."""
        return await self.http.post("/auth/token", data=form(name, scope or self.scopes[name], **changed))

    async def headers(self, name: str, scope: str = "") -> dict[str, str]:
        """What a client sends with each request."""
        answer: Json = (await self.answer(name, scope)).json()
        return {"Authorization": f"Bearer {answer['access_token']}"}


@asynccontextmanager
async def protected(
    database_url: str, folder: Path, scopes: Mapping[str, str], **more: Any
) -> AsyncIterator[Protected]:
    """The service with its own token endpoint for these clients (id -> scopes)."""
    settings = Settings(
        database_url=database_url,
        export_files=str(folder / "exports"),
        auth="smart",
        public_url=BASE,
        clients=clients_file(folder, scopes),
        keys=folder / "keys",
        log_level="error",
        **more,
    )
    server = serving(settings)
    async with server as client:
        yield Protected(server.app, client, scopes)
