"""The Task that asks a person which of two versions holds, and what a finished one says.

What differs is named by paths only; the other server's version is contained, so that whoever may read the Task sees it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from app.fhir import json as lossless
from app.fhir.instants import instant
from app.profiles import canonical
from app.store.conflicts import Conflict
from app.store.enqueue import patient_of
from app.sync.pull.incoming import RECORD

Tree = dict[str, Any]
SYSTEM = canonical("CodeSystem", "np-sync-conflict")
_DISPLAY = {
    "decide": "Decide a conflict",
    "theirs-version": "Version of the other server",
    "path-ours": "Path in our version",
    "path-theirs": "Path in their version",
    "issue": "Why it was not merged",
    "result": "Result",
}
_TEXT = "This server and another one have both changed this resource: decide what holds."
# R4 Task.status: nothing more is done about it.
_FINISHED = ("completed", "cancelled", "rejected", "failed", "entered-in-error")
# R4 dom-2 to dom-5: what a contained resource does not have.
_NOT_CONTAINED = ("versionId", "lastUpdated", "security")
_MOST_ISSUES = 20


def open_task(conflict: Conflict, patient_ref: str, now: int, *, contains_theirs: bool = True) -> Tree:
    """The Task of an open conflict. contains_theirs: False where their version is none that may be stored here."""
    contained = _contained(conflict) if contains_theirs else []
    made = {
        "resourceType": "Task",
        "id": conflict.cid,
        "meta": {"tag": [{"system": RECORD, "code": "conflict"}]},
        "contained": contained,
        "status": "requested",
        "businessStatus": _said("open"),
        "intent": "order",
        "code": _said("decide") | {"text": _TEXT},
        "focus": {"reference": f"{conflict.type}/{conflict.id}/_history/{conflict.version}"},
        "for": {"reference": patient_ref} if patient_ref else None,
        "authoredOn": instant(conflict.created_at),
        "lastModified": instant(now),
        "requester": {"identifier": {"system": f"{RECORD}/target", "value": conflict.target}},
        "input": _inputs(conflict, contained),
    }
    return {name: value for name, value in made.items() if value}


def closed_task(task: Mapping[str, Any], conflict: Conflict, now: int) -> Tree:
    """The Task with what was decided; all else as it stands."""
    made = {**task, "status": "completed", "businessStatus": _said(conflict.resolution), "lastModified": instant(now)}
    if conflict.resolution in ("superseded", "alike"):
        made["status"] = "cancelled"
    if conflict.result:
        reference = f"{conflict.type}/{conflict.id}/_history/{conflict.result}"
        made["output"] = [{"type": _said("result"), "valueReference": {"reference": reference}}]
    return made


def is_finished(task: Mapping[str, Any]) -> bool:
    """Whether somebody has closed it."""
    return task.get("status") in _FINISHED


def answer_of(task: Mapping[str, Any]) -> Literal["ours", "theirs"] | None:
    """What whoever completed a Task has decided by its businessStatus; None where it says nothing."""
    said = task.get("businessStatus")
    codings = said.get("coding", []) if isinstance(said, Mapping) and task.get("status") == "completed" else []
    codes = {one.get("code") for one in codings if one.get("system") == SYSTEM}
    found: list[Literal["ours", "theirs"]] = [side for side in ("ours", "theirs") if side in codes]
    return found[0] if len(found) == 1 else None


def patient_in(conflict: Conflict, ours: bytes | None, base: str) -> str:
    """Whose the resource is, as "Patient/1": by our version, or else by theirs; "" for nobody's."""
    named = (patient_of(lossless.parse_object(one), base) for one in (ours, conflict.content) if one)
    return next(filter(None, named), "")


def _inputs(conflict: Conflict, contained: Sequence[Tree]) -> list[Tree]:
    made: list[Tree] = []
    if contained:
        made.append({"type": _said("theirs-version"), "valueReference": {"reference": f"#{contained[0]['id']}"}})
    for one in lossless.parse(conflict.differences.encode()):
        for side in ("ours", "theirs"):
            if one[side]:
                # Both paths of one element have the same text.
                made.append({"type": _said(f"path-{side}") | {"text": one["element"]}, "valueString": one[side]})
    for issue in lossless.parse(conflict.issues.encode())[:_MOST_ISSUES]:
        made.append({"type": _said("issue"), "valueString": issue})
    return made


def _contained(conflict: Conflict) -> list[Tree]:
    """Their version, and beside it what it contains itself: what is contained contains nothing (dom-2)."""
    if conflict.content is None:
        return []
    theirs: Tree = lossless.parse_keeping_digits(conflict.content)
    inner = theirs.pop("contained", [])
    meta = theirs.pop("meta", None)
    kept = {name: value for name, value in (meta or {}).items() if name not in _NOT_CONTAINED}
    taken = {one.get("id") for one in inner}
    names = ("theirs", *(f"theirs-{number}" for number in range(len(inner))))
    theirs["id"] = next(name for name in names if name not in taken)
    return [theirs | ({"meta": kept} if kept else {}), *inner]


def _said(code: str) -> Tree:
    display = {"display": _DISPLAY[code]} if code in _DISPLAY else {}
    return {"coding": [{"system": SYSTEM, "code": code, **display}]}
