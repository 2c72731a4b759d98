"""The clinic API: assessments, diagnoses and treatment plans in the clinic's own words."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.bundles import Entry, bundle
from app.fhir.outcomes import Gone, Issue, NotFound, PreconditionFailed, Refused
from app.fhir.references import references
from app.intake.writes import Write, Written
from app.mapping.clinic import KINDS, Kind
from app.mapping.elements import Resource, Unrecognised, is_error, parts_of
from app.mapping.revision import belongs, withdraw
from app.pain.concepts import Identifier
from app.pain.errors import Problem, Rejected
from app.pain.instruments import instrument_view
from app.routers import documented, exchange
from app.routers.exchange import service
from app.service import Service
from app.store import repository
from app.store.idempotency import Answer
from app.store.parameters import literal
from app.store.repository import Stored
from app.store.search import matching_ids, search

router = APIRouter(prefix="/pain", tags=["Clinic"])
JSON = "application/json"
# What must be here already, and where a problem with it is told; other references may point elsewhere.
_MOST_PARTS = 1_000
_MUST_EXIST = ("patient", "diagnosis")


@router.get("/instruments", summary="The instruments this server scores")
async def instruments(request: Request) -> Response:
    exchange.require_known(request)
    found = service(request).content.instruments.values()
    return _json(request, 200, {"instruments": [instrument_view(one) for one in found]})


@router.get("/instruments/{name}", summary="One instrument: items, answers, scores, cut-offs, source and licence")
async def instrument(request: Request, name: str) -> Response:
    exchange.require_known(request)
    found = service(request).content.instruments.get(name)
    if found is None:
        raise NotFound([Issue("not-found", "There is no such instrument here; /pain/instruments lists them.")])
    return _json(request, 200, instrument_view(found))


async def record(request: Request, chosen: Kind) -> Response:
    """Map, check and store a record; `dry_run=true` shows the Bundle and stores nothing."""
    exchange.require_known(request, "dry_run")
    dry_run = _flag(request, "dry_run")
    body = await exchange.read_body(request)
    parts = service(request)
    if not dry_run and (replay := await parts.intake.recall(exchange.caller(request, body.text))):
        return exchange.respond(request, replay, JSON)
    clinical = chosen.read(body.tree, parts.content, _now(parts))
    patient_ref, patient_write = _patient(clinical.patient, parts)
    resources = chosen.to_fhir(clinical, parts.content, patient_ref, parts.new_id, ())
    writes = [*patient_write, *(_write("POST", resource) for resource in resources)]
    notes = await _unheld(parts, chosen.view(clinical, parts.content), resources)
    if dry_run:
        parts.intake.check(writes)
        return exchange.respond(request, Answer(200, _dry_run(writes)))
    results = _noted(chosen.results(clinical, parts.content, resources), notes)
    return await _store(request, body.text, chosen, writes, resources[0], results, status=201)


async def show(request: Request, chosen: Kind, record_id: str) -> Response:
    """The clinic's view of a record, rebuilt from FHIR."""
    parts = service(request)
    exchange.require_known(request)
    stored = await _record(parts, chosen, record_id)
    resources = [_parsed(one) for one in stored]
    clinical = _clinical(chosen, resources, parts)
    view = chosen.view(clinical, parts.content)
    elsewhere = chosen.changed_elsewhere(parts.content, clinical.patient, resources)
    notes = [f"{place} was changed through FHIR; this view does not show it." for place in elsewhere]
    told = {"id": record_id, **view, **_noted(chosen.results(clinical, parts.content, resources), notes)}
    told["resources"] = [_name(resource) for resource in resources if not is_error(resource)]
    answer = exchange.version_answer(200, stored[0], body=lossless.dumps(told))
    return exchange.respond(request, replace(answer, etag=_tag(chosen, stored)), JSON)


async def amend(request: Request, chosen: Kind, record_id: str) -> Response:
    """New versions of the same resources, on condition that nobody changed them since they were read."""
    parts = service(request)
    exchange.require_known(request)
    body = await exchange.read_body(request)
    if replay := await parts.intake.recall(exchange.caller(request, body.text)):
        return exchange.respond(request, replay, JSON)
    stored = await _record(parts, chosen, record_id)
    _require_tag(request, chosen, stored)
    previous = [_parsed(one) for one in stored]
    before = chosen.view(_clinical(chosen, previous, parts), parts.content)
    kept = {name: before[name] for name in chosen.kept if name in before}
    sent = {name: value for name, value in body.tree.items() if name not in chosen.computed}
    clinical = chosen.read({**kept, **sent}, parts.content, _now(parts))
    await _require_same_patient(parts, before["patient"], clinical.patient)
    resources = chosen.amend(clinical, parts.content, before["patient"], parts.new_id, previous)
    notes = await _unheld(parts, chosen.view(clinical, parts.content), resources)
    results = _noted(chosen.results(clinical, parts.content, resources), notes)
    writes = _next_versions(resources, stored)
    return await _store(request, body.text, chosen, writes, resources[0], results, status=200)


