"""Exports that were kicked off: how far they are, their manifests and files, and calling them off.

R4 async.html and Bulk Data Access 3.0.0. Nothing of the database is held while a file is sent.
"""

import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from app.export.asked import Asked
from app.export.files import FilesUnavailable, NoFile, is_name
from app.fhir import json as lossless
from app.fhir.instants import http_date, instant
from app.fhir.outcomes import Failed, Forbidden, Issue, NotFound, NotReady, operation_outcome
from app.fhir.references import is_id
from app.routers import exchange
from app.routers.exchange import public_base, service
from app.routers.noting import about
from app.routers.sending import Content, sending
from app.store import exports
from app.store.database import Connection
from app.store.idempotency import Answer
from app.store.tables import ExportFile, ExportJob

router = APIRouter(prefix="/exports", tags=["Exports"])
_MEDIA_TYPES = {
    "ndjson": "application/fhir+ndjson",
    "csv": "text/csv",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
# Packed already.
_DENSE = ("parquet",)
_After = Query("", max_length=64, description="Only exports older than this one: the `next` of the page before.")
_Limit = Query(100, ge=1, le=1000, alias="_count", description="Exports per page.")
_GONE = "There is no such export here: it was never asked for, was called off, or its time is over."
# Seconds until a client asks again: a part of the time it has waited, so that nobody waits long for what is soon there.
_SOONEST, _LATEST, _PART = 1, 60, 10


@router.get("", summary="The exports of whoever asks, newest first; an administrator sees everybody's")
async def listed(request: Request, after: str = _After, limit: int = _Limit) -> Response:
    exchange.require_known(request, "after", "_count")
    owner = None if exchange.principal(request).is_admin else exchange.owner(request)
    async with service(request).database.reading() as connection:
        before = await _job(request, connection, after) if after else None
        found = await exports.page(connection, owner_subject=owner, after=before, limit=limit)
    about(request, "exports")
    items = [_told(f"{public_base(request)}/exports", one) for one in found]
    return JSONResponse({"items": items, "next": found[-1].id if len(found) == limit else None})


@router.get("/{job}", summary="How far an export is, or its manifest when it is complete")
async def status(request: Request, job: str) -> Response:
    exchange.require_known(request)
    async with service(request).database.reading() as connection:
        found = await _job(request, connection, job)
        files = await exports.files(connection, job)
    about(request, f"exports/{job}")
    if found.state == "failed":
        raise Failed([Issue("processing", found.reason)])
    if found.state != "complete":
        return Response(status_code=202, headers=_progress(found, service(request).clock()))
    headers = {"Expires": http_date(found.expires_at)}
    place = f"{public_base(request)}/exports/{job}"
    is_protected = service(request).settings.auth != "off"
    return JSONResponse(_manifest(place, found, files, is_protected=is_protected), headers=headers)


@router.delete("/{job}", status_code=202, summary="Call an export off, or give up its files")
async def cancel(request: Request, job: str) -> Response:
    exchange.require_known(request)
    async with service(request).database.writing() as connection:
        found = await exports.read(connection, job) if is_id(job) else None
        if found is None or not _is_own(request, found) or not await exports.cancel(connection, job):
            raise NotFound([Issue("not-found", _GONE)])
    about(request, f"exports/{job}")
    service(request).bell.ring()
    told = Issue("informational", "The export is called off; its files are removed.", severity="information")
    return exchange.respond(request, Answer(202, lossless.dumps(operation_outcome([told]))))


@router.get(
    "/{job}/{name}",
    summary="A file of an export: whole, in part by Range, or compressed by Accept-Encoding",
    responses={200: {"description": "The file", "content": {each: {} for each in _MEDIA_TYPES.values()}}},
)
async def file(request: Request, job: str, name: str) -> Response:
    """What the address names is in one format: Accept chooses nothing here (RFC 9110, 12.4.1)."""
    exchange.require_known(request)
    async with service(request).database.reading() as connection:
        found = await _job(request, connection, job)
        one = await exports.file(connection, job, name) if is_name(name) else None
    if one is None:
        raise NotFound([Issue("not-found", "This export has no such file.")])
    _require_readable(request, one)
    await _require_there(request, one)
    about(request, f"exports/{job}/{name}")
    media_type = _media_type(name, one.kind, Asked.parse(found.asked))
    content = Content(f"{job}/{name}", media_type, one.bytes, one.sha256, is_dense=name.endswith(_DENSE))
    return sending(request, content)


def _told(place: str, job: ExportJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "status": f"{place}/{job.id}",
        "request": Asked.parse(job.asked).request,
        "state": job.state,
        "done": job.done,
        "total": max(job.total, job.done),
        "requested_at": instant(job.requested_at),
        "finished_at": instant(job.finished_at) if job.finished_at else None,
        "expires_at": instant(job.expires_at) if job.expires_at else None,
        "reason": job.reason or None,
    }


async def _job(request: Request, connection: Connection, job: str) -> ExportJob:
    """A job that can be asked for. Raises NotFound."""
    found = await exports.read(connection, job) if is_id(job) else None
    is_over = found is None or found.state == "expired" or 0 < found.expires_at <= service(request).clock()
    if found is None or is_over or not _is_own(request, found):
        raise NotFound([Issue("not-found", _GONE)])
    return found


def _is_own(request: Request, job: ExportJob) -> bool:
    """Whether a job is of whoever asks. To others it is as if there were none: its id gives nothing away."""
    return exchange.principal(request).is_admin or job.owner_subject == exchange.owner(request)


def _require_readable(request: Request, file: ExportFile) -> None:
    """Refuse a file of resources that whoever asks may not read any more, with the token of now."""
    is_type = file.type in service(request).validator.resource_types
    who = exchange.principal(request)
    if is_type and not (who.may("r", file.type) or who.may("s", file.type)):
        told = f"The scopes of this token give no right to read {file.type}."
        raise Forbidden([Issue("forbidden", told, rule="dmt-scope")])


def _progress(job: ExportJob, now: int) -> dict[str, str]:
    """X-Progress has less than 100 characters (Bulk Data Access 3.0.0)."""
    waited = (now - job.requested_at) // 1_000_000
    done = f"{job.done:,} of {max(job.total, job.done):,}" if job.state == "active" else "accepted"
    return {"X-Progress": done, "Retry-After": str(min(max(waited // _PART, _SOONEST), _LATEST))}


def _manifest(place: str, job: ExportJob, files: Sequence[ExportFile], *, is_protected: bool) -> dict[str, Any]:
    """With sizes and checksums, and what pseudonyms took out, as the extensions that a manifest may have."""
    asked = Asked.parse(job.asked)
    made: dict[str, Any] = {
        "transactionTime": instant(job.transaction_time),
        "request": asked.request,
        "requiresAccessToken": is_protected,
        **({"outputOrganizedBy": asked.organize_by} if asked.organize_by else {}),
    }
    for kind in ("output", "deleted", "error"):
        made[kind] = [_item(place, each) for each in files if each.kind == kind]
    if asked.pseudonymised:
        made["extension"] = {"removed": json.loads(job.removed)}
    return made


def _item(place: str, file: ExportFile) -> dict[str, Any]:
    named = {"type": file.type} if file.type else {}
    more = {"bytes": file.bytes, "sha256": file.sha256}
    return {**named, "url": f"{place}/{file.name}", "count": file.count, "extension": more}


async def _require_there(request: Request, file: ExportFile) -> None:
    try:
        size = await service(request).files.size(f"{file.job}/{file.name}")
    except NoFile:
        raise NotFound([Issue("not-found", "This file was removed.")]) from None
    except FilesUnavailable as error:
        raise NotReady([Issue("transient", str(error))]) from None
    if size != file.bytes:
        raise Failed([Issue("incomplete", "This file is not as it was written: kick the export off anew.")])


def _media_type(name: str, kind: str, asked: Asked) -> str:
    ending = name.rpartition(".")[2]
    # Rows of a view are no resources.
    is_rows = asked.views and kind == "output" and ending == "ndjson"
    return "application/x-ndjson" if is_rows else _MEDIA_TYPES[ending]
