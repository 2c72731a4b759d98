"""$export: kicks off an export of everything, of all patients, or of the members of a Group (Bulk Data Access 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.responses import Response

from app.export.asked import Asked, Level
from app.export.choosing import patients
from app.export.kickoff import KEY, Flaw, Kickoff, Value, flaw, read
from app.fhir import json as lossless
from app.fhir.outcomes import Issue, NotSupported, Refused, operation_outcome
from app.fhir.references import local
from app.routers import exchange
from app.routers.operations import held
from app.routers.operations.call import Call
from app.store import exports, repository
from app.store.idempotency import Answer
from app.store.snapshot import current

_LEVELS: Mapping[str, Level] = {"": "system", "Patient": "patient", "Group": "group"}
ASYNC = "respond-async"


async def export(call: Call) -> Response:
    """Take it on, and say where its progress can be asked for."""
    is_lenient = exchange.preference(call.request, "handling") == "lenient"
    kickoff = Kickoff(
        level=_LEVELS[call.resource_type],
        request=exchange.public_address(call.request),
        base=exchange.fhir_base(call.request),
        now=call.service.clock(),
        group=call.resource_id,
        is_lenient=is_lenient,
        has_key=call.service.secrets.has(KEY),
    )
    flaws = [*not_now(call, is_lenient), *(flaw(name, issue) for name, issue in call.given.wrong)]
    asked = read(kickoff, call.service.searcher, _values(call), flaws)
    await _require_patients(call, asked)
    return await accepted(call, asked)


async def _require_patients(call: Call, asked: Asked) -> None:
    """Refuse a Group that is not here, and patients who are not here, or not in the Group."""
    if asked.group:
        await held.current(call)
    async with call.service.database.reading() as connection:
        found = await repository.read_all(connection, [("Patient", each) for each in asked.patients])
        members = set(await patients(connection, replace(asked, patients=()), await current(connection)))
    here = {id_ for (_, id_), stored in found.items() if stored.content is not None}
    wrong = [
        Issue("not-found", f"Patient/{each} is not here.", place)
        if each not in here
        else Issue("not-found", f"Patient/{each} is no member of Group/{asked.group}.", place)
        for each, place in _places(call)
        if each not in here or (asked.group and each not in members)
    ]
    if wrong:
        raise Refused(wrong)


def _places(call: Call) -> list[tuple[str, str]]:
    """The patients named, each with where."""
    base = exchange.fhir_base(call.request)
    named = [(local(each.value["reference"], base), each.place) for each in call.given.values.get("patient", ())]
    return [(target[1], place) for target, place in named if target]


def not_now(call: Call, is_lenient: bool) -> list[Flaw]:
    """What is wrong with a client that waits for an answer now. Raises NotSupported inside a Bundle, whose entries have
    no place for the address of the answer."""
    if getattr(call.request.state, "is_inside", False):
        raise NotSupported([Issue("not-supported", f"${call.operation.code} cannot be asked for inside a Bundle.")])
    told = f"${call.operation.code} is answered later: send the header Prefer: {ASYNC}."
    return [] if is_lenient or exchange.prefers(call.request, ASYNC) else [Flaw(Issue("required", told), "always")]


async def accepted(call: Call, asked: Asked) -> Response:
    """Note a job, and answer where it can be asked for (R4 async.html)."""
    job = call.service.new_id()
    async with call.service.database.writing() as connection:
        await exports.create(connection, job, asked.text, at=call.service.clock())
    call.service.bell.ring()
    place = f"{exchange.public_base(call.request)}/exports/{job}"
    told = [Issue("informational", f"The export is taken on; ask {place} how far it is.", severity="information")]
    told += [Issue("not-supported", each, severity="warning") for each in asked.ignored]
    response = exchange.respond(call.request, Answer(202, lossless.dumps(operation_outcome(told))))
    response.headers["Content-Location"] = place
    applied = [ASYNC] if exchange.prefers(call.request, ASYNC) else []
    applied += ["handling=lenient"] if exchange.preference(call.request, "handling") == "lenient" else []
    response.headers["Preference-Applied"] = ", ".join(applied)
    return response


def _values(call: Call) -> Mapping[str, Sequence[Value]]:
    """Those of parameters that are given as often as they may be: of one that is not, none is meant."""
    found: dict[str, list[Value]] = {}
    for name, given in call.given.values.items():
        most = call.operation.parameters[name].most
        if most is None or len(given) <= most:
            found[name] = [Value(each.value, each.place) for each in given]
    return found
