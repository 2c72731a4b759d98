"""Media types: what a body is, what the client takes, and an answer in the format it asked for (R4 3.1.0.1.11)."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

from fastapi import Request

from app.fhir import json as lossless
from app.fhir.media_types import MediaType, media_type
from app.fhir.outcomes import Issue, NotAcceptable, Refused, WrongMediaType
from app.fhir.xml import to_xml

Format = Literal["json", "xml"]
FHIR_JSON = "application/fhir+json; charset=utf-8"
_CONTENT_TYPES: dict[Format, str] = {"json": FHIR_JSON, "xml": "application/fhir+xml; charset=utf-8"}
# As announced in the CapabilityStatement.
FORMATS = ("application/fhir+json", "application/fhir+xml", "json", "xml")
_BY_MEDIA_TYPE: Mapping[str, Format] = {
    "application/fhir+json": "json",
    "application/json": "json",
    "text/json": "json",
    "application/fhir+xml": "xml",
    "application/xml": "xml",
    "text/xml": "xml",
}
_WEB_XML = ("application/xml", "text/xml")
_SPECIFICITY = {"*/*": 0, "application/*": 1, "text/*": 1}
# Where in the scope of a request the format is kept that was found for it.
_FOUND = "dermatome.format"
_CANNOT = "Only application/fhir+json and application/fhir+xml of FHIR 4.0 can be given."
_JSON_ONLY = "Only application/json can be given."
_SENDABLE = "Send application/fhir+json or application/fhir+xml, FHIR 4.0, in UTF-8."


def require_acceptable(request: Request, *, json_only: bool = False) -> None:
    """Refuse a client that takes nothing that can be given: `_format` decides, else Accept."""
    if request.scope["query_string"]:
        require_sense(request)
    found = wanted(request)
    if found is None or (json_only and found != "json"):
        raise NotAcceptable([Issue("not-supported", _JSON_ONLY if json_only else _CANNOT)])


def asked_for(request: Request, others: Sequence[str]) -> str:
    """The media type, among some that are none of FHIR, that a client wants most; "" if it wants none of them."""
    require_sense(request)
    if asked := request.query_params.getlist("_format"):
        name = media_type(asked[0].strip().replace(" ", "+")).name
        return next((each for each in others if name in (each, each.rpartition("/")[2])), "")
    ranges = _ranges(",".join(request.headers.getlist("accept")))
    name = max(ranges, key=lambda each: each.quality).name
    return name if name in others else ""


def require_sense(request: Request) -> None:
    """Refuse `_format` or `_pretty` given twice, and another `_pretty` than true or false."""
    for name in ("_format", "_pretty"):
        if len(request.query_params.getlist(name)) > 1:
            raise Refused([Issue("value", f"Parameter {name} is given several times.", name)])
    if request.query_params.get("_pretty", "true") not in ("true", "false"):
        raise Refused([Issue("value", "_pretty must be true or false.", "_pretty")])


def wanted(request: Request) -> Format | None:
    """The format to answer in; None if the client takes none of ours. Inside a Bundle it is that of the Bundle."""
    if _FOUND not in request.scope:
        request.scope[_FOUND] = _wanted(request)
    found: Format | None = request.scope[_FOUND]
    return found


def _wanted(request: Request) -> Format | None:
    if getattr(request.state, "is_inside", False):
        return "json"
    if asked := request.query_params.getlist("_format"):
        return _of_parameter(asked[0]) if len(asked) == 1 else None
    return _negotiated(",".join(request.headers.getlist("accept")), request.headers.get("content-type", ""))


def encoded(request: Request, resource: bytes, *, or_json: bool = False) -> tuple[bytes, str]:
    """A resource as it is to be sent, and its Content-Type. The JSON text is sent as it is unless asked otherwise.

    Raises NotAcceptable for what XML cannot hold; or_json: gives JSON then.
    """
    is_pretty = bool(request.scope["query_string"]) and request.query_params.get("_pretty") == "true"
    if wanted(request) == "xml":
        try:
            return to_xml(resource, pretty=is_pretty), _CONTENT_TYPES["xml"]
        except NotAcceptable:
            if not or_json:
                raise
    return lossless.pretty(resource) if is_pretty else resource, FHIR_JSON


def body_type(request: Request) -> MediaType:
    """The type of the body; without a Content-Type it is FHIR JSON. Raises WrongMediaType for what is never read."""
    found = media_type(request.headers.get("content-type") or FHIR_JSON)
    if not found.is_r4 or not found.is_utf8:
        raise WrongMediaType([Issue("not-supported", _SENDABLE)])
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise WrongMediaType([Issue("not-supported", "Send the body without compression.")])
    return found


def body_format(request: Request, *, json_only: bool = False) -> Format:
    """The format of a body that is a resource. Raises WrongMediaType for what is none."""
    found = _BY_MEDIA_TYPE.get(body_type(request).name)
    if found is None or (json_only and found != "json"):
        told = "Send application/json in UTF-8." if json_only else _SENDABLE
        raise WrongMediaType([Issue("not-supported", told)])
    return found


def _of_parameter(asked: str) -> Format | None:
    # A + in an address arrives as a space: _format=application/fhir+json.
    found = media_type(asked.strip().replace(" ", "+"))
    short: Mapping[str, Format] = {"json": "json", "xml": "xml", **_BY_MEDIA_TYPE}
    return short.get(found.name) if found.is_r4 else None


@lru_cache(maxsize=256)
def _negotiated(accept: str, sent: str) -> Format | None:
    """The most welcome format by Accept; where nothing is said in favour of one, the format of the body."""
    ranks = {each: rank for each in _CONTENT_TYPES if (rank := _rank(each, _ranges(accept))) and rank[0]}
    best: list[Format] = [each for each, rank in ranks.items() if rank == max(ranks.values())]
    if len(best) > 1:
        return _BY_MEDIA_TYPE.get(media_type(sent).name, "json")
    return best[0] if best else None


def _rank(format_: Format, ranges: Sequence[MediaType]) -> tuple[float, int, int] | None:
    """How welcome a format is: quality of the most specific range for it, how specific that is, how early it comes."""
    found = [
        (_SPECIFICITY.get(each.name, 2), each.quality, -place)
        for place, each in enumerate(ranges)
        if each.name in _SPECIFICITY or (_BY_MEDIA_TYPE.get(each.name) == format_ and each.is_r4)
    ]
    if not found:
        return None
    specificity, quality, place = max(found)
    return quality, specificity, place


def _ranges(accept: str) -> list[MediaType]:
    found = [media_type(each) for each in accept.split(",") if each.strip()] or [media_type("*/*")]
    # A client that takes HTML is a browser, and what it calls XML is a web page.
    is_browser = any(each.name == "text/html" for each in found)
    return [each for each in found if not (is_browser and each.name in _WEB_XML)]
