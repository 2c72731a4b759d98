"""With what rights Subscriptions were made, kept with them: their maker is told what it may read."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import sight
from app.store.keys import chunks
from app.store.tables import SubscriptionGrants
from app.store.upserts import upsert

_GRANTS: Any = SubscriptionGrants.__table__  # type: ignore[attr-defined]


async def keep(connection: AsyncConnection, subscriptions: Iterable[str]) -> None:
    """These were written by the one who looks. Where nothing is kept from them, nothing is from their subscribers."""
    looking = sight.current()
    ids = sorted(set(subscriptions))
    if not ids:
        return
    if looking is None:
        await forget(connection, ids)
        return
    rows = [{"id": each, "limits": looking.text} for each in ids]
    await connection.execute(upsert(connection, SubscriptionGrants, rows, ["id"]))


async def forget(connection: AsyncConnection, subscriptions: Sequence[str]) -> None:
    """These are gone."""
    for chunk in chunks(subscriptions):
        await connection.execute(delete(_GRANTS).where(_GRANTS.c.id.in_(chunk)))


async def limits(connection: AsyncConnection, subscriptions: Iterable[str]) -> dict[str, str]:
    """The limits of those that have any (app/store/sight.py, Sight.text)."""
    found: dict[str, str] = {}
    for chunk in chunks(sorted(set(subscriptions))):
        rows = await connection.execute(select(_GRANTS.c.id, _GRANTS.c.limits).where(_GRANTS.c.id.in_(chunk)))
        found |= {row.id: row.limits for row in rows}
    return found
