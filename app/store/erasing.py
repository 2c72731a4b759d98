"""Erasure in the database: finding every place that holds something of a patient, and emptying it.

Contents are searched as they are kept, not by the index: that knows no past versions, and not what stands in text.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.clock import now
from app.store.index.reindex import VALUES
from app.store.keys import among, chunks
from app.store.repository import Key
from app.store.snapshot import Snapshot
from app.store.tables import (
    Content,
    Erased,
    ExportJob,
    ExportPatient,
    Idempotency,
    Ledger,
    Outbox,
    Quarantine,
    SyncConflict,
    Version,
)
from app.store.upserts import upsert

_VERSION: Any = Version.__table__  # type: ignore[attr-defined]
_CONTENT: Any = Content.__table__  # type: ignore[attr-defined]
_ANSWER: Any = Idempotency.__table__  # type: ignore[attr-defined]
_PUT_ASIDE: Any = Quarantine.__table__  # type: ignore[attr-defined]
_CONFLICT: Any = SyncConflict.__table__  # type: ignore[attr-defined]
_OUTBOX: Any = Outbox.__table__  # type: ignore[attr-defined]
_LEDGER: Any = Ledger.__table__  # type: ignore[attr-defined]
_JOB: Any = ExportJob.__table__  # type: ignore[attr-defined]
_MEMBER: Any = ExportPatient.__table__  # type: ignore[attr-defined]
_ERASED: Any = Erased.__table__  # type: ignore[attr-defined]
# Rows of contents that one statement looks through, and that are read at once.
_WINDOW, _AT_ONCE = 100_000, 100
# JSON may spell any character in another way; whatever does is read.
_ESCAPES = (b"\\u", b"\\/")
_EMPTIED = "A patient of whom it has data was erased. Kick it off anew."


@dataclass(frozen=True, slots=True)
class Held:
    """A stored version with its content. is_current: it is what the resource says now."""

    vid: int
    type: str
    id: str
    version: int
    is_current: bool
    text: bytes

    @property
    def key(self) -> Key:
        return self.type, self.id


_V = _VERSION.c
_HELD = (_V.vid, _V.type, _V.id, _V.version, _V.until.is_(None), _CONTENT.c.text)
_WITH_TEXT = _V.vid == _CONTENT.c.vid


async def holding(
    connection: AsyncConnection, words: Sequence[bytes], *, unless: Snapshot | None = None
) -> AsyncIterator[Held]:
    """The versions in whose content one of the words may stand, past ones too. unless: none of those it holds."""
    chosen = [_WITH_TEXT, _holds(connection, _CONTENT.c.text, words)]
    if unless is not None:
        chosen.append(~unless.holds(_V.since))
    last = int(await connection.scalar(select(func.max(_V.vid))) or 0)
    after = 0
    while after < last:
        end = after + _WINDOW
        own = (*chosen, _CONTENT.c.vid > after, _CONTENT.c.vid <= end)
        rows = (await connection.execute(select(*_HELD).where(*own).order_by(_V.vid).limit(_AT_ONCE))).all()
        for row in rows:
            yield Held(*row)
        after = rows[-1].vid if len(rows) == _AT_ONCE else end


async def versions_of(connection: AsyncConnection, key: Key) -> AsyncIterator[Held]:
    """All versions of a resource that have a content, oldest first."""
    after = 0
    while True:
        own = (_V.type == key[0], _V.id == key[1], _V.version > after, _WITH_TEXT)
        row = (await connection.execute(select(*_HELD).where(*own).order_by(_V.version).limit(1))).first()
        if row is None:
            return
        yield (found := Held(*row))
        after = found.version


async def current_of(connection: AsyncConnection, key: Key) -> tuple[int, bool] | None:
    """The number of the current version, and whether it is a deletion."""
    own = (_V.type == key[0], _V.id == key[1], _V.until.is_(None))
    row = (await connection.execute(select(_V.version, _V.deleted).where(*own))).first()
    return (int(row.version), bool(row.deleted)) if row else None


async def erased(connection: AsyncConnection, keys: Iterable[Key]) -> set[Key]:
    """Those of the resources that were erased."""
    found: set[Key] = set()
    for chunk in chunks(sorted(set(keys))):
        own = (among(_ERASED.c.type, _ERASED.c.id, chunk), _ERASED.c.is_whole)
        rows = await connection.execute(select(_ERASED.c.type, _ERASED.c.id).where(*own))
        found |= {(row.type, row.id) for row in rows}
    return found


async def remove(connection: AsyncConnection, versions: Sequence[Held], whole: Iterable[Key]) -> None:
    """Remove versions with their contents and search values, and note that they are missing. whole: of which keys the
    resource itself is erased."""
    for chunk in chunks([each.vid for each in versions]):
        for table in VALUES:
            await connection.execute(delete(table).where(table.vid.in_(chunk)))
        for table in (_CONTENT, _VERSION):
            await connection.execute(delete(table).where(table.c.vid.in_(chunk)))
    at, known = await now(connection), set(whole)
    counts: dict[Key, list[int]] = {key: [] for key in known}
    for each in versions:
        counts.setdefault(each.key, []).append(each.version)
    rows = [
        {"type": type_, "id": id_, "through": max(gone, default=0), "count": len(gone), "at": at}
        | {"is_whole": (type_, id_) in known}
        for (type_, id_), gone in counts.items()
    ]
    for part in chunks(rows):
        await connection.execute(upsert(connection, Erased, part, ["type", "id"], changed=_added))
    if connection.dialect.name == "sqlite":
        # Deleting leaves the words in the index of full text until its parts are merged.
        await connection.execute(text("INSERT INTO search_text (search_text) VALUES ('optimize')"))


def _added(new: Any) -> Mapping[str, Any]:
    """Of a resource of which versions were erased before."""
    count = _ERASED.c.count + new.count
    through = case((_ERASED.c.through > new.through, _ERASED.c.through), else_=new.through)
    return {"through": through, "count": count, "at": new.at, "is_whole": or_(_ERASED.c.is_whole, new.is_whole)}


async def end_exports(connection: AsyncConnection, patient: str) -> None:
    """Of exports that have, or may have, something of a patient: files go, and what is going on fails."""
    at = await now(connection)
    gone = {"meaning": "", "finished_at": at, "expires_at": at}
    of_them = _with_data(patient)
    going_on = (_JOB.c.state == "active", *of_them)
    await connection.execute(update(_JOB).where(*going_on).values(state="failed", reason=_EMPTIED, **gone))
    done = (_JOB.c.state == "complete", *of_them)
    await connection.execute(update(_JOB).where(*done).values(state="expired", **gone))
    # Searches may have been for a name. What is over or over now is not looked at again.
    over = select(_JOB.c.id, _JOB.c.asked).where(_JOB.c.state.not_in(("accepted", "active", "complete")), *of_them)
    for id_, asked in (await connection.execute(over)).all():
        kept = {name: value for name, value in json.loads(asked).items() if name in ("level", "types")}
        silent = json.dumps(kept | {"request": ""})
        await connection.execute(update(_JOB).where(_JOB.c.id == id_).values(asked=silent, meaning=""))


async def count_exports(connection: AsyncConnection, patient: str) -> int:
    """How many exports there are that have, or may have, something of a patient."""
    own = (_JOB.c.state.in_(("active", "complete")), *_with_data(patient))
    return int(await connection.scalar(select(func.count()).select_from(_JOB).where(*own)) or 0)


def _with_data(patient: str) -> tuple[ColumnElement[bool], ...]:
    of_some = exists().where(_MEMBER.c.job == _JOB.c.id)
    of_this = exists().where(_MEMBER.c.job == _JOB.c.id, _MEMBER.c.id == patient)
    return (or_(~of_some, of_this),)


# Where else contents are kept: what it is called, its table, and the columns that hold contents.
_COPIES: Sequence[tuple[str, Any, Sequence[str]]] = (
    ("quarantine", _PUT_ASIDE, ("content",)),
    ("conflict", _CONFLICT, ("content", "base")),
    ("answer", _ANSWER, ("answer",)),
)


async def copies(connection: AsyncConnection, words: Sequence[bytes]) -> AsyncIterator[tuple[str, Any, bytes]]:
    """Contents outside the store that may hold one of the words: where, the row's key, and the content."""
    for name, table, columns in _COPIES:
        key = list(table.primary_key)
        for column in columns:
            chosen = select(*key, table.c[column]).where(_holds(connection, table.c[column], words))
            for *own, content in (await connection.execute(chosen)).all():
                yield name, tuple(own), content


