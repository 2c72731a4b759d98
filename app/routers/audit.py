"""The FHIR door to AuditEvents: read and searched, by a scope of their own, and never written by anybody.

They are made of the rows that were noted (app/store/audit/), so the search of other types knows nothing of them.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.audit_events import audit_event, interactions, subtyped
from app.fhir.bundles import Entry, bundle
from app.fhir.instants import period
from app.fhir.outcomes import Forbidden, Issue, NotFound, Refused
from app.fhir.references import is_id, local
from app.routers import bodies, documented, exchange
from app.routers.addresses import ID
from app.routers.exchange import fhir_base, principal, service
from app.store.audit import finding
from app.store.audit.finding import Wanted
from app.store.cursors import CURSOR, no_link, seal, unseal_numbers
from app.store.idempotency import Answer
from app.store.snapshot import Snapshot

router = APIRouter(prefix="/fhir", tags=["FHIR"])
AUDIT = "AuditEvent"
# Name -> kind, and what it asks. Each but date may be given once; its values, separated by commas, are alternatives.
PARAMETERS: Mapping[str, tuple[str, str]] = {
    "_id": ("token", "Ids of AuditEvents."),
    "date": ("date", "When it was, e.g. ge2026-05-01; twice for a range."),
    "patient": ("reference", "Whose data it concerned: Patient/id, or id."),
    "entity": ("reference", "What it was about: Type/id."),
    "agent": ("token", "Who did it: the client_id, or the subject of the token."),
    "address": ("string", "The network address it came from."),
    "action": ("token", "C, R, U, D or E."),
    "subtype": ("token", "The interaction, such as read, search-type, create, operation."),
    "outcome": ("token", "0: done; 4: refused; 8: failed here."),
}
_SHAPE = {
    "_count": "AuditEvents per page.",
    "_sort": "-date, which is also what is given without it, or date.",
    "_total": "none, which is also what is given without it, or accurate.",
    "_summary": "count: only how many there are.",
}
_DOCUMENTED = documented.parameters(**{name: told for name, (_, told) in PARAMETERS.items()}, **_SHAPE)
_STATUSES = {"0": (0, 400), "4": (400, 500), "8": (500, 1000)}
_PREFIXES: Mapping[str, Callable[[int, int], tuple[int | None, int | None]]] = {
    "eq": lambda low, high: (low, high),
    "ge": lambda low, _: (low, None),
    "gt": lambda _, high: (high, None),
    "le": lambda _, high: (None, high),
    "lt": lambda low, _: (None, low),
}
_DATE = re.compile(r"(eq|ge|gt|le|lt)?(\d.*)")
_ROW = re.compile("[1-9][0-9]{0,17}")
_NO_PLACE = Snapshot(0, 0)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One page of a search. used: the parameters as they are executed."""

    wanted: tuple[Wanted, ...]
    used: tuple[tuple[str, str], ...]
    count: int
    is_ascending: bool
    is_counted: bool
    cursor: str


@router.get(f"/{AUDIT}", summary="Search what was done here, and by whom", openapi_extra=_DOCUMENTED)
async def search(request: Request) -> Response:
    return await _search(request, request.query_params.multi_items())


@router.post(
    f"/{AUDIT}/_search",
    summary="Search what was done here, and by whom",
    openapi_extra=documented.bodies(bodies.FORM),
)
async def post_search(request: Request) -> Response:
    return await _search(request, [*request.query_params.multi_items(), *await bodies.read_form(request)])


@router.get(
    f"/Patient/{{patient_id:{ID}}}/{AUDIT}", summary="Who did what with one patient's data", openapi_extra=_DOCUMENTED
)
async def search_compartment(request: Request, patient_id: str) -> Response:
    exchange.require_id(patient_id)
    return await _search(request, request.query_params.multi_items(), patient_id)


@router.get(f"/{AUDIT}/{{event_id:{ID}}}", summary="Read an AuditEvent")
async def read(request: Request, event_id: str) -> Response:
    return await _read(request, event_id)


