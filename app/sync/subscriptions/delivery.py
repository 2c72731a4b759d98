"""Sends what was numbered to the subscribers: one Subscription at a time by one worker, its events in order.

An event counts as delivered when the endpoint has answered with success. A subscriber that does not answer is tried
again, with growing waits, so many times in a row; then the Subscription is in error until somebody writes it with the
status requested, and what it missed can be had by $events. An answer that was lost makes an event come twice, with the
same number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.fhir import json as lossless
from app.security.sealing import CannotSeal, NotOpened, Sealing
from app.store import clock, events, repository
from app.store.database import Connection, Database
from app.store.events import Event, State
from app.store.repository import Stored
from app.store.search import Searcher, included_with
from app.store.sight import current, seen_by
from app.sync.health import jittered
from app.sync.subscriptions.hook import Called, Hook
from app.sync.subscriptions.notifications import Kind, Status, Told, notification
from app.sync.subscriptions.reading import FHIR_JSON, Wanted, read
from app.sync.subscriptions.secrecy import opened
from app.sync.subscriptions.seeing import sights
from app.sync.subscriptions.status import TYPE, Statuses

_IDLE, _SOONEST = 30.0, 0.05


async def tell(connection: Connection, searcher: Searcher, wanted: Wanted, listed: Sequence[Event]) -> list[Told]:
    """Events with the versions they are about, and what goes with them by the topic."""
    told = []
    for event in listed:
        focus = await _focus(connection, event)
        names = wanted.topic.includes.get(event.type, ()) if wanted.topic else ()
        others = await included_with(connection, searcher, focus, names) if focus and names else []
        told.append(Told(event, focus, others))
    return told


async def _focus(connection: Connection, event: Event) -> Stored | None:
    """The version, None where it may not be seen any more."""
    looking = current()
    if looking and not looking.may("r", event.type):
        return None
    return await repository.read_version(connection, event.type, event.id, event.version)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The job of delivering. owner: this worker; attempts: failures in a row after which a Subscription is in error."""

    database: Database
    searcher: Searcher
    statuses: Statuses
    hook: Hook
    sealing: Sealing
    owner: str
    lease_seconds: float
    attempts: int
    base: str

    async def step(self) -> float:
        """Do what is due for one Subscription."""
        async with self.database.reading() as connection:
            now = await clock.now(connection)
            if not await events.is_due(connection, now):
                due = await events.next_due(connection, now)
                return _IDLE if due is None else max(_SOONEST, min(_IDLE, (due - now) / clock.SECOND))
        async with self.database.writing() as connection:
            now = await clock.now(connection)
            state = await events.claim(connection, self.owner, now=now, until=clock.later(now, self.lease_seconds))
        if state is not None:
            await self._serve(state, now)
        return 0

    async def _serve(self, state: State, now: int) -> None:
        wanted, told = await self._wanted(state)
        if wanted and wanted.timeout > self.lease_seconds / 2:
            async with self.database.writing() as connection:
                state = await events.extend(connection, state, clock.later(now, 2 * wanted.timeout))
        if wanted is None:
            await self._error(state, told)
        elif wanted.ends_at and wanted.ends_at <= now:
            await self._become(state, "off")
        elif state.status == "requested":
            await self._begin(state, wanted)
        elif state.delivered < state.last_event:
            await self._send(state, wanted)
        else:
            await self._note(state, wanted, await self._notify(state, wanted, "heartbeat", []), state.delivered)

    async def _wanted(self, state: State) -> tuple[Wanted | None, str]:
        """What it asks for; None and why where it cannot be served, as after a search parameter was taken away."""
        async with self.database.reading() as connection:
            stored = await repository.read_version(connection, TYPE, state.id, state.version)
        tree = lossless.parse_object(stored.content) if stored and stored.content else {}
        wanted, issues = read(tree, self.searcher, self.base)
        return wanted, " ".join(issue.diagnostics for issue in issues)

    async def _begin(self, state: State, wanted: Wanted) -> None:
        """Activate. A handshake belongs to topics; without one the endpoint is asked by the first notification."""
        if wanted.topic:
            called = await self._notify(state, wanted, "handshake", [])
        else:
            called = Called(" ".join(self.hook.guard.problems(wanted.endpoint)))
        if not called.is_taken:
            # By the backport, any error of the handshake: who asked for it is there, and can put it right.
            await self._error(state, called.reason)
            return
        await self._become(state, "active")
        if wanted.heartbeat:
            async with self.database.writing() as connection:
                now = await clock.now(connection)
                await events.beats(connection, state.id, clock.later(now, wanted.heartbeat))

    async def _send(self, state: State, wanted: Wanted) -> None:
        """The next events: as many as one notification takes."""
        count = wanted.max_count if wanted.topic else 1
        async with self.database.reading() as connection:
            listed = await events.between(connection, state.id, state.delivered + 1, state.last_event, count)
            limited = await sights(connection, self.searcher, self.base, [state.id])
            with seen_by(limited.get(state.id)):
                told = await tell(connection, self.searcher, wanted, listed)
        if not listed:
            await self._error(state, "Events that were to be sent are not here any more.")
            return
        if wanted.topic:
            called = await self._notify(state, wanted, "event-notification", told)
        else:
            called = await self._plain(wanted, told[0])
        await self._note(state, wanted, called, listed[-1].number)

    async def _notify(self, state: State, wanted: Wanted, kind: Kind, told: Sequence[Told]) -> Called:
        url = wanted.topic.url if wanted.topic else ""
        status = Status(self.base, state.id, url, state.status, state.last_event)
        async with self.database.reading() as connection:
            now = await clock.now(connection)
        body = notification(status, kind, wanted.content, told, now)
        return await self._call("POST", wanted.endpoint, body, wanted)

    async def _plain(self, wanted: Wanted, told: Told) -> Called:
        """R4: a POST without a body; with a payload, the endpoint is a base below which the resource is PUT."""
        focus = told.focus
        if not wanted.payload or focus is None or focus.content is None:
            return await self._call("POST", wanted.endpoint, b"", wanted)
        return await self._call("PUT", f"{wanted.endpoint.rstrip('/')}/{focus.type}/{focus.id}", focus.content, wanted)

    async def _call(self, method: str, url: str, body: bytes, wanted: Wanted) -> Called:
        try:
            own = opened(self.sealing, wanted.headers, wanted.endpoint)
        except (NotOpened, CannotSeal):
            return Called("A header of the Subscription cannot be opened with the keys of this server: write it anew.")
        headers = [*own, *([("Content-Type", FHIR_JSON)] if body else [])]
        return await self.hook.call(method, url, body, headers, wanted.timeout)

    async def _note(self, state: State, wanted: Wanted, called: Called, delivered: int) -> None:
        if not called.is_taken and state.failures + 1 >= self.attempts:
            await self._error(state, f"{called.reason} It was tried {self.attempts} times in a row.")
            return
        async with self.database.writing() as connection:
            now = await clock.now(connection)
            if called.is_taken:
                beat = clock.later(now, wanted.heartbeat) if wanted.heartbeat else 0
                await events.sent(connection, state, delivered=delivered, now=now, heartbeat_at=beat)
            else:
                wait = max(called.wait, jittered(state.failures))
                await events.failed(connection, state, called.reason, not_before=clock.later(now, wait))

    async def _error(self, state: State, reason: str) -> None:
        await self._become(state, "error", reason[: events.LONGEST_ERROR])

    async def _become(self, state: State, status: str, error: str = "") -> None:
        if not await self.statuses.become(state, status, error):
            # A newer version is on its way through the feed; this one is looked at no more until then.
            async with self.database.writing() as connection:
                now = await clock.now(connection)
                await events.failed(connection, state, "", not_before=clock.later(now, 1))
