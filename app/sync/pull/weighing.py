"""Each version of a page, beside what is here: what it means, and the write that follows from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused
from app.intake.writes import Write
from app.store import repository
from app.store.database import Connection
from app.store.ledger import Held
from app.store.repository import Key, Stored
from app.sync.conflicts.likeness import alike
from app.sync.pull.identities import Identities
from app.sync.pull.incoming import can_be_kept, localised, referred
from app.sync.pull.judging import Seen, Verdict, judged
from app.sync.pull.pages import Incoming
from app.sync.pull.provenance import Taken

# How many earlier versions of ours are compared with what came: what the target was told last may be some writes old.
_LOOK_BACK = 20


@dataclass(frozen=True, slots=True)
class Step:
    """A version that came and what is to be done with it. text, tree: as it is kept here; id: here.

    agreed: the version here that says the same, 0 for none.
    """

    incoming: Incoming
    verdict: Verdict
    id: str
    text: bytes
    tree: Mapping[str, Any] | None
    held: Held | None
    current: Stored | None
    agreed: int = 0

    @property
    def key(self) -> Key:
        return self.incoming.type, self.id

    @property
    def version(self) -> int:
        """The version here that is the common one when this is done."""
        here = self.current.version if self.current else 0
        if self.verdict is Verdict.WRITE:
            return here + 1
        return self.agreed or max(self.held.version if self.held else 0, here if self.is_gone_here else 0)

    @property
    def is_gone_here(self) -> bool:
        return self.current is None or self.current.deleted

    def write(self, path: str) -> Write:
        """The write it asks of the door, which is refused if others changed the resource meanwhile."""
        type_, match = self.incoming.type, self.current.version if self.current else None
        if self.incoming.deleted:
            return Write("DELETE", type_, self.id, if_match=match, path=path)
        method: Literal["PUT", "POST"] = "PUT" if self.current else "POST"
        return Write(method, type_, self.id, self.text, self.tree, if_match=match, path=path)

    def common(self, version: int) -> Held:
        """What is known of the target when this is done. version: what stands here."""
        one = self.incoming
        etag = one.etag or (f'W/"{one.version}"' if one.version else "")
        return Held(one.type, self.id, version, one.deleted, one.id, one.version, etag, one.updated, verified="pull")

    @property
    def taken(self) -> Taken:
        """What the record of origin says of it: a deletion leaves the version it removed."""
        return Taken(self.incoming.type, self.id, self.version - self.incoming.deleted, self.incoming)


async def weigh(
    connection: Connection, entries: Iterable[Incoming], identities: Identities
) -> tuple[list[Step], list[tuple[Incoming, Refused]]]:
    """What is to be done with each version, and which cannot be read at all."""
    read, refused = _readable(entries, identities)
    keys = [(one.type, identities.ids[one.key]) for one, _, _ in read]
    current = await repository.read_all(connection, keys)
    steps = []
    for (one, text, tree), key in zip(read, keys, strict=True):
        held = identities.held.get(one.key)
        steps.append(await _step(connection, one, text, tree, key, held, current.get(key)))
    return steps, refused


def _readable(
    entries: Iterable[Incoming], identities: Identities
) -> tuple[list[tuple[Incoming, bytes, dict[str, Any] | None]], list[tuple[Incoming, Refused]]]:
    read: list[tuple[Incoming, bytes, dict[str, Any] | None]] = []
    refused: list[tuple[Incoming, Refused]] = []
    for one in entries:
        try:
            _require_known(one, identities)
            text = b"" if one.deleted else localised(one, identities.ids[one.key], identities.base, identities.here)
            read.append((one, text, lossless.parse_object(text) if text else None))
        except Refused as error:
            refused.append((one, error))
    return read, refused


def _require_known(one: Incoming, identities: Identities) -> None:
    """Raises Refused where it cannot be told which resource here it is, or one that it refers to."""
    if (reason := identities.refused.get(one.key)) is not None:
        raise reason
    if not can_be_kept(one):
        raise Refused([Issue("value", "It has no id that a resource can have.", f"{one.type}.id")])
    links = referred(one, identities.base) if identities.refused else ()
    if lost := sorted({key[0] for key in links if key in identities.refused}):
        told = (
            f"It refers to a {lost[0]} of which cannot be told which one here it is; that one has to be settled first."
        )
        raise Refused([Issue("not-found", told, one.type, rule="dmt-reference-here")])


async def _step(
    connection: Connection,
    one: Incoming,
    text: bytes,
    tree: dict[str, Any] | None,
    key: Key,
    held: Held | None,
    current: Stored | None,
) -> Step:
    agreed, is_here_base = 0, False
    if current is not None:
        earlier = await _earlier(connection, key, held, current)
        agreed = next((each.version for each in (current, *earlier) if _says(each, tree)), 0)
        base = next((each for each in earlier if held and each.version == held.version), None)
        is_here_base = base is not None and base.content is not None and _says(current, _tree(base))
    seen = Seen(one.version, one.updated, one.deleted, agreed)
    verdict = judged(seen, held, current, is_here_base=is_here_base)
    return Step(one, verdict, key[1], text, tree, held, current, agreed)


async def _earlier(connection: Connection, key: Key, held: Held | None, current: Stored) -> Sequence[Stored]:
    """The versions here since the one both sides agreed on, newest first; none where that is current."""
    first = max(1, held.version if held else 1, current.version - _LOOK_BACK)
    numbers = range(current.version - 1, first - 1, -1)
    found = [await repository.read_version(connection, *key, number) for number in numbers]
    if held and 0 < held.version < first:
        found.append(await repository.read_version(connection, *key, held.version))
    return [each for each in found if each is not None]


def _says(stored: Stored, tree: Mapping[str, Any] | None) -> bool:
    """Whether a version here says what came; a deletion says nothing else than a deletion."""
    if tree is None or stored.content is None:
        return tree is None and stored.content is None
    return alike(_tree(stored), tree)


def _tree(stored: Stored) -> dict[str, Any]:
    return lossless.parse_object(stored.content or b"{}")