async def addressed(connection: AsyncConnection) -> AsyncIterator[tuple[str, Any, bytes]]:
    """Copies that need not say anything of a patient: where, the row's key, and all the addresses of what they hold."""
    # What was written alone is told by its Location, and the others by what is in the answer.
    inside = case((_ANSWER.c.location == "", _ANSWER.c.answer), else_=literal(b"", LargeBinary))
    rows = select(*_ANSWER.primary_key, _ANSWER.c.location, inside)
    for *own, location, answer in await connection.execute(rows):
        yield "answer", tuple(own), location.encode() or answer
    known = _LEDGER.c.type + "/" + _LEDGER.c.id
    same = (_LEDGER.c[name] == _PUT_ASIDE.c[name] for name in ("target", "type", "remote_id"))
    for qid, address in await connection.execute(select(_PUT_ASIDE.c.qid, known).where(*same)):
        yield "quarantine", (qid,), address.encode()


async def remote_ids(connection: AsyncConnection, key: Key) -> set[str]:
    """The ids by which targets know a resource."""
    own = (_LEDGER.c.type == key[0], _LEDGER.c.id == key[1], _LEDGER.c.remote_id != "")
    return set((await connection.execute(select(_LEDGER.c.remote_id).where(*own))).scalars())


async def remove_copies(
    connection: AsyncConnection, found: Mapping[str, Iterable[Any]], keys: Iterable[Key], answer: bytes
) -> None:
    """Remove those copies, all conflicts about the keys, and what targets said of them. answer: given from now on to
    whoever repeats a request whose answer is gone."""
    for row in set(found.get("quarantine", ())):
        await connection.execute(delete(_PUT_ASIDE).where(_is(_PUT_ASIDE, row)))
    for row in set(found.get("conflict", ())):
        await connection.execute(delete(_CONFLICT).where(_is(_CONFLICT, row)))
    emptied = {"status": 410, "answer": answer, "location": "", "etag": "", "last_modified": ""}
    for row in set(found.get("answer", ())):
        await connection.execute(update(_ANSWER).where(_is(_ANSWER, row)).values(**emptied))
    for chunk in chunks(sorted(set(keys))):
        await connection.execute(delete(_CONFLICT).where(among(_CONFLICT.c.type, _CONFLICT.c.id, chunk)))
        own = among(_OUTBOX.c.type, _OUTBOX.c.id, chunk)
        await connection.execute(update(_OUTBOX).where(own).values(reason=""))
        # Nobody is asked any more which of two versions holds.
        due = {"state": "pending", "attempts": 0, "not_before": 0}
        await connection.execute(update(_OUTBOX).where(own, _OUTBOX.c.state == "conflict").values(**due))


def _is(table: Any, row: Sequence[Any]) -> ColumnElement[bool]:
    return and_(*(column == value for column, value in zip(table.primary_key, row, strict=True)))


def _holds(connection: AsyncConnection, column: Any, words: Sequence[bytes]) -> ColumnElement[bool]:
    find = func.instr if connection.dialect.name == "sqlite" else _position
    return or_(*(find(column, literal(each, LargeBinary)) > 0 for each in (*words, *_ESCAPES)))


def _position(column: Any, word: Any) -> Any:
    return func.position(cast(word, LargeBinary).op("IN")(column))
