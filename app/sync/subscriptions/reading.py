"""What a Subscription asks for, and all that is wrong with it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from app.fhir.instants import period
from app.fhir.outcomes import Issue, Refused
from app.security.sealing import is_sealed
from app.store.search import CONTROL, Query, Searcher
from app.sync.subscriptions.topics import Topic, topic_of, topics

_GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
FILTER, CONTENT = _GUIDE + "backport-filter-criteria", _GUIDE + "backport-payload-content"
HEARTBEAT, TIMEOUT = _GUIDE + "backport-heartbeat-period", _GUIDE + "backport-timeout"
MAX_COUNT, CHANNEL_TYPE = _GUIDE + "backport-max-count", _GUIDE + "backport-channel-type"
CONTENTS = ("empty", "id-only", "full-resource")
FHIR_JSON = "application/fhir+json"
DEFAULT_TIMEOUT, LONGEST_TIMEOUT, DEFAULT_COUNT, LARGEST_COUNT = 10, 60, 20, 200
# R4 leaves them to the server; a client asks, and turns off.
_BY_CLIENTS = ("requested", "off")
_HEADER = re.compile(r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*(?P<value>[\x20-\x7e\t]{0,8000})", re.ASCII)
# Sealed, they are longer (secrecy.py).
_LONGEST_VALUE = 4_000
# They belong to the connection or to what is sent, not to the subscriber.
_OF_CONNECTION = frozenset({"connection", "expect", "host", "transfer-encoding", "upgrade"})
_OF_CONTENT = frozenset({"content-encoding", "content-length", "content-type"})
# Value of an extension, its least and its most.
_WHOLE = {HEARTBEAT: ("valueUnsignedInt", 1, 31_536_000), TIMEOUT: ("valueUnsignedInt", 1, LONGEST_TIMEOUT)}
_WHOLE[MAX_COUNT] = ("valuePositiveInt", 1, LARGEST_COUNT)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a Subscription asks for.

    topic: None for one by criteria, whose search is queries[0]; else queries narrow the topic, each its type. content:
    "" without a topic. payload: media type, "" for none. heartbeat: seconds, 0 for none. ends_at: microseconds, or 0.
    """

    topic: Topic | None
    queries: tuple[Query, ...]
    endpoint: str
    headers: tuple[tuple[str, str], ...]
    payload: str
    content: str
    heartbeat: int
    timeout: int
    max_count: int
    ends_at: int

    @property
    def types(self) -> tuple[str, ...]:
        """The resource types that may concern it."""
        return self.topic.types if self.topic else self.queries[0].types


def read(tree: Mapping[str, Any], searcher: Searcher, base: str) -> tuple[Wanted | None, list[Issue]]:
    """What it asks for, None where that cannot be said, and what is wrong with it. tree: valid by base R4."""
    reading = _Reading(tree, searcher, base, [])
    wanted = reading.wanted()
    return (None if reading.issues else wanted), reading.issues


def problems(tree: Mapping[str, Any], searcher: Searcher, base: str, now: int) -> list[Issue]:
    """All that is wrong with a Subscription as a client writes it."""
    wanted, issues = read(tree, searcher, base)
    if tree.get("status") not in _BY_CLIENTS:
        told = (
            f"The status {tree.get('status')} is for the server to set: write requested, and it becomes active when "
            "the endpoint has been asked; or off."
        )
        issues.append(Issue("business-rule", told, "Subscription.status"))
    if wanted and wanted.ends_at and wanted.ends_at <= now and tree.get("status") == "requested":
        issues.append(Issue("value", "The end is in the past.", "Subscription.end"))
    return issues


