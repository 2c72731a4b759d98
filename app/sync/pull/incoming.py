"""What a target tells, as it is kept here: ids, references and origin; nothing else is touched."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from app.fhir import json as lossless
from app.fhir.references import is_id, local, references, rewrite
from app.store.lookups import Sought
from app.store.references import SYNC_RECORD
from app.store.repository import Key
from app.sync.conflicts.likeness import SYNC_ID, without_sync_id
from app.sync.pull.pages import Incoming

# Marks what sync writes for its own records, so that two servers that pull from each other do not keep records of
# each other's records without end.
RECORD = SYNC_RECORD
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, SYNC_ID)
# R4 Identifier.use: these no longer, or not for long, stand for the resource.
_PASSING = ("old", "temp")

Here = Callable[[Key], str]


def localised(one: Incoming, local_id: str, base: str, here: Here) -> bytes:
    """The text of a version as it is kept here. Raises Refused if it is no JSON that can be kept as it is.

    base: the address of the target. here: the reference by which a resource of the target is known here.
    """
    text = one.text or b""
    lossless.parse_object(text)
    tree = lossless.parse_keeping_digits(rewrite(text, lambda link: link_here(link, base, here)))
    if _sync_ids(tree):
        tree = _without_sync_id(tree)
    meta = tree.get("meta", {})
    if isinstance(meta, Mapping):
        kept = {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated")}
        tree = {**tree, "meta": kept | {"source": f"{base}/{one.type}/{one.id}"}}
    return lossless.dumps({**tree, "id": local_id})


def link_here(link: str, base: str, here: Here) -> str:
    """What a link of the target's is here. One to a version is to a version of theirs, which only they have."""
    key = local(link, base)
    if key is None:
        return link
    relative = link.removeprefix(f"{base}/")
    if key[2]:
        return f"{base}/{relative}"
    return here(key[:2]) + relative[len(f"{key[0]}/{key[1]}") :]


def referred(one: Incoming, base: str) -> Iterator[Key]:
    """The resources of the target that a version refers to; none where it cannot be read."""
    for link in references(_lenient(one)):
        if (key := local(link, base)) and not key[2]:
            yield key[:2]


def own_id(one: Incoming, instance: str) -> str:
    """Our id of a resource that we sent there, which our sync identifier or tag tells; "" without one.

    instance: our name in it. What another instance sent is not ours, whatever its id.
    """
    start = f"{instance}/" if instance else ""
    for value in _sync_ids(_lenient(one)):
        key = local(value.removeprefix(start), "") if value.startswith(start) else None
        if key and key[0] == one.type:
            return key[1]
    return ""


def business_identifiers(one: Incoming) -> list[Sought]:
    """The identifiers by which a resource may be known here already: those with a system, that still stand for it."""
    found = _lenient(one).get("identifier")
    each = [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, Mapping)]
    kept = [item for item in without_sync_id(each) if item.get("use") not in _PASSING]
    return [
        Sought(one.type, item["value"], item["system"])
        for item in kept
        if isinstance(item.get("system"), str) and isinstance(item.get("value"), str) and item["value"]
    ]


def made_id(target: str, key: Key) -> str:
    """The id here of a resource that is known here by nothing else: always the same, so references may come first."""
    return str(uuid.uuid5(_NAMESPACE, f"{target}/{key[0]}/{key[1]}"))


def can_be_kept(one: Incoming) -> bool:
    """Whether the target's id is one a resource can have."""
    return is_id(one.id)


def is_record(one: Incoming) -> bool:
    """Whether it is what another server's sync wrote about its own doing."""
    meta = _lenient(one).get("meta")
    tags = meta.get("tag") if isinstance(meta, Mapping) else None
    return isinstance(tags, list) and any(isinstance(tag, Mapping) and tag.get("system") == RECORD for tag in tags)


def url_of(one: Incoming) -> str:
    """Its canonical URL, "" for what has none."""
    url = _lenient(one).get("url")
    return url if isinstance(url, str) else ""


def _lenient(one: Incoming) -> dict[str, Any]:
    """The tree to look at; what is wrong with it is told by `localised`."""
    tree = lossless.parse_keeping_digits(one.text) if one.text else {}
    return tree if isinstance(tree, dict) else {}


def _sync_ids(tree: Mapping[str, Any]) -> list[str]:
    """The values of our sync identifier and of the tag that stands in for it."""
    meta = tree.get("meta")
    identifier = tree.get("identifier")
    named: Sequence[tuple[object, str]] = (
        (identifier if isinstance(identifier, list) else [identifier], "value"),
        (meta.get("tag") if isinstance(meta, Mapping) else None, "code"),
    )
    return [
        str(item.get(name))
        for items, name in named
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, Mapping) and item.get("system") == SYNC_ID
    ]


def _without_sync_id(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree without our own marks; an element that only held one of them goes with it."""
    identifier, meta = tree.get("identifier"), tree.get("meta")
    made = dict(tree)
    if identifier is not None:
        kept = without_sync_id(identifier if isinstance(identifier, list) else [identifier])
        made["identifier"] = kept if isinstance(identifier, list) else next(iter(kept), None)
    if isinstance(meta, Mapping) and isinstance(meta.get("tag"), list):
        tags = without_sync_id(meta["tag"])
        made["meta"] = {**meta, "tag": tags} if tags else {n: value for n, value in meta.items() if n != "tag"}
    return {name: value for name, value in made.items() if name != "identifier" or value}
