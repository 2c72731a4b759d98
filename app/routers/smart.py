"""Signing in: where tokens are to be had, the token endpoint of this service, and the keys its tokens are checked with.

Source: SMART App Launch 2.2, RFC 6749 and 8414. None of it is there while authentication is off.
"""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from app.fhir.outcomes import Issue, NotFound, NotReady
from app.routers.exchange import service
from app.security.authority import KEYS_PATH, TOKEN_PATH, Authority
from app.security.endpoint import MOST_BYTES, Asserted, Endpoint, OAuthError, read_form
from app.security.remote import Unreachable
from app.security.smart import configuration
from app.store import assertions
from app.store.database import Unavailable

router = APIRouter(tags=["Access"])
_FORM = "application/x-www-form-urlencoded"
# RFC 6749 5.1: nobody on the way keeps a token.
_UNKEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_FIELDS = {
    "grant_type": "client_credentials",
    "scope": "system/Observation.rs",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "client_assertion": "A JWT that the client has signed",
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            _FORM: {
                "schema": {
                    "type": "object",
                    "required": list(_FIELDS),
                    "properties": {name: {"type": "string", "example": shown} for name, shown in _FIELDS.items()},
                }
            }
        },
    }
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"description": "What is wrong with the request, as RFC 6749 5.2 tells it"},
    401: {"description": "The client has not shown who it is (invalid_client)"},
}


@router.get("/.well-known/smart-configuration", summary="Where tokens are to be had, and which scopes there are")
@router.get("/fhir/.well-known/smart-configuration", include_in_schema=False)
async def smart_configuration(request: Request) -> Response:
    try:
        return JSONResponse(await configuration(_authority(request)))
    except Unreachable as error:
        raise NotReady([Issue("transient", str(error))]) from None


@router.get(KEYS_PATH, summary="The keys that tokens of this service are checked with, as JWK Set")
async def keys(request: Request) -> Response:
    return JSONResponse(_endpoint(request).signing.public)


@router.post(
    TOKEN_PATH,
    summary="A token for a registered client (client credentials with private_key_jwt)",
    openapi_extra=_BODY,
    responses=_REFUSED,
)
async def token(request: Request) -> Response:
    endpoint = _endpoint(request)
    try:
        form = await _form(request)
        asserted = await endpoint.asserted(form)
        # From here on it is known who asks.
        request.state.principal = asserted.principal(_authority(request).base)
        answer = endpoint.token(asserted.client, form.get("scope"))
        if not await is_first(request, asserted):
            raise OAuthError("invalid_client", "The assertion was used before (jti).", 401)
    except OAuthError as error:
        return JSONResponse({"error": error.code, "error_description": error.told}, error.status, _UNKEPT)
    except (Unreachable, Unavailable):
        told = {"error": "temporarily_unavailable", "error_description": "This cannot be answered now; try again."}
        return JSONResponse(told, 503, {**_UNKEPT, "Retry-After": "5"})
    return JSONResponse(answer, headers=_UNKEPT)


async def is_first(request: Request, asserted: Asserted) -> bool:
    """Whether what a client has signed is used for the first time: it counts once, whichever process it comes to."""
    parts = service(request)
    now = parts.clock() // 1_000_000
    client, token_id = asserted.client.id, asserted.token_id
    async with parts.database.writing() as connection:
        return await assertions.use(connection, client, token_id, until=asserted.until, now=now)


async def _form(request: Request) -> dict[str, str]:
    """The fields of the body, as far as it is no longer than such a request is. Raises OAuthError."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise OAuthError("invalid_request", f"The body must be {_FORM}.")
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > MOST_BYTES:
            raise OAuthError("invalid_request", f"The body has more than {MOST_BYTES} bytes.")
    return read_form(bytes(found))


def _endpoint(request: Request) -> Endpoint:
    found = _authority(request).endpoint
    if found is None:
        raise NotFound([Issue("not-found", "This server gives no tokens; another one does.")])
    return found


def _authority(request: Request) -> Authority:
    found: Authority | None = request.app.state.authority
    if found is None:
        raise NotFound([Issue("not-found", "Authentication is off here: no token is needed.")])
    return found
