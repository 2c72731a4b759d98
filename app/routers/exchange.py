"""HTTP around FHIR: reading bodies, media types and headers; forming answers."""

import re
from dataclasses import dataclass
from email.message import Message as MediaType
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote

from fastapi import Request
from starlette.responses import Response
from starlette.types import Message

from app.fhir import json as lossless
from app.fhir.instants import http_date
from app.fhir.outcomes import Gone, Issue, NotAcceptable, NotFound, Refused, TooLarge, WrongMediaType
from app.fhir.places import Posted
from app.fhir.references import is_id
from app.intake.transaction import weak_etag
from app.intake.writes import Caller, Written, request_hash
from app.routers.errors import FHIR_JSON
from app.service import Service
from app.store.idempotency import Answer
from app.store.repository import Stored

_SURROUNDINGS = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path", "extensions")
_INHERITED = (b"host", b"accept", b"prefer", b"authorization", b"x-request-id")
_QUERY = "%!$&'()*+,;=:@/?-._~|"
_KEY = re.compile("[ -~]{1,255}")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_JSON_TYPES = ("application/fhir+json", "application/json", "text/json")
_ACCEPTED = (*_JSON_TYPES, "*/*", "application/*", "text/*", "")
_FORMATS = ("json", *_JSON_TYPES)
_PREFERENCES = ("minimal", "representation", "OperationOutcome")
OUTCOME_STATUS = {"created": 201, "updated": 200, "unchanged": 200, "existing": 200, "deleted": 204}


@dataclass(frozen=True, slots=True)
class Body:
    """A request body: as sent, and parsed."""

    text: bytes
    tree: dict[str, object]


def service(request: Request) -> Service:
    """The assembled service this application serves."""
    found: Service = request.app.state.service
    return found


def public_base(request: Request) -> str:
    """The address of this server as clients see it, without a slash at the end."""
    return service(request).settings.public_url or str(request.base_url).rstrip("/")


def fhir_base(request: Request) -> str:
    """The address of the FHIR endpoint as clients see it, without a slash at the end."""
    return f"{public_base(request)}/fhir"


async def read_body(request: Request) -> Body:
    """The JSON object of the body, no larger than the limit. Raises Refused or a kind of it."""
    require_json(request)
    limit = service(request).settings.max_body_bytes
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > limit:
        raise _too_large(limit)
    text = bytearray()
    async for chunk in request.stream():
        text += chunk
        if len(text) > limit:
            raise _too_large(limit)
    body = bytes(text).removeprefix(_BYTE_ORDER_MARK)
    tree = lossless.parse_object(body)
    most = service(request).settings.max_bundle_entries
    if tree.get("resourceType") == "Bundle" and isinstance(tree.get("entry"), list) and len(tree["entry"]) > most:
        told = f"The Bundle has {len(tree['entry'])} entries; at most {most} are taken at once."
        raise TooLarge([Issue("too-long", told, "Bundle.entry")])
    return Body(body, tree)


async def read_fhir(request: Request) -> Body:
    """The body of a request to the FHIR door. Issues of it are told with their place in this text."""
    body = await read_body(request)
    request.state.posted = Posted(body.text, body.tree)
    return body