@dataclass(slots=True)
class _Reading:
    tree: Mapping[str, Any]
    searcher: Searcher
    base: str
    issues: list[Issue]

    def wanted(self) -> Wanted:
        channel = _object(self.tree.get("channel"))
        criteria = str(self.tree.get("criteria", "")).strip()
        filters = _extensions(self.tree.get("_criteria"), FILTER)
        topic, queries = self._topic(criteria, filters) if ":" in criteria.partition("?")[0] else (None, ())
        if not topic and not self.issues:
            queries = self._search(criteria, filters)
        self._channel(channel)
        numbers = {url: self._number(channel, url) for url in _WHOLE}
        return Wanted(
            topic,
            queries,
            str(channel.get("endpoint", "")),
            tuple(self._headers(channel)),
            str(channel.get("payload", "")),
            self._content(channel, is_topic=topic is not None),
            numbers[HEARTBEAT] if topic else 0,
            numbers[TIMEOUT] or DEFAULT_TIMEOUT,
            numbers[MAX_COUNT] or DEFAULT_COUNT,
            self._end(),
        )

    def _end(self) -> int:
        try:
            return period(str(self.tree["end"]))[0] if self.tree.get("end") else 0
        except (ValueError, OverflowError):
            self._wrong("value", "The end must be an instant.", "end")
            return 0

    def _wrong(self, code: str, told: str, path: str) -> None:
        self.issues.append(Issue(code, told, f"Subscription.{path}"))

    def _topic(self, canonical: str, filters: Sequence[Any]) -> tuple[Topic | None, tuple[Query, ...]]:
        topic = topic_of(canonical)
        if topic is None:
            self._wrong("not-supported", f"This topic is not offered; there are {', '.join(topics())}.", "criteria")
            return None, ()
        made = [self._filter(topic, str(value), place) for place, value in enumerate(filters)]
        return topic, tuple(each for each in made if each)

    def _filter(self, topic: Topic, text: str, place: int) -> Query | None:
        named, mark, rest = text.partition("?")
        path = f"criteria.extension[{place}].value"
        name, asked = (named, rest) if mark else (topic.types[0], text)
        if name not in topic.types:
            self._wrong("not-supported", f"The topic is about {', '.join(topic.types)} only.", path)
            return None
        given = parse_qsl(asked, keep_blank_values=True)
        allowed = topic.filters.get(name, ())
        for parameter in dict.fromkeys(each.partition(":")[0] for each, _ in given):
            if parameter not in allowed:
                told = f"The topic cannot be filtered by {parameter[:64]}; it can by {', '.join(allowed)}."
                self._wrong("not-supported", told, path)
                return None
        return self._parsed(name, given, path, least=1)

    def _search(self, criteria: str, filters: Sequence[Any]) -> tuple[Query, ...]:
        name, _, rest = criteria.partition("?")
        if filters:
            self._wrong(
                "not-supported", "Filters go with a topic; here the criteria are a search.", "criteria.extension"
            )
        if name not in self.searcher.parameters.types:
            told = "The criteria must be a search on one resource type, such as Observation?code=…, or a topic."
            self._wrong("value", told, "criteria")
            return ()
        query = self._parsed(name, parse_qsl(rest, keep_blank_values=True), "criteria", least=0)
        return (query,) if query else ()

    def _parsed(self, name: str, given: Sequence[tuple[str, str]], path: str, *, least: int) -> Query | None:
        if len(given) < least or any(each.partition(":")[0] in CONTROL for each, _ in given):
            told = "It needs search parameters, and none that only shape an answer."
            self._wrong("not-supported", told, path)
            return None
        try:
            return self.searcher.parse(name, given, strict=True, base=self.base)
        except Refused as refused:
            self.issues += [replace(each, expression=f"Subscription.{path}") for each in refused.issues]
            return None

    def _channel(self, channel: Mapping[str, Any]) -> None:
        if channel.get("type") != "rest-hook":
            told = f"The channel {channel.get('type')} is not offered; rest-hook is."
            self._wrong("not-supported", told, "channel.type")
        if _extensions(channel.get("_type"), CHANNEL_TYPE):
            self._wrong(
                "not-supported", "Channels of other kinds are not offered; rest-hook is.", "channel.type.extension"
            )
        if not channel.get("endpoint"):
            self._wrong("required", "A rest-hook needs an endpoint.", "channel.endpoint")
        if channel.get("payload", FHIR_JSON) != FHIR_JSON:
            self._wrong("not-supported", f"Payloads are sent as {FHIR_JSON}, or not at all.", "channel.payload")

    def _content(self, channel: Mapping[str, Any], *, is_topic: bool) -> str:
        found = _extensions(channel.get("_payload"), CONTENT)
        if not is_topic:
            if found:
                told = "How much is sent can be said of a topic only; without one it is the resource, or nothing."
                self._wrong("not-supported", told, "channel.payload.extension")
            return ""
        if not channel.get("payload"):
            self._wrong("required", f"With a topic the payload is {FHIR_JSON}.", "channel.payload")
        if len(found) != 1 or found[0] not in CONTENTS:
            told = f"With a topic the extension backport-payload-content says how much is sent: {', '.join(CONTENTS)}."
            self._wrong("required" if not found else "value", told, "channel.payload.extension")
            return ""
        return str(found[0])

    def _number(self, channel: Mapping[str, Any], url: str) -> int:
        found = _extensions(channel, url)
        member, least, most = _WHOLE[url]
        if not found:
            return 0
        if len(found) > 1 or type(found[0]) is not int or not least <= found[0] <= most:
            told = f"{url.rpartition('/')[2]} is one {member}, from {least} to {most}."
            self._wrong("value", told, "channel.extension")
            return 0
        return found[0]

    def _headers(self, channel: Mapping[str, Any]) -> list[tuple[str, str]]:
        made = []
        for place, text in enumerate(channel.get("header") or ()):
            found = _HEADER.fullmatch(str(text))
            is_long = (
                found is not None and len(found["value"]) > _LONGEST_VALUE and not is_sealed(found["value"].strip())
            )
            if not found or is_long or found["name"].lower() in _OF_CONNECTION | _OF_CONTENT:
                told = (
                    "A header is a name, a colon and a value, and none that belongs to the connection or the content."
                )
                self._wrong("value", told, f"channel.header[{place}]")
            else:
                made.append((found["name"], found["value"].strip()))
        return made


def _extensions(element: Any, url: str) -> list[Any]:
    """The values of the extensions of an element that have a URL."""
    found = [each for each in _object(element).get("extension") or () if _object(each).get("url") == url]
    return [next((value for name, value in each.items() if name.startswith("value")), None) for each in found]


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
