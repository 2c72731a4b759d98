"""Checks between tables that the database does itself: each is a statement that answers the rows that are wrong."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import case, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.index.reindex import VALUES
from app.store.kept.found import Findings
from app.store.tables import Audit, Content, Erased, Ledger, Outbox, SearchReference, Version

_VERSION: Any = Version.__table__  # type: ignore[attr-defined]
_CONTENT: Any = Content.__table__  # type: ignore[attr-defined]
_AUDIT: Any = Audit.__table__  # type: ignore[attr-defined]
_OUTBOX: Any = Outbox.__table__  # type: ignore[attr-defined]
_LEDGER: Any = Ledger.__table__  # type: ignore[attr-defined]
_LINK: Any = SearchReference.__table__  # type: ignore[attr-defined]
_ERASED: Any = Erased.__table__  # type: ignore[attr-defined]
_V = _VERSION.c
# Rows shown of each statement; the rest is counted.
_SHOWN = 20


def _resources() -> Any:
    """One row per resource: how many versions are current, how many there are, the newest, and the current one."""
    current = case((_V.until.is_(None), 1), else_=0)
    return (
        select(
            _V.type,
            _V.id,
            func.sum(current).label("current"),
            func.count().label("count"),
            func.max(_V.version).label("newest"),
            func.max(case((_V.until.is_(None), _V.version))).label("shown"),
        )
        .group_by(_V.type, _V.id)
        .subquery()
    )


def _of_version(other: Any) -> Any:
    return exists().where(_V.type == other.c.type, _V.id == other.c.id, _V.version == other.c.version)


def _missing(each: Any) -> Any:
    """How many versions of a resource were erased."""
    own = (_ERASED.c.type == each.c.type, _ERASED.c.id == each.c.id)
    return func.coalesce(select(_ERASED.c.count).where(*own).scalar_subquery(), 0)


def _was_erased(other: Any) -> Any:
    own = (_ERASED.c.type == other.c.type, _ERASED.c.id == other.c.id, other.c.version <= _ERASED.c.through)
    return exists().where(*own)


def _statements() -> Mapping[str, Any]:
    """kind -> type, id and version (0 for none) of what is wrong."""
    each, content = _resources(), exists().where(_CONTENT.c.vid == _V.vid)
    audited = exists().where(_AUDIT.c.type == _V.type, _AUDIT.c.id == _V.id, _AUDIT.c.version == _V.version)
    own = (_V.type, _V.id, _V.version)
    owner = _VERSION.alias().c
    there = exists().where(_V.type == _LINK.c.target_type, _V.id == _LINK.c.target_id, _V.until.is_(None), ~_V.deleted)
    return {
        "no-current": select(each.c.type, each.c.id, each.c.newest).where(each.c.current != 1),
        "not-newest": select(each.c.type, each.c.id, each.c.newest).where(
            or_(each.c.shown != each.c.newest, each.c.count + _missing(each) != each.c.newest)
        ),
        "no-content": select(*own).where(~_V.deleted, ~content),
        "extra-content": select(_CONTENT.c.vid.label("type"), func.coalesce(_V.type, ""), func.coalesce(_V.version, 0))
        .select_from(_CONTENT.outerjoin(_VERSION, _V.vid == _CONTENT.c.vid))
        .where(or_(_V.vid.is_(None), _V.deleted)),
        "unproven-content": select(*own).where(_CONTENT.c.vid == _V.vid, _CONTENT.c.digest.is_(None)),
        "lost-item": select(_OUTBOX.c.type, _OUTBOX.c.id, _OUTBOX.c.version).where(
            ~exists().where(
                _V.vid == _OUTBOX.c.vid,
                _V.type == _OUTBOX.c.type,
                _V.id == _OUTBOX.c.id,
                _V.version == _OUTBOX.c.version,
            )
        ),
        "wrong-ledger": select(_LEDGER.c.type, _LEDGER.c.id, _LEDGER.c.version).where(
            ~_of_version(_LEDGER), ~_was_erased(_LEDGER)
        ),
        "no-audit": select(*own).where(~audited),
        "extra-audit": select(_AUDIT.c.type, _AUDIT.c.id, _AUDIT.c.version).where(
            _AUDIT.c.version > 0, ~_of_version(_AUDIT), ~_was_erased(_AUDIT)
        ),
        "dangling": select(_LINK.c.type, owner.id, owner.version)
        .where(
            owner.vid == _LINK.c.vid,
            owner.until.is_(None),
            _LINK.c.target_type != "",
            ~there,
        )
        .distinct(),
    }


async def look(connection: AsyncConnection, found: Findings) -> None:
    """Do every check; no more than the first rows of each are held in memory."""
    for kind, statement in _statements().items():
        await _note(connection, found, kind, statement)
    for table in VALUES:
        await _note_values(connection, found, table)


async def unwanted(connection: AsyncConnection, *, limit: int) -> list[int]:
    """Row numbers with search values that should have none."""
    for table in VALUES:
        if vids := list((await connection.execute(_unwanted(table).limit(limit))).scalars()):
            return vids
    return []


def _unwanted(table: Any) -> Any:
    own = table.__table__
    vid = own.c.vid if "vid" in own.c else own.c[table.vid.key]
    return select(vid).where(~exists().where(_V.vid == vid, _V.indexed, ~_V.deleted)).distinct()


async def _note_values(connection: AsyncConnection, found: Findings, table: Any) -> None:
    statement = _unwanted(table)
    total = int(await connection.scalar(select(func.count()).select_from(statement.subquery())) or 0)
    for vid in (await connection.execute(statement.limit(_SHOWN))).scalars() if total else ():
        found.add("extra-values", f"row {vid} of {table.__tablename__}", 0)
    if total:
        found.counts["extra-values"] += total


async def _note(connection: AsyncConnection, found: Findings, kind: str, statement: Any) -> None:
    total = int(await connection.scalar(select(func.count()).select_from(statement.subquery())) or 0)
    for type_, id_, version in await connection.execute(statement.limit(_SHOWN)) if total else ():
        found.add(kind, f"{type_}/{id_}" + (f" version {version}" if version else ""), 0)
    if total:
        found.counts[kind] += total
