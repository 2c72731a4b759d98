"""/console: the page for people. It holds nothing of a patient; all that it shows, it asks for like any client."""

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from app import profiles
from app.fhir import json as lossless
from app.fhir.outcomes import Issue, NotFound
from app.routers import exchange

router = APIRouter(prefix="/console", include_in_schema=False)
# The charts set styles by script, which is no inline style.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}


@router.get("")
def page(request: Request) -> Response:
    """What the page loads stands below its address, which therefore has no slash at its end."""
    if request.scope.get("raw_path", b"").endswith(b"/"):
        return RedirectResponse("../console", headers=_HEADERS)
    return _answer("index.html")


@router.get("/body-map.json")
def body_map(request: Request) -> Response:
    """Where sites are marked on the figure of a body, by their codes."""
    exchange.require_known(request)
    return Response(_body_map(), media_type="application/json", headers=_HEADERS)


@router.get("/{name}")
def file(name: str) -> Response:
    return _answer(name)


def _answer(name: str) -> Response:
    if name not in _files():
        raise NotFound([Issue("not-found", "There is nothing at this address.")])
    content, media_type = _files()[name]
    return Response(content, media_type=media_type, headers=_HEADERS)


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """By name; nothing else is served, whatever an address says."""
    found = (files("app.console") / "static").iterdir()
    return {one.name: (one.read_bytes(), _TYPES[one.name.rpartition(".")[2]]) for one in found}


@cache
def _body_map() -> bytes:
    places = profiles.toml_files("console")["body-map"]["place"]
    sites = {one["id"]: one["coding"]["code"] for one in profiles.toml_files("vocabulary")["body-sites"]["site"]}
    return lossless.dumps({sites[site]: place for site, place in places.items()})
