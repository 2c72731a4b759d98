"""The implementation guide for people, and its package for other servers. Nothing of it is on the way of a write."""

from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from app.guide.site import INDEX, PACKAGE, File, Site
from app.routers.exchange import service

router = APIRouter(prefix="/guide", tags=["Guide"])

# Pages load one style sheet from here and nothing else; there is no script to allow.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # A new release changes pages: whoever has one asks whether it is still current.
    "Cache-Control": "no-cache",
}


def _shown(*media_types: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "As asked for", "content": {each: {} for each in media_types}}}


# Not async: what is asked for first is made in a thread, while other requests are served.
@router.get("", summary="The implementation guide: its contents", response_class=HTMLResponse)
def contents(request: Request) -> Response:
    return _answer(request, INDEX)


@router.get(f"/{PACKAGE}", summary="The guide as a FHIR package (npm layout)", responses=_shown("application/gzip"))
def packed(request: Request) -> Response:
    answer = _answer(request, PACKAGE)
    answer.headers["Content-Disposition"] = f'attachment; filename="{PACKAGE}"'
    return answer


@router.get(
    "/{name}",
    summary="A page of the guide (.html), or a definition or example as JSON (.json)",
    responses=_shown("text/html", "application/fhir+json", "text/css"),
    response_class=HTMLResponse,
)
def page(request: Request, name: str) -> Response:
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    site = _site(request)
    found = site.file(name)
    if found is None:
        return HTMLResponse(site.missing(), 404, headers=_HEADERS)
    headers = {**_HEADERS, "ETag": f'"{found.etag}"'}
    if _is_known(request, found):
        return Response(status_code=304, headers=headers)
    return Response(found.body, media_type=found.media_type, headers=headers)


def _is_known(request: Request, found: File) -> bool:
    """Whether the client has this very file (RFC 9110 13.1.2)."""
    given = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return "*" in given or f'"{found.etag}"' in given


def _site(request: Request) -> Site:
    """Made when the guide is first looked at: a start does not wait for it."""
    state = request.app.state
    if not hasattr(state, "guide"):
        parts = service(request)
        state.guide = Site(parts.content, f"{urlsplit(parts.settings.public_url).path.rstrip('/')}/guide/")
    made: Site = state.guide
    return made
