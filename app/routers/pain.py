"""The clinic API: assessments, diagnoses, treatment plans and examinations in the clinic's own words."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.bundles import Entry, bundle
from app.fhir.outcomes import Conflict, Issue, NotFound, PreconditionFailed, Refused
from app.intake import records
from app.intake.accept import Answers
from app.intake.records import Record, Records
from app.intake.writes import Caller, Write, Written
from app.mapping.clinic import KINDS, Kind
from app.mapping.elements import is_error
from app.mapping.revision import withdraw
from app.mapping.status import live_status
from app.pain.examinations.examinations import examination_type_view
from app.pain.instruments.views import instrument_view
from app.routers import bodies, documented, exchange, judgements, rights
from app.routers.bodies import Body
from app.routers.exchange import service
from app.routers.noting import saw
from app.service import Service
from app.store.idempotency import Answer

router = APIRouter(prefix="/pain", tags=["Clinic"])
JSON = "application/json"


@router.get("/instruments", summary="The instruments this server scores")
async def instruments(request: Request) -> Response:
    exchange.require_known(request)
    found = service(request).content.instruments.values()
    return _json(request, {"instruments": [instrument_view(one) for one in found]})


@router.get("/instruments/{name}", summary="One instrument: items, answers, scores, cut-offs, source and licence")
async def instrument(request: Request, name: str) -> Response:
    exchange.require_known(request)
    found = service(request).content.instruments.get(name)
    if found is None:
        raise NotFound([Issue("not-found", "There is no such instrument here; /pain/instruments lists them.")])
    return _json(request, instrument_view(found))


@router.get("/examination-types", summary="The examinations this server records")
async def examination_types(request: Request) -> Response:
    exchange.require_known(request)
    content = service(request).content
    found = content.examinations.types.values()
    return _json(request, {"examination_types": [examination_type_view(one, content) for one in found]})


@router.get("/examination-types/{name}", summary="One examination: parameters, units, findings, what qualifies them")
async def examination_type(request: Request, name: str) -> Response:
    exchange.require_known(request)
    content = service(request).content
    found = content.examinations.types.get(name)
    if found is None:
        raise NotFound([Issue("not-found", "There is no such examination here; /pain/examination-types lists them.")])
    return _json(request, examination_type_view(found, content))


async def record(request: Request, kind: Kind) -> Response:
    """Map, check and store a record; `dry_run=true` shows the Bundle and stores nothing."""
    exchange.require_known(request, "dry_run")
    rights.require_some("c", kind.anchor)
    dry_run, parts, here = _flag(request, "dry_run"), service(request), _records(request)
    body = await bodies.read_body(request)
    if not dry_run and (replay := await parts.intake.recall(exchange.caller(request, body.text))):
        return exchange.respond(request, replay, JSON)
    judged = await judgements.judged(request, kind, kind.read(body.tree, parts.content, _now(parts)), here)
    clinical = judged.clinical
    patient_ref, patient_write = here.patient(clinical.patient)
    resources = kind.to_fhir(clinical, parts.content, patient_ref, parts.new_id, ())
    notes = [*await here.unheld(kind.view(clinical, parts.content), resources), *judged.notes]
    if refused := judgements.refused(request, kind, judged, notes):
        return refused
    issues = judgements.issues_of(request, kind, judged, resources, patient_ref)
    writes = [*patient_write, *records.creations([*resources, *issues])]
    if dry_run:
        parts.intake.check(writes)
        return exchange.respond(request, Answer(200, _dry_run(writes)))
    results = _noted(kind.results(clinical, parts.content, resources), notes) | judgements.told(kind, judged.results)
    return await _store(request, body, kind, writes, resources[0]["id"], results, status=201)


async def show(request: Request, kind: Kind, record_id: str) -> Response:
    """The clinic's view of a record, rebuilt from FHIR."""
    exchange.require_known(request)
    parts, here = service(request), _records(request)
    found = await here.load(kind, record_id)
    saw(request, found.stored)
    clinical = here.clinical(found)
    elsewhere = kind.changed_elsewhere(parts.content, clinical.patient, found.resources)
    notes = [f"{place} was changed through FHIR; this view does not show it." for place in elsewhere]
    notes += [f"{link} is linked with this record, but is not a part that this view shows." for link in found.unshown]
    results = _noted(kind.results(clinical, parts.content, found.resources), notes)
    results |= judgements.told(kind, judgements.stored(request, kind, found))
    told = {"id": record_id, **live_status(found.resources), **kind.view(clinical, parts.content), **results}
    told["resources"] = [records.name(resource) for resource in found.everything if not is_error(resource)]
    answer = exchange.version_answer(200, found.stored[0], body=lossless.dumps(told))
    return exchange.respond(request, replace(answer, etag=found.tag), JSON)


