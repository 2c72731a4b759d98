"""Which of the versions that were written concern which Subscriptions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from app.fhir import json as lossless
from app.fhir.fhirpath import FhirPathError
from app.logs import of_error
from app.store.changes import Changed, changed
from app.store.database import Connection
from app.store.feed import Written
from app.store.repository import Stored
from app.store.search import Query, Searcher, matching_versions
from app.store.sight import Sight, seen_by, wholly
from app.sync.subscriptions.reading import Wanted
from app.sync.subscriptions.topics import Topic, Trigger

_log = structlog.get_logger()


async def concerned(
    connection: Connection,
    searcher: Searcher,
    wanted: Mapping[str, Wanted],
    rows: Sequence[Written],
    sights: Mapping[str, Sight],
) -> dict[str, list[Written]]:
    """The events of each Subscription, by its id, in the order of the feed. sights: of those that may not see all."""
    if not wanted or not rows:
        return {}
    matching = _Matching(connection, searcher, await changed(connection, rows))
    found = {}
    for name, one in sorted(wanted.items()):
        looking = sights.get(name)
        with seen_by(looking):
            matched = await matching.of(one) if _may(looking, one) else []
        matched = await _seen(connection, looking, matched)
        if matched:
            found[name] = [each.row for each in matched]
    return found


def _may(looking: Sight | None, wanted: Wanted) -> bool:
    return looking is None or any(looking.may("rs", each) for each in wanted.types)


async def _seen(connection: Connection, looking: Sight | None, matched: list[Changed]) -> list[Changed]:
    if looking is None or not matched:
        return matched
    rows = [each.row for each in matched]
    # Only whether there is content matters: of a deletion, what was deleted is looked at.
    versions = [Stored(r.type, r.id, r.version, "", r.last_updated, None if r.deleted else b"") for r in rows]
    seen = await looking.seen(connection, "rs", versions)
    return [each for each in matched if (each.row.type, each.row.id, each.row.version) in seen]


@dataclass(slots=True)
class _Matching:
    """One piece of the feed. known: the changes that a topic is about, found once for all its subscribers."""

    connection: Connection
    searcher: Searcher
    changes: Sequence[Changed]
    known: dict[str, list[Changed]] = field(default_factory=dict)

    async def of(self, wanted: Wanted) -> list[Changed]:
        topic = wanted.topic
        if topic is None:
            # A deletion is no news for criteria (R4 subscription.html): they are asked of what is new.
            return await self._by(wanted.queries[0], [each for each in self.changes if not each.row.deleted])
        if topic.url not in self.known:
            # What a topic is about is the same for all; what of it each one may see is looked at for each.
            with wholly():
                self.known[topic.url] = await self._about(topic)
        found = self.known[topic.url]
        for query in wanted.queries:
            others = [each for each in found if each.row.type not in query.types]
            kept = {each.row.vid for each in [*others, *await self._by(query, found)]}
            found = [each for each in found if each.row.vid in kept]
        return found

    async def _about(self, topic: Topic) -> list[Changed]:
        kept: set[int] = set()
        for trigger in topic.triggers:
            likely = [each for each in self.changes if _is_likely(trigger, each)]
            kept |= {each.row.vid for each in await self._searched(trigger, likely) if _fits(trigger, each)}
        return [each for each in self.changes if each.row.vid in kept]

    async def _searched(self, trigger: Trigger, likely: Sequence[Changed]) -> Iterable[Changed]:
        before = await self._matched(trigger, trigger.previous, [each.before_vid for each in likely if each.before])
        after = await self._matched(trigger, trigger.current, [each.row.vid for each in likely if each.content])
        return [
            each for each in likely if trigger.concurs(before=each.before_vid in before, after=each.row.vid in after)
        ]

    async def _matched(self, trigger: Trigger, search: str, vids: Sequence[int]) -> set[int]:
        if not search:
            return set()
        given = [(name, value) for name, _, value in (each.partition("=") for each in search.split("&"))]
        return await matching_versions(self.connection, self.searcher.parse(trigger.resource, given, strict=True), vids)

    async def _by(self, query: Query, changes: Sequence[Changed]) -> list[Changed]:
        """Those that a search asks for; of a deletion what was deleted decides."""
        looked = {each.row.vid: each.before_vid if each.row.deleted else each.row.vid for each in changes}
        matched = await matching_versions(self.connection, query, list(looked.values()))
        return [each for each in changes if looked[each.row.vid] in matched]


def _is_likely(trigger: Trigger, change: Changed) -> bool:
    return change.row.type == trigger.resource and change.interaction in trigger.interactions


def _fits(trigger: Trigger, change: Changed) -> bool:
    """A change that the criteria cannot be asked of is told of in the log, and is no event."""
    trees = [lossless.parse_object(text) if text else None for text in (change.before, change.content)]
    try:
        return trigger.fits(*trees)
    except FhirPathError as error:
        _log.error("a topic cannot judge a version", type=change.row.type, vid=change.row.vid, **of_error(error))
        return False
