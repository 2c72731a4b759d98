"""What operations work on: the stored resource of the address, a posted one, and the terminology of now."""

import asyncio
from typing import Any

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused
from app.routers import exchange
from app.routers.noting import saw
from app.routers.operations.call import Call
from app.store import repository
from app.store.repository import Stored
from app.terminology import Terminology


async def current(call: Call) -> Stored:
    """The current version of the resource of the address. Raises NotFound or Gone."""
    async with call.service.database.reading() as connection:
        stored = await repository.read(connection, call.resource_type, call.resource_id)
    if stored is None or stored.content is None:
        raise exchange.gone_or_missing(call.resource_type, call.resource_id, stored)
    saw(call.request, [stored])
    return stored


async def stored(call: Call) -> dict[str, Any]:
    """The same, parsed."""
    return lossless.parse_object((await current(call)).content or b"{}")


async def posted(call: Call, name: str) -> dict[str, Any]:
    """The resource of a parameter, if it is sound by base R4."""
    resource: dict[str, Any] = call.given.one(name)
    # Definitions are large: checking one must not keep the others waiting.
    issues = await asyncio.to_thread(call.service.validator.check, resource)
    if errors := [issue for issue in issues if issue.is_error]:
        place = call.given.place(name).place
        raise Refused([issue.within(f"{place}.resource") if place else issue for issue in errors])
    return resource


async def terminology(call: Call) -> Terminology:
    """The code systems and value sets of now, posted ones among them."""
    await call.service.intake.definitions.refresh()
    return call.service.validator.validator.terminology


def require_one(call: Call, *names: str) -> str:
    """Which one of several parameters was given; "" where the address names a resource instead."""
    found = [name for name in names if call.given.values.get(name)]
    if len(found) + bool(call.resource_id) != 1:
        told = f"Give one of the parameters {', '.join(names)}"
        more = "; here the address says which is meant" if call.resource_id else ""
        raise Refused([Issue("value", f"{told}{more}.", "Parameters.parameter")])
    return found[0] if found else ""