async def amend(request: Request, kind: Kind, record_id: str) -> Response:
    """New versions of the same resources, on condition that nobody changed them since they were read."""
    exchange.require_known(request)
    rights.require_some("u", kind.anchor)
    parts, here = service(request), _records(request)
    body = await bodies.read_body(request)
    if replay := await parts.intake.recall(exchange.caller(request, body.text)):
        return exchange.respond(request, replay, JSON)
    found = await here.load(kind, record_id)
    _require_tag(request, found)
    recorded, now = here.clinical(found), _now(parts)
    before = kind.view(recorded, parts.content)
    kept = {name: before[name] for name in kind.kept if name in before}
    # Null says nothing, as everywhere; what is recorded stays.
    sent = {
        name: value
        for name, value in body.tree.items()
        if name not in kind.computed and (value is not None or name not in kept)
    }
    clinical = kind.settled(recorded, kind.read({**kept, **sent}, parts.content, now), now)
    await here.require_same_patient(before["patient"], clinical.patient)
    judged = await judgements.judged(request, kind, clinical, here, found)
    clinical = judged.clinical
    resources = kind.amend(clinical, parts.content, before["patient"], parts.new_id, found.resources)
    notes = [*await here.unheld(kind.view(clinical, parts.content), resources), *judged.notes]
    elsewhere = kind.changed_elsewhere(parts.content, before["patient"], resources)
    notes += [f"{place} was changed through FHIR and stays as it is." for place in elsewhere]
    if refused := judgements.refused(request, kind, judged, notes):
        return refused
    issues = judgements.issues_of(request, kind, judged, resources, before["patient"], found.issues)
    results = _noted(kind.results(clinical, parts.content, resources), notes) | judgements.told(kind, judged.results)
    writes = records.next_versions([*resources, *issues], found)
    return await _store(request, body, kind, writes, record_id, results, status=200)


async def withdrawn(request: Request, kind: Kind, record_id: str) -> Response:
    """Every part of the record entered in error; nothing is deleted."""
    exchange.require_known(request)
    rights.require_some("u", kind.anchor)
    found = await _records(request).load(kind, record_id)
    _require_tag(request, found)
    in_error = withdraw([resource for resource in found.everything if not is_error(resource)])
    writes = records.next_versions(in_error, found)
    return exchange.respond(request, await _accepted(request, b"", writes, lambda _: Answer(204, b"")))


def _records(request: Request) -> Records:
    return Records(service(request).intake, service(request).content)


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise Refused([Issue("value", f"{name} must be true or false.", name)])
    return value == "true"


def _now(parts: Service) -> datetime:
    return datetime.fromtimestamp(parts.clock() / 1_000_000, UTC)


def _require_tag(request: Request, found: Record) -> None:
    asked = exchange.header(request, "if-match")
    if asked is not None and asked not in ("*", found.tag):
        raise PreconditionFailed([_changed_since()])


def _changed_since() -> Issue:
    return Issue("conflict", "The record has changed since it was read; read it again.", rule="dmt-version")


