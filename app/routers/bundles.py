"""The FHIR door: batches and transactions (R4 3.1.0.11)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.bundles import Entry, bundle
from app.fhir.instants import instant
from app.fhir.outcomes import Gone, Issue, NotAcceptable, NotFound, Refused, operation_outcome
from app.fhir.references import local
from app.intake.entries import Call
from app.intake.problems import Problems
from app.intake.transaction import Asked, Item, read_bundle
from app.intake.writes import Caller, Write, Written
from app.logs import of_error
from app.routers import answers, bodies, documented, errors, exchange
from app.routers.errors import told
from app.routers.exchange import fhir_base, service
from app.routers.inside import Inner, answered
from app.routers.noting import named, refused
from app.store.database import Unavailable, seen_from
from app.store.idempotency import Answer

router = APIRouter(prefix="/fhir", tags=["FHIR"])
_KINDS: dict[int, type[Refused]] = {404: NotFound, 410: Gone}
_log = structlog.get_logger()


@router.post("", summary="Process a batch or transaction Bundle", openapi_extra=documented.body("transaction"))
async def process_bundle(request: Request) -> Response:
    """A batch does what it can of its entries; a transaction does everything, or nothing."""
    exchange.require_acceptable(request)
    exchange.require_known(request)
    body = await bodies.read_fhir(request)
    if body.tree.get("resourceType") != "Bundle":
        text = "POST to this address takes a Bundle."
        raise Refused([Issue("structure", text, "resourceType", rule="dmt-bundle-kind", member="resourceType")])
    checker = service(request).validator
    policy = service(request).intake.policy
    asked = read_bundle(body.text, body.tree, checker, checker.resource_types, fhir_base(request), policy)
    named(request, asked.kind)
    caller = exchange.caller(request, body.text)
    replay = await service(request).intake.recall(caller)
    made = replay or await (_transaction if asked.kind == "transaction" else _batch)(request, asked, caller)
    return exchange.respond(request, made)


async def _transaction(request: Request, asked: Asked, caller: Caller) -> Answer:
    """Everything or nothing; what is read is read at the end, in the state the writes have made."""
    wanted, parts = exchange.returned(request, "minimal"), service(request)

    async def answer(written: list[Written]) -> Answer:
        problems, entries, left = Problems(), [], iter(written)
        for entry in asked.entries:
            with problems.kept():
                is_call = isinstance(entry, Call)
                entries.append(
                    await _read(request, entry) if is_call else _written(request, next(left), wanted)  # type: ignore[arg-type]
                )
        problems.refuse()
        return Answer(200, bundle("transaction-response", entries))

    writes = [entry for entry in asked.entries if isinstance(entry, Write)]
    if writes:
        return await parts.intake.accept(writes, caller, answer)
    async with parts.database.reading() as connection:
        with seen_from(connection):
            made = await answer([])
    return await parts.intake.keep(caller, made)


async def _read(request: Request, call: Call) -> Entry:
    """The answer to an entry of a transaction. Raises Refused for one that failed, and so everything fails."""
    response = await _called(request, call)
    if response.status_code >= 500:
        raise Unavailable(f"an entry was answered {response.status_code}")
    if response.status_code >= 400:
        kind = _KINDS.get(response.status_code, Refused)
        raise kind(_issues(response, f"{call.path}.request.url"))
    return _entry_of(request, call, response)


async def _batch(request: Request, asked: Asked, caller: Caller) -> Answer:
    """Each entry by itself. With an Idempotency-Key each entry's outcome is remembered with its write, so that what is
    sent again after a failure goes on there; and then the whole, unless an entry may do better the next time."""
    wanted = exchange.returned(request, "minimal")
    entries = []
    for number, entry in enumerate(asked.entries):
        key = f"{caller.idempotency_key}\x1f{number}" if caller.idempotency_key else ""
        entries.append(await _batch_entry(request, entry, replace(caller, idempotency_key=key), wanted))
        # An entry that waits for nothing, such as a refused one, must not make all others wait for the whole batch.
        await asyncio.sleep(0)
    made = Answer(200, bundle("batch-response", entries))
    # What failed for reasons of ours may be done the next time.
    return made if any(map(_is_ours, entries)) else await service(request).intake.keep(caller, made)


def _is_ours(entry: Entry) -> bool:
    return str((entry.fields or {}).get("response", {}).get("status", "")).startswith("5")


async def _batch_entry(request: Request, entry: Item, caller: Caller, wanted: str) -> Entry:
    def answer(written: list[Written]) -> Answer:
        return Answer(exchange.status_after(written[0]), _written(request, written[0], wanted).text())

    try:
        if isinstance(entry, Refused):
            raise entry
        if isinstance(entry, Call):
            return _entry_of(request, entry, await _called(request, entry))
        done = await service(request).intake.accept([entry], caller, answer)
        return Entry.ready(done.body)
    except (Refused, Unavailable) as error:
        status, issues = told(error)
        if isinstance(entry, Write):
            refused(request, entry.method, entry.type, entry.id, status)
        return _failed(status, operation_outcome(await errors.placed(request, issues)))
    except Exception as error:
        # An error of ours in one entry must not take the others with it.
        request_id = request.state.request_id
        _log.error("an entry of a batch failed", request_id=request_id, **of_error(error))
        text = f"An error of this server; its operators find it under {request_id}."
        return _failed(500, operation_outcome([Issue("exception", text)]))


def _failed(status: int, outcome: object) -> Entry:
    return Entry(fields={"response": {"status": str(status), "outcome": outcome}})


async def _called(request: Request, call: Call) -> Response:
    response = await answered(request, Inner(call.method, call.url, call.body, call.headers))
    media_type = response.headers.get("content-type", "")
    if response.body and response.status_code < 400 and "json" not in media_type:
        text = "What stands in a Bundle has the format of the whole; leave out _format."
        raise NotAcceptable([Issue("not-supported", text, f"{call.path}.request.url", rule="dmt-bundle-entry")])
    return response


def _entry_of(request: Request, call: Call, answer: Response) -> Entry:
    """An answer as an entry: its status, headers and resource, or the OperationOutcome that says why there is none."""
    names = {"location": "location", "etag": "etag"}
    response: dict[str, object] = {"status": str(answer.status_code)}
    response |= {name: answer.headers[header] for name, header in names.items() if header in answer.headers}
    body = bytes(answer.body)
    if answer.status_code >= 400:
        return Entry(fields={"response": {**response, "outcome": lossless.parse(body)} if body else response})
    read = local(call.url.partition("?")[0], "")
    if not body or not read:
        return Entry("", body, {"response": response})
    # The header has whole seconds; here it must be what the resource says (R4 Bundle.entry.response.lastModified).
    response["lastModified"] = lossless.parse_object(body)["meta"]["lastUpdated"]
    return Entry(f"{fhir_base(request)}/{read[0]}/{read[1]}", body, {"response": response})


def _issues(answer: Response, path: str) -> Sequence[Issue]:
    """What an answer inside says, told of the entry it stands for."""
    found = lossless.parse(bytes(answer.body)).get("issue", []) if answer.body else []
    return [
        Issue(str(one.get("code")), str(one.get("diagnostics")), path, rule="dmt-bundle-entry")
        for one in found
        if one.get("severity") in ("error", "fatal")
    ] or [Issue("processing", f"The entry was answered {answer.status_code}.", path, rule="dmt-bundle-entry")]


def _written(request: Request, written: Written, wanted: str) -> Entry:
    """What became of a write."""
    stored = written.stored
    response: dict[str, object] = {"status": str(exchange.status_after(written))}
    if stored.version and not written.others:
        response["location"] = exchange.location(fhir_base(request), stored)
        response["etag"] = f'W/"{stored.version}"'
        response["lastModified"] = instant(stored.last_updated)
    if wanted == "OperationOutcome":
        response["outcome"] = lossless.parse(answers.shown(request, written, wanted))
    resource = stored.content if wanted == "representation" and written.is_shown and stored.content else b""
    full_url = f"{fhir_base(request)}/{stored.type}/{stored.id}" if resource else ""
    return Entry(full_url, resource, {"response": response})
