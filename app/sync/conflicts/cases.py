"""One resource that a target holds otherwise than we do: what each side has, and what both had before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID, uuid5

from app.fhir import json as lossless
from app.fhir.instants import period
from app.store import conflicts, erasing, ledger, repository
from app.store.conflicts import Conflict
from app.store.database import Connection
from app.store.ledger import Held
from app.store.repository import Key, Stored
from app.sync.conflicts import rules
from app.sync.conflicts.decisions import Outcome, by_person, outcome
from app.sync.conflicts.likeness import alike
from app.sync.conflicts.rules import Rule
from app.sync.pull.incoming import localised, referred
from app.sync.pull.pages import Incoming

_NAMESPACE = UUID("3f2b1d0e-6c51-5d0a-9d4a-0f8f3c7d6a21")


class Policy(Protocol):
    """Who wins where both sides changed something; elements: path -> rule."""

    @property
    def default(self) -> Rule: ...
    @property
    def elements(self) -> Mapping[str, Rule]: ...


class Partner(Protocol):
    """What is asked of a target here."""

    @property
    def name(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def ids(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def conflict(self) -> Policy: ...


@dataclass(frozen=True, slots=True)
class Theirs:
    """What a target holds of a resource. text: in our terms (ids, references), None for a deletion.

    updated: meta.lastUpdated by the target's clock, microseconds, 0 where it does not say.
    """

    remote_id: str
    version: str
    etag: str
    updated: int
    text: bytes | None

    @property
    def tree(self) -> dict[str, Any] | None:
        return None if self.text is None else lossless.parse_object(self.text)

    def held(self, key: Key, version: int) -> Held:
        """What the ledger says then. version: ours with the same content, 0 for none."""
        deleted = self.text is None
        return Held(*key, version, deleted, self.remote_id, self.version, self.etag, self.updated, verified="read")


@dataclass(frozen=True, slots=True)
class Case:
    """A resource on both sides. base: what both had last, None for a deletion or where it is not known.

    base_version: ours with that content, 0 for none. earlier: the conflicts there were, newest first. is_erased: what
    the target holds of it is not kept here (docs/patient-rights.md), and is deleted there.
    """

    partner: Partner
    key: Key
    theirs: Theirs
    current: Stored | None
    held: Held | None
    base: bytes | None
    base_version: int
    earlier: tuple[Conflict, ...]
    is_erased: bool = False

    @property
    def ours(self) -> bytes | None:
        return self.current.content if self.current else None

    @property
    def version(self) -> int:
        return self.current.version if self.current else 0

    @property
    def cid(self) -> str:
        """The id of the conflict of just these two versions, and of its Task."""
        seen = self.theirs.version or self.theirs.etag or str(self.theirs.updated)
        return str(uuid5(_NAMESPACE, "\n".join((self.partner.name, *self.key, str(self.version), seen))))

    @property
    def known(self) -> Conflict | None:
        """The same conflict, if it was found before and nobody has decided it."""
        return next((one for one in self.earlier if one.cid == self.cid and one.state == "open"), None)

    @property
    def is_theirs_unchanged(self) -> bool:
        """Whether the target holds in another version what both had."""
        return (
            self.theirs.text is not None and self.base is not None and alike(_tree(self.base), _tree(self.theirs.text))
        )

    def outcome(self, person: Literal["ours", "theirs"] | None = None) -> Outcome:
        """What comes of it by the rules. person: the word of one for what they leave to a person."""
        if self.is_erased:
            return Outcome("ours", None)
        if self.current is None:
            return Outcome("theirs", self.theirs.tree)
        policy, newest = self.partner.conflict, rules.newer(self.current.last_updated, self.theirs.updated)
        decide = rules.decide(policy.default, policy.elements, newest)
        decide = by_person(decide, person) if person else decide
        base = None if self.base is None else _tree(self.base)
        return outcome(base, None if self.ours is None else _tree(self.ours), self.theirs.tree, decide)

    def whole(self, side: Literal["ours", "theirs"]) -> Outcome:
        """One of the two as it stands."""
        return Outcome(side, self.theirs.tree if side == "theirs" else None if self.ours is None else _tree(self.ours))


async def gather(connection: Connection, partner: Partner, key: Key, theirs: Theirs) -> Case:
    """The case as it stands."""
    current = await repository.read(connection, *key)
    held = (await ledger.read(connection, partner.name, [key])).get(key)
    earlier = tuple(await conflicts.of_resource(connection, partner.name, key))
    base, version = await _base(connection, key, held, earlier)
    is_erased = bool(await erasing.erased(connection, [key]))
    return Case(partner, key, theirs, current, held, base, version, earlier, is_erased)


def theirs_of(conflict: Conflict) -> Theirs:
    """Their side as the conflict has it."""
    return Theirs(
        conflict.remote_id, conflict.remote_version, conflict.remote_etag, conflict.remote_updated, conflict.content
    )


async def read_theirs(
    connection: Connection, partner: Partner, key: Key, remote: Mapping[str, Any] | None, etag: str
) -> Theirs:
    """Their side from a resource as the target answered it, None for one that is deleted there.

    Raises Refused where it is nothing that can be kept.
    """
    held = (await ledger.read(connection, partner.name, [key])).get(key)
    remote_id = str((remote or {}).get("id") or (held.remote_id if held else "") or key[1])
    if remote is None:
        return Theirs(remote_id, "", etag, 0, None)
    meta = remote.get("meta")
    version, updated = (meta.get("versionId"), meta.get("lastUpdated")) if isinstance(meta, Mapping) else (None, None)
    came = Incoming(key[0], remote_id, str(version or ""), _moment(updated), lossless.dumps(remote), etag)
    links = await ledger.by_remote(connection, partner.name, referred(came, partner.base_url))

    def here(link: Key) -> str:
        if link in links:
            return f"{link[0]}/{links[link].id}"
        return "/".join(link) if partner.ids == "same" else f"{partner.base_url}/{link[0]}/{link[1]}"

    text = localised(came, key[1], partner.base_url, here)
    return Theirs(remote_id, came.version, etag, came.updated, text)


def _moment(text: object) -> int:
    try:
        return period(text)[0] if isinstance(text, str) else 0
    except ValueError:
        return 0


async def _base(
    connection: Connection, key: Key, held: Held | None, earlier: tuple[Conflict, ...]
) -> tuple[bytes | None, int]:
    """What both had last: our version that the ledger names or, where it names none, what the conflict before had of
    theirs: all that was done since on our side rests on that."""
    if held is None:
        return None, 0
    if held.version:
        stored = await repository.read_version(connection, *key, held.version)
        return (stored.content, held.version) if stored else (None, 0)
    last = next((one for one in earlier if one.remote_version == held.remote_version and one.state != "open"), None)
    return (last.content if last else None), 0


def _tree(text: bytes) -> dict[str, Any]:
    return lossless.parse_object(text)
