"""Export jobs as those who ask for them see them: begun, looked at, called off; and the figures for operators.

What workers do with them is in app/store/exporting.py; which resources they read is in app/store/exported.py.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.clock import later, now
from app.store.snapshot import Snapshot
from app.store.tables import ExportFile, ExportJob, ExportMoment, Version

_JOB: Any = ExportJob.__table__  # type: ignore[attr-defined]
_MOMENT: Any = ExportMoment.__table__  # type: ignore[attr-defined]
_VERSION: Any = Version.__table__  # type: ignore[attr-defined]
_FILE: Any = ExportFile.__table__  # type: ignore[attr-defined]
_DAY_SECONDS = 86_400
_COPIED = "The database was put back from a copy while the export was going on. Kick it off anew."
UNFINISHED = ("accepted", "active")


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the jobs in one state. oldest: when the first of them was asked for; bytes: of the files they have; done: what
    stands in these; failing: those whose last attempt failed."""

    jobs: int
    oldest: int
    bytes: int
    done: int = 0
    failing: int = 0


async def create(connection: AsyncConnection, job: str, asked: str, *, at: int, owner_subject: str = "") -> None:
    """Note a job that a worker takes up. job: its id; asked: the text of an Asked; at: now. Ring the bell after."""
    row = ExportJob(id=job, asked=asked, state="accepted", requested_at=at, owner_subject=owner_subject)
    await connection.execute(insert(_JOB).values(**row.model_dump()))


async def unfinished(connection: AsyncConnection) -> list[str]:
    """Whose the jobs are that wait or go on."""
    return list((await connection.execute(select(_JOB.c.owner_subject).where(_JOB.c.state.in_(UNFINISHED)))).scalars())


async def read(connection: AsyncConnection, job: str) -> ExportJob | None:
    """The job, None if there is none of that id, or none any more: one that was cancelled is as good as gone."""
    row = (await connection.execute(select(_JOB).where(_JOB.c.id == job, _JOB.c.state != "cancelled"))).first()
    return ExportJob(**row._mapping) if row else None


async def page(
    connection: AsyncConnection, *, owner_subject: str | None, after: ExportJob | None, limit: int
) -> list[ExportJob]:
    """Jobs, newest first, without those that were cancelled. owner_subject: whose, None for everybody's; after: the one
    before the page."""
    own = [_JOB.c.state != "cancelled"] + ([_JOB.c.owner_subject == owner_subject] if owner_subject is not None else [])
    if after:
        own.append(tuple_(_JOB.c.requested_at, _JOB.c.id) < (after.requested_at, after.id))
    order = (_JOB.c.requested_at.desc(), _JOB.c.id.desc())
    rows = await connection.execute(select(_JOB).where(*own).order_by(*order).limit(limit))
    return [ExportJob(**row._mapping) for row in rows]


async def files(connection: AsyncConnection, job: str) -> list[ExportFile]:
    """The finished files of a job, in the order they were written."""
    rows = await connection.execute(select(_FILE).where(_FILE.c.job == job).order_by(_FILE.c.number))
    return [ExportFile(**row._mapping) for row in rows]


async def file(connection: AsyncConnection, job: str, name: str) -> ExportFile | None:
    """The finished file of a job that has this name, if the job is complete."""
    own = (_FILE.c.job == job, _FILE.c.name == name, _JOB.c.id == _FILE.c.job, _JOB.c.state == "complete")
    row = (await connection.execute(select(_FILE).where(*own))).first()
    return ExportFile(**row._mapping) if row else None


async def cancel(connection: AsyncConnection, job: str) -> bool:
    """Call a job off, or give up what it made; a worker removes the files. False if there is none of that id."""
    own = (_JOB.c.id == job, _JOB.c.state.not_in(("cancelled", "expired")))
    done = await connection.execute(update(_JOB).where(*own).values(state="cancelled", expires_at=0))
    return bool(done.rowcount)


async def figures(connection: AsyncConnection) -> dict[str, Figures]:
    """State -> figures of the jobs in it."""
    size = select(func.coalesce(func.sum(_FILE.c.bytes), 0)).where(_FILE.c.job == _JOB.c.id).scalar_subquery()
    failing = case((_JOB.c.failures > 0, 1), else_=0)
    figures_of = (size.label("bytes"), _JOB.c.done, failing.label("failing"))
    rows = select(_JOB.c.state, _JOB.c.requested_at, *figures_of).subquery()
    sums = (func.sum(each) for each in (rows.c.bytes, rows.c.done, rows.c.failing))
    by_state = select(rows.c.state, func.count(), func.min(rows.c.requested_at), *sums)
    found = await connection.execute(by_state.group_by(rows.c.state))
    return {state: Figures(jobs, oldest, *map(int, summed)) for state, jobs, oldest, *summed in found}


async def passed(connection: AsyncConnection, moment: Any) -> list[Any]:
    """Conditions: no job that is going on shows what the transaction of that number ended."""
    going_on = select(_JOB.c.snapshot).where(_JOB.c.state == "active")
    return [Snapshot.parse(text).holds(moment) for text in (await connection.execute(going_on)).scalars()]


async def rebase(connection: AsyncConnection) -> None:
    """Before the order of writes begins anew: no snapshot from before can be read any more.

    Jobs that are going on end. Of a transactionTime it is enough to know when each version was written, unless some
    that was on its way then was written before it by the clock: whoever goes on from there gets everything.
    """
    end = later(await now(connection), _DAY_SECONDS)
    ended = {"state": "failed", "reason": _COPIED, "finished_at": _JOB.c.requested_at, "expires_at": end}
    await connection.execute(update(_JOB).where(_JOB.c.state == "active").values(**ended))
    for moment, text in (await connection.execute(select(_MOMENT.c.transaction_time, _MOMENT.c.snapshot))).all():
        held = Snapshot.parse(text)
        late = (_VERSION.c.since >= held.lowest, ~held.holds(_VERSION.c.since), _VERSION.c.last_updated <= moment)
        own = _MOMENT.c.transaction_time == moment
        if await connection.scalar(select(_VERSION.c.vid).where(*late).limit(1)):
            await connection.execute(update(_MOMENT).where(own).values(snapshot=Snapshot(0, 0).text))
        else:
            await connection.execute(delete(_MOMENT).where(own))
