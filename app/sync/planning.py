"""Finding out how a target is told: its CapabilityStatement, read first, kept for all workers and read again."""

import asyncio
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from app.fhir import json as lossless
from app.store import clock, sync_state
from app.store.database import Database
from app.store.sync_state import State
from app.sync.answers import Meaning
from app.sync.capabilities import NoFhirServer, Plan, Wanted, from_json, plan, unread
from app.sync.client import Client, Reply
from app.sync.health import OPEN_AFTER

_AGAIN_AFTER = 3600.0
# A CapabilityStatement may cost a server seconds of a core (HAPI's has 1.5 MB): of one process one asks at a time.
_asked: WeakKeyDictionary[Database, dict[str, asyncio.Lock]] = WeakKeyDictionary()
_NOT_ASKED = "Its CapabilityStatement is not read, as configured; delivery and ids are as configured."


class Planned(Wanted, Protocol):
    """What is asked of a target here."""

    @property
    def name(self) -> str: ...

    @property
    def read_capabilities(self) -> bool: ...


class Unplanned(Exception):
    """How the target is told cannot be found out now. reply: what was answered, LOST where it is none we can tell."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.meaning.name)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans for one target."""

    database: Database
    client: Client
    target: Planned

    async def __call__(self) -> Plan:
        """The plan that holds now. Raises Unplanned."""
        if not self.target.read_capabilities:
            return unread(self.target, _NOT_ASKED)
        kept, is_good = await self._current()
        if kept and is_good:
            return kept
        async with _asking(self.database, self.target.name):
            # Somebody else of this process may have read it meanwhile.
            kept, is_good = await self._current()
            if kept and is_good:
                return kept
            made = await self._read(is_known=kept is not None)
            await self.keep(made)
            return made

    async def _current(self) -> tuple[Plan | None, bool]:
        """The plan that is kept, and whether it still holds."""
        async with self.database.reading() as connection:
            state, now = await sync_state.read(connection, self.target.name), await clock.now(connection)
        kept, asked = _kept(state.capabilities)
        return kept, asked == _asked_of(self.target) and not is_old(state, now)

    async def keep(self, made: Plan) -> None:
        """Keep a plan for all workers, and for whoever looks at the target."""
        value = {"plan": made.as_json(), "asked": _asked_of(self.target)}
        async with self.database.writing() as connection:
            await sync_state.conclude(connection, self.target.name, lossless.dumps(value).decode())

    async def _read(self, *, is_known: bool) -> Plan:
        """What it says now. is_known: it was a FHIR server before, so what is none now is something in between."""
        reply = await self.client.ask("GET", "metadata", "read")
        if reply.meaning in (Meaning.REFUSED, Meaning.ABSENT):
            return unread(self.target, f"It tells no capabilities ({reply.status}); it is told as configured.")
        if reply.meaning is Meaning.LATER and 200 <= reply.status < 500 and reply.status not in (408, 425, 429):
            meaning = Meaning.LATER if is_known else Meaning.LOST
            raise Unplanned(replace(reply, meaning=meaning, reason=f"At /metadata it answers {reply.reason}."))
        if reply.meaning is not Meaning.DONE:
            raise Unplanned(reply)
        try:
            return plan(reply.body, self.target)
        except NoFhirServer as error:
            raise Unplanned(Reply(Meaning.LOST, reply.status, str(error))) from None


def _asking(database: Database, target: str) -> asyncio.Lock:
    return _asked.setdefault(database, {}).setdefault(target, asyncio.Lock())


def shown(state: State) -> dict[str, Any]:
    """What GET /sync/targets/{name} tells of what was concluded, in sentences; {} while nothing was read."""
    made, _ = _kept(state.capabilities)
    if made is None:
        return {}
    named = ("software", "delivery", "ids", "batch_size", "is_read")
    told = {"said": list(made.said), "interactions": sorted(made.system), "readAt": state.capabilities_at}
    return {name: getattr(made, name) for name in named} | told


@lru_cache(maxsize=64)
def _kept(text: str) -> tuple[Plan | None, Any]:
    """The plan that was kept, and what was asked for then; None where there is nothing that this release can read."""
    try:
        value = lossless.parse_object(text.encode()) if text else None
        return (from_json(value["plan"]), value.get("asked")) if value else (None, None)
    except (LookupError, TypeError, ValueError, AttributeError):
        return None, None


def _asked_of(target: Planned) -> dict[str, Any]:
    """What the plan depends on besides the target's own words: when that is changed, the plan is made anew."""
    return {"delivery": target.delivery, "ids": target.ids, "batch_size": target.batch_size}


def is_old(state: State, now: int) -> bool:
    """Whether it is to be read again: after an hour, and once the target was away, since it may be another release."""
    was_away = state.failures >= OPEN_AFTER and state.last_error_at > state.capabilities_at
    return was_away or now > clock.later(state.capabilities_at, _AGAIN_AFTER)
