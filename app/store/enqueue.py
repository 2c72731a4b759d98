"""Noting, with a version, which targets are to be told of it: one row per target and resource, the newest version."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, case, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.fhir import json as lossless
from app.fhir.references import local
from app.store.keys import among, chunks
from app.store.tables import Content, Outbox, Version
from app.store.upserts import upserting

_OUTBOX: Any = Outbox.__table__  # type: ignore[attr-defined]
_VERSION: Any = Version.__table__  # type: ignore[attr-defined]
_CONTENT: Any = Content.__table__  # type: ignore[attr-defined]
_KEY = ("target", "type", "id")
# The elements that say whose a resource is, first the one that does where there are several (R4 CompartmentDefinition
# "patient", without those that name whoever asserted or performed).
WHOSE = ("subject", "patient", "beneficiary", "for", "individual", "recipient")


@dataclass(frozen=True, slots=True)
class Told:
    """A version to be told to targets. tree: its content, None for a deletion."""

    type: str
    id: str
    version: int
    vid: int
    last_updated: int
    tree: Mapping[str, Any] | None
    targets: Sequence[str]


async def enqueue(connection: AsyncConnection, told: Sequence[Told], base: str) -> None:
    """Note versions for their targets, in the transaction that writes them; the order given is that of first sends.

    base: the address of this server's FHIR endpoint, for absolute references to ourselves.
    """
    of_deleted = await _patients_before(connection, [(one.type, one.id) for one in told if one.tree is None], base)
    rows = [
        _row(one, target, of_deleted.get((one.type, one.id), "") if one.tree is None else patient_of(one.tree, base))
        for one in told
        for target in one.targets
    ]
    # Nobody is to be told, or what was asked for is just being replaced, and noted by whoever does.
    if not rows:
        return
    await _lock(connection, [(one.type, one.id) for one in told if one.version > 1])
    await connection.execute(upserting(connection, Outbox, _KEY, changed=_changed, where=_is_newer), rows)


async def enqueue_current(connection: AsyncConnection, target: str, keys: Iterable[tuple[str, str]], base: str) -> int:
    """Note the current versions of those of the resources that exist, for one target; answers how many.

    A deletion is noted too: of what the target may hold it is told that it is gone.
    """
    count = 0
    for chunk in chunks(sorted(set(keys))):
        columns = [_VERSION.c[name] for name in ("type", "id", "version", "vid", "last_updated")]
        whole = _VERSION.outerjoin(_CONTENT, _CONTENT.c.vid == _VERSION.c.vid)
        chosen = (among(_VERSION.c.type, _VERSION.c.id, chunk), _VERSION.c.until.is_(None))
        found = await connection.execute(select(*columns, _CONTENT.c.text).select_from(whole).where(*chosen))
        trees = [(row, lossless.parse_object(row.text) if row.text else None) for row in found]
        told = [Told(*row[:5], tree, (target,)) for row, tree in trees]
        await enqueue(connection, sorted(told, key=lambda one: one.vid), base)
        count += len(told)
    return count


def patient_of(tree: Mapping[str, Any], base: str) -> str:
    """Whose a resource is, as "Patient/1": itself, or the first patient of this server it is about; "" for nobody's."""
    if tree.get("resourceType") == "Patient":
        return f"Patient/{tree.get('id')}"
    for name in WHOSE:
        value = tree.get(name)
        for one in value if isinstance(value, list) else [value]:
            link = one.get("reference") if isinstance(one, Mapping) else None
            found = local(link, base) if isinstance(link, str) else None
            if found and found[0] == "Patient":
                return f"Patient/{found[1]}"
    return ""


async def _patients_before(
    connection: AsyncConnection, keys: Sequence[tuple[str, str]], base: str
) -> dict[tuple[str, str], str]:
    """Whose the resources were that are deleted now, by the version before."""
    found: dict[tuple[str, str], str] = {}
    for chunk in chunks(sorted(set(keys))):
        own = (_VERSION.c.type, _VERSION.c.id)
        whole = _VERSION.join(_CONTENT, _CONTENT.c.vid == _VERSION.c.vid)
        rows = select(*own, _CONTENT.c.text).select_from(whole).where(among(*own, chunk)).order_by(_VERSION.c.version)
        for type_, id_, content in await connection.execute(rows):
            found[type_, id_] = patient_of(lossless.parse_object(content), base)
    return found


def _row(told: Told, target: str, patient: str) -> dict[str, Any]:
    return {
        "target": target,
        "type": told.type,
        "id": told.id,
        "version": told.version,
        "vid": told.vid,
        "patient": patient,
        "state": "pending",
        "attempts": 0,
        "not_before": 0,
        "owner": "",
        "leased_until": 0,
        "blocked_by": "",
        "status": 0,
        "reason": "",
        "created_at": told.last_updated,
    }


async def _lock(connection: AsyncConnection, keys: Sequence[tuple[str, str]]) -> None:
    """Rows that may be there are locked in the order in which workers lock them; one alone needs no order."""
    if connection.dialect.name == "sqlite" or len(keys) < 2:
        return
    for chunk in chunks(sorted(set(keys))):
        rows = select(_OUTBOX.c.oid).where(among(_OUTBOX.c.type, _OUTBOX.c.id, chunk))
        await connection.execute(rows.order_by(*(_OUTBOX.c[name] for name in _KEY)).with_for_update())


def _is_newer(new: Any) -> Any:
    """Whether there is something new: a version, or a row that was dead and is asked for again."""
    return or_(_OUTBOX.c.version < new.version, and_(_OUTBOX.c.version == new.version, _OUTBOX.c.state == "dead"))


def _changed(new: Any) -> dict[str, Any]:
    """What a row becomes when a newer version comes: due at once, unless a person decides about it.

    Its lease stays: who is sending the version before must be done before this one is sent.
    """
    decided = _OUTBOX.c.state == "conflict"
    reset = {name: case((decided, _OUTBOX.c[name]), else_=new[name]) for name in _RESET}
    patient = case((new.patient == "", _OUTBOX.c.patient), else_=new.patient)
    return {"version": new.version, "vid": new.vid, "patient": patient, **reset}


_RESET = ("state", "attempts", "not_before", "blocked_by", "status", "reason")
