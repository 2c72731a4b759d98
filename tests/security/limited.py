"""Clients with few rights, of the application that other tests share: what a token would grant, without the token."""

from typing import Any

import httpx
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.routers.sighting import Sighting
from app.security.grants import Principal, further, parse

BASE = "http://dermatome.test"
_SCHEME = b"Granted "
_KNOWN: dict[bytes, Principal] = {}


def granted(scope: str, patient: str = "") -> Principal:
    """Somebody with these scopes, in a launch for this patient if given."""
    return Principal(f"{scope} {patient}", grants=parse(scope), further=further(scope), patient=patient)


def limited(client: httpx.AsyncClient, scope: str, patient: str = "") -> httpx.AsyncClient:
    """A client of the same application as another one, with the rights of these scopes only."""
    transport: Any = client._transport
    _let_in(transport.app)
    name = f"{len(_KNOWN)}".encode()
    _KNOWN[name] = granted(scope, patient)
    headers = {"Authorization": (_SCHEME + name).decode()}
    return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)


class _Granting:
    """Stands where tokens are looked at: the header names one of the above; without it everybody may do everything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if given.startswith(_SCHEME):
            scope["state"]["principal"] = _KNOWN[given.removeprefix(_SCHEME)]
        await self._app(scope, receive, send)


def _let_in(app: Any) -> None:
    kinds = [each.cls for each in app.user_middleware]
    if _Granting not in kinds:
        app.user_middleware.insert(kinds.index(Sighting), Middleware(_Granting))
        app.middleware_stack = app.build_middleware_stack()
