"""Subscribers are told what whoever made the Subscription may read, and nothing else."""

from collections.abc import Iterable

from app.security.grants import read
from app.store import granted
from app.store.database import Connection
from app.store.search import Searcher
from app.store.search.sighted import Sighted
from app.store.sight import Sight


async def sights(
    connection: Connection, searcher: Searcher, base: str, subscriptions: Iterable[str]
) -> dict[str, Sight]:
    """What is seen by those whose makers are limited, by the ids of the Subscriptions."""
    found = await granted.limits(connection, subscriptions)
    return {name: Sighted(read(text), searcher, base, text) for name, text in found.items()}
