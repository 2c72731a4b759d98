"""CDS Hooks 2.0: an EHR asks while a patient is looked at, or while orders are chosen and signed.

The facts come with the request (prefetch). fhirServer is never called: an address in a request would let anyone make
this server ask others. What was not sent is taken from our own record of the patient where the client names our own
server, or none; an id of another server may be another patient's.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, NotFound
from app.intake.accept import LARGE
from app.intake.patient_facts import PatientFacts
from app.mapping.elements import Resource
from app.mapping.facts.gathering import Gathered, gathered
from app.mapping.facts.proposed import with_orders
from app.mapping.hooks.cards import Card, Deck, cards
from app.mapping.hooks.feedback import read_feedback
from app.mapping.hooks.request import HookRequest, read_request
from app.mapping.hooks.services import Service, announced, services
from app.pain.rules.evaluate import evaluate
from app.routers import bodies, documented, exchange
from app.routers.exchange import service
from app.store.idempotency import Answer

router = APIRouter(prefix="/cds-services", tags=["CDS Hooks"])
_JSON = "application/json"
_RULES_PAGE = "/guide/CodeSystem-np-rule.html"
_ORDERS = ("MedicationRequest", "ServiceRequest", "DeviceRequest")
_log = structlog.get_logger()


@router.get("", summary="The CDS Hooks services, and what each asks to be sent along")
async def discovery(request: Request) -> Response:
    exchange.require_known(request)
    return _json(request, {"services": announced(service(request).content)})


async def called(request: Request, name: str) -> Response:
    """The cards for one request of a hook."""
    exchange.require_known(request)
    one = _service(name)
    body = await bodies.read_body(request)
    asked = read_request(body.tree, one)
    held, notes = await _valid(request, {**asked.sent, **asked.orders}, len(body.text))
    orders = {key: resource for key, resource in asked.orders.items() if key in held}
    sent = {key: resource for key, resource in asked.sent.items() if key in held}
    own, unsent, cut = await _own(request, one, asked)
    facts = _facts(request, one, {**own, **sent}, orders)
    made = _cards(request, asked, orders, unsent, [*notes, *cut, *_left_aside(asked, orders)], facts, own)
    for card in made:
        _log.info("cds card", service=one.id, card=card["uuid"], topic=card["source"].get("topic", {}).get("code", ""))
    return _json(request, {"cards": made})


async def feedback(request: Request, name: str) -> Response:
    """What became of cards; kept in the log by uuid, outcome and the code of a reason, without anybody's words."""
    exchange.require_known(request)
    one = _service(name)
    for row in read_feedback((await bodies.read_body(request)).tree):
        _log.info(
            "cds feedback",
            service=one.id,
            card=row.card,
            outcome=row.outcome,
            reason=row.reason,
            suggestions=row.accepted,
        )
    return exchange.respond(request, Answer(200, b""))


def _service(name: str) -> Service:
    found = services().get(name)
    if found is None:
        raise NotFound([Issue("not-found", "There is no such service here; /cds-services lists them.")])
    return found


async def _valid(
    request: Request, resources: Mapping[str, Resource], size: int
) -> tuple[dict[str, Resource], list[str]]:
    """The resources that are valid R4, and how many are not; profiles they claim are not asked about."""

    def look() -> dict[str, Resource]:
        problems = service(request).validator.problems
        found = ((name, one, problems(one)) for name, one in resources.items())
        return {n: one for n, one, issues in found if not any(i.is_error and not i.profile for i in issues)}

    kept = await asyncio.to_thread(look) if size > LARGE else look()
    left = len(resources) - len(kept)
    return kept, [f"{left} of the resources sent are not valid FHIR R4 and were left out"] if left else []


async def _own(
    request: Request, one: Service, asked: HookRequest
) -> tuple[dict[str, Resource], list[str], Sequence[str]]:
    """What this server holds of what was not sent, the keys nobody could answer, and what of it was not looked at."""
    lacking = [key for key in one.prefetch if key not in asked.keys]
    is_ours = asked.server in ("", exchange.fhir_base(request))
    if not lacking or not is_ours:
        return {}, lacking, ()
    parts = service(request)
    holding = await PatientFacts(parts.database, parts.searcher, parts.content).load(asked.patient)
    found = holding.held
    if asked.patient not in found:
        return {}, lacking, ()
    types = {kind for key in lacking for kind in one.prefetch[key]}
    own = {name: resource for name, resource in found.items() if resource["resourceType"] in types}
    return own, [], holding.notes


def _facts(request: Request, one: Service, held: Mapping[str, Resource], orders: Mapping[str, Resource]) -> Gathered:
    parts = service(request)
    today = datetime.fromtimestamp(parts.clock() / 1_000_000, UTC).date()
    known = gathered(held, parts.content, today=today, context={}, leave=orders)
    return with_orders(known, orders, held, parts.content) if one.has_orders else known


def _cards(
    request: Request,
    asked: HookRequest,
    orders: Mapping[str, Resource],
    unsent: list[str],
    problems: Iterable[str],
    known: Gathered,
    own: Mapping[str, Resource],
) -> list[Card]:
    parts = service(request)
    settings = parts.settings
    results = evaluate(
        known.facts, parts.content.guidelines, edition=settings.guideline, jurisdiction=settings.jurisdiction
    )
    page = f"{exchange.public_base(request)}{_RULES_PAGE}"
    deck = Deck(asked.instance, page, orders, parts.content)
    types = ", ".join(sorted({one["resourceType"] for one in own.values()}))
    ours = [f"taken from this server's own record, since it was not sent: {types}"] if own else []
    return cards(results, unsent, [*problems, *results.notes], [*ours, *known.notes], deck)


def _left_aside(asked: HookRequest, orders: Mapping[str, Resource]) -> list[str]:
    others = sorted({one["resourceType"] for one in orders.values()} - {*_ORDERS})
    notes = [f"orders of type {kind} are not looked at" for kind in others]
    if asked.foreign:
        notes.append(f"{asked.foreign} of the resources sent name another patient and were left out")
    return notes


def _json(request: Request, value: object) -> Response:
    return exchange.respond(request, Answer(200, lossless.dumps(value)), _JSON)


def _add_routes(one: Service) -> None:
    """The two operations of a service, each documented with an example of its hook."""

    async def call(request: Request) -> Response:
        return await called(request, one.id)

    async def told(request: Request) -> Response:
        return await feedback(request, one.id)

    for path, endpoint, summary, example in (
        (f"/{one.id}", call, one.title, f"cds-{one.hook}"),
        (f"/{one.id}/feedback", told, f"What became of cards of {one.id}", "cds-feedback"),
    ):
        extra = documented.body(example, _JSON)
        router.add_api_route(path, endpoint, methods=["POST"], summary=summary, openapi_extra=extra, name=summary)


for _one in services().values():
    _add_routes(_one)


@router.post("/{name}", include_in_schema=False)
@router.post("/{name}/feedback", include_in_schema=False)
async def unknown(name: str) -> Response:
    _service(name)
    raise NotFound([Issue("not-found", "There is nothing at this address.")])
