"""Who asks: every request gets its Principal here, before anything else looks at it, and each door what it asks for.

Source: RFC 6750. A token comes in the header Authorization only: addresses and bodies are logged and kept by others.
"""

import hmac

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.fhir.outcomes import Issue
from app.outbound import NoSecret
from app.routers.doors import Asks, asked, may_pass
from app.routers.errors import outcome_response
from app.routers.smart import is_first
from app.security.authority import Authority
from app.security.grants import EVERYONE, METRICS, NOBODY, Principal
from app.security.remote import Unreachable
from app.security.verifying import Invalid
from app.store.database import Unavailable

# Prometheus and its like cannot sign: they may read the metrics, and nothing else, with a secret of this name.
_METRICS_SECRET = "metrics-token"  # noqa: S105
_SCRAPER = Principal(subject="metrics", further=frozenset({METRICS}))
_CHALLENGE = 'Bearer realm="Dermatome"'


class NoToken(Exception):
    """There is no token, where one is asked for."""


class Access:
    """Wraps the application: sets `request.state.principal`, and `refusal` where it may not pass the Gate.

    authority: None while authentication is off, and then everybody may do everything.
    """

    def __init__(self, app: ASGIApp, authority: Authority | None) -> None:
        self._app, self._authority = app, authority

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            state = scope.setdefault("state", {})
            state["refusal"] = await self._refusal(scope)
        await self._app(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        """Why a request is not let in; None if it is, with who asks in its state."""
        state = scope["state"]
        if self._authority is None:
            state["principal"] = EVERYONE
            return None
        asks = asked(scope["method"], scope["path"], has_open_docs=self._authority.has_open_docs)
        # Inside a Bundle it is whoever sent the Bundle.
        inherited: Principal | None = state.get("principal") if state.get("is_inside") else None
        state["principal"] = inherited or NOBODY
        if asks in (Asks.NOTHING, Asks.ITS_OWN):
            return None
        request = Request(scope)
        try:
            state["principal"] = inherited or await self._principal(request, self._authority, asks)
        except NoToken:
            told = (
                "This needs a token: `Authorization: Bearer TOKEN`; /.well-known/smart-configuration says from where."
            )
            return _refused(request, 401, "login", told, _CHALLENGE)
        except Invalid as error:
            return _refused(request, 401, "login", str(error), f'{_CHALLENGE}, error="invalid_token"')
        except (Unreachable, Unavailable) as error:
            why = str(error) if isinstance(error, Unreachable) else "the database cannot take it now."
            issue = Issue("transient", f"The token cannot be checked: {why}")
            return outcome_response(request, 503, [issue], {"Retry-After": "5"})
        if not may_pass(state["principal"], asks):
            told = f"This needs a token with the scope {asks.value}."
            challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{asks.value}"'
            return _refused(request, 403, "forbidden", told, challenge)
        return None

    async def _principal(self, request: Request, authority: Authority, asks: Asks) -> Principal:
        """Who asks. Raises NoToken, Invalid and Unreachable."""
        given = request.headers.getlist("authorization")
        if not given:
            raise NoToken
        scheme, _, token = given[0].partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer" or not token.strip():
            raise Invalid("The header Authorization must be given once, as Bearer TOKEN.")
        if asks is Asks.MEASURING and _is_secret(authority, token.strip()):
            return _SCRAPER
        if asks is Asks.CALLING and (caller := await _caller(request, authority, token.strip())):
            return caller
        return await authority.tokens.principal(token.strip())


class Gate:
    """Answers those who are not let in: 401, 403 or 503. Inside of what counts requests, so that these count too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: Response | None = scope.get("state", {}).get("refusal")
        await (answer or self._app)(scope, receive, send)


async def _caller(request: Request, authority: Authority, token: str) -> Principal | None:
    """The client of CDS Hooks that has signed this very call; None for a token of another kind. Raises Invalid."""
    endpoint = authority.endpoint
    asserted = await endpoint.called(token, f"{authority.base}{request.url.path}") if endpoint else None
    if asserted is None:
        return None
    if not await is_first(request, asserted):
        raise Invalid("The token was used before (jti).")
    return asserted.principal(authority.base)


def _is_secret(authority: Authority, token: str) -> bool:
    """Whether it is the secret of those who measure, never where there is none. It takes as long whatever is wrong."""
    if not authority.secrets.has(_METRICS_SECRET):
        return False
    try:
        known = authority.secrets.read(_METRICS_SECRET)
    except NoSecret:
        return False
    return hmac.compare_digest(token.encode(), known.encode()) and bool(known)


def _refused(request: Request, status: int, code: str, told: str, challenge: str) -> Response:
    headers = {"WWW-Authenticate": challenge, "Cache-Control": "no-store"}
    return outcome_response(request, status, [Issue(code, told)], headers)