def require_json(request: Request) -> None:
    """Refuse a body that says it is something other than JSON in UTF-8."""
    given = MediaType()
    given["content-type"] = request.headers.get("content-type") or _JSON_TYPES[0]
    charset = str(given.get_param("charset", "utf-8")).lower()
    version = str(given.get_param("fhirversion", "4.0"))
    wrong = given.get_content_type() not in _JSON_TYPES or charset not in ("utf-8", "utf8")
    if wrong or not version.startswith("4.0"):
        raise WrongMediaType(
            [Issue("not-supported", "Send application/fhir+json or application/json, FHIR 4.0, in UTF-8.")]
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise WrongMediaType([Issue("not-supported", "Send the body without compression.")])


def require_acceptable(request: Request) -> None:
    """Refuse a client that takes no JSON: `_format` decides, else Accept."""
    wanted = request.query_params.get("_format")
    # A + in a URL arrives as a space: _format=application/fhir+json.
    if wanted is not None and wanted.replace(" ", "+").partition(";")[0] in _FORMATS:
        return
    kinds = [kind.partition(";")[0].strip().lower() for kind in request.headers.get("accept", "").split(",")]
    if wanted is not None or not any(kind in _ACCEPTED for kind in kinds):
        raise NotAcceptable([Issue("not-supported", "Only application/fhir+json can be given.")])


def require_known(request: Request, *names: str) -> None:
    """Refuse query parameters that would otherwise be ignored."""
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
        for name in known
        if given.count(name) > 1 and name != "profile"
    ]
    if request.query_params.get("_pretty", "true") not in ("true", "false"):
        issues.append(Issue("value", "_pretty must be true or false.", "_pretty"))
    if issues:
        raise Refused(issues)


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
    """Who asks, for audit and for replaying the answer to a repeated Idempotency-Key."""
    key = header(request, "idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise Refused([Issue("value", "Idempotency-Key must be 1 to 255 printable ASCII characters.")])
    return Caller(
        actor="anonymous",
        request_id=request.state.request_id,
        base=fhir_base(request),
        idempotency_key=key or "",
        request_hash=_covered(request, body) if key else "",
        wants_outcome=preference(request, "return") == "OperationOutcome",
    )


def _covered(request: Request, body: bytes) -> str:
    """What the Idempotency-Key of a request stands for, whichever instance of this server is asked."""
    asked = (request.method, request.url.path, request.url.query, condition(request), header(request, "if-match") or "")
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
    return next((part.partition("=")[2].strip('"') for part in parts if part.partition("=")[0] == name), "")


def returned(request: Request, default: str) -> str:
    """Which body the client prefers after a write: minimal, representation or OperationOutcome."""
    wanted = preference(request, "return")
    return wanted if wanted in _PREFERENCES else default


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


async def get_inside(request: Request, address: str) -> Response:
    """What a GET of an address below the FHIR endpoint answers, asked for inside another request."""
    path, _, query = address.partition("?")
    scope = {name: request.scope[name] for name in _SURROUNDINGS if name in request.scope}
    # Conditions and the body's headers belong to the request around it.
    scope["headers"] = [(name, value) for name, value in request.scope["headers"] if name in _INHERITED]
    scope |= {"method": "GET", "path": f"/fhir/{unquote(path)}", "query_string": quote(query, safe=_QUERY).encode()}
    answer = Response()
    body = bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status_code, answer.raw_headers = message["status"], list(message["headers"])
        else:
            body.extend(message.get("body", b""))

    await request.app(scope, receive, send)
    answer.body = bytes(body)
    return answer


def gone_or_missing(resource_type: str, resource_id: str, stored: Stored | None) -> Refused:
    """Why a resource cannot be read: it never was, or it was deleted."""
    if stored is None:
        return NotFound([Issue("not-found", f"{resource_type}/{resource_id} is not here.")])
    return Gone([Issue("deleted", f"{resource_type}/{resource_id} was deleted; its history is kept.")])


def respond(request: Request, answer: Answer, media_type: str = FHIR_JSON) -> Response:
    """The answer as an HTTP response, laid out for people if `_pretty=true` asks for it."""
    headers = {
        "Location": answer.location,
        "ETag": answer.etag,
        "Last-Modified": answer.last_modified,
        "Idempotency-Replayed": "true" if answer.replayed else "",
    }
    pretty = answer.body and request.query_params.get("_pretty") == "true"
    body = lossless.pretty(answer.body) if pretty else answer.body
    sent = {name: value for name, value in headers.items() if value}
    return Response(body, answer.status, sent, media_type if body else None)


def _too_large(limit: int) -> TooLarge:
    return TooLarge([Issue("too-long", f"The body is larger than the {limit} bytes this server takes.")])