async def withdrawn(request: Request, chosen: Kind, record_id: str) -> Response:
    """Every part of the record entered in error; nothing is deleted."""
    parts = service(request)
    exchange.require_known(request)
    stored = await _record(parts, chosen, record_id)
    _require_tag(request, chosen, stored)
    parts_in_error = withdraw([resource for one in stored if not is_error(resource := _parsed(one))])
    writes = _next_versions(parts_in_error, stored)
    caller = exchange.caller(request, b"")
    return exchange.respond(request, await parts.intake.accept(writes, caller, lambda _: Answer(204, b"")))


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise Refused([Issue("value", f"{name} must be true or false.", name)])
    return value == "true"


def _now(parts: Service) -> datetime:
    return datetime.fromtimestamp(parts.clock() / 1_000_000, UTC)


def _patient(who: str | Identifier, parts: Service) -> tuple[str, list[Write]]:
    """How the resources refer to the patient and, for a business identifier, the Patient made if there is none."""
    if isinstance(who, str):
        return who, []
    urn = f"urn:uuid:{parts.new_id()}"
    resource = {"resourceType": "Patient", "identifier": [{"system": who.system, "value": who.value}]}
    condition = f"identifier={quote(_escaped(who.system), safe='')}%7C{quote(_escaped(who.value), safe='')}"
    write = _write("POST", {**resource, "id": ""})
    return urn, [replace(write, text=lossless.dumps(resource), if_none_exist=condition, full_url=urn, tree=resource)]


def _escaped(value: str) -> str:
    """A search value that means itself: its commas, bars and dollars do not separate (R4 3.1.1.4.0.5)."""
    return "".join(f"\\{character}" if character in "\\,|$" else character for character in value)


def _write(method: Any, resource: Resource, *, if_match: int | None = None) -> Write:
    text = lossless.dumps(resource)
    return Write(method, resource["resourceType"], resource["id"], text, resource, if_match)


def _next_versions(resources: Sequence[Resource], stored: Sequence[Stored]) -> list[Write]:
    """Updates of what was read, on condition that nobody changed it since; creations of the rest."""
    versions = {f"{one.type}/{one.id}": one.version for one in stored}
    return [_write("PUT" if _name(r) in versions else "POST", r, if_match=versions.get(_name(r))) for r in resources]


def _tag(kind: Kind, stored: Sequence[Stored]) -> str:
    """The ETag of a record: another one whenever any of its resources has another version.

    Of a plan, only what the plan still refers to counts.
    """
    anchor = next(one for one in stored if one.type == kind.anchor)
    parts = set(parts_of(_parsed(anchor)))
    counted = [one for one in stored if kind.points_back or one is anchor or f"{one.type}/{one.id}" in parts]
    names = sorted(f"{one.type}/{one.id}/{one.version}" for one in counted if one.type != "Patient")
    return f'W/"{anchor.version}-{hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]}"'


def _require_tag(request: Request, kind: Kind, stored: Sequence[Stored]) -> None:
    asked = exchange.header(request, "if-match")
    if asked is not None and asked not in ("*", _tag(kind, stored)):
        raise PreconditionFailed([Issue("conflict", "The record has changed since it was read; read it again.")])


async def _store(
    request: Request,
    body: bytes,
    kind: Kind,
    writes: Sequence[Write],
    anchor: Resource,
    results: dict[str, Any],
    *,
    status: int,
) -> Response:
    """Save, and answer with the references of what was written."""

    def answer(written: list[Written]) -> Answer:
        changed = [w.stored for w in written if w.outcome in ("created", "updated", "unchanged")]
        told = {"id": anchor["id"], **results, "resources": [f"{one.type}/{one.id}" for one in changed]}
        main = next(one for one in changed if (one.type, one.id) == (anchor["resourceType"], anchor["id"]))
        made = exchange.version_answer(status, main, body=lossless.dumps(told))
        address = f"{exchange.public_base(request)}{request.url.path}/{anchor['id']}"
        return replace(made, location=address if status == 201 else "", etag=_tag(kind, changed))

    made = await service(request).intake.accept(writes, exchange.caller(request, body), answer)
    return exchange.respond(request, made, JSON)


def _dry_run(writes: Sequence[Write]) -> bytes:
    entries = []
    for write in writes:
        asked = {"method": "PUT", "url": f"{write.type}/{write.id}"}
        if write.if_none_exist:
            asked = {"method": "POST", "url": write.type, "ifNoneExist": write.if_none_exist}
        entries.append(Entry(write.full_url, write.text, {"request": asked}))
    return bundle("transaction", entries)


