"""What a target already has of what is about to be sent: few searches for many resources."""

from collections.abc import Mapping, Sequence

from app.fhir import json as lossless
from app.fhir.outcomes import Refused
from app.store.repository import Key
from app.sync.answers import Meaning
from app.sync.capabilities import Plan
from app.sync.client import Client, Reply
from app.sync.pull.pages import Incoming, UnusablePage, etag_of, read_page
from app.sync.push.outgoing import criteria, mark_of, marks

# Addresses longer than some 8,000 characters are refused by many servers.
_MOST = 50
# What there is of a resource: several only where it was created twice. A resource that could not be asked for is in
# none: nothing is known of it.
Found = dict[Key, list[Incoming]]


class Unanswered(Exception):
    """The target did not answer, or not with something to rely on."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.meaning.name)
        self.reply = reply


async def look(client: Client, plan: Plan, keys: Sequence[Key], remote_ids: Mapping[Key, str]) -> Found:
    """What the target has of the resources. remote_ids: of those whose id there is known, or would be ours; the others
    are looked for by our sync identifier. Raises Unanswered."""
    found: Found = {}
    for resource_type in dict.fromkeys(type_ for type_, _ in keys):
        offer = plan.offer(resource_type)
        own = [key for key in keys if key[0] == resource_type]
        named = [key for key in own if key in remote_ids]
        if len(named) > 1 and offer.can_search("_id"):
            await _search(client, named, remote_ids, found)
        for key in named:
            if key not in found and "read" in offer.interactions:
                await _read(client, key, remote_ids[key], found)
        if "search-type" in offer.interactions:
            await _search(client, [key for key in own if key not in remote_ids], {}, found)
    return found


async def _search(client: Client, keys: Sequence[Key], remote_ids: Mapping[Key, str], found: Found) -> None:
    """Look for resources of one type, many at once; what cannot be told from a page is asked for by smaller ones."""
    for start in range(0, len(keys), _MOST):
        some = keys[start : start + _MOST]
        entries = await _page(client, some, remote_ids)
        if entries is not None:
            for key in some:
                found[key] = [one for one in entries if _is(one, key, remote_ids, client.instance)]
        elif len(some) > 1:
            half = len(some) // 2
            await _search(client, some[:half], remote_ids, found)
            await _search(client, some[half:], remote_ids, found)


async def _page(client: Client, keys: Sequence[Key], remote_ids: Mapping[Key, str]) -> Sequence[Incoming] | None:
    """What one search finds, None where that is not all, or where the target does not want it."""
    resource_type = keys[0][0]
    asked = (
        "_id=" + ",".join(remote_ids[key] for key in keys) if remote_ids else criteria(*keys, instance=client.instance)
    )
    # Twice as many as are sought: all of them fit, and a second of one shows.
    address = f"{resource_type}?{asked}&_count={2 * len(keys)}"
    reply = await client.ask("GET", address, "read")
    if reply.meaning in (Meaning.REFUSED, Meaning.ABSENT, Meaning.TOO_MUCH):
        return None
    if reply.meaning is not Meaning.DONE:
        raise Unanswered(reply)
    try:
        page = read_page(reply.text, f"{client.base_url}/{address}", resource_type)
    except UnusablePage as error:
        raise Unanswered(Reply(Meaning.LATER, reply.status, str(error))) from None
    return None if page.next and len(keys) > 1 else page.entries


async def _read(client: Client, key: Key, remote_id: str, found: Found) -> None:
    """Ask for one resource by its id there."""
    reply = await client.ask("GET", f"{key[0]}/{remote_id}", "read")
    if reply.meaning is Meaning.ABSENT:
        found[key] = []
    elif reply.meaning is Meaning.DONE and reply.body.get("id") == remote_id:
        etag = reply.etag or etag_of(reply.remote_version)
        found[key] = [Incoming(key[0], remote_id, reply.remote_version, reply.updated, reply.text, etag)]
    elif reply.meaning not in (Meaning.REFUSED, Meaning.TOO_MUCH):
        raise Unanswered(reply)


def _is(one: Incoming, key: Key, remote_ids: Mapping[Key, str], instance: str) -> bool:
    """Whether what was found is the resource."""
    if remote_ids:
        return one.id == remote_ids[key]
    try:
        return mark_of(key, instance) in marks(lossless.parse_object(one.text or b"{}"))
    except Refused:
        return False
