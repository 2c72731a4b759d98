"""Backfill: telling a target of what was written before it was one, or of what it missed.

What is not in the ledger as it is now is noted in the outbox, in the order in which it was written, so that what is
referred to comes first. Done again it notes nothing twice; stopped anywhere, it begins again and goes on.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from app.store import sync_state, untold
from app.store.database import Database
from app.store.enqueue import enqueue_current
from app.store.repository import Key
from app.store.tables import NOT_FILLING
from app.sync.targets import Target

# Rows of one transaction: writers of the same resources wait for its end.
_CHUNK = 500
# What each server has for itself.
PRIVATE = ("Subscription",)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come: places looked at, of how many; noted: how many resources by this step."""

    place: int
    places: int
    noted: int


@dataclass(frozen=True, slots=True)
class Backfill:
    """The backfill of one target. own: the definitions of this service, which every instance has itself; base: the
    address of our FHIR endpoint; ring: wakes those who send."""

    database: Database
    target: Target
    own: Collection[Key]
    ring: Callable[[], None]
    base: str = ""

    async def begin(self) -> None:
        """From the first write on; the worker of any process goes on with it."""
        async with self.database.writing() as connection:
            await sync_state.change(connection, self.target.name, backfill=0)

    async def step(self) -> float:
        """Note some, if there is a backfill to be done."""
        async with self.database.reading() as connection:
            if (await sync_state.read(connection, self.target.name)).backfill == NOT_FILLING:
                return math.inf
        await self.go_on()
        return 0

    async def go_on(self) -> Progress | None:
        """Note the next of what the target may want and does not hold; None when all is noted."""
        name = self.target.name
        async with self.database.writing() as connection:
            place = (await sync_state.hold(connection, name)).backfill
            if place == NOT_FILLING:
                return None
            page = await untold.untold(connection, name, without=PRIVATE, after=place, limit=_CHUNK)
            keys = [one.key for one in page if self.target.is_told_of(one.type) and one.key not in self.own]
            await enqueue_current(connection, name, keys, self.base)
            reached = page[-1].vid if len(page) == _CHUNK else NOT_FILLING
            await sync_state.change(connection, name, backfill=reached)
            places = await untold.last(connection)
        self.ring()
        return Progress(places if reached == NOT_FILLING else reached, places, len(keys))
