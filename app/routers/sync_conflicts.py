"""Conflicts: what this server and a target have both changed, side by side, and deciding which version holds."""

from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.instants import instant
from app.fhir.outcomes import Issue, Refused, operation_outcome
from app.routers import bodies, documented, exchange
from app.routers.exchange import service
from app.routers.numbers import RowName
from app.store import conflicts, repository
from app.store.conflicts import UNSETTLED, Conflict
from app.store.database import Connection
from app.store.idempotency import Answer
from app.store.repository import Stored
from app.sync.conflicts.cases import gather, theirs_of
from app.sync.conflicts.resolving import Changed, Resolving
from app.sync.conflicts.settling import weighed
from app.sync.duties import resolving

router = APIRouter(prefix="/sync/conflicts", tags=["Sync"])
_JSON = "application/json"
_STATES = {"open": ("open",), "settled": ("closing", "settled")}
_RESOLUTIONS = ("ours", "theirs", "merged")
_NO_TASK = "Its Task is not here: it was refused, or deleted. It can be decided here all the same."
_NO_BASE = "The version both had before is not known: what only one side has counts as added by it."
_NOT_KEPT = "The versions of a conflict are kept until the next one about the same resource."
_REFUSED = "What would have come of both was refused here; ours or theirs stands for the whole version."
_MOVED = "It was changed here since; deciding answers 409 with what is to be decided now."
_Target = Query("", pattern="^[a-z0-9-]{0,64}$", description="Only this target.")
_After = Query(0, ge=0, le=2**62, description="Only conflicts after this number: the `next` of the page before.")
_Limit = Query(100, ge=1, le=1000, alias="_count", description="Conflicts per page.")
_State = Query("open", description="Those nobody has decided yet, or those that were settled, by rules too.")


@router.get("", summary="What both sides changed and nobody has decided yet, oldest first")
async def listed(
    request: Request,
    target: str = _Target,
    state: Literal["open", "settled"] = _State,
    after: int = _After,
    limit: int = _Limit,
) -> Response:
    exchange.require_known(request, "target", "state", "after", "_count")
    async with service(request).database.reading() as connection:
        found = await conflicts.page(connection, _STATES[state], target=target, after=after, limit=limit)
    page = {"items": [_item(one) for one in found], "next": found[-1].sid if len(found) == limit else None}
    return _answer(request, 200, page)


@router.get("/{conflict_id}", summary="Both versions and their base, side by side, and what a merge makes of them")
async def shown(request: Request, conflict_id: RowName) -> Response:
    exchange.require_known(request)
    resolving = resolving_of(request)
    found = await resolving.read(conflict_id)
    return _answer(request, 200, await _shown(resolving, found))


@router.post(
    "/{conflict_id}",
    summary="Decide which version holds, in the places that differ: ours, theirs, or a merged resource",
    openapi_extra=documented.bodies(_JSON),
)
async def decide(request: Request, conflict_id: RowName) -> Response:
    exchange.require_known(request)
    body = await bodies.read_body(request)
    resolution, text = _asked(body.tree)
    resolving = resolving_of(request)
    # The same decision is the same answer by itself, whatever its key.
    caller = replace(exchange.caller(request, body.text), idempotency_key="")
    try:
        found = await resolving.resolve(conflict_id, resolution, text, caller)
    except Changed as changed:
        told = f"{changed.why} This is what is there now; nothing was changed."
        outcome = operation_outcome([Issue("conflict", told)])
        return _answer(request, 409, await _shown(resolving, changed.conflict) | {"outcome": outcome})
    return _answer(request, 200, await _shown(resolving, found))


def resolving_of(request: Request) -> Resolving:
    """What decides conflicts, for this request."""
    parts = service(request)
    return resolving(parts.intake, parts.clients, exchange.fhir_base(request))


def _asked(tree: dict[str, Any]) -> tuple[Any, bytes | None]:
    """The decision in a body, and the resource it brings. Raises Refused with all that is wrong with it."""
    resolution, resource = tree.get("resolution"), tree.get("resource")
    others = [name for name in tree if name not in ("resolution", "resource")]
    told = dict.fromkeys(others, "It is not served here; a decision has resolution and resource.")
    if resolution not in _RESOLUTIONS:
        told["resolution"] = f"It must be one of {', '.join(_RESOLUTIONS)}."
    elif resolution == "merged" and not isinstance(resource, dict):
        told["resource"] = "It must be the resource that holds."
    elif resolution != "merged" and resource is not None:
        told["resource"] = "It goes with the resolution merged only."
    if told:
        raise Refused(Issue("value", text, name[:64]) for name, text in told.items())
    return resolution, lossless.dumps(resource) if resource is not None else None


def _item(one: Conflict) -> dict[str, Any]:
    return {
        "id": one.cid,
        "target": one.target,
        "reference": f"{one.type}/{one.id}",
        "since": instant(one.created_at),
        "state": "open" if one.state == "open" else "settled",
        "resolution": one.resolution or None,
        "decided_by": one.decided_by or None,
        "settled_at": instant(one.settled_at) if one.settled_at else None,
        "result": f"{one.type}/{one.id}/_history/{one.result}" if one.result else None,
        "paths": lossless.parse(one.differences.encode()),
        "issues": lossless.parse(one.issues.encode()),
        "task": f"Task/{one.cid}",
    }


async def _shown(resolving: Resolving, found: Conflict) -> dict[str, Any]:
    """One conflict with its versions. A part that is not there is null, and notes say why."""
    async with resolving.conflicts.database.reading() as connection:
        ours = await repository.read_version(connection, found.type, found.id, found.version)
        current = await repository.read(connection, found.type, found.id)
        proposed = await _proposed(connection, resolving, found) if found.state == "open" else None
        notes = await _notes(connection, found, current)
    return _item(found) | {
        "base": {"version": found.base_version or None, "resource": _tree(found.base)},
        "ours": {
            "version": found.version,
            "last_updated": instant(ours.last_updated) if ours else None,
            "resource": _tree(ours.content) if ours else None,
        },
        "theirs": {
            "id": found.remote_id,
            "version": found.remote_version or None,
            "etag": found.remote_etag or None,
            "last_updated": instant(found.remote_updated) if found.remote_updated else None,
            "resource": _tree(found.content),
        },
        "proposed": proposed,
        "notes": notes,
    }


async def _proposed(connection: Connection, resolving: Resolving, found: Conflict) -> Any:
    """The merge of both, with ours where a person decides."""
    case = await gather(connection, await resolving.partner(found.target), found.key, theirs_of(found))
    return (await weighed(case)).resource


async def _notes(connection: Connection, found: Conflict, current: Stored | None) -> list[str]:
    task = await repository.read(connection, "Task", found.cid)
    is_kept = found.state in UNSETTLED or found.content is not None
    said = {
        _NO_TASK: task is None or task.deleted,
        _NO_BASE: found.base is None and is_kept,
        _NOT_KEPT: not is_kept,
        _REFUSED: found.state == "open" and found.issues != "[]",
        _MOVED: found.state == "open" and (current.version if current else 0) != found.version,
    }
    return [text for text, holds in said.items() if holds]


def _tree(text: bytes | None) -> Any:
    return None if text is None else lossless.parse_keeping_digits(text)


def _answer(request: Request, status: int, told: dict[str, Any]) -> Response:
    return exchange.respond(request, Answer(status, lossless.dumps(told)), _JSON)
