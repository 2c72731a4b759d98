"""Makes search values anew for resources stored before, while the service runs: in chunks, each in one transaction.

A new version always comes with its search values, so only versions stored before matter. Of several processes one does
the work, by a lease; another goes on where it stopped.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, delete, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col

from app.fhir import json as lossless
from app.fhir.outcomes import Refused
from app.logs import of_error
from app.store import exports, feed
from app.store.cursors import MINUTE
from app.store.database import Database, Unavailable
from app.store.index.fulltext import PARAMETERS as FULL_TEXT
from app.store.index.state import LOCK, adopt, note
from app.store.index.unnamed import UNNAMED
from app.store.inserting import insert_all
from app.store.leases import claim, release
from app.store.parameters import SearchParameters
from app.store.tables import (
    Content,
    Reindex,
    SearchDate,
    SearchNumber,
    SearchQuantity,
    SearchReference,
    SearchString,
    SearchText,
    SearchToken,
    SearchUri,
    Version,
)

VALUES: Sequence[Any] = (
    *(SearchToken, SearchReference, SearchString, SearchUri),
    *(SearchDate, SearchNumber, SearchQuantity, SearchText),
)
# The lease has a name that no sync target can have.
_LEASE = "$reindex"
_LEASE_SECONDS, _LOOK_SECONDS, _REST_SECONDS = 60, 30, 0.01
_CHUNK, _CHUNK_BYTES = 50, 262_144
# How many versions are forgotten in one transaction; what a page that is just being read may still need.
_FORGOTTEN, _SPARE = 200, MINUTE
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one type is. Times in microseconds; finished_at is None while it is going on."""

    type: str
    parameters: tuple[str, ...]
    unsearchable: tuple[str, ...]
    done: int
    total: int
    started_at: int
    finished_at: int | None


class Reindexer:
    """Indexes anew what is noted in `reindex`, and forgets the search values of versions replaced long ago.

    base: absolute references that start with it are to this server. keep_minutes: how long page links answer.
    """

    def __init__(
        self,
        database: Database,
        parameters: SearchParameters,
        *,
        owner: str,
        clock: Callable[[], int],
        base: str = "",
        keep_minutes: int = 60,
    ) -> None:
        self._database, self._parameters, self._base = database, parameters, base
        self._keep = keep_minutes * MINUTE + _SPARE
        self._owner, self._clock = owner, clock
        self._asked = asyncio.Event()
        self._has_lease = False

    async def prepare(self) -> None:
        """At start-up, before the first request: find out which parameters cannot be searched yet."""
        async with self._database.writing() as connection:
            await adopt(self._database, connection, self._parameters, now=self._clock())

    async def start(self, types: Iterable[str] = (), codes: Iterable[str] = ()) -> list[Progress]:
        """Have resources indexed anew: of these types or of all, for these parameters or for all.

        Unchanged parameters can be searched meanwhile. Answers the progress of what is going on.
        """
        async with self._database.writing() as connection:
            await self._database.lock(connection, [LOCK])
            for type_ in types or self._parameters.types:
                known = {*self._parameters.of(type_), *FULL_TEXT}
                await note(connection, type_, known & set(codes) if codes else known, now=self._clock())
        self._asked.set()
        return [each for each in await self.status() if each.finished_at is None]

    async def status(self) -> list[Progress]:
        """The progress of each type that is, or last was, indexed anew, by type."""
        async with self._database.reading() as connection:
            rows = await connection.execute(select(Reindex.__table__).order_by(col(Reindex.type)))  # type: ignore[attr-defined]
            return [_progress(row) for row in rows]

    async def run(self) -> None:
        """Work for ever: what is noted now, and what is noted later by this process or another one."""
        while True:
            self._asked.clear()
            try:
                await self.work()
                await self.forget()
            except Unavailable as error:
                _log.warning("the index waits for the database", reason=str(error))
            except Exception as error:
                _log.error("work on the index failed", **of_error(error))
            # Not wait_for: cancelled while there is something asked, that of Python 3.11 goes on for ever.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._asked.wait()

    async def work(self) -> None:
        """Do all there is to do; returns at once where another process does it."""
        is_working = True
        while is_working:
            is_working = await self.step()
            # Writers that wait come first.
            await asyncio.sleep(_REST_SECONDS)

    async def forget(self) -> int:
        """Forget the search values that no page link can ask for any more; answers of how many versions."""
        before, count, found = self._clock() - self._keep, 0, _FORGOTTEN
        while found == _FORGOTTEN:
            async with self._database.reading() as connection:
                if not (await connection.execute((await _replaced(connection, before)).limit(1))).first():
                    return count
            async with self._database.writing() as connection:
                found = await purge(connection, before)
            count += found
            await asyncio.sleep(_REST_SECONDS)
        return count

    async def step(self) -> bool:
        """Index one chunk; False if there is nothing to do here."""
        async with self._database.reading() as connection:
            is_open = await connection.scalar(_OPEN.limit(1))
        if not is_open and not self._has_lease:
            return False
        async with self._database.writing() as connection:
            now = self._clock()
            until = now + _LEASE_SECONDS * 1_000_000
            self._has_lease = await claim(connection, _LEASE, self._owner, now=now, until=until)
            job = (await connection.execute(_OPEN.with_for_update())).first() if self._has_lease else None
            if job is not None:
                await self._do(connection, job, now)
            elif self._has_lease:
                await release(connection, _LEASE, self._owner)
                self._has_lease = False
            return job is not None

    async def _do(self, connection: AsyncConnection, job: Any, now: int) -> None:
        vids = _together((await connection.execute(_sizes(job.type, job.through))).all())
        if vids:
            contents = (await connection.execute(_contents(vids))).all()
            await self._index(connection, job.type, {row.vid: row.text for row in contents}, json.loads(job.parameters))
            values = {"through": vids[-1], "done": job.done + len(vids)}
        else:
            values = {"finished_at": now}
            _log.info("reindex finished", type=job.type, resources=job.done)
        table: Any = Reindex.__table__  # type: ignore[attr-defined]
        await connection.execute(update(table).where(table.c.type == job.type).values(**values))

    async def _index(
        self, connection: AsyncConnection, type_: str, contents: Mapping[int, bytes], asked: Sequence[str]
    ) -> None:
        # Which references no parameter finds depends on all parameters.
        codes = {*asked, UNNAMED}
        is_all = {*self._parameters.of(type_)} <= codes
        # Large resources take seconds: beside the loop, like those that are written.
        made = await asyncio.to_thread(self._made, type_, contents, codes)
        for table in VALUES:
            if table is SearchText and codes.isdisjoint(FULL_TEXT):
                continue
            of_codes = [] if is_all or table is SearchText else [_of(table, sorted(codes))]
            await connection.execute(delete(table).where(col(table.vid).in_(contents), *of_codes))
        await insert_all(connection, made)

    def _made(
        self, type_: str, contents: Mapping[int, bytes], codes: Collection[str]
    ) -> dict[type[SQLModel], list[dict[str, Any]]]:
        made: dict[type[SQLModel], list[dict[str, Any]]] = {}
        for vid, content in contents.items():
            for table, rows in self._rows(vid, content).items():
                kept = [row for row in rows if _is_wanted(table, row, codes)]
                made.setdefault(table, []).extend({"type": type_, "vid": vid, **row} for row in kept)
        return made

    def _rows(self, vid: int, content: bytes) -> Mapping[type[SQLModel], list[dict[str, Any]]]:
        """The rows of one version; none, with a word in the log, for one that was stored under other rules."""
        try:
            return self._parameters.rows(lossless.parse(content), base=self._base)
        except Refused as refused:
            _log.error("a version cannot be indexed", vid=vid, issues=[each.code for each in refused.issues])
            return {}


