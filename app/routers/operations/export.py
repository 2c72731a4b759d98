"""$export: kicks off an export of everything, of all patients, or of the members of a Group (Bulk Data Access 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.responses import Response

from app.export.asked import Asked, Level
from app.export.choosing import patients, searches
from app.export.kickoff import KEY, Flaw, Kickoff, Value, flaw, read
from app.fhir import json as lossless
from app.fhir.outcomes import Issue, NotSupported, Refused, TooMany, operation_outcome
from app.fhir.references import local
from app.routers import exchange, rights
from app.routers.noting import about
from app.routers.operations import held
from app.routers.operations.call import Call
from app.store import exports, idempotency, repository, sight
from app.store.database import Lock
from app.store.idempotency import Answer
from app.store.search.needs import leads_to
from app.store.snapshot import current

_LEVELS: Mapping[str, Level] = {"": "system", "Patient": "patient", "Group": "group"}
ASYNC = "respond-async"
_KICKOFF = Lock("export kick-off")
# When there may be room for another export: they take minutes rather than seconds.
_NEXT_SECONDS = 60


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
    asked = _permitted(call, read(kickoff, call.service.searcher, _values(call), flaws))
    await _require_patients(call, asked)
    return await accepted(call, asked)


def _permitted(call: Call, asked: Asked) -> Asked:
    """The same, as far as the client may read everything that is to be exported. Raises Forbidden where it asks by name
    for what it may not, or where nothing is left."""
    if sight.current() is None:
        return asked
    found = searches(call.service.searcher, asked, call.service.clock())
    rights.require_whole([each for type_, queries in found.items() for one in queries for each in leads_to(one, type_)])
    if call.given.values.get("_type"):
        rights.require_whole(asked.types)
        return asked
    types, left = rights.whole(asked.types)
    rights.require_whole([*asked.filters, *(["Provenance"] if asked.associated else [])])
    return replace(asked, types=types, ignored=(*asked.ignored, *([left] if left else [])))


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
    job, owner = call.service.new_id(), exchange.owner(call.request)
    place = f"{exchange.public_base(call.request)}/exports/{job}"
    exchange.refuse_headers(call.request, "x-provenance")
    made, key = _taken_on(asked, place), exchange.caller(call.request, _given(call)).key
    async with call.service.database.writing() as connection:
        await call.service.database.lock(connection, [_KICKOFF])
        replay = await idempotency.recall(connection, key) if key else None
        if replay is None:
            _require_room(call, owner, await exports.unfinished(connection))
            about(call.request, f"exports/{job}")
            await exports.create(connection, job, asked.text, at=call.service.clock(), owner_subject=owner)
            if key:
                await idempotency.remember(connection, key, made, call.service.clock())
    call.service.bell.ring()
    response = exchange.respond(call.request, replay or made)
    response.headers["Content-Location"] = response.headers["Location"]
    del response.headers["Location"]
    applied = [ASYNC] if exchange.prefers(call.request, ASYNC) else []
    applied += ["handling=lenient"] if exchange.preference(call.request, "handling") == "lenient" else []
    response.headers["Preference-Applied"] = ", ".join(applied)
    return response


def _given(call: Call) -> bytes:
    """What was asked for, for the Idempotency-Key."""
    return lossless.dumps({name: [each.value for each in given] for name, given in sorted(call.given.values.items())})


def _taken_on(asked: Asked, place: str) -> Answer:
    """The answer to a kick-off. place: where its progress can be asked for."""
    told = [Issue("informational", f"The export is taken on; ask {place} how far it is.", severity="information")]
    told += [Issue("not-supported", each, severity="warning") for each in asked.ignored]
    return Answer(202, lossless.dumps(operation_outcome(told)), place)


def _require_room(call: Call, owner: str, going_on: Sequence[str]) -> None:
    """Raises TooMany where as many exports wait or go on as may. going_on: whose they are."""
    settings = call.service.settings
    of_all = len(going_on) >= settings.max_export_jobs
    of_one = owner and going_on.count(owner) >= settings.max_client_export_jobs
    if of_all or of_one:
        told = (
            f"{settings.max_export_jobs} exports wait or go on here"
            if of_all
            else f"{settings.max_client_export_jobs} exports of this client wait or go on"
        )
        issue = Issue("throttled", f"{told}, and no more are taken on. Ask again later, or call one off.")
        raise TooMany([issue], after=_NEXT_SECONDS)


def _values(call: Call) -> Mapping[str, Sequence[Value]]:
    """Those of parameters that are given as often as they may be: of one that is not, none is meant."""
    found: dict[str, list[Value]] = {}
    for name, given in call.given.values.items():
        most = call.operation.parameters[name].most
        if most is None or len(given) <= most:
            found[name] = [Value(each.value, each.place) for each in given]
    return found
