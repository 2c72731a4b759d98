"""$reindex and $reindex-status: search values made anew while the server runs (our OperationDefinition/reindex)."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from app.fhir.instants import instant
from app.fhir.outcomes import Issue, Refused
from app.routers.exchange import fhir_base
from app.routers.operations.call import Call, parameters, part, parts
from app.store.idempotency import Answer
from app.store.index.reindex import Progress


async def reindex(call: Call) -> Answer:
    """Start, and say what is going on."""
    types, codes = call.given.all("type"), call.given.all("parameter")
    known = call.service.parameters
    wrong = [
        Issue("value", f"{each[:64]} is no R4 resource type.", "type") for each in types if each not in known.types
    ]
    asked = types or known.types
    wrong += [
        Issue("not-found", f"There is no search parameter {each[:64]} of these types.", "parameter")
        for each in codes
        if not any(each in known.of(type_) for type_ in asked)
    ]
    if wrong:
        raise Refused(wrong)
    going_on = await call.service.reindexer.start(types, codes)
    address = f"{fhir_base(call.request)}/$reindex-status"
    return replace(_answer(going_on), status=202, location=address)


async def status(call: Call) -> Answer:
    """How far each type is."""
    return _answer(await call.service.reindexer.status())


def _answer(found: Iterable[Progress]) -> Answer:
    return parameters(*map(_shown, found))


def _shown(progress: Progress) -> dict[str, Any]:
    return parts(
        "progress",
        part("type", "Code", progress.type),
        part("done", "UnsignedInt", progress.done),
        part("total", "UnsignedInt", progress.total),
        part("started", "Instant", instant(progress.started_at)),
        part("finished", "Instant", instant(progress.finished_at) if progress.finished_at is not None else ""),
        *(part("parameter", "String", each) for each in progress.parameters),
        *(part("unsearchable", "String", each) for each in progress.unsearchable),
    )
