"""HTTP around FHIR: addresses, headers and parameters; forming answers."""

import re
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.instants import http_date
from app.fhir.outcomes import Gone, Issue, NotFound, Refused
from app.fhir.provenance import Said
from app.fhir.references import is_id
from app.intake.requests import weak_etag
from app.intake.writes import Caller, Written, request_hash
from app.routers import negotiation
from app.security.grants import NOBODY, Principal
from app.service import Service
from app.store.audit.rows import Agent
from app.store.idempotency import Answer
from app.store.repository import Stored

_KEY = re.compile("[ -~]{1,255}")
_VERSION = re.compile("[1-9][0-9]{0,8}")
_HANDLING = ("strict", "lenient")
_PREFERENCES = ("minimal", "representation", "OperationOutcome")
OUTCOME_STATUS = {"created": 201, "updated": 200, "unchanged": 200, "existing": 200, "deleted": 204}


def service(request: Request) -> Service:
    """The assembled service this application serves."""
    found: Service = request.app.state.service
    return found


def principal(request: Request) -> Principal:
    """Who asks."""
    found: Principal = request.state.principal
    return found


def agent(request: Request) -> Agent:
    """Who asks, as it is noted."""
    who: Principal = getattr(request.state, "principal", NOBODY)
    address = request.client.host if request.client else ""
    return Agent(who.subject, request.state.request_id, who.client_id, who.issuer, address)


def owner(request: Request) -> str:
    """Whose it is what is begun now and asked for later, such as an export; "" while nobody says who they are."""
    who = principal(request)
    return "" if who.is_unlimited else f"{who.issuer} {who.subject}"


def public_base(request: Request) -> str:
    """The address of this server as clients see it, without a slash at the end."""
    return service(request).settings.public_url or str(request.base_url).rstrip("/")


def fhir_base(request: Request) -> str:
    """The address of the FHIR endpoint as clients see it, without a slash at the end."""
    return f"{public_base(request)}/fhir"


def public_address(request: Request) -> str:
    """The address that was asked for, as clients see it, with its parameters."""
    return f"{public_base(request)}{request.url.path}" + (f"?{request.url.query}" if request.url.query else "")


def require_acceptable(request: Request, *, json_only: bool = False) -> None:
    """Refuse a client that takes nothing that can be given: `_format` decides, else Accept."""
    negotiation.require_acceptable(request, json_only=json_only)


def require_known(request: Request, *names: str) -> None:
    """Refuse query parameters that would otherwise be ignored."""
    negotiation.require_sense(request)
    known = ("_format", "_pretty", *names)
    told = f"served here: {', '.join(known)}"
    given = [name for name, _ in request.query_params.multi_items()]
    issues = [
        Issue("not-supported", f"Parameter {name[:64]} is not served here; {told}.", name[:64])
        for name in dict.fromkeys(given)
        if name not in known
    ]
    issues += [
        Issue("value", f"Parameter {name} is given {given.count(name)} times.", name)
        for name in names
        if given.count(name) > 1
    ]
    if issues:
        raise Refused(issues)


def shape(request: Request) -> tuple[tuple[str, str], ...]:
    """What of the address says how the answer is to look: links to other pages carry it on."""
    return tuple(pair for pair in request.query_params.multi_items() if pair[0] in ("_format", "_pretty"))


def require_type(request: Request, resource_type: str, resource_id: str = "") -> None:
    """Refuse an address whose type R4 does not have, or whose id cannot be one."""
    if resource_type not in service(request).validator.resource_types:
        raise NotFound([Issue("not-found", f"{resource_type[:64]} is no R4 resource type.")])
    if resource_id:
        require_id(resource_id)


def require_id(resource_id: str) -> None:
    """Refuse what cannot be a logical id: nothing is at such an address."""
    if not is_id(resource_id):
        raise NotFound([Issue("not-found", "An id has 1 to 64 letters, digits, dots and dashes.")])


def refuse_headers(request: Request, *names: str) -> None:
    """Refuse conditions that are not served here: ignoring one would do what the client wanted to prevent."""
    if given := [name for name in names if name in request.headers]:
        raise Refused(Issue("not-supported", f"The condition {name} is not served here.") for name in given)


