"""What must hold of every answer, whatever was asked."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.fuzz.http import Answer, Request

SLOWEST_SECONDS = 5.0
# What R4 calls a problem that is in an element, and our rules about what is not in the body.
_PLACED = ("required", "code-invalid", "invariant")
_OF_NO_ELEMENT = ("", "dmt-condition", "dmt-version")
_LEAKS = re.compile(rb"Traceback \(most recent|site-packages|sqlalchemy|asyncpg|aiosqlite|sqlite3\.|File \\?\"/")
# Pages for people: a page that is not there is told by a page.
_PAGES = "/guide/"
# The token endpoint answers as OAuth has it (RFC 6749, 5.2).
_OAUTH = "/auth/"
# What the HTTP server answers to what is no HTTP; the service never sees it.
NO_HTTP = b"Invalid HTTP request received."


def complaints(request: Request, answer: Answer) -> list[str]:
    """What is wrong with an answer, a sentence each that begins with the kind of wrong."""
    return list(_complaints(request, answer))


def _complaints(request: Request, answer: Answer) -> Iterator[str]:
    if not answer.status:
        # What cannot be told apart from the next request ends the connection (RFC 9112, 6.1).
        if request.header("Transfer-Encoding") in ("", "chunked") or answer.seconds > SLOWEST_SECONDS:
            yield f"no answer: {answer.reason}"
        return
    if answer.seconds > SLOWEST_SECONDS:
        yield f"slow: {answer.seconds:.1f} s"
    # 501 is the answer to a transfer coding that nobody understands (RFC 9112, 6.1).
    is_fine = (answer.status == 503 and "retry-after" in answer.headers) or (
        answer.status == 501 and request.header("Transfer-Encoding") not in ("", "chunked")
    )
    if answer.status >= 500 and not is_fine:
        yield f"server error: {answer.status}"
    if answer.status == 429 and "retry-after" not in answer.headers:
        yield "outcome: 429 without Retry-After"
    if (
        answer.status == 401
        and not request.url.startswith(_OAUTH)
        and not answer.headers.get("www-authenticate", "").startswith("Bearer")
    ):
        yield "outcome: 401 without WWW-Authenticate: Bearer"
    if _LEAKS.search(answer.body):
        yield f"leak: {_LEAKS.search(answer.body)}"
    if b'"batch-response"' in answer.body:
        yield from _of_batch(answer)
    if answer.status >= 400 and request.method != "HEAD" and not _is_told_otherwise(request, answer):
        yield from _of_outcome(request, answer)


def _of_batch(answer: Answer) -> Iterator[str]:
    """A batch is answered 200 whatever became of its entries."""
    body = answer.json()
    for entry in body.get("entry", ()) if isinstance(body, dict) else ():
        if (status := entry.get("response", {}).get("status", ""))[:1] == "5":
            yield f"server error: {status} in an entry"


def _is_told_otherwise(request: Request, answer: Answer) -> bool:
    is_page = request.url.startswith(_PAGES) and answer.status == 404
    return answer.body == NO_HTTP or is_page or request.url.startswith(_OAUTH)


def _of_outcome(request: Request, answer: Answer) -> Iterator[str]:
    """Every refusal is an OperationOutcome, in JSON or XML, with a code and a place where there is one."""
    media_type = answer.headers.get("content-type", "")
    if "xml" in media_type:
        if b"<OperationOutcome" not in answer.body or b"<code value=" not in answer.body:
            yield f"outcome: {answer.status} without OperationOutcome in XML"
        return
    outcome = answer.json()
    if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome" or not outcome.get("issue"):
        yield f"outcome: {answer.status} without OperationOutcome ({media_type})"
        return
    for issue in outcome["issue"]:
        yield from _of_issue(request, answer.status, issue)


def _of_issue(request: Request, status: int, issue: Any) -> Iterator[str]:
    if not issue.get("code") or not issue.get("severity"):
        yield f"outcome: {status} with an issue without code"
    elif not issue.get("diagnostics") and not issue.get("details"):
        yield f"outcome: {status} with an issue that says nothing ({issue['code']})"
    elif status in (400, 422) and _is_in_an_element(issue) and not issue.get("expression") and _is_resource(request):
        yield f"place: {status} {issue['code']} without expression: {issue.get('diagnostics', '')[:100]}"


def _is_in_an_element(issue: Any) -> bool:
    rule = issue.get("details", {}).get("text", "")
    return issue["code"] in _PLACED and rule not in _OF_NO_ELEMENT


def _is_resource(request: Request) -> bool:
    """Whether the body is a JSON object, in which a problem has a place."""
    if "json" not in request.header("Content-Type") or "patch" in request.header("Content-Type"):
        return False
    try:
        return isinstance(json.loads(request.body), dict)
    except ValueError:
        return False
