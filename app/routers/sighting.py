"""Whoever asks sees what they may, and nothing else: set here once for all that a request does (app/store/sight.py)."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.routers.exchange import fhir_base, principal, service
from app.security.grants import Principal, written
from app.store.search.sighted import Sighted
from app.store.sight import seen_by

# Administration is asked for at the door (doors.py); whoever has it compares and repairs records of everybody.
_ADMINISTRATION = "/sync/"


class Sighting:
    """Wraps the application, inside of what finds out who asks. Costs nothing where nobody is limited."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["state"]["principal"].is_unlimited:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        who = principal(request)
        is_over_all = who.is_admin and f"{request.url.path}/".startswith(_ADMINISTRATION)
        with seen_by(None if is_over_all else sighted(request, who)):
            await self._app(scope, receive, send)


def sighted(request: Request, who: Principal) -> Sighted:
    """What somebody sees through a request."""
    return Sighted(who, service(request).searcher, fhir_base(request), written(who))
