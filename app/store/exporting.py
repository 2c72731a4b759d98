"""Export jobs as workers do them: taken up, carried on file by file, ended, and cleared away.

A job belongs to one worker at a time, by a lease. Whatever a worker notes, it notes only while the job is still its
own: one that was called off, or went to another worker, is Lost.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.clock import later, now
from app.store.exports import UNFINISHED
from app.store.inserting import insert_all
from app.store.snapshot import Snapshot
from app.store.tables import ExportFile, ExportJob, ExportMoment, ExportPatient

_JOB: Any = ExportJob.__table__  # type: ignore[attr-defined]
_FILE: Any = ExportFile.__table__  # type: ignore[attr-defined]
_MEMBER: Any = ExportPatient.__table__  # type: ignore[attr-defined]
_MOMENT: Any = ExportMoment.__table__  # type: ignore[attr-defined]
_UNFINISHED = _JOB.c.state.in_(UNFINISHED)
# What an instant shows, in microseconds.
_TICK = 1_000


class Lost(Exception):
    """The job is not this worker's any more."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whether a job can be taken up, and else how many seconds from now one may be; None where there is none."""

    is_due: bool
    seconds: float | None = None


async def waiting(connection: AsyncConnection) -> Waiting:
    """What there is to do for a worker that has nothing to do."""
    rows = await connection.execute(select(_JOB.c.leased_until, _JOB.c.not_before).where(_UNFINISHED))
    starts = [max(row.leased_until, row.not_before) for row in rows]
    if not starts:
        return Waiting(False)
    moment = await now(connection)
    return Waiting(min(starts) <= moment, max(0.0, (min(starts) - moment) / 1_000_000))


async def claim(connection: AsyncConnection, owner: str, seconds: float) -> ExportJob | None:
    """Take up the job that has waited longest for a worker. It counts as failed until a file of it is finished."""
    moment = await now(connection)
    free = (_UNFINISHED, _JOB.c.leased_until <= moment, _JOB.c.not_before <= moment)
    chosen = select(_JOB.c.id).where(*free).order_by(_JOB.c.leased_until, _JOB.c.requested_at, _JOB.c.id).limit(1)
    job = await connection.scalar(chosen.with_for_update(skip_locked=True))
    if job is None:
        return None
    values = {"owner": owner, "leased_until": later(moment, seconds), "failures": _JOB.c.failures + 1}
    row = (await connection.execute(update(_JOB).where(_JOB.c.id == job).values(**values).returning(*_JOB.c))).one()
    return ExportJob(**row._mapping)


async def renew(connection: AsyncConnection, job: ExportJob, seconds: float) -> None:
    """Keep a job that takes longer. Raises Lost."""
    await note(connection, job, leased_until=later(await now(connection), seconds))


async def mark(connection: AsyncConnection, snapshot: Snapshot, *, at: int) -> int:
    """Note what a transactionTime stands for: the snapshot, taken at that time. Answers the transactionTime.

    Of two of one moment the second gets the one before: what each has told is known by its time.
    """
    transaction_time = at // _TICK * _TICK
    while await connection.scalar(select(_MOMENT.c.snapshot).where(_MOMENT.c.transaction_time == transaction_time)):
        transaction_time -= _TICK
    await connection.execute(insert(_MOMENT).values(transaction_time=transaction_time, snapshot=snapshot.text))
    return transaction_time


async def begin(
    connection: AsyncConnection,
    job: ExportJob,
    snapshot: Snapshot,
    told: Mapping[str, Any],
    patients: Collection[str],
) -> ExportJob:
    """Note what the job shows: the snapshot, transaction_time and meaning as told, and the patients it is about where
    these are not all. Raises Lost."""
    rows = [{"job": job.id, "id": each} for each in sorted(set(patients))]
    await insert_all(connection, {ExportPatient: rows})
    values = {**told, "state": "active", "snapshot": snapshot.text}
    await note(connection, job, **values)
    return job.model_copy(update=values)


async def moment_after(connection: AsyncConnection, since: int) -> Snapshot | None:
    """What the first transactionTime from then on stands for: what is not in it, has changed since."""
    first = select(_MOMENT.c.snapshot).where(_MOMENT.c.transaction_time >= since)
    text = await connection.scalar(first.order_by(_MOMENT.c.transaction_time).limit(1))
    return Snapshot.parse(text) if text else None