async def _accepted(request: Request, body: bytes, writes: Sequence[Write], answer: Answers) -> Answer:
    """What the door answers. Who is second is told of the record, not of each part; and 409, not 412, if he has set
    no condition: then it is ours that what is amended is what was there."""
    try:
        return await service(request).intake.accept(writes, _caller(request, body), answer)
    except PreconditionFailed as failed:
        if any(issue.rule != "dmt-version" for issue in failed.issues):
            raise
        kind = PreconditionFailed if exchange.header(request, "if-match") is not None else Conflict
        raise kind([_changed_since()]) from None


async def _store(
    request: Request,
    body: Body,
    kind: Kind,
    writes: Sequence[Write],
    record_id: str,
    results: dict[str, Any],
    *,
    status: int,
) -> Response:
    """Save, and answer with the references of what was written."""

    def answer(written: list[Written]) -> Answer:
        changed = [one.stored for one in written if one.outcome in ("created", "updated", "unchanged")]
        told = {"id": record_id, **results, "resources": [f"{one.type}/{one.id}" for one in changed]}
        anchor = next(one for one in changed if (one.type, one.id) == (kind.anchor, record_id))
        made = exchange.version_answer(status, anchor, body=lossless.dumps(told))
        address = f"{exchange.public_base(request)}{request.url.path}/{record_id}"
        return replace(made, location=address if status == 201 else "", etag=records.tag(kind, changed))

    return exchange.respond(request, await _accepted(request, body.text, writes, answer), JSON)


def _caller(request: Request, body: bytes) -> Caller:
    """Who asks; what is not held here is noted in the answer (`Records.unheld`)."""
    return replace(exchange.caller(request, body), tells_dangling=True)


def _dry_run(writes: Sequence[Write]) -> bytes:
    entries = []
    for write in writes:
        asked = {"method": "PUT", "url": f"{write.type}/{write.id}"}
        if write.if_none_exist:
            asked = {"method": "POST", "url": write.type, "ifNoneExist": write.if_none_exist}
        entries.append(Entry(write.full_url, write.text, {"request": asked}))
    return bundle("transaction", entries)


def _noted(results: dict[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    return {**results, "notes": [*results["notes"], *notes]}


def _json(request: Request, value: Any) -> Response:
    return exchange.respond(request, Answer(200, lossless.dumps(value)), JSON)


def _add_routes(kind: Kind) -> None:
    """The four operations of one kind of record, each documented with its own example."""

    async def post(request: Request) -> Response:
        exchange.refuse_headers(request, "if-match", "if-none-match", "if-none-exist")
        exchange.require_acceptable(request, json_only=True)
        return await record(request, kind)

    async def get(request: Request, record_id: str) -> Response:
        exchange.refuse_headers(request, "if-match", "if-none-match", "if-modified-since")
        exchange.require_acceptable(request, json_only=True)
        return await show(request, kind, record_id)

    async def put(request: Request, record_id: str) -> Response:
        exchange.refuse_headers(request, "if-none-match", "if-none-exist")
        exchange.require_acceptable(request, json_only=True)
        return await amend(request, kind, record_id)

    async def delete(request: Request, record_id: str) -> Response:
        exchange.refuse_headers(request, "if-none-match", "if-none-exist")
        return await withdrawn(request, kind, record_id)

    one, body = f"/{kind.name}/{{record_id}}", documented.body(kind.name, JSON)
    dry_run = documented.parameters(dry_run="true: answer the Bundle and store nothing.")
    for path, endpoint, method, status, summary, extra in (
        (f"/{kind.name}", post, "POST", 201, f"Record {kind.title}", body | dry_run),
        (one, get, "GET", 200, f"The clinic's view of {kind.title}, rebuilt from FHIR", {}),
        (one, put, "PUT", 200, f"Amend {kind.title}: new versions, nothing is lost", body),
        (one, delete, "DELETE", 204, f"Withdraw {kind.title}: entered in error, history kept", {}),
    ):
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            status_code=status,
            responses=documented.SHOWN if method == "POST" else {},
            summary=summary,
            openapi_extra=extra,
            name=summary,
        )


for _one in KINDS.values():
    _add_routes(_one)
