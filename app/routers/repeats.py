"""What may be sent again with the same Idempotency-Key, and what says that it takes none.

A key that is passed over would let a client believe that sending again is safe. The draft "The Idempotency-Key HTTP
Header Field" of the IETF (draft-ietf-httpapi-idempotency-key-header) leaves to the server where it takes one: here
where a POST makes or changes records, so that a second one would do more than the first. The rest is a search or a
calculation, or ends the same however often it is asked for.
"""

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.fhir.outcomes import Issue, Refused
from app.routers.errors import refusal

_TYPE, _ID = "[A-Z][A-Za-z]*", "[A-Za-z0-9.-]{1,64}"
_TAKEN = re.compile(
    rf"/fhir(/{_TYPE})?"
    rf"|/fhir/{_TYPE}/{_ID}/\$meta-(add|delete)"
    r"|/fhir/Patient/\$(un)?merge"
    rf"|/fhir/((Patient/|Group/{_ID}/)?\$export|(ViewDefinition/({_ID}/)?)?\$viewdefinition-export)"
    r"|/pain/(?!cohort)[a-z-]+"
)
_TOLD = (
    "No Idempotency-Key is taken here: this is a search or a calculation, or comes to the same however often it is "
    "sent. Send it without, and again if no answer came."
)


def is_taken(path: str) -> bool:
    """Whether a POST to this address is done once for each key."""
    return _TAKEN.fullmatch(path) is not None


class Repeats:
    """Wraps the application: refuses a key where it would do nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and not is_taken(scope["path"]):
            request = Request(scope)
            if "idempotency-key" in request.headers:
                answer = refusal(request, Refused([Issue("not-supported", _TOLD)]))
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
