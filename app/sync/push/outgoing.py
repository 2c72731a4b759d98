"""What is sent of a resource: its text as a target is to have it, where it goes, and under which conditions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote

from app.fhir import json as lossless
from app.fhir.fhirpath import r4_model
from app.fhir.references import local, rewrite
from app.store.repository import Key
from app.sync.conflicts.likeness import SYNC_ID

Method = Literal["PUT", "POST", "DELETE"]
# What a reference to a resource here is called at the target; None where the target does not have it.
There = Callable[[Key, str], str | None]
# No versions of ours: the target numbers its own.
_OURS_IN_META = ("versionId", "lastUpdated")


@dataclass(frozen=True, slots=True)
class Known:
    """A resource as the target has it. etag: what If-Match is to say, "" where it is not known or means nothing."""

    remote_id: str
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request about a resource. text: b"" for a deletion. address: relative to the target's.

    full_url: what other entries of the same Bundle may call it, a urn or relative to the target's address too.
    if_none_exist: the criteria of a conditional create.
    """

    key: Key
    method: Method
    address: str
    text: bytes = b""
    full_url: str = ""
    if_match: str = ""
    if_none_exist: str = ""

    def headers(self) -> dict[str, str]:
        """The headers that say the conditions."""
        told = {"If-Match": self.if_match, "If-None-Exist": self.if_none_exist}
        return {name: value for name, value in told.items() if value}

    def request(self) -> dict[str, Any]:
        """Bundle.entry.request with the same conditions."""
        told = {"ifMatch": self.if_match, "ifNoneExist": self.if_none_exist}
        return {"method": self.method, "url": self.address} | {name: value for name, value in told.items() if value}


def mark_of(key: Key, instance: str) -> str:
    """What tells one of our resources from all others on a target, those of another Dermatome with the same ids too."""
    return "/".join((instance, *key) if instance else key)


def marked(text: bytes, key: Key, instance: str) -> bytes:
    """The text with our sync identifier: an identifier, or where the type has at most one, a tag."""
    tree = lossless.parse_keeping_digits(text)
    value = mark_of(key, instance)
    if takes_identifiers(key[0]):
        identifiers = [*tree.get("identifier", []), {"system": SYNC_ID, "value": value}]
        return lossless.dumps({**tree, "identifier": identifiers})
    meta = tree.get("meta", {})
    tags = [*meta.get("tag", []), {"system": SYNC_ID, "code": value}]
    return lossless.dumps({**tree, "meta": {**meta, "tag": tags}})


def marks(tree: Mapping[str, Any]) -> list[str]:
    """The marks (`mark_of`) of a resource of the target, by whichever instance."""
    meta = tree.get("meta")
    named = ((tree.get("identifier"), "value"), (meta.get("tag") if isinstance(meta, Mapping) else None, "code"))
    return [
        str(one.get(name))
        for items, name in named
        for one in (items if isinstance(items, list) else [items])
        if isinstance(one, Mapping) and one.get("system") == SYNC_ID
    ]


def takes_identifiers(resource_type: str) -> bool:
    """Whether a resource of the type can have any number of identifiers."""
    child = r4_model().children(resource_type).get("identifier")
    return child is not None and child.is_many


def criteria(*keys: Key, instance: str = "") -> str:
    """The search that finds resources of one type at the target by our sync identifier."""
    name = "identifier" if takes_identifiers(keys[0][0]) else "_tag"
    return f"{name}={','.join(quote(f'{SYNC_ID}|{mark_of(key, instance)}', safe='') for key in keys)}"


def content(text: bytes, key: Key, *, is_marked: bool, there: There, instance: str = "") -> bytes:
    """The text as the target is to have it, but for its id: references in its words, nothing of our own versions.

    there: see `There`; where it answers None the reference stays as it is.
    """
    tree = lossless.parse_keeping_digits(rewrite(text, lambda link: link_there(link, there)))
    meta = {name: value for name, value in tree.pop("meta", {}).items() if name not in _OURS_IN_META}
    made = lossless.dumps({**tree, "meta": meta} if meta else tree)
    return marked(made, key, instance) if is_marked else made


def link_there(link: str, there: There) -> str:
    """What a link here is at the target."""
    key = local(link, "")
    if key is None:
        return link
    found = there(key[:2], key[2])
    _, mark, fragment = link.partition("#")
    return link if found is None else found + mark + fragment


def with_id(text: bytes, remote_id: str) -> bytes:
    """The text with the id it has at the target; "" for none, which the target then assigns."""
    tree = lossless.parse_keeping_digits(text)
    kept = {name: value for name, value in tree.items() if name not in ("resourceType", "id")}
    own = {"id": remote_id} if remote_id else {}
    return lossless.dumps({"resourceType": tree["resourceType"], **own, **kept})


def deletion(key: Key, known: Known) -> Outgoing:
    """The request that deletes what the target has."""
    return Outgoing(key, "DELETE", f"{key[0]}/{known.remote_id}", if_match=known.etag)


def update(key: Key, text: bytes, known: Known) -> Outgoing:
    """The request that makes the target's resource what the text says, or creates it under that id.

    text: as `content` makes it.
    """
    address = f"{key[0]}/{known.remote_id}"
    return Outgoing(key, "PUT", address, with_id(text, known.remote_id), address, if_match=known.etag)


def creation(
    key: Key, text: bytes, name: str, *, conditional_update: bool, conditional_create: bool, instance: str = ""
) -> Outgoing:
    """The request that creates what the target was found not to have, and does so once, as far as it can be asked to.

    name: a urn:uuid for it within a Bundle. Without either condition the search before it is all there is.
    """
    text = with_id(text, "")
    if conditional_update:
        return Outgoing(key, "PUT", f"{key[0]}?{criteria(key, instance=instance)}", text, name)
    made = Outgoing(key, "POST", key[0], text, name)
    return replace(made, if_none_exist=criteria(key, instance=instance)) if conditional_create else made