def is_current(request: Request, stored: Stored) -> bool:
    """Whether the client has this version already, by If-None-Match or else If-Modified-Since."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        own = (f'W/"{stored.version}"', f'"{stored.version}"', "*")
        return any(tag.strip() in own for tag in tags.split(","))
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
        return stored.last_updated // 1_000_000 <= int(since.timestamp())
    except ValueError:
        return False


def caller(request: Request, body: bytes) -> Caller:
    """Who asks to write, for audit and for replaying the answer to a repeated Idempotency-Key.

    Raises Refused for a header that would have to be kept with what is written and cannot be.
    """
    said = header(request, "x-provenance")
    key = header(request, "idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise Refused([Issue("value", "Idempotency-Key must be 1 to 255 printable ASCII characters.")])
    return Caller(
        agent=agent(request),
        base=fhir_base(request),
        idempotency_key=key or "",
        request_hash=_covered(request, body) if key else "",
        client=_client(request),
        wants_outcome=preference(request, "return") == "OperationOutcome",
        provenance=Said.read(said) if said is not None else None,
    )


def _client(request: Request) -> str:
    """Whose an Idempotency-Key is; "" while nobody says who they are."""
    who = principal(request)
    return f"{who.issuer} {who.client_id} {who.subject}" if who.issuer or who.client_id else ""


def _covered(request: Request, body: bytes) -> str:
    """What the Idempotency-Key of a request stands for, whichever instance of this server is asked."""
    asked: tuple[str, ...] = (
        request.method,
        request.url.path,
        request.url.query,
        condition(request),
        header(request, "if-match") or "",
    )
    if said := header(request, "x-provenance"):
        asked = (*asked, said)
    return request_hash(*asked, body)


def header(request: Request, name: str) -> str | None:
    """A header that may be given once. Raises Refused if it is there twice: which one was meant?"""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise Refused([Issue("value", f"The header {name} is given {len(values)} times.")])
    return values[0].strip() if values else None


def condition(request: Request) -> str:
    """The search of If-None-Exist, "" without one."""
    value = header(request, "if-none-exist")
    if value == "":
        raise Refused([Issue("value", "If-None-Exist is empty: it must be a search such as identifier=system|value.")])
    return value or ""


def if_match(request: Request) -> int | None:
    """The version number of If-Match, None without one."""
    value = header(request, "if-match")
    return weak_etag(value, "") if value is not None else None


def preference(request: Request, name: str) -> str:
    """What the Prefer header says of one thing, e.g. preference(request, "return")."""
    parts = [part.strip() for part in ",".join(request.headers.getlist("prefer")).replace(";", ",").split(",")]
    # Names in any case (RFC 7240, 2); where one is given twice, the first counts.
    given = [part.partition("=") for part in parts]
    return next((value.strip(' "') for key, _, value in given if key.strip().lower() == name), "")


def prefers(request: Request, name: str) -> bool:
    """Whether the Prefer header names something that is there or not, e.g. prefers(request, "respond-async")."""
    parts = ",".join(request.headers.getlist("prefer")).replace(";", ",").split(",")
    return any(part.strip().lower() == name for part in parts)


def is_strict(request: Request) -> bool:
    """Whether a parameter that is not served is refused (R4 3.1.1.4.1): as the client prefers, else by setting."""
    wanted = preference(request, "handling")
    return (wanted if wanted in _HANDLING else service(request).settings.search_handling) == "strict"


def mark_handling(request: Request, response: Response) -> None:
    """Tell a client that said how it wants its parameters handled that it was so (RFC 7240, 3)."""
    wanted = preference(request, "handling")
    if wanted in _HANDLING:
        response.headers["Preference-Applied"] = f"handling={wanted}"


def returned(request: Request, default: str) -> str:
    """Which body the client prefers after a write: minimal, representation or OperationOutcome."""
    wanted = preference(request, "return")
    return wanted if wanted in _PREFERENCES else default


def link(address: str, parameters: Sequence[tuple[str, str]]) -> str:
    """An address with its parameters."""
    return f"{address}?{urlencode(parameters)}" if parameters else address


def location(base: str, stored: Stored) -> str:
    """The address of one version."""
    return f"{base}/{stored.type}/{stored.id}/_history/{stored.version}"


def version_answer(status: int, stored: Stored, *, body: bytes, base: str = "") -> Answer:
    """An answer about one version, with its ETag, Last-Modified and, if base is given, Location."""
    return Answer(
        status,
        body,
        location(base, stored) if base else "",
        f'W/"{stored.version}"' if stored.version else "",
        http_date(stored.last_updated),
    )


def status_after(written: Written) -> int:
    """The status that tells what became of a write."""
    return 204 if written.stored.deleted else OUTCOME_STATUS[written.outcome]


def version_number(text: str) -> int:
    """The version that an address names, 0 for what is none."""
    return int(text) if _VERSION.fullmatch(text) else 0


def gone_or_missing(resource_type: str, resource_id: str, stored: Stored | None, *, version: str = "") -> Refused:
    """Why a resource, or one version of it, cannot be read: it never was, or it was deleted."""
    named = f"{resource_type}/{resource_id}"
    if stored is None:
        told = f"There is no such version of {named} here." if version else f"{named} is not here."
        return NotFound([Issue("not-found", told)])
    told = f"{named} was deleted; its history is kept."
    return Gone([Issue("deleted", told)], stored.version)


def respond(request: Request, answer: Answer, media_type: str = "") -> Response:
    """The answer as an HTTP response, a resource in the format asked for, laid out for people with `_pretty=true`.

    media_type: of a body that is no resource; it is sent as it is.
    """
    headers = {
        "Location": answer.location,
        "ETag": answer.etag,
        "Last-Modified": answer.last_modified,
        "Idempotency-Replayed": "true" if answer.replayed else "",
        # A 304 too stands for one of the formats (RFC 9110, 15.4.5).
        "Vary": "" if media_type else "Accept",
    }
    body = answer.body
    if body and media_type:
        body = lossless.pretty(body) if request.query_params.get("_pretty") == "true" else body
    elif body:
        # What was stored is stored, and that is told in any case.
        body, media_type = negotiation.encoded(request, body, or_json=request.method != "GET")
    sent = {name: value for name, value in headers.items() if value}
    return Response(body, answer.status, sent, media_type if body else None)
