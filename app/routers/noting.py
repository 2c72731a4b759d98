"""Pure ASGI around every request for data: what is asked, allowed or refused, is noted before it is answered.

What a change has written was noted with it, in its own transaction. All else is noted here, by group commit, before the
first byte of the answer goes out: what cannot be noted is not shown. `DERMATOME_AUDIT_READS=beside` does not wait.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.fhir.outcomes import Issue
from app.fhir.references import is_id
from app.routers.doors import Asks, asked
from app.routers.errors import outcome_response
from app.routers.exchange import agent, service
from app.security.authority import TOKEN_PATH
from app.store.audit.rows import CHANGES, Access, Noted, noting
from app.store.database import Unavailable
from app.store.index.definitions import SearchParameter
from app.store.repository import Stored
from app.store.search import CONTROL

_OPEN = (Asks.NOTHING, Asks.DOCUMENTS, Asks.MEASURING)
_NAME = re.compile(r"[A-Za-z$_][A-Za-z_-]{0,63}")
_NOT_NOTED = "What is done here is noted before it is answered, and that cannot be done now. Try again."
_LONGEST = 2_000
# Tokens that are no business identifiers, addresses or numbers of people.
_CODES = frozenset({"code", "Coding", "CodeableConcept", "boolean"})
_PEOPLE = ("Patient", "Person", "Practitioner", "RelatedPerson")
Pairs = Sequence[tuple[str, str]]
_log = structlog.get_logger()


class Noting:
    """Wraps the application, outside of what lets requests in: what it refuses is noted too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_noted(scope):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        noted = scope.setdefault("state", {})["noted"] = Noted()
        sent = {"status": 0, "is_replaced": False}

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent["status"] = message["status"]
                if not await _is_done(request, noted, message["status"]):
                    sent["is_replaced"] = True
                    issue = Issue("transient", _NOT_NOTED)
                    answer = outcome_response(request, 503, [issue], {"Retry-After": "5"})
                    await answer(scope, receive, send)
            if not sent["is_replaced"]:
                await send(message)

        try:
            with noting(noted):
                await self._app(scope, receive, send_noted)
        except ClientDisconnect:
            raise
        except Exception:
            if not sent["status"]:
                await _is_done(request, noted, 500)
            raise


def saw(request: Request, shown: Iterable[Stored]) -> None:
    """Note which resources an answer shows, as far as anything is noted of the request."""
    if found := noted_of(request):
        found.seen.update(((each.type, each.id), None) for each in shown)


def about(request: Request, what: str) -> None:
    """Note what a request is about that is no resource, such as an export. what: an address of our own making."""
    if found := noted_of(request):
        found.query = what


def asks(request: Request, address: str, used: Pairs, known: Mapping[str, SearchParameter]) -> None:
    """Note what a search asks, as it was executed. Values that can name people are left out: what is noted stays."""
    if found := noted_of(request):
        pairs = [(name, value if _is_kept(name, known) else "***") for name, value in used]
        found.query = "&".join([address, *(f"{name}={value}" for name, value in pairs)])[:_LONGEST].replace("&", "?", 1)


def _is_kept(name: str, known: Mapping[str, SearchParameter]) -> bool:
    """Whether no value of a parameter can be a name, an identifier, an address or a day of birth."""
    code, _, modifier = name.partition(":")
    parameter = known.get(code)
    # Chained, it is a parameter of something else.
    if "." in name or modifier == "identifier":
        return False
    if parameter is None:
        return code in CONTROL or code in ("_id", "_lastUpdated", "_type")
    if parameter.kind == "token":
        return bool(parameter.types) and parameter.types <= _CODES
    if parameter.kind == "date":
        return parameter.resource_type not in _PEOPLE
    return parameter.kind in ("reference", "number", "quantity")


def named(request: Request, interaction: str) -> None:
    """Note what a request is, where its address does not say."""
    if found := noted_of(request):
        found.interaction = interaction


def refused(request: Request, method: str, resource_type: str, resource_id: str, status: int) -> None:
    """Note a write within a Bundle that came to nothing."""
    if found := noted_of(request):
        access = Access(service(request).clock(), agent(request), method, CHANGES[method], status)
        found.further.append(replace(access, type=resource_type, id=resource_id))


def noted_of(request: Request) -> Noted | None:
    """What is noted of a request."""
    found: Noted | None = getattr(request.state, "noted", None)
    return found


def _is_noted(scope: Scope) -> bool:
    path, method = scope["path"], scope["method"]
    if path.startswith("/health"):
        return False
    return path == TOKEN_PATH or asked(method, path) not in _OPEN


async def _is_done(request: Request, noted: Noted, status: int) -> bool:
    """Note a request that is answered with a status; False if it could not be, and what it asks for must not go out."""
    accesses = list(noted.further)
    # Of a Bundle its entries are noted, of a change its versions.
    if status >= 300 or not (noted.changes or accesses):
        accesses.append(_access(request, noted, status))
    outer: Noted | None = request.scope["state"].get("outer")
    if outer is not None:
        # Inside a transaction nobody else can write: whoever answers the whole notes it.
        outer.further += accesses
        return True
    if not accesses:
        return True
    parts = service(request)
    # What was refused shows nothing, and must not hold what it has sent for as long as it takes to note it.
    is_refused = all(each.status >= 400 for each in accesses)
    try:
        recorded = parts.recorder.take(accesses)
        if parts.settings.audit_reads == "before" and not is_refused:
            await recorded
    except Unavailable as error:
        _log.error("an access could not be noted", reason=str(error), status=status)
        # What was kept must not be taken for lost.
        return is_refused or bool(noted.changes)
    return True


def _access(request: Request, noted: Noted, status: int) -> Access:
    method, path = request.method, request.scope["path"]
    made = Access(
        at=service(request).clock(),
        agent=agent(request),
        method=method,
        interaction="login" if path == TOKEN_PATH else noted.interaction,
        status=status,
        query=noted.query,
        seen=tuple(noted.seen),
    )
    if not path.startswith("/fhir"):
        # The names of what there is, and no ids.
        name = "/".join(path.split("/")[:3] if path.startswith(("/pain", "/sync")) else path.split("/")[:2])
        return replace(made, interaction=made.interaction or f"{method} {name[:64]}")
    parts = [each for each in path.split("/")[2:] if each]
    # What is no type may be anything, and a name too.
    type_ = parts[0] if parts and parts[0] in service(request).validator.resource_types else ""
    id_ = parts[1] if type_ and len(parts) > 1 and is_id(parts[1]) else ""
    return replace(made, interaction=made.interaction or _interaction(method, parts), type=type_, id=id_)


def _interaction(method: str, parts: list[str]) -> str:
    """The interaction of an address below the FHIR endpoint, in FHIR's words (R4 3.1.0)."""
    level = ("system", "type", "instance")[min(len([each for each in parts if each[0] not in "_$"]), 2)]
    operation = next((each for each in parts if each.startswith("$")), "")
    if operation:
        return operation[:64] if _NAME.fullmatch(operation) else "$"
    if "_history" in parts:
        return "vread" if parts[-1] != "_history" else f"history-{level}"
    if "_search" in parts or (method == "GET" and (level != "instance" or len(parts) > 2)):
        return "search-system" if not parts or parts[0] == "_search" else "search-type"
    if method == "POST" and not parts:
        return "batch"
    return CHANGES.get(method, "read")
