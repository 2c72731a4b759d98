"""Turns exceptions into OperationOutcomes; the only place that chooses an HTTP status for an error."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.fhir.json import dumps
from app.fhir.outcomes import (
    Busy,
    Conflict,
    Failed,
    Forbidden,
    Gone,
    Issue,
    Late,
    Misdirected,
    NotAcceptable,
    NotFound,
    NotReady,
    NotSupported,
    OutOfRange,
    PreconditionFailed,
    Refused,
    TooLarge,
    TooMany,
    Unprocessable,
    WrongMediaType,
    bounded,
    operation_outcome,
)
from app.fhir.patch import MEDIA_TYPES
from app.fhir.places import Posted
from app.fhir.scan import Steps
from app.fhir.xml import PostedXml
from app.intake.accept import LARGE
from app.pain.errors import Rejected
from app.routers import negotiation
from app.routers.methods import allow, is_of_no_type
from app.store.database import TooSlow, Unavailable, Unsure

_STATUS: dict[type[Refused], int] = {
    Forbidden: 403,
    NotFound: 404,
    NotSupported: 405,
    NotAcceptable: 406,
    Late: 408,
    Conflict: 409,
    Gone: 410,
    PreconditionFailed: 412,
    TooLarge: 413,
    WrongMediaType: 415,
    OutOfRange: 416,
    Misdirected: 421,
    Unprocessable: 422,
    TooMany: 429,
    Failed: 500,
    Busy: 503,
    NotReady: 503,
}
# A request that breaks base FHIR is a 400; content that breaks a profile, a binding or a rule is a 422.
_BREAKS_RULES = ("invariant", "code-invalid", "business-rule")
# What a Questionnaire asks of the answers to it.
_OF_QUESTIONNAIRES = ("dmt-item-", "dmt-answer-")
_FRAMEWORK = {
    404: ("not-found", "There is nothing at this address."),
    405: ("not-supported", "This address does not offer that method."),
    406: ("not-supported", "Only application/fhir+json and application/fhir+xml can be given."),
    413: ("too-long", "The body is larger than this server takes."),
    415: ("not-supported", "Send application/fhir+json or application/fhir+xml."),
}
_UNAVAILABLE = "The database cannot take this now; nothing of it was kept. Try again."
_TOO_SLOW = (
    "The database takes longer for this than a request may take; nothing of it was kept. Ask for less at once: fewer "
    "values, an interval of dates, no chain, or _total=none."
)
_UNSURE = (
    "The database was lost while it took this: whether it was kept is not known. "
    "Look before you send it again, or send it with the same Idempotency-Key."
)
_log = structlog.get_logger()


def status_of(refused: Refused) -> int:
    """The HTTP status that tells a refusal."""
    if type(refused) in _STATUS:
        return _STATUS[type(refused)]
    return 422 if all(_breaks_a_rule(issue) for issue in refused.issues) else 400


def _breaks_a_rule(issue: Issue) -> bool:
    is_by_code = issue.code in _BREAKS_RULES or issue.rule.startswith(_OF_QUESTIONNAIRES)
    return bool(issue.profile) or is_by_code


def told(error: Refused | Unavailable) -> tuple[int, Sequence[Issue]]:
    """Status and issues that tell an error, also inside a batch."""
    if isinstance(error, Refused):
        return status_of(error), error.issues
    if isinstance(error, TooSlow):
        _log.warning("statement given up", kind=str(error))
        return 503, [Issue("too-costly", _TOO_SLOW)]
    _log.error("database unavailable", kind=str(error))
    return 503, [Issue("transient", _UNSURE if isinstance(error, Unsure) else _UNAVAILABLE)]


async def placed(request: Request, issues: Sequence[Issue], below: Steps = ()) -> list[Issue]:
    """The issues with their places in the body of the request, as far as it is FHIR and they are about it."""
    posted: Posted | PostedXml | None = getattr(request.state, "posted", None)
    if posted is not None and posted.size > LARGE:
        return await asyncio.to_thread(posted.placed, issues, below)
    return placed_now(request, issues, below)


def placed_now(request: Request, issues: Sequence[Issue], below: Steps = ()) -> list[Issue]:
    """Like placed, where nothing can be awaited."""
    posted: Posted | PostedXml | None = getattr(request.state, "posted", None)
    return posted.placed(issues, below) if posted else list(issues)


def outcome_response(
    request: Request, status: int, issues: Sequence[Issue], headers: dict[str, str] | None = None
) -> Response:
    """An OperationOutcome as the whole answer, in the format asked for if it can be given, else in JSON."""
    body, content_type = negotiation.encoded(request, dumps(operation_outcome(issues)), or_json=True)
    return Response(body, status, {"Vary": "Accept", **(headers or {})}, content_type)


def refusal(request: Request, refused: Refused) -> Response:
    """The answer to a request that is refused before anything looks at it."""
    status = status_of(refused)
    return outcome_response(request, status, refused.issues, _headers(request, status, refused))


def unexpected(request: Request, request_id: str) -> Response:
    """The answer to an error of ours: the correlation id and nothing else."""
    issue = Issue("exception", f"An error of this server; its operators find it under {request_id}.")
    return outcome_response(request, 500, [issue])


def install(app: FastAPI) -> None:
    """Answer every error on every path with an OperationOutcome."""
    app.add_exception_handler(Refused, _told)
    app.add_exception_handler(Rejected, _clinic)
    app.add_exception_handler(RequestValidationError, _request)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Unavailable, _told)


async def _told(request: Request, error: Any) -> Response:
    status, found = told(error)
    issues = await placed(request, bounded(found))
    return outcome_response(request, status, issues, _headers(request, status, error))


def _headers(request: Request, status: int, error: Any) -> dict[str, str] | None:
    if isinstance(error, Gone) and error.version:
        # Whoever brings it back to life can name this version in If-Match (R4 3.1.0.2).
        return {"ETag": f'W/"{error.version}"'}
    if isinstance(error, OutOfRange):
        return {"Content-Range": f"bytes */{error.size}"}
    if status == 405:
        return allow(request, without=request.method)
    if status == 415 and request.method == "PATCH":
        # RFC 5789, 3.1: which patches are taken.
        return {"Accept-Patch": ", ".join(MEDIA_TYPES)}
    if status == 408:
        # What is still to come of the request would be taken for the next one.
        return {"Connection": "close"}
    if status == 403 and any(issue.rule == "dmt-scope" for issue in error.issues):
        # RFC 6750, 3.1: a token was given, and it does not go far enough.
        return {"WWW-Authenticate": 'Bearer realm="Dermatome", error="insufficient_scope"'}
    after = error.after if isinstance(error, TooMany) else 2
    return {"Retry-After": str(after)} if status in (429, 503) else None


async def _clinic(request: Request, error: Any) -> Response:
    """Everything wrong in clinic content is a 422 (architecture, section "Clinic API")."""
    return outcome_response(request, 422, [Issue(p.code, p.sentence, p.path) for p in error.problems])


async def _request(request: Request, error: Any) -> Response:
    issues = [
        Issue("value", f"{'.'.join(map(str, e['loc']))}: {e['msg']}.", ".".join(map(str, e["loc"][1:])))
        for e in error.errors()
    ]
    return outcome_response(request, 400, issues)


async def _framework(request: Request, error: Any) -> Response:
    """What the framework answers by itself: nothing is there, or not with that method."""
    status = 404 if error.status_code == 405 and is_of_no_type(request) else error.status_code
    if status == 405 and request.method == "OPTIONS":
        return Response(status_code=204, headers=allow(request))
    code, text = _FRAMEWORK.get(status, ("processing", "The request cannot be answered."))
    return outcome_response(request, status, [Issue(code, text)], allow(request) if status == 405 else error.headers)
