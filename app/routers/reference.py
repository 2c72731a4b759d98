"""/docs: the OpenAPI document for people, in Swagger UI. All of it comes from here, so that it works without internet
and nobody else's program runs in a page that may hold a token."""

from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from app.fhir.outcomes import Issue, NotFound

router = APIRouter(prefix="/docs", include_in_schema=False)
# Swagger UI sets styles by script, which is no inline style, and draws its arrows from data: addresses.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Dermatome</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/begin.js"></script>
</head>
<body>
<div id="swagger-ui"></div>
</body>
</html>
"""
# validatorUrl null: otherwise the address of this server would be sent to one that draws a badge.
_BEGIN = """addEventListener("load", () => SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
}))
"""
_PACKAGED = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


@router.get("")
def page() -> Response:
    return HTMLResponse(_PAGE, headers=_HEADERS)


@router.get("/begin.js")
def begin() -> Response:
    return Response(_BEGIN, media_type="text/javascript", headers=_HEADERS)


@router.get("/{name}")
def file(name: str) -> Response:
    if name not in _PACKAGED:
        raise NotFound([Issue("not-found", "There is nothing at this address.")])
    return Response(_content(name), media_type=_PACKAGED[name], headers=_HEADERS)


@cache
def _content(name: str) -> bytes:
    return (files("fastapi_offline") / "static" / name).read_bytes()