@router.get(f"/{AUDIT}/{{event_id:{ID}}}/_history/{{version}}", summary="Read an AuditEvent: it has one version")
async def vread(request: Request, event_id: str, version: str) -> Response:
    return await _read(request, event_id if version == "1" else "")


@router.get(f"/{AUDIT}/_history", include_in_schema=False)
@router.get(f"/{AUDIT}/{{event_id:{ID}}}/_history", include_in_schema=False)
async def history(request: Request) -> Response:
    told = "An AuditEvent is never changed, so none has a history: search them, newest first, at [base]/AuditEvent."
    raise Refused([Issue("not-supported", told)])


async def _read(request: Request, event_id: str) -> Response:
    exchange.require_acceptable(request)
    exchange.require_known(request)
    limits = _limits(request, "r")
    found = []
    if _ROW.fullmatch(event_id):
        await service(request).recorder.settled()
        async with service(request).database.reading() as connection:
            wanted = [Wanted(ids=[int(event_id)]), *limits]
            found = await finding.find(connection, wanted, after=None, count=1, is_ascending=True)
    if not found:
        raise NotFound([Issue("not-found", "There is no such AuditEvent here.")])
    text = lossless.dumps(_made(request, found[0]))
    return exchange.respond(request, Answer(200, text, etag='W/"1"'))


async def _search(request: Request, given: Sequence[tuple[str, str]], patient: str = "") -> Response:
    exchange.require_acceptable(request)
    asked = _asked(request, given, patient)
    wanted = [*asked.wanted, *_limits(request, "s")]
    address = f"{fhir_base(request)}/{f'Patient/{patient}/' if patient else ''}{AUDIT}"
    link = exchange.link(address, asked.used)
    after = _place(asked, link)
    await service(request).recorder.settled()
    async with service(request).database.reading() as connection:
        total = await finding.count_all(connection, wanted) if asked.is_counted else None
        rows = await finding.find(
            connection,
            wanted,
            after=after,
            count=asked.count + 1 if asked.count else 0,
            is_ascending=asked.is_ascending,
        )
    shape = exchange.shape(request)
    links = [("self", exchange.link(address, [*asked.used, *shape]))]
    if len(rows) > asked.count > 0:
        cursor = seal(link, _NO_PLACE, [rows[asked.count - 1].aid])
        links.append(("next", exchange.link(address, [*asked.used, *shape, (CURSOR, cursor)])))
    entries = [
        Entry(
            f"{fhir_base(request)}/{AUDIT}/{row.aid}",
            lossless.dumps(_made(request, row)),
            {"search": {"mode": "match"}},
        )
        for row in rows[: asked.count]
    ]
    return exchange.respond(request, Answer(200, bundle("searchset", entries, total=total, links=links)))


def _made(request: Request, row: Any) -> dict[str, object]:
    return audit_event(row, fhir_base(request), "Dermatome")


def _limits(request: Request, right: str) -> list[Wanted]:
    """What the scopes let one see of them. Raises Forbidden where that is nothing.

    Of a scope with a query nothing is seen: those are searches of stored resources.
    """
    limits = principal(request).limits(right, AUDIT)
    if limits is None:
        return []
    patients = [each.patient for each in limits if each.patient and not each.query]
    if not patients:
        told = f"The scopes of this token give no right to do this with AuditEvents (.{right}): system/AuditEvent.rs."
        raise Forbidden([Issue("forbidden", told, rule="dmt-scope")])
    return [Wanted(patients=patients)]


def _place(asked: _Asked, link: str) -> int | None:
    if not asked.cursor:
        return None
    try:
        return unseal_numbers(asked.cursor, link, 1)[1][0]
    except ValueError:
        raise no_link() from None