_OPEN = select(Reindex.__table__).where(col(Reindex.finished_at).is_(None)).order_by(col(Reindex.type))  # type: ignore[attr-defined]


def _sizes(resource_type: str, through: int) -> Any:
    """The next versions, and how large each is as it is kept."""
    return (
        select(Version.vid, func.length(Content.text))  # type: ignore[call-overload]
        .join(Content, col(Content.vid) == col(Version.vid))
        .where(col(Version.type) == resource_type, col(Version.vid) > through, col(Version.until).is_(None))
        .order_by(col(Version.vid))
        .limit(_CHUNK)
    )


def _together(sizes: Iterable[Sequence[int]]) -> list[int]:
    """As many as are indexed at once: the first, whatever its size, and what still fits."""
    vids: list[int] = []
    held = 0
    for vid, size in sizes:
        held += size
        if vids and held > _CHUNK_BYTES:
            break
        vids.append(vid)
    return vids


def _contents(vids: Sequence[int]) -> Any:
    return select(Content.vid, Content.text).where(col(Content.vid).in_(vids))  # type: ignore[call-overload]


def _is_wanted(table: type[SQLModel], row: Mapping[str, Any], codes: Collection[str]) -> bool:
    if table is SearchText:
        return any(each in codes for each in FULL_TEXT)
    return str(row["param"]).partition(":")[0].partition(".")[0] in codes


def _of(table: Any, codes: Sequence[str]) -> ColumnElement[bool]:
    """The rows of these parameters, those with a suffix too: what follows : or . sorts before the next character."""
    param = col(table.param)
    suffixed = (and_(param >= code + sign, param < code + chr(ord(sign) + 1)) for code in codes for sign in ":.")
    return or_(param.in_(codes), *suffixed)


async def _replaced(connection: AsyncConnection, before: int) -> Any:
    """The versions whose search values nobody asks for any more: no page link, no reader of the feed, no export."""
    table: Any = Version.__table__  # type: ignore[attr-defined]
    passed = [*await feed.passed(connection, table.c.until), *await exports.passed(connection, table.c.until)]
    # As in the condition of the index: compared with 1, as SQLAlchemy has it for SQLite, it would not be used.
    replaced = (text("indexed"), table.c.ended_at < before, *passed)
    return select(table.c.vid).where(*replaced).order_by(table.c.ended_at)


def _progress(row: Any) -> Progress:
    parameters, unsearchable = (tuple(json.loads(each)) for each in (row.parameters, row.unsearchable))
    return Progress(row.type, parameters, unsearchable, row.done, row.total, row.started_at, row.finished_at)


async def purge(connection: AsyncConnection, before: int) -> int:
    """Forget the search values of some versions that were replaced before that time; answers of how many."""
    vids = list((await connection.execute((await _replaced(connection, before)).limit(_FORGOTTEN))).scalars())
    table: Any = Version.__table__  # type: ignore[attr-defined]
    if vids:
        for values in VALUES:
            await connection.execute(delete(values).where(col(values.vid).in_(vids)))
        await connection.execute(update(table).where(table.c.vid.in_(vids)).values(indexed=False))
    return len(vids)
