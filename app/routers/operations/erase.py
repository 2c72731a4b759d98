"""$erase: a patient forgotten (our OperationDefinition/erase). Without `confirm`, what would go is told, and nothing
else is done."""

from collections.abc import Iterator
from typing import Any

from app.fhir.outcomes import operation_outcome
from app.rights.erasure import Consent, Erasure, obstacles
from app.rights.plan import Finder, Plan
from app.routers.exchange import caller, fhir_base, refuse_headers
from app.routers.operations.call import Call, parameters, part, parts
from app.store.idempotency import Answer
from app.store.patience import within


async def erase(call: Call) -> Answer:
    """Tell what would go, or erase it."""
    given, service = call.given, call.service
    # Who erased is in the audit; a Provenance would name what is erased.
    refuse_headers(call.request, "x-provenance")
    finder = Finder(service.parameters, fhir_base(call.request), service.settings.max_bundle_entries)
    erasure = Erasure(service.database, service.intake, finder)
    consent = Consent(given.one("confirm", ""), given.one("references", False), given.one("ids", False))
    # Everything that is stored is looked through, which takes as long as there is of it.
    with within(0):
        if consent.token:
            plan = await erasure.erase(call.resource_id, consent, caller(call.request, b""))
            return parameters(part("done", "Boolean", True), *_told(plan))
        plan = await erasure.plan(call.resource_id)
    problems = obstacles(plan, consent)
    outcome = {"name": "outcome", "resource": operation_outcome(problems)} if problems else {}
    return parameters(part("done", "Boolean", False), part("confirm", "String", plan.token), outcome, *_told(plan))


def _told(plan: Plan) -> Iterator[dict[str, Any]]:
    for name, (resources, versions) in plan.by_type.items():
        counts = (part("resources", "UnsignedInt", resources), part("versions", "UnsignedInt", versions))
        yield parts("erased", part("type", "Code", name), *counts)
    for shared in plan.shared:
        reference = {"reference": f"{shared.held.type}/{shared.held.id}"}
        paths = (part("path", "String", each) for each in shared.paths)
        stays = part("removable", "Boolean", shared.tree is not None)
        yield parts("reference", part("resource", "Reference", reference), stays, *paths)
    for held, places in sorted(plan.named.items(), key=lambda each: (each[0].key, each[0].version)):
        version = "" if held.is_current else f"/_history/{held.version}"
        named = part("resource", "Reference", {"reference": f"{held.type}/{held.id}{version}"})
        yield parts("named", named, *(part("path", "String", each) for each in places))
    counted = {where: len(rows) for where, rows in plan.copies.items()} | {"export": plan.exports}
    for where, count in sorted((where, count) for where, count in counted.items() if count):
        yield parts("copy", part("where", "Code", where), part("count", "UnsignedInt", count))
