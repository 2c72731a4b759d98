"""Reads what a request brings: resources in JSON and XML, patches, forms."""

import asyncio
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import Request

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused, TooLarge, WrongMediaType
from app.fhir.patch import Patch, require_patch_type
from app.fhir.patch import read_patch as read_document
from app.fhir.places import Posted
from app.fhir.xml import PostedXml, from_xml
from app.intake.accept import LARGE
from app.routers import negotiation
from app.routers.exchange import service

FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 1_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Body:
    """A request body: as sent, and parsed."""

    text: bytes
    tree: dict[str, object]


async def read_body(request: Request) -> Body:
    """The JSON object of the body, no larger than the limit. Raises Refused or a kind of it."""
    negotiation.body_format(request, json_only=True)
    text = await _received(request)
    return Body(text, lossless.parse_object(text, depth=_depth(request)))


async def read_fhir(request: Request) -> Body:
    """The resource in the body, as JSON whichever format it came in. Its issues are told with their place there."""
    is_xml = negotiation.body_format(request) == "xml"
    text = await _received(request)
    body = await _from_xml(request, text) if is_xml else _from_json(request, text)
    most = service(request).settings.max_bundle_entries
    entries = body.tree.get("entry") if body.tree.get("resourceType") == "Bundle" else None
    if isinstance(entries, list) and len(entries) > most:
        told = f"The Bundle has {len(entries)} entries; at most {most} are taken at once."
        raise TooLarge([Issue("too-long", told, "Bundle.entry")])
    return body


async def read_patch(request: Request) -> tuple[bytes, Patch]:
    """The patch in the body, with the body as it was sent; its kind follows from the Content-Type."""
    media_type = negotiation.body_type(request).name
    require_patch_type(media_type)
    text = await _received(request)
    if media_type == "application/fhir+xml":
        tree: object = (await _from_xml(request, text)).tree
    else:
        tree = lossless.parse(text, depth=_depth(request))
        if isinstance(tree, dict):
            request.state.posted = Posted(text, tree)
    return text, read_document(media_type, tree)


async def read_form(request: Request) -> list[tuple[str, str]]:
    """The fields of a form; none without a body. Raises WrongMediaType for a body of another type."""
    text = await _received(request)
    if not text and "content-type" not in request.headers:
        return []
    if negotiation.body_type(request).name != FORM:
        raise WrongMediaType([Issue("not-supported", f"Send a search as {FORM}, or by GET.")])
    try:
        return parse_qsl(text.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Refused([Issue("structure", f"The body is no form in UTF-8 of at most {_MOST_FIELDS} fields.")]) from None


def _from_json(request: Request, text: bytes) -> Body:
    body = Body(text, lossless.parse_object(text, depth=_depth(request)))
    request.state.posted = Posted(body.text, body.tree)
    return body


async def _from_xml(request: Request, text: bytes) -> Body:
    read = await asyncio.to_thread(from_xml, text) if len(text) > LARGE else from_xml(text)
    body = Body(read.text, lossless.parse_object(read.text, depth=_depth(request)))
    request.state.posted = PostedXml(read, body.tree)
    return body


async def _received(request: Request) -> bytes:
    """The bytes of the body. Raises TooLarge as soon as they are more than the limit."""
    limit = service(request).settings.max_body_bytes
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > limit:
        raise _too_large(limit)
    text = bytearray()
    async for chunk in request.stream():
        text += chunk
        if len(text) > limit:
            raise _too_large(limit)
    _require_few(text, service(request).settings.max_body_values)
    return bytes(text).removeprefix(_BYTE_ORDER_MARK)


def _require_few(text: bytearray, most: int) -> None:
    """Raises TooLarge for more values than that: what a text takes in memory is told by them, not by its length."""
    # Most texts are shorter than so many.
    if len(text) > most and lossless.values_in(text) > most:
        raise TooLarge([Issue("too-long", f"The body holds more than the {most} values this server takes.")])


def _depth(request: Request) -> int:
    return service(request).settings.max_body_depth


def _too_large(limit: int) -> TooLarge:
    return TooLarge([Issue("too-long", f"The body is larger than the {limit} bytes this server takes.")])
