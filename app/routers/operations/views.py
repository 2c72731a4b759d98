"""$viewdefinition-run and $viewdefinition-export: tables of stored resources, now or as files (SQL on FHIR)."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from app.export.asked import Asked
from app.export.choosing import needed, patients
from app.export.kickoff import KEY, without_key
from app.export.sources import source_of, types_of
from app.export.tables import MEDIA_TYPES, table
from app.export.viewed import joined, posted, stored
from app.fhir.instants import period
from app.fhir.outcomes import Issue, NotSupported, Refused
from app.fhir.references import local
from app.routers import exchange, negotiation, rights
from app.routers.operations import export as exporting
from app.routers.operations.call import Call
from app.routers.operations.viewed import named_views, one_view, require_meant
from app.routers.streaming import Streamed
from app.store import exporting as moments
from app.store import repository
from app.store.database import Connection
from app.store.exported import Chosen
from app.store.index.state import require_indexed
from app.store.snapshot import current
from app.views import View
from app.views.ready import SqlTable

_VIEW = "ViewDefinition"
# Of a Group whose members are named to the database one by one.
_MOST_PATIENTS = 10_000
_ENDINGS = {"application/json": "json", "application/x-ndjson": "ndjson", "application/ndjson": "ndjson"} | {
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/parquet": "parquet",
    "application/fhir+ndjson": "ndjson",
    "application/fhir+json": "json",
}
_WHOSE = ("patient", "group", "_since")
_TOO_LONG = "The rows take longer to make than an answer may: ask for fewer, or use $viewdefinition-export."


async def run(call: Call) -> Response:
    """The rows, written while they are read."""
    _refuse_inside(call)
    format_ = _format(call, "json")
    view = source_of(await one_view(call))
    unmeant = require_meant(call.request, [view])
    made = table(format_, view.columns, header=call.given.one("header", True))
    if not call.given.values.get("resource"):
        rights.require_whole(types_of(view))
    _require_stored(call, format_)
    _require_whole(call, view)
    until = asyncio.get_running_loop().time() + call.service.settings.view_seconds
    # What fails at once is told as an error; once rows are on their way it can only break the answer off.
    try:
        async with asyncio.timeout_at(until):
            rows = await _rows(call, view, made)
            first = await anext(rows)
    except TimeoutError:
        raise Refused([Issue("too-costly", _TOO_LONG)]) from None
    patience = call.service.settings.export_patience_seconds
    headers = {"Content-Type": MEDIA_TYPES[format_], "Vary": "Accept"}
    if unmeant:
        # Rows have no place for what is to be told of them.
        headers["Preference-Applied"] = "handling=lenient"
    return Streamed(_whole(first, rows), 200, headers, patience=patience, until=until)


async def export(call: Call) -> Response:
    """A job that writes a table for each view."""
    _refuse_inside(call)
    is_lenient = exchange.preference(call.request, "handling") == "lenient"
    flaws = [each.issue for each in exporting.not_now(call, is_lenient)]
    if is_pseudonymised := call.given.one("_pseudonymise", False):
        flaws += without_key(call.given.place("_pseudonymise").place, has_key=call.service.secrets.has(KEY))
    if flaws:
        raise Refused(flaws)
    format_ = _format(call, "ndjson")
    named = await named_views(call)
    sources = [await asyncio.to_thread(source_of, text) for _, text in named]
    unmeant = require_meant(call.request, sources)
    for view in sources:
        table(format_, view.columns)
        rights.require_whole(types_of(view))
        _require_whole(call, view)
    asked = replace(
        _asked(call, tuple(dict.fromkeys(type_ for view in sources for type_ in types_of(view)))),
        views=tuple((name, text.decode()) for name, text in named),
        table_format=format_,
        pseudonymised=is_pseudonymised,
        ignored=unmeant,
    )
    await _require_patients(call, asked)
    return await exporting.accepted(call, asked)


def _refuse_inside(call: Call) -> None:
    if getattr(call.request.state, "is_inside", False):
        raise NotSupported([Issue("not-supported", f"${call.operation.code} cannot be asked for inside a Bundle.")])


def _format(call: Call, default: str) -> str:
    """The format asked for: by _format in the body or the address, else by Accept."""
    given = call.given.one("_format") or call.request.query_params.get("_format")
    if given is None:
        accepted = negotiation.asked_for(call.request, call.operation.formats)
        return _ENDINGS.get(accepted, default)
    name = str(given).strip().replace(" ", "+").lower()
    found = _ENDINGS.get(name, name)
    if found not in MEDIA_TYPES:
        raise Refused([Issue("not-supported", f"_format is one of {', '.join(MEDIA_TYPES)}.", "_format")])
    return found


def _require_stored(call: Call, format_: str) -> None:
    """Refuse what selects stored resources where resources are posted."""
    if call.given.values.get("resource") and (others := [each for each in _WHOSE if call.given.values.get(each)]):
        told = f"{' and '.join(others)} select stored resources: with resources that are posted they mean nothing."
        raise Refused([Issue("value", told, call.given.place(others[0]).place)])


def _require_whole(call: Call, view: View | SqlTable) -> None:
    """What has changed since is not enough for a table that compares what is old with what is new."""
    if isinstance(view, SqlTable) and call.given.values.get("_since"):
        told = f"The rows of {view.name} are made of all that is held about a patient: _since means nothing to them."
        raise Refused([Issue("value", told, call.given.place("_since").place)])


async def _rows(call: Call, view: View | SqlTable, made: Any) -> AsyncGenerator[bytes, None]:
    limit = call.given.one("_limit")
    if resources := call.given.all("resource"):
        return posted(resources, view, made, limit, seconds=call.service.settings.query_seconds)
    chosen = await _chosen(call, _asked(call, types_of(view)))
    if isinstance(view, SqlTable):
        return joined(call.service.database, chosen, view, made, limit)
    return stored(call.service.database, chosen, view, made, limit)


async def _chosen(call: Call, asked: Asked) -> Chosen:
    """What is read of the store: as it is now, and stays so until the last row."""
    await _require_patients(call, asked)
    async with call.service.database.reading() as connection:
        await require_indexed(connection, needed(asked, {}))
        snapshot = await current(connection)
        whose = tuple(await patients(connection, asked, snapshot))
        before = None if asked.since is None else await moments.moment_after(connection, asked.since)
    if len(whose) > _MOST_PATIENTS:
        told = f"The Group has more than {_MOST_PATIENTS} patients: use $viewdefinition-export."
        raise Refused([Issue("too-costly", told, "group")])
    is_named = bool(asked.patients or asked.group)
    return Chosen(
        job="",
        snapshot=snapshot,
        types=asked.types,
        whose="named" if is_named else "everybody",
        since=asked.since,
        before=before,
        patients=whose,
    )


def _asked(call: Call, types: tuple[str, ...]) -> Asked:
    """Whose data is asked for. Raises Refused with all that is wrong."""
    issues: list[Issue] = []
    people = _targets(call, "patient", "Patient", issues)
    groups = _targets(call, "group", "Group", issues)
    since = call.given.one("_since")
    at = None if since is None else period(since)[0]
    if at is not None and at > call.service.clock():
        told = "_since lies in the future: nothing can have changed after it."
        issues.append(Issue("value", told, call.given.place("_since").place))
    if issues:
        raise Refused(issues)
    return Asked(
        level="group" if groups else "patient" if people else "system",
        types=types,
        request=exchange.public_address(call.request),
        group=groups[0] if groups else "",
        since=at,
        patients=tuple(people),
    )


def _targets(call: Call, name: str, type_: str, issues: list[Issue]) -> list[str]:
    """The ids that references of a parameter name."""
    found = []
    for each in call.given.values.get(name, ()):
        reference = each.value.get("reference")
        target = local(reference, exchange.fhir_base(call.request)) if isinstance(reference, str) else None
        if target is None or target[0] != type_ or target[2]:
            told = f"{name} takes references to this server, such as {type_}/12."
            issues.append(Issue("value", told, each.place))
        else:
            found.append(target[1])
    return list(dict.fromkeys(found))


async def _require_patients(call: Call, asked: Asked) -> None:
    """Refuse a Group or patients that are not here, and patients who are not in the Group."""
    async with call.service.database.reading() as connection:
        wrong = [
            Issue("not-found", f"{type_}/{each} is not here.", name)
            for name, type_, ids in (("patient", "Patient", asked.patients), ("group", "Group", (asked.group,)))
            for each in await _absent(connection, type_, [one for one in ids if one])
        ]
        if asked.group and asked.patients and not wrong:
            members = set(await patients(connection, replace(asked, patients=()), await current(connection)))
            wrong = [
                Issue("not-found", f"Patient/{each} is no member of Group/{asked.group}.", "patient")
                for each in asked.patients
                if each not in members
            ]
    if wrong:
        raise Refused(wrong)


async def _absent(connection: Connection, type_: str, ids: Sequence[str]) -> list[str]:
    found = await repository.read_all(connection, [(type_, each) for each in ids])
    here = {id_ for (_, id_), one in found.items() if one.content is not None}
    return [each for each in ids if each not in here]


async def _whole(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece
