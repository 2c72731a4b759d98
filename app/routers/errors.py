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
    Gone,
    Issue,
    NotAcceptable,
    NotFound,
    NotSupported,
    PreconditionFailed,
    Refused,
    TooLarge,
    WrongMediaType,
    bounded,
    operation_outcome,
)
from app.fhir.places import Posted
from app.fhir.scan import Steps
from app.intake.accept import LARGE
from app.pain.errors import Rejected
from app.store.database import Unavailable

FHIR_JSON = "application/fhir+json; charset=utf-8"
_STATUS: dict[type[Refused], int] = {
    NotFound: 404,
    NotSupported: 405,
    NotAcceptable: 406,
    Gone: 410,
    PreconditionFailed: 412,
    TooLarge: 413,
    WrongMediaType: 415,
}
# A request that breaks base FHIR is a 400; content that breaks a profile, a binding or a rule is a 422.
_BREAKS_RULES = ("invariant", "code-invalid", "business-rule")
_FRAMEWORK = {
    404: ("not-found", "There is nothing at this address."),
    405: ("not-supported", "This address does not offer that method."),
    406: ("not-supported", "Only application/fhir+json can be given."),
    413: ("too-long", "The body is larger than this server takes."),
    415: ("not-supported", "Send application/fhir+json or application/json."),
}
_log = structlog.get_logger()


def status_of(refused: Refused) -> int:
    """The HTTP status that tells a refusal."""
    if type(refused) in _STATUS:
        return _STATUS[type(refused)]
    return 422 if all(issue.profile or issue.code in _BREAKS_RULES for issue in refused.issues) else 400


def told(error: Refused | Unavailable) -> tuple[int, Sequence[Issue]]:
    """Status and issues that tell an error, also inside a batch."""
    if isinstance(error, Refused):
        return status_of(error), error.issues
    _log.error("database unavailable", kind=str(error))
    return 503, [Issue("transient", "The database cannot take this now; nothing of it was kept. Try again.")]


async def placed(request: Request, issues: Sequence[Issue], below: Steps = ()) -> list[Issue]:
    """The issues with their places in the body of the request, as far as it is FHIR and they are about it."""
    posted: Posted | None = getattr(request.state, "posted", None)
    if posted is not None and posted.size > LARGE:
        return await asyncio.to_thread(posted.placed, issues, below)
    return placed_now(request, issues, below)


def placed_now(request: Request, issues: Sequence[Issue], below: Steps = ()) -> list[Issue]:
    """Like placed, where nothing can be awaited."""
    posted: Posted | None = getattr(request.state, "posted", None)
    return posted.placed(issues, below) if posted else list(issues)


def outcome_response(status: int, issues: Sequence[Issue], headers: dict[str, str] | None = None) -> Response:
    """An OperationOutcome as the whole answer."""
    return Response(dumps(operation_outcome(issues)), status, headers, FHIR_JSON)


def unexpected(request_id: str) -> tuple[int, bytes]:
    """Status and body for an error of ours: the correlation id and nothing else."""
    issue = Issue("exception", f"An error of this server; its operators find it under {request_id}.")
    return 500, dumps(operation_outcome([issue]))


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
    return outcome_response(status, issues, {"Retry-After": "2"} if status == 503 else None)


async def _clinic(_: Request, error: Any) -> Response:
    """Everything wrong in clinic content is a 422 (architecture, section "Clinic API")."""
    return outcome_response(422, [Issue(p.code, p.sentence, p.path) for p in error.problems])


async def _request(_: Request, error: Any) -> Response:
    issues = [
        Issue("value", f"{'.'.join(map(str, e['loc']))}: {e['msg']}.", ".".join(map(str, e["loc"][1:])))
        for e in error.errors()
    ]
    return outcome_response(400, issues)


async def _framework(_: Request, error: Any) -> Response:
    code, text = _FRAMEWORK.get(error.status_code, ("processing", "The request cannot be answered."))
    return outcome_response(error.status_code, [Issue(code, text)], error.headers)
