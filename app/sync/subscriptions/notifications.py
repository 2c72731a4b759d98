"""Notifications by the R5 backport: a Bundle of type history whose first entry tells the status of the Subscription."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.fhir.bundles import Entry, bundle
from app.fhir.instants import instant
from app.fhir.json import dumps
from app.store.events import Event
from app.store.repository import Stored

_STATUS_PROFILE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4"
Kind = Literal["handshake", "heartbeat", "event-notification", "query-status", "query-event"]
# How a version came to be, as history tells it; of PATCH and PUT both the result is what was updated.
_ANSWERS = {"POST": "201", "PUT": "200", "PATCH": "200", "DELETE": "204"}


@dataclass(frozen=True, slots=True)
class Told:
    """An event with what may be sent of it. focus: the version; others: what goes with it, as it is now."""

    event: Event
    focus: Stored | None
    others: Sequence[Stored] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """What the status entry says. since_start: the number of the last event there was; error: the last one, or ""."""

    base: str
    subscription: str
    topic: str
    status: str
    since_start: int
    error: str = ""

    @property
    def reference(self) -> str:
        return f"{self.base}/Subscription/{self.subscription}"


def status_entry(status: Status, kind: Kind, content: str = "", told: Sequence[Told] = ()) -> Entry:
    """The Parameters of the status. content: how much the events tell."""
    name = str(uuid.uuid4())
    parts = [
        {"name": "subscription", "valueReference": {"reference": status.reference}},
        # By the profile the topic should be left out where nothing is told.
        *([{"name": "topic", "valueCanonical": status.topic}] if status.topic and content != "empty" else []),
        {"name": "status", "valueCode": status.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(status.since_start)},
        *(_event(status, each, content) for each in told),
        *([{"name": "error", "valueCodeableConcept": {"text": status.error}}] if status.error else []),
    ]
    tree = {"resourceType": "Parameters", "id": name, "meta": {"profile": [_STATUS_PROFILE]}, "parameter": parts}
    fields = {"request": {"method": "GET", "url": f"{status.reference}/$status"}, "response": {"status": "200"}}
    return Entry(f"urn:uuid:{name}", dumps(tree), fields)


def notification(status: Status, kind: Kind, content: str, told: Sequence[Told], now: int) -> bytes:
    """The Bundle as JSON text. content: empty, id-only or full-resource."""
    shown = {} if content == "empty" else {(one.type, one.id, one.version): one for each in told for one in _of(each)}
    entries = [_resource(status.base, one, content) for one in shown.values()]
    made = bundle("history", [status_entry(status, kind, content, told), *entries])
    return made[:-1] + b',"timestamp":' + dumps(instant(now)) + b"}"


def _of(told: Told) -> list[Stored]:
    return [*([told.focus] if told.focus else []), *told.others]


def _event(status: Status, told: Told, content: str) -> Mapping[str, Any]:
    event = told.event
    parts: list[Mapping[str, Any]] = [
        {"name": "event-number", "valueString": str(event.number)},
        {"name": "timestamp", "valueInstant": instant(event.created_at)},
    ]
    if content != "empty":
        parts.append({"name": "focus", "valueReference": {"reference": f"{status.base}/{event.type}/{event.id}"}})
        parts += [
            {"name": "additional-context", "valueReference": {"reference": f"{status.base}/{one.type}/{one.id}"}}
            for one in told.others
        ]
    return {"name": "notification-event", "part": parts}


def _resource(base: str, stored: Stored, content: str) -> Entry:
    """An entry of history: with the resource only where it is wanted and was not deleted."""
    address = f"{stored.type}/{stored.id}"
    request = {"method": "PUT" if stored.method == "PATCH" else stored.method}
    request["url"] = stored.type if stored.method == "POST" else address
    response = {"status": _ANSWERS[stored.method], "etag": f'W/"{stored.version}"'}
    response["lastModified"] = instant(stored.last_updated)
    text = stored.content if content == "full-resource" and stored.content else b""
    return Entry(f"{base}/{address}", text, {"request": request, "response": response})
