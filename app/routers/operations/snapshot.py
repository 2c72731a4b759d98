"""$snapshot: the snapshot of a StructureDefinition (R4, OperationDefinition StructureDefinition-snapshot)."""

import asyncio
from collections.abc import Mapping
from typing import Any

from app.fhir.outcomes import Issue, NotFound, Refused
from app.routers.operations import held
from app.routers.operations.call import Call, answer
from app.store.idempotency import Answer
from app.validation.snapshots.broken import BrokenProfile

_TYPE = "StructureDefinition"


async def snapshot(call: Call) -> Answer:
    """The StructureDefinition with its snapshot. Raises Refused with the reason where none can be made."""
    definition = await _asked(call)
    try:
        made = await asyncio.to_thread(call.service.validator.snapshot, definition)
    except BrokenProfile as broken:
        raise Refused(
            Issue("business-rule", f"No snapshot can be made: {flaw}.", _TYPE, rule="dmt-definition")
            for flaw in broken.flaws
        ) from None
    return answer(made)


async def _asked(call: Call) -> Mapping[str, Any]:
    """The definition that is stored, posted, or known by its url."""
    match held.require_one(call, "definition", "url"):
        case "definition":
            return await held.posted(call, "definition")
        case "url":
            return await _by_url(call, call.given.one("url"))
    return await held.stored(call)


async def _by_url(call: Call, url: str) -> Mapping[str, Any]:
    await call.service.intake.definitions.refresh()
    found = call.service.validator.structure(url)
    if found is None:
        raise NotFound([Issue("not-found", "No StructureDefinition of this url is known here.", "url")])
    return found
