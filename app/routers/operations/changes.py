"""$changes: the feed, for who keeps a copy of everything in step (our OperationDefinition changes).

A Bundle of type history, because FHIR has that for versions with what was done to them, deletions too, and every client
that reads a history reads this; its link `next` is where to go on, there even when it is empty. As NDJSON its entries
are lines, which a warehouse loads as they come. A line is no resource, so the media type is not that of FHIR's NDJSON:
a deletion has none to show. The words of `content` are those with which a Subscription says the same.
"""

import asyncio
from dataclasses import dataclass, replace

from starlette.responses import Response

from app.fhir.bundles import Entry, bundle
from app.fhir.outcomes import Gone, Issue, NotSupported, Refused, TooMany
from app.routers import exchange, negotiation, rights
from app.routers.history import created, entry, told
from app.routers.noting import saw
from app.routers.operations.call import Call
from app.store import following, sight
from app.store.following import BEGINNING, Page
from app.store.idempotency import Answer
from app.store.waiting import NoRoom

_MOST_BYTES = 8_000_000
_LONGEST_WAIT = 60
_CONTENTS = ("full-resource", "id-only")
_STRANGE = "This is no place in the changes of this server, or one for other types."
_LOST = (
    "The database was put back to an earlier state, or copied into another one, since this place was given. "
    "Begin anew, without `after`: what would follow it cannot be told from what went before."
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One page. used: the parameters as they are executed, but `after`; ignored: an issue for each that is not."""

    types: tuple[str, ...]
    count: int
    wait: int
    content: str
    after: str
    used: tuple[tuple[str, str], ...]
    ignored: tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """What is told: the page, which of its versions created something, and where to go on."""

    page: Page
    new: frozenset[tuple[str, str, int]]
    next: str


async def changes(call: Call) -> Response:
    """One page of it; where there is none yet, and the client waits, as soon as there is."""
    if getattr(call.request.state, "is_inside", False):
        raise NotSupported([Issue("not-supported", "$changes cannot be asked for inside a Bundle.")])
    asked = _read(call)
    found = await _find(call, asked, asked.after)
    if asked.wait and not found.page.versions:
        try:
            with call.service.waiters.place():
                found = await _awaited(call, asked, found)
        except NoRoom:
            raise TooMany(
                [Issue("throttled", "Too many clients wait for changes; ask later, or do not wait.")]
            ) from None
    saw(call.request, found.page.versions)
    return _response(call, asked, found)


def _read(call: Call) -> _Asked:
    """Raises Refused naming all that is wrong; what is unknown too, unless the client is lenient."""
    given, settings = call.given, call.service.settings
    is_lenient = exchange.preference(call.request, "handling") == "lenient"
    known = call.operation.parameters
    ignored = [issue for name, issue in given.wrong if name not in known] if is_lenient else []
    wrong = [issue for _, issue in given.wrong if issue not in ignored]
    types = call.service.parameters.types
    wrong += [
        Issue("value", f"{each[:64]} is no R4 resource type that is stored here.", "_type")
        for each in given.all("_type")
        if each not in types
    ]
    if given.one("content", _CONTENTS[0]) not in _CONTENTS:
        wrong.append(Issue("value", f"content must be one of {', '.join(_CONTENTS)}.", "content"))
    if given.one("wait", 0) > _LONGEST_WAIT:
        wrong.append(Issue("value", f"wait must be {_LONGEST_WAIT} seconds at most.", "wait"))
    if wrong:
        raise Refused(wrong)
    count = min(given.one("_count", settings.max_page_size), settings.max_page_size)
    asked_types, left = _types(tuple(sorted(set(given.all("_type")))))
    ignored += [Issue("suppressed", left, "_type")] if left else []
    shown_types = ",".join(asked_types) if left or given.all("_type") else ""
    executed = {"_type": shown_types, "_count": str(count) if given.one("_count") else ""}
    executed |= {name: str(given.one(name, "")) for name in ("wait", "content")}
    return _Asked(
        types=asked_types,
        count=count,
        wait=given.one("wait", 0),
        content=given.one("content", _CONTENTS[0]),
        after=given.one("after", ""),
        used=tuple((name, value) for name, value in executed.items() if value),
        ignored=tuple(replace(issue, severity="warning") for issue in ignored),
    )


def _types(asked: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The types to be followed, () for all, and what is to be told of the others. Raises Forbidden for one that is
    asked for and may not be read whole."""
    looking = sight.current()
    if looking is None or asked:
        rights.require_whole(asked)
        return asked, ""
    return rights.whole(looking.types)


async def _find(call: Call, asked: _Asked, after: str) -> _Found:
    """What there is after a place now."""
    async with call.service.database.reading() as connection:
        bound_to = await following.name(connection, asked.types)
        try:
            place = following.unsealed(after, bound_to) if after else BEGINNING
            page = await following.page(connection, place, types=asked.types, count=asked.count, most_bytes=_MOST_BYTES)
        except following.Strange:
            raise Refused([Issue("value", _STRANGE, "after")]) from None
        except following.Lost:
            raise Gone([Issue("expired", _LOST, "after")]) from None
        return _Found(page, await created(connection, page.versions), following.sealed(page.end, bound_to))


async def _awaited(call: Call, asked: _Asked, found: _Found) -> _Found:
    """Look again whenever something is written, until there is something to tell, or the time is over."""
    loop = asyncio.get_running_loop()
    ends, waiters = loop.time() + asked.wait, call.service.waiters
    while not found.page.versions:
        mark = waiters.mark()
        found = await _find(call, asked, found.next)
        if found.page.versions or not await waiters.wait(mark, ends - loop.time()):
            break
        if await call.request.is_disconnected():
            break
    return found


def _response(call: Call, asked: _Asked, found: _Found) -> Response:
    address = f"{exchange.fhir_base(call.request)}/$changes"
    shape = exchange.shape(call.request)

    def link(after: str) -> str:
        return exchange.link(address, [*asked.used, *shape, *([("after", after)] if after else [])])

    entries = _entries(call, asked, found, link(""))
    if media_type := negotiation.asked_for(call.request, call.operation.formats):
        lines = b"".join(each.text() + b"\n" for each in entries)
        response = Response(lines, 200, {"Vary": "Accept"}, media_type)
    else:
        links = [("self", link(asked.after)), ("next", link(found.next))]
        response = exchange.respond(call.request, Answer(200, bundle("history", entries, links=links)))
    response.headers["Link"] = f'<{link(found.next)}>; rel="next"'
    exchange.mark_handling(call.request, response)
    return response


def _entries(call: Call, asked: _Asked, found: _Found, own: str) -> list[Entry]:
    base = exchange.fhir_base(call.request)
    entries = [entry(base, each, found.new) for each in found.page.versions]
    if asked.content == "id-only":
        entries = [replace(each, resource=b"") for each in entries]
    return [*entries, told(own, asked.ignored)] if asked.ignored else entries