async def _record(parts: Service, kind: Kind, record_id: str) -> list[Stored]:
    """The stored resources of a record, anchor first. Raises NotFound, or Gone if it was withdrawn."""
    exchange.require_id(record_id)
    where = f"{kind.name}/{record_id}"
    async with parts.database.reading() as connection:
        anchor = await repository.read(connection, kind.anchor, record_id)
        if anchor is None:
            raise NotFound([Issue("not-found", f"There is no {where} here.")])
        resource = _parsed(anchor)
        if anchor.deleted or is_error(resource):
            kept = f"/fhir/{kind.anchor}/{record_id}/_history"
            raise Gone([Issue("deleted", f"{where} was withdrawn or deleted; its history is at {kept}.")])
        keys = [key for link in parts_of(resource) if (key := literal(link)) and key[0]]
        found = await repository.read_all(connection, keys)
        others = [found[key] for key in keys if key in found and not found[key].deleted]
        if kind.points_back:
            query = parts.searcher.parse(kind.points_back, [("derived-from", _name(resource))], strict=True)
            others += (await search(connection, replace(query, count=_MOST_PARTS))).matches
    return [anchor, *(one for one in others if belongs(resource, _parsed(one)))]


def _clinical(kind: Kind, resources: Sequence[Resource], parts: Service) -> Any:
    try:
        return kind.from_fhir(resources, parts.content)
    except Unrecognised as error:
        told = f"This {kind.anchor} was not written by the clinic API: {error}. Read it at /fhir."
        raise Rejected([Problem("not-supported", told, "")]) from None


async def _require_same_patient(parts: Service, before: str, who: str | Identifier) -> None:
    """Refuse to move a record to another patient: what was said of one is not true of another."""
    if isinstance(who, Identifier):
        query = parts.searcher.parse("Patient", [("identifier", f"{_escaped(who.system)}|{_escaped(who.value)}")])
        async with parts.database.reading() as connection:
            found = [f"Patient/{name}" for name in await matching_ids(connection, query)]
    else:
        found = [who]
    if found != [before]:
        told = "A record stays with its patient: withdraw it, and record it for the other patient."
        raise Rejected([Problem("business-rule", told, "patient")])


async def _unheld(parts: Service, view: dict[str, Any], resources: Sequence[Resource]) -> list[str]:
    """Notes about references to what is not here. Raises Rejected where the patient or diagnosis is not."""
    own = {_name(resource) for resource in resources}
    links = {link for resource in resources for link in references(resource)} - own
    keys = {key: link for link in links if (key := literal(link)) and key[0]}
    async with parts.database.reading() as connection:
        held = await repository.read_all(connection, keys)
    missing = {link for key, link in keys.items() if key not in held or held[key].deleted}
    problems = [
        Problem("not-found", f"{name}: {view[name]} is not held here.", name)
        for name in _MUST_EXIST
        if isinstance(view.get(name), str) and view[name] in missing
    ]
    if problems:
        raise Rejected(problems)
    return [f"{link} is not held here; the reference was kept." for link in sorted(missing)]


def _noted(results: dict[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    return {**results, "notes": [*results["notes"], *notes]}


def _parsed(stored: Stored) -> Resource:
    return lossless.parse_object(stored.content or b"{}")


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _json(request: Request, status: int, value: Any) -> Response:
    return exchange.respond(request, Answer(status, lossless.dumps(value)), JSON)


def _add_routes(kind: Kind) -> None:
    """The four operations of one kind of record, each documented with its own example."""

    async def post(request: Request) -> Response:
        exchange.refuse_headers(request, "if-match", "if-none-match", "if-none-exist")
        exchange.require_acceptable(request)
        return await record(request, kind)

    async def get(request: Request, record_id: str) -> Response:
        exchange.refuse_headers(request, "if-none-match", "if-modified-since")
        exchange.require_acceptable(request)
        return await show(request, kind, record_id)

    async def put(request: Request, record_id: str) -> Response:
        exchange.refuse_headers(request, "if-none-match", "if-none-exist")
        exchange.require_acceptable(request)
        return await amend(request, kind, record_id)

    async def delete(request: Request, record_id: str) -> Response:
        return await withdrawn(request, kind, record_id)

    one, body = f"/{kind.name}/{{record_id}}", documented.body(kind.name, JSON)
    dry_run = documented.parameters(dry_run="true: answer the Bundle and store nothing.")
    for path, endpoint, method, summary, extra in (
        (f"/{kind.name}", post, "POST", f"Record a {kind.title}", body | dry_run),
        (one, get, "GET", f"The clinic's view of a {kind.title}, rebuilt from FHIR", {}),
        (one, put, "PUT", f"Amend a {kind.title}: new versions, nothing is lost", body),
        (one, delete, "DELETE", f"Withdraw a {kind.title}: entered in error, history kept", {}),
    ):
        router.add_api_route(path, endpoint, methods=[method], summary=summary, openapi_extra=extra, name=summary)


for _one in KINDS.values():
    _add_routes(_one)