def _asked(request: Request, given: Sequence[tuple[str, str]], patient: str) -> _Asked:
    """Raises Refused naming all that is wrong; what is unknown too, however the client handles that elsewhere."""
    wanted, issues, shape = [Wanted(patients=[patient])] if patient else [], [], {"_sort": "-date", "_total": "none"}
    names = [name for name, _ in given]
    for name, value in given:
        if name in ("_format", "_pretty"):
            continue
        try:
            if name != "date" and names.count(name) > 1:
                raise ValueError("it is given several times; alternatives are separated by commas")
            if name in PARAMETERS:
                wanted.append(_READ[name](value, fhir_base(request)))
            elif name in (*_SHAPE, CURSOR):
                shape[name] = value
            else:
                told = f"it is not served for AuditEvents; served: {', '.join([*PARAMETERS, *_SHAPE])}"
                raise ValueError(told)
        except (ValueError, OverflowError) as error:
            issues.append(Issue("value", f"Parameter {name[:64]}: {error}.", name[:64]))
    issues += list(_wrong(shape))
    if issues:
        raise Refused(issues)
    settings = service(request).settings
    count = min(int(shape.get("_count", settings.page_size)), settings.max_page_size)
    is_count = shape.get("_summary") == "count"
    return _Asked(
        wanted=tuple(wanted),
        used=tuple((name, value) for name, value in given if name in (*PARAMETERS, *_SHAPE)),
        count=0 if is_count else count,
        is_ascending=shape["_sort"] == "date",
        is_counted=is_count or shape["_total"] == "accurate",
        cursor=shape.get(CURSOR, ""),
    )


def _wrong(shape: Mapping[str, str]) -> Iterator[Issue]:
    count = shape.get("_count", "0")
    if not (count.isascii() and count.isdigit() and len(count) < 10):
        yield Issue("value", "Parameter _count: expected a number of 0 or more.", "_count")
    allowed = {"_sort": ("-date", "date"), "_total": ("none", "accurate"), "_summary": ("count", "false")}
    for name, values in allowed.items():
        if shape.get(name, values[0]) not in values:
            yield Issue("value", f"Parameter {name}: expected one of {', '.join(values)}.", name)


def _date(value: str, _: str) -> Wanted:
    found = _DATE.fullmatch(value.replace(" ", "+"))
    if not found:
        raise ValueError("expected a date, with one of the prefixes eq, ge, gt, le, lt, or none")
    since, until = _PREFIXES[found[1] or "eq"](*period(found[2]))
    return Wanted(since=since, until=until)


def _entities(value: str, base: str) -> Wanted:
    found = [local(each, base) for each in value.split(",")]
    if not all(found):
        raise ValueError("expected Type/id")
    return Wanted(entities=[each[:2] for each in found if each])


def _patients(value: str, base: str) -> Wanted:
    ids = [each if is_id(each) else (local(each, base) or ("", ""))[1] for each in value.split(",")]
    if not all(map(is_id, ids)):
        raise ValueError("expected Patient/id, or an id")
    return Wanted(patients=ids)


def _tokens(value: str) -> list[str]:
    """Codes; of system|code the code."""
    return [each.rpartition("|")[2] for each in value.split(",")]


def _subtypes(value: str, _: str) -> Wanted:
    found = [each for code in _tokens(value) for each in subtyped(code)]
    if not found:
        raise ValueError("expected codes of http://hl7.org/fhir/restful-interaction")
    return Wanted(interactions=found)


def _actions(value: str, _: str) -> Wanted:
    wrong = [each for each in _tokens(value) if each not in tuple("CRUDE")]
    if wrong:
        raise ValueError("expected C, R, U, D or E")
    return Wanted(interactions=[each for code in _tokens(value) for each in interactions(code)])


def _outcomes(value: str, _: str) -> Wanted:
    if wrong := [each for each in _tokens(value) if each not in _STATUSES]:
        raise ValueError(f"{wrong[0][:40]} is no outcome that there is here; expected 0, 4 or 8")
    return Wanted(statuses=[_STATUSES[each] for each in _tokens(value)])


def _ids(value: str, _: str) -> Wanted:
    return Wanted(ids=[int(each) for each in value.split(",") if _ROW.fullmatch(each)])


_READ: Mapping[str, Callable[[str, str], Wanted]] = {
    "_id": _ids,
    "date": _date,
    "patient": _patients,
    "entity": _entities,
    "agent": lambda value, _: Wanted(agents=_tokens(value)),
    "address": lambda value, _: Wanted(addresses=value.split(",")),
    "action": _actions,
    "subtype": _subtypes,
    "outcome": _outcomes,
}
