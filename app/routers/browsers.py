"""Pure ASGI around every request: what browsers may do with our answers, and under which names they find us.

A page in a browser is somebody else's program on the machine of a user. It may read nothing here unless its origin is
allowed (CORS), nor by a name that its owner has made stand for this machine (DNS rebinding).
"""

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.fhir.outcomes import Issue, Misdirected, Refused
from app.routers.errors import refusal
from app.settings import Settings, is_loopback

# RFC 9110, 7.2; underscores stand in the names of containers.
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
# No answer of ours loads anything or is shown inside a page of others; pages of ours say what they load.
_ALWAYS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Records of patients stay in no cache, of a browser or on the way.
    "Cache-Control": "no-store",
}
_HSTS = "max-age=31536000"
_ASKED = (
    *("Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-Modified-Since", "If-None-Exist"),
    *("If-None-Match", "Prefer", "Range", "X-Request-Id"),
)
_TOLD = (
    *("Content-Disposition", "Content-Location", "Content-Range", "ETag", "Expires", "Last-Modified", "Link"),
    *("Location", "Preference-Applied", "Retry-After", "WWW-Authenticate", "X-Progress", "X-Request-Id"),
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Browsers:
    """Adds the headers to every answer, and refuses requests for another host. Inside a Bundle nothing is done."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        origins = [each.strip() for each in settings.cors_origins.split(",") if each.strip()]
        self._plain = app
        self._app = (
            CORSMiddleware(
                app, allow_origins=origins, allow_methods=_METHODS, allow_headers=_ASKED, expose_headers=_TOLD
            )
            if origins
            else app
        )
        self._is_open = settings.auth == "off"
        self._has_tls = urlsplit(settings.public_url).scheme == "https"
        named = [each.strip().lower() for each in settings.hosts.split(",") if each.strip()]
        self._names = {*named, settings.host.lower(), (urlsplit(settings.public_url).hostname or "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope.get("state", {}).get("is_inside"):
            await self._plain(scope, receive, send)
            return
        headers = _ALWAYS | (
            {"Strict-Transport-Security": _HSTS} if self._has_tls or scope["scheme"] == "https" else {}
        )

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in headers.items():
                    own.setdefault(name, value)
            await send(message)

        problem = self._problem(scope)
        answer = refusal(Request(scope), problem) if problem else self._app
        await answer(scope, receive, send_with)

    def _problem(self, scope: Scope) -> Refused | None:
        """What is wrong with the host a request is for. It becomes part of the addresses that are told."""
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        match = _HOST.fullmatch(given[0]) if given else None
        if len(given) > 1 or (given and not match):
            return Refused([Issue("value", "The header Host must be given once, as name:port.")])
        if not self._is_open or not _is_only_this_machine(scope):
            return None
        name = match["name"].strip("[]").rstrip(".").lower() if match else ""
        if not match or is_loopback(name) or name in self._names:
            return None
        told = (
            "This service listens to this machine only, and this is none of its names. If it is called by it, for "
            "instance through a proxy, set DERMATOME_PUBLIC_URL or DERMATOME_HOSTS."
        )
        return Misdirected([Issue("security", told)])


def _is_only_this_machine(scope: Scope) -> bool:
    """Whether the request came to an address that nobody but this machine reaches."""
    try:
        return ipaddress.ip_address((scope.get("server") or ("",))[0]).is_loopback
    except ValueError:
        return False
