"""Targets that tell there is something new: the next round of pulling begins at once."""

import hmac
from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir.outcomes import Forbidden, Issue, TooLarge
from app.routers import exchange
from app.routers.exchange import service
from app.routers.numbers import RowName
from app.routers.sync_pull import ask_again, pulled
from app.sync.targets import Target

router = APIRouter(prefix="/sync", tags=["Sync"])
# A notification may carry whole resources; nothing of it is kept, since what counts is what the target answers when it
# is asked.
_LARGEST_NOTIFICATION = 1_048_576


@router.post("/notifications/{name}", summary="A target tells that something was written there; it is read soon")
async def notified(request: Request, name: RowName) -> Response:
    """A rest-hook of a Subscription, with a Bundle (handshake, heartbeat, events) or without: it is only a hint."""
    return await _notified(request, name, "")


@router.put("/notifications/{name}/{resource_type}/{resource_id}", summary="The same, as R4 rest-hooks with payload do")
@router.post("/notifications/{name}/{resource_type}/{resource_id}", include_in_schema=False)
@router.post("/notifications/{name}/{resource_type}", include_in_schema=False)
async def notified_of(request: Request, name: RowName, resource_type: str, resource_id: str = "") -> Response:
    exchange.require_type(request, resource_type, resource_id)
    return await _notified(request, name, resource_type)


async def _notified(request: Request, name: str, resource_type: str) -> Response:
    """Whoever knows the secret of a target may say that there is something to read. Nothing it says is believed."""
    exchange.require_known(request)
    target = await _target(request, name)
    if target is None or not is_told(request.headers, _secret(request, target)):
        # The same for a target that is not known: nobody finds out names here.
        told = "Notifications need the secret of their target, as `Authorization: Bearer SECRET` or `X-Sync-Secret`."
        raise Forbidden([Issue("forbidden", told)])
    await _drain(request)
    await ask_again(request, await pulled(request, name), resource_type)
    return Response(status_code=200)


def is_told(headers: Mapping[str, str], secret: str) -> bool:
    """Whether a request carries the secret; never where there is none. Takes the same time whatever is wrong."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else headers.get("x-sync-secret", "")
    return hmac.compare_digest(given.encode(), secret.encode()) and bool(secret)


async def _drain(request: Request) -> None:
    """Read a body to its end, as far as it is no longer than notifications are, and keep nothing of it."""
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > _LARGEST_NOTIFICATION:
            raise TooLarge([Issue("too-long", f"A notification has at most {_LARGEST_NOTIFICATION} bytes.")])


async def _target(request: Request, name: str) -> Target | None:
    return await service(request).registry.get(name)


def _secret(request: Request, target: Target) -> str:
    """The secret that a target's notifications carry, "" where none is configured: then none is believed."""
    secrets = service(request).secrets
    name = target.notify_secret
    return secrets.read(name) if name and secrets.has(name) else ""
