"""Subscription/$status and $events (R5 backport 1.1.0): where a Subscription stands, and what its subscriber missed."""

from collections.abc import Sequence
from dataclasses import replace

from app.fhir import json as lossless
from app.fhir.bundles import bundle
from app.fhir.outcomes import Issue, Refused
from app.routers.exchange import fhir_base
from app.routers.operations import found, held
from app.routers.operations.call import Call
from app.store import events
from app.store.database import Connection
from app.store.events import Event, State
from app.store.idempotency import Answer
from app.store.repository import Stored
from app.store.sight import current, seen_by
from app.sync.subscriptions.delivery import tell
from app.sync.subscriptions.notifications import Status, Told, notification, status_entry
from app.sync.subscriptions.reading import CONTENTS, Wanted, read
from app.sync.subscriptions.seeing import sights

_MOST_STATUSES = 1_000
# Most events of one answer: who missed more asks again from the number after the last one.
_MOST_EVENTS = 200


async def status(call: Call) -> Answer:
    """A searchset of statuses: of the Subscription of the address, or of those with the ids and statuses asked for."""
    if call.resource_id:
        chosen = [await held.current(call)]
    else:
        asked = [(name, ",".join(map(str, values))) for name, values in _search(call) if values]
        chosen = await found.every(call, "Subscription", asked, most=_MOST_STATUSES)
    async with call.service.database.reading() as connection:
        states = await events.states(connection, [one.id for one in chosen])
    entries = [status_entry(_status(call, one, states.get(one.id)), "query-status") for one in chosen]
    return Answer(200, bundle("searchset", entries, total=len(entries)))


async def history(call: Call) -> Answer:
    """A notification of past events, by number; the last of them tells how far it goes."""
    subscription = await held.current(call)
    wanted, _ = _read(call, subscription)
    if wanted is None or wanted.topic is None:
        told = "Events are numbered for subscribers of topics; this Subscription is a search."
        raise Refused([Issue("not-supported", told, "Subscription.criteria")])
    content = call.given.one("content", wanted.content)
    if content not in CONTENTS:
        raise Refused([Issue("value", f"The content is one of {', '.join(CONTENTS)}.", "content")])
    first, last = _bounds(call)
    async with call.service.database.reading() as connection:
        state = (await events.states(connection, [subscription.id])).get(subscription.id)
        listed = await events.between(connection, subscription.id, first, last, _MOST_EVENTS)
        told_of = await _told(call, connection, wanted, subscription.id, listed)
    status = _status(call, subscription, state)
    # Who may read the resources is asked here as of any read; more than was subscribed to is not told.
    kept = min(content, wanted.content, key=CONTENTS.index)
    return Answer(200, notification(status, "query-event", kept, told_of, call.service.clock()))


async def _told(
    call: Call, connection: Connection, wanted: Wanted, subscription: str, listed: Sequence[Event]
) -> list[Told]:
    """What both may read: whoever made the Subscription, and whoever asks now."""
    searcher = call.service.searcher
    maker = (await sights(connection, searcher, fhir_base(call.request), [subscription])).get(subscription)
    told = await tell(connection, searcher, wanted, listed)
    if current() is None and maker is None:
        return told
    with seen_by(maker):
        of_maker = {one.event.number: one for one in await tell(connection, searcher, wanted, listed)}
    kept = [one for one in told if one.focus and of_maker[one.event.number].focus]
    others = {one.event.number: set(of_maker[one.event.number].others) for one in kept}
    return [replace(one, others=[each for each in one.others if each in others[one.event.number]]) for one in kept]


def _search(call: Call) -> Sequence[tuple[str, list[str]]]:
    return [("_id", call.given.all("id")), ("status", call.given.all("status"))]


def _bounds(call: Call) -> tuple[int, int]:
    """The first and the last number asked for; integer64 came with R5, so they are strings of digits."""
    issues, numbers = [], []
    for name, default in (("eventsSinceNumber", 1), ("eventsUntilNumber", 2**62)):
        text = call.given.one(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            issues.append(Issue("value", f"{name} is an event number, in digits.", name))
        numbers.append(int(text) if not issues else default)
    if issues:
        raise Refused(issues)
    return numbers[0], min(numbers[1], 2**62)


def _status(call: Call, stored: Stored, state: State | None) -> Status:
    tree = lossless.parse_object(stored.content or b"{}")
    wanted, _ = _read(call, stored)
    topic = wanted.topic.url if wanted and wanted.topic else ""
    count = state.last_event if state else 0
    return Status(fhir_base(call.request), stored.id, topic, str(tree["status"]), count, str(tree.get("error", "")))


def _read(call: Call, stored: Stored) -> tuple[Wanted | None, list[Issue]]:
    tree = lossless.parse_object(stored.content or b"{}")
    return read(tree, call.service.searcher, fhir_base(call.request))
