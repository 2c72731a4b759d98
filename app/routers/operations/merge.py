"""$merge of two Patients (HL7 FHIR R5, Patient-merge) and $unmerge (our OperationDefinition/unmerge)."""

from collections.abc import Mapping
from typing import Any

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, operation_outcome
from app.intake.writes import Written
from app.rights.merging import Merging, Moves
from app.rights.naming import patient_of
from app.routers.exchange import caller, fhir_base
from app.routers.operations import held
from app.routers.operations.call import Call, answer
from app.store.idempotency import Answer
from app.store.repository import Stored


async def merge(call: Call) -> Answer:
    """Merge the source into the target, or tell what that would do."""
    has_result = bool(call.given.values.get("result-patient"))
    result = await held.posted(call, "result-patient") if has_result else None
    return await _done(call, lambda merging, source, target: merging.merge(source, target, result))


async def unmerge(call: Call) -> Answer:
    """Reverse the merges of the two, or tell what that would do."""
    return await _done(call, lambda merging, source, target: merging.reverse(source, target))


async def _done(call: Call, make: Any) -> Answer:
    service, base = call.service, fhir_base(call.request)
    asked = _asked(call)
    who = caller(call.request, lossless.dumps(asked))
    if replay := await service.intake.recall(who):
        return replay
    merging = Merging(service.database, service.intake, service.searcher, base, service.settings.max_bundle_entries)
    async with service.database.reading() as connection:
        source, target = [await _patient(call, connection, side, base) for side in ("source", "target")]
    moves: Moves = await make(merging, source, target)
    if call.given.one("preview", False):
        await merging.preview(moves)
        return _answer(asked, moves, moves.result, is_preview=True)

    def written(done: list[Written]) -> Answer:
        stored: Stored = done[0].stored
        return _answer(asked, moves, lossless.parse_keeping_digits(stored.content or b"{}"), is_preview=False)

    return await merging.save(moves, who, written)


async def _patient(call: Call, connection: Any, side: str, base: str) -> Stored:
    given = call.given
    identifiers = given.all(f"{side}-patient-identifier")
    return await patient_of(connection, given.one(f"{side}-patient"), identifiers, base=base, place=f"{side}-patient")


def _asked(call: Call) -> dict[str, Any]:
    """What was given, as it is told back."""
    shown = []
    for name, values in call.given.values.items():
        type_ = call.operation.parameters[name].type
        key = "resource" if call.operation.parameters[name].is_resource else f"value{type_[:1].upper()}{type_[1:]}"
        shown += [{"name": name, key: each.value} for each in values]
    return {"resourceType": "Parameters", "parameter": shown}


def _answer(asked: Mapping[str, Any], moves: Moves, result: Mapping[str, Any], *, is_preview: bool) -> Answer:
    done = "would change" if is_preview else "changed"
    told = [
        Issue("informational", f"{type_}: {count} {done} whose they are.", type_, "information")
        for type_, count in sorted(moves.moved.items())
    ]
    told += [
        Issue("informational", f"{type_}: {count} kept as they are: they say how things were.", type_, "information")
        for type_, count in sorted(moves.left.items())
    ]
    whole = Issue("informational", f"The two patients {done}.", "Patient", "information")
    parts = [("input", asked), ("outcome", operation_outcome([whole, *told])), ("result", result)]
    listed = [{"name": name, "resource": tree} for name, tree in parts]
    return answer({"resourceType": "Parameters", "parameter": listed})
