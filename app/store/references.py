"""Which resources are here, and which refer to them."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.profiles import package
from app.store.index.state import require_indexed
from app.store.keys import among, chunks
from app.store.repository import Key, Stored, read_rows
from app.store.tables import SearchReference, SearchToken, Version

# The tag of what sync notes about its own doing. It names versions, which the history keeps, so it keeps nothing here.
SYNC_RECORD = f"{package()['canonical']}/sync-record"
# A document is found by the composition it holds, and does not depend on one that stands alone. Records of what was
# done name versions, which the history keeps.
LASTING = ("Bundle", "Provenance", "AuditEvent")
_IS_CURRENT = col(Version.until).is_(None)


async def held(connection: AsyncConnection, keys: Iterable[Key]) -> set[Key]:
    """Those of the resources that exist and are not deleted."""
    found: set[Key] = set()
    for chunk in chunks(sorted(set(keys))):
        chosen = among(col(Version.type), col(Version.id), chunk)
        rows = select(Version.type, Version.id).where(chosen, col(Version.until).is_(None), ~col(Version.deleted))  # type: ignore[call-overload]
        found |= {(row.type, row.id) for row in await connection.execute(rows)}
    return found


async def versions_held(connection: AsyncConnection, versions: Iterable[tuple[Key, int]]) -> set[tuple[Key, int]]:
    """Those of the versions that exist, of resources that are deleted by now too."""
    found: set[tuple[Key, int]] = set()
    for chunk in chunks(sorted(set(versions))):
        keys, numbers = {key for key, _ in chunk}, {number for _, number in chunk}
        chosen = among(col(Version.type), col(Version.id), keys) & col(Version.version).in_(numbers)
        rows = select(Version.type, Version.id, Version.version).where(chosen, ~col(Version.deleted))  # type: ignore[call-overload]
        found |= {((row.type, row.id), row.version) for row in await connection.execute(rows)}.intersection(chunk)
    return found


async def referrers(connection: AsyncConnection, keys: Iterable[Key]) -> dict[Key, dict[str, int]]:
    """How many current resources of each type refer to each of the resources that anything refers to."""
    await require_indexed(connection, [("*", "*")])
    found: dict[Key, dict[str, int]] = {}
    target = (SearchReference.target_type, SearchReference.target_id)
    for chunk in chunks(sorted(set(keys))):
        chosen = among(col(target[0]), col(target[1]), chunk)
        rows = (
            select(*target, SearchReference.type, func.count(func.distinct(SearchReference.vid)))  # type: ignore[call-overload]
            .join(Version, col(Version.vid) == col(SearchReference.vid))
            .where(chosen, col(Version.until).is_(None), col(SearchReference.type).notin_(LASTING), ~_is_sync_record())
            .group_by(*target, SearchReference.type)
        )
        for target_type, target_id, type_, count in await connection.execute(rows):
            found.setdefault((target_type, target_id), {})[type_] = count
    return found


async def referring(connection: AsyncConnection, keys: Iterable[Key]) -> list[Stored]:
    """The current resources that refer to one of them, of whatever type."""
    await require_indexed(connection, [("*", "*")])
    vids: set[int] = set()
    for chunk in chunks(sorted(set(keys))):
        chosen = (among(col(SearchReference.target_type), col(SearchReference.target_id), chunk), _IS_CURRENT)
        links = select(col(SearchReference.vid)).join(Version, col(Version.vid) == col(SearchReference.vid))
        vids |= set((await connection.execute(links.where(*chosen))).scalars())
    return [one for chunk in chunks(sorted(vids)) for one in await read_rows(connection, chunk)]


def _is_sync_record() -> ColumnElement[bool]:
    tag = (col(SearchToken.param) == "_tag", col(SearchToken.system) == SYNC_RECORD)
    return exists().where(col(SearchToken.vid) == col(SearchReference.vid), *tag)
