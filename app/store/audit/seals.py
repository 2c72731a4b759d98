"""The hash chain over what was noted.

Every process writes rows when it likes; a seal comes later, over those that no transaction can add to any more, so that
no writer waits for it. Numbers are drawn before rows are written: one that was drawn in a transaction which failed is
never seen, and the count of a seal is of the rows that are there. What nobody can see from within is that the newest
seals were taken away together with their rows: the log has each seal, and `dermatome audit verify --expect` takes one.
"""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.logs import of_error
from app.store.database import Database, Unavailable
from app.store.leases import claim, release
from app.store.tables import Audit, AuditSeal

_AUDIT: Any = Audit.__table__  # type: ignore[attr-defined]
_SEAL: Any = AuditSeal.__table__  # type: ignore[attr-defined]
_NAME, _SECONDS, _LEASE = "$seal-audit", 10, 120_000_000
_PIECE, _MOST = 1_000, 100_000
_START = hashlib.sha256(b"Dermatome audit").hexdigest()
_DRAWN = text("SELECT last_value FROM audit_aid_seq")
_OWN = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
_OLDEST = text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Seal:
    """One link of the chain: see AuditSeal."""

    number: int = 0
    last: int = 0
    count: int = 0
    at: int = 0
    digest: str = _START

    @property
    def text(self) -> str:
        """As it is told to people, and to `--expect`."""
        return f"{self.number}:{self.digest}"


@dataclass(slots=True)
class Verified:
    """What came of looking at the chain. problems: sentences; unsealed: rows behind the last seal, the oldest of them
    noted at `since` (microseconds)."""

    seals: int = 0
    rows: int = 0
    unsealed: int = 0
    since: int = 0
    newest: Seal = field(default_factory=Seal)
    problems: list[str] = field(default_factory=list)


class Sealing:
    """Every process does it, one at a time."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database, self._clock, self._owner = database, clock, uuid.uuid4().hex
        # PostgreSQL: numbers up to the first were drawn in transactions older than the second.
        self._drawn: tuple[int, int] | None = None

    async def run(self) -> None:
        """Work for ever."""
        while True:
            await asyncio.sleep(_SECONDS)
            try:
                while await self.work():
                    pass
            except Unavailable as error:
                _log.warning("sealing the audit waits for the database", reason=str(error))
            except Exception as error:
                _log.error("the audit could not be sealed", **of_error(error))

    async def work(self) -> bool:
        """Seal what can be sealed; answers whether there may be more at once."""
        async with self._database.reading() as connection:
            before, newest = await last_seal(connection), await connection.scalar(select(func.max(_AUDIT.c.aid)))
            if not newest or newest <= before.last:
                return False
            # Of PostgreSQL also what others have drawn and not committed.
            drawn = newest if self._database.is_sqlite else int(await connection.scalar(_DRAWN) or 0)
        now = self._clock()
        async with self._database.writing() as connection:
            if not await claim(connection, _NAME, self._owner, now=now, until=now + _LEASE):
                return False
            upto = await self._settled(connection, drawn)
        made = await self._sealed(upto)
        async with self._database.writing() as connection:
            await release(connection, _NAME, self._owner)
        return made

    async def _settled(self, connection: AsyncConnection, drawn: int) -> int:
        """A number behind which no row can come any more, 0 while there is none: all transactions that have drawn one
        up to it have ended. Each had its own number by then, and that of this transaction is drawn later."""
        if self._database.is_sqlite:
            return drawn
        before, oldest = self._drawn, int(await connection.scalar(_OLDEST) or 0)
        if before is not None and oldest <= before[1]:
            return 0
        self._drawn = drawn, int(await connection.scalar(_OWN) or 0)
        return before[0] if before else 0

    async def _sealed(self, upto: int) -> bool:
        async with self._database.reading() as connection:
            before = await last_seal(connection)
            made = await _over(connection, before, upto, self._clock(), most=_MOST)
        if made is None:
            return False
        async with self._database.writing() as connection:
            if (await last_seal(connection)).number != before.number:
                return False
            values = {name: getattr(made, name) for name in ("number", "last", "count", "at", "digest")}
            await connection.execute(insert(_SEAL).values(values))
        _log.info("audit sealed", seal=made.text, rows=made.count)
        return made.count == _MOST


async def last_seal(connection: AsyncConnection) -> Seal:
    """The newest one, or the beginning of the chain."""
    found = (await connection.execute(select(_SEAL).order_by(_SEAL.c.number.desc()).limit(1))).first()
    return Seal(*found) if found else Seal()


async def verify(connection: AsyncConnection, expected: str = "") -> Verified:
    """Compute every seal again. expected: "number:digest" of one that was kept elsewhere, which must be among them.

    connection: of a read transaction.
    """
    found = Verified()
    seals = (await connection.execute(select(_SEAL).order_by(_SEAL.c.number))).all()
    is_met = not expected
    for row in seals:
        seal = Seal(*row)
        _compare(found, seal, await _over(connection, found.newest, seal.last, seal.at))
        is_met = is_met or seal.text == expected
        found.newest, found.seals, found.rows = seal, found.seals + 1, found.rows + seal.count
    if not is_met:
        found.problems.append("The seal that was expected is not there: seals were removed, or made anew.")
    behind = select(func.count(), func.min(_AUDIT.c.at)).where(_AUDIT.c.aid > found.newest.last)
    count, since = (await connection.execute(behind)).one()
    found.unsealed, found.since = count, since or 0
    return found


def _compare(found: Verified, seal: Seal, made: Seal | None) -> None:
    before = found.newest
    place = f"Seal {seal.number}, over the rows {before.last + 1} to {seal.last}"
    if seal.number != before.number + 1:
        found.problems.append(f"{place}: the seal before it is {before.number}; seals are missing.")
    elif made is None or made.count != seal.count:
        found.problems.append(f"{place}: it was made over {seal.count} rows, {made.count if made else 0} are there.")
    elif made.digest != seal.digest:
        found.problems.append(f"{place}: a row is not what was sealed, or the seal is not.")


async def _over(connection: AsyncConnection, before: Seal, upto: int, at: int, *, most: int = 0) -> Seal | None:
    """The seal over the rows behind another up to a number, no more than `most` of them (0: all); None for no rows."""
    digest, count, last = hashlib.sha256(before.digest.encode()), 0, before.last
    async for row in _rows(connection, before.last, upto):
        digest.update(json.dumps(list(row), ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
        count, last = count + 1, row.aid
        if count == most:
            break
    else:
        last = max(last, upto)
    digest.update(f"{before.number + 1} {last} {count} {at}".encode())
    return Seal(before.number + 1, last, count, at, digest.hexdigest()) if count else None


async def _rows(connection: AsyncConnection, after: int, upto: int) -> AsyncIterator[Any]:
    while True:
        chosen = select(_AUDIT).where(_AUDIT.c.aid > after, _AUDIT.c.aid <= upto).order_by(_AUDIT.c.aid).limit(_PIECE)
        rows = (await connection.execute(chosen)).all()
        for row in rows:
            yield row
        if len(rows) < _PIECE:
            return
        after = rows[-1].aid
