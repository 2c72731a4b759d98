"""Sending a file of an export: whole, a part of it, or compressed (RFC 9110, 8.4, 13, 14)."""

import base64
import re
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from app.fhir.outcomes import Issue, OutOfRange
from app.routers.exchange import service
from app.routers.streaming import Streamed, gzipped, pieces

_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})", re.ASCII | re.IGNORECASE)
_ANY = ("gzip", "x-gzip", "*")


@dataclass(frozen=True, slots=True)
class Content:
    """A file that is there. is_dense: compressed already."""

    name: str
    media_type: str
    size: int
    sha256: str
    is_dense: bool = False

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'


def sending(request: Request, content: Content) -> Response:
    """The answer to a request for a file. A part is never compressed: it would be a part of something else."""
    headers = {"Content-Type": content.media_type, "Accept-Ranges": "bytes", "Vary": "Accept-Encoding"}
    part = _part(request, content)
    is_packed = part is None and not content.is_dense and takes_gzip(request.headers.get("accept-encoding", ""))
    headers["ETag"] = f'{content.etag[:-1]}-gzip"' if is_packed else content.etag
    if _is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    start, end = part or (0, content.size)
    if is_packed:
        headers["Content-Encoding"] = "gzip"
    else:
        digest = base64.b64encode(bytes.fromhex(content.sha256)).decode()
        # RFC 9530: of the whole file, also where a part is sent.
        headers |= {"Content-Length": str(end - start), "Repr-Digest": f"sha-256=:{digest}:"}
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{content.size}"
    return _answer(request, content, headers, start, end)


def _answer(request: Request, content: Content, headers: dict[str, str], start: int, end: int) -> Response:
    status = 206 if "Content-Range" in headers else 200
    if request.state.is_head:
        head = Response(status_code=status, headers=headers)
        if "Content-Length" not in headers:
            del head.headers["Content-Length"]
        return head
    read = pieces(service(request).files.read(content.name, start, end))
    packed = gzipped(read) if "Content-Encoding" in headers else read
    return Streamed(packed, status, headers, patience=service(request).settings.export_patience_seconds)


def _part(request: Request, content: Content) -> tuple[int, int] | None:
    """The half-open range of bytes that is asked for; None for all. Raises OutOfRange."""
    header = request.headers.get("range", "")
    # Whoever has a part of another file gets this one whole (RFC 9110, 13.1.5).
    if not header or request.headers.get("if-range", content.etag).strip() != content.etag:
        return None
    found = range_of(header, content.size)
    if found and found[0] >= found[1]:
        told = f"The file has {content.size} bytes; nothing of it is in this range."
        raise OutOfRange([Issue("value", told)], content.size)
    return found


def range_of(header: str, size: int) -> tuple[int, int] | None:
    """The bytes of a Range header, half-open, none of them where start is not before end.

    None where the whole is sent instead: what is malformed, in another unit, or of several parts (RFC 9110, 14.2).
    """
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if not found or not (found["first"] or found["last"]):
        return None
    if not found["first"]:
        return max(0, size - int(found["last"])), size
    start, last = int(found["first"]), int(found["last"] or size)
    return None if last < start and found["last"] else (start, min(size, last + 1))


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header allows gzip (RFC 9110, 12.5.3)."""
    for each in accepted.lower().split(","):
        coding, _, quality = each.replace(" ", "").partition(";q=")
        if coding in _ANY:
            return not re.fullmatch(r"0(\.0{0,3})?", quality)
    return False


def _is_known(request: Request, etag: str) -> bool:
    """Whether the client has this very file (RFC 9110, 13.1.2)."""
    given = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return "*" in given or etag in given