async def advance(
    connection: AsyncConnection, job: ExportJob, values: Mapping[str, Any], file: ExportFile | None
) -> None:
    """Note a file that is in its place, and where the next one begins; the job can be taken up again. Raises Lost."""
    given_back = {"leased_until": await now(connection), "owner": "", "failures": 0, "not_before": 0}
    await note(connection, job, **given_back, **values)
    if file is not None:
        await connection.execute(insert(_FILE).values(**file.model_dump()))


async def give_back(connection: AsyncConnection, job: ExportJob, seconds: float, *, counts: bool) -> None:
    """Let it be taken up again after some time. counts: whether that was a failure. Raises Lost."""
    moment = await now(connection)
    failures = _JOB.c.failures if counts else job.failures - 1
    await note(connection, job, leased_until=moment, owner="", not_before=later(moment, seconds), failures=failures)


async def let_go(connection: AsyncConnection, job: ExportJob) -> None:
    """Give up a job that was called off, so that what there is of it can be cleared away."""
    own = (_JOB.c.id == job.id, _JOB.c.owner == job.owner)
    await connection.execute(update(_JOB).where(*own).values(owner="", leased_until=await now(connection)))


async def fail(connection: AsyncConnection, job: ExportJob, reason: str, ended: Mapping[str, Any]) -> None:
    """End a job that cannot be done, and say why. Raises Lost."""
    await note(connection, job, leased_until=await now(connection), owner="", reason=reason, **ended)


async def number_of_files(connection: AsyncConnection, job: str) -> int:
    """How many files of a job are finished."""
    return int(await connection.scalar(select(func.count()).where(_FILE.c.job == job)) or 0)


async def is_wanted(connection: AsyncConnection, job: str) -> bool:
    """Whether the files of a job are to stay."""
    chosen = (_JOB.c.id == job, or_(_UNFINISHED, _JOB.c.state == "complete"))
    return bool(await connection.scalar(select(_JOB.c.id).where(*chosen)))


async def is_held(connection: AsyncConnection) -> bool:
    """Whether a worker may still be at a job that was called off."""
    held = (_JOB.c.state == "cancelled", _JOB.c.leased_until > await now(connection))
    return bool(await connection.scalar(select(_JOB.c.id).where(*held).limit(1)))


async def to_clear(connection: AsyncConnection, limit: int) -> list[ExportJob]:
    """Jobs whose files, or rows, are to go: cancelled, failed, or expired. None that a worker may still be at."""
    moment = await now(connection)
    ended = and_(_JOB.c.state != "complete", ~_JOB.c.cleared)
    chosen = (~_UNFINISHED, _JOB.c.leased_until <= moment, or_(ended, _JOB.c.expires_at <= moment))
    rows = await connection.execute(select(_JOB).where(*chosen).order_by(_JOB.c.expires_at, _JOB.c.id).limit(limit))
    return [ExportJob(**row._mapping) for row in rows]


async def expire(connection: AsyncConnection, job: ExportJob) -> None:
    """From now on its files are told to be gone."""
    own = (_JOB.c.id == job.id, _JOB.c.state == "complete")
    await connection.execute(update(_JOB).where(*own).values(state="expired"))


async def clear(connection: AsyncConnection, job: ExportJob, keep_seconds: float) -> None:
    """Its files are removed: forget them. What has expired is remembered for so long, so that it can be told."""
    for table in (_FILE, _MEMBER):
        await connection.execute(delete(table).where(table.c.job == job.id))
    own = _JOB.c.id == job.id
    if job.cleared or job.state == "cancelled":
        await connection.execute(delete(_JOB).where(own, ~_UNFINISHED))
        return
    until = {} if job.state == "failed" else {"expires_at": later(await now(connection), keep_seconds)}
    await connection.execute(update(_JOB).where(own, ~_UNFINISHED).values(cleared=True, **until))


async def note(connection: AsyncConnection, job: ExportJob, **values: Any) -> None:
    """Set columns of a job that is still this worker's. Raises Lost."""
    own = (_JOB.c.id == job.id, _JOB.c.owner == job.owner, _UNFINISHED)
    if not (await connection.execute(update(_JOB).where(*own).values(**values))).rowcount:
        raise Lost(job.id)
