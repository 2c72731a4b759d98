"""Which resource here one of the target's is."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.fhir.outcomes import Issue, Refused
from app.store import ledger
from app.store.database import Connection
from app.store.ledger import Held
from app.store.lookups import holders
from app.store.repository import Key
from app.sync.pull.incoming import business_identifiers, made_id, own_id, referred
from app.sync.pull.pages import Incoming

# Reads resources of the target by type and ids, for what their identifiers say.
Look = Callable[[str, Sequence[str]], Awaitable[Sequence[Incoming]]]


@dataclass(frozen=True, slots=True)
class Identities:
    """The resources of a page, and those they refer to: (type, remote id) -> id here, and what the ledger says.

    base: of the target. same: the types of which both sides use the same ids. refused: those of which it cannot be
    told which one it is, with the reason.
    """

    base: str
    same: Collection[str]
    ids: dict[Key, str] = field(default_factory=dict)
    held: dict[Key, Held] = field(default_factory=dict)
    refused: dict[Key, Refused] = field(default_factory=dict)

    def here(self, key: Key) -> str:
        """The reference by which a resource of the target is known here; its address there if it is not."""
        known = key[1] if key[0] in self.same else self.ids.get(key)
        return f"{key[0]}/{known}" if known else f"{self.base}/{key[0]}/{key[1]}"


@dataclass(frozen=True, slots=True)
class Identifier:
    """Tells which resource here each one of a target is.

    types: those that are pulled. other: those of which each side has ids of its own, the rest has the same on both.
    known: every type there is. look: reads what is referred to and not known yet.
    """

    target: str
    base: str
    types: Collection[str]
    other: Collection[str]
    known: Collection[str]
    look: Look
    instance: str = ""

    async def __call__(self, connection: Connection, entries: Sequence[Incoming]) -> Identities:
        """In turn: by the ledger; by our sync identifier; by a business identifier that one resource here has; else an
        id made of the target's, so that what refers to it may come first."""
        same = frozenset(self.known) - frozenset(self.other)
        keys = [one.key for one in entries if one.type in same]
        held = await ledger.read(connection, self.target, keys)
        found = Identities(self.base, same, {key: key[1] for key in keys}, held)
        if self.other:
            await self._find(connection, entries, found)
        return found

    async def _find(self, connection: Connection, entries: Sequence[Incoming], found: Identities) -> None:
        """What is known there by other ids than here."""
        own = {one.key: one for one in entries if one.type in self.other}
        links = {key for one in entries for key in referred(one, self.base) if key[0] in self.other}
        held = await ledger.by_remote(connection, self.target, {*own, *links})
        found.ids.update({key: one.id for key, one in held.items()})
        found.held.update({key: held[key] for key in own if key in held})
        unknown = links - own.keys() - held.keys()
        read = {one.key: one for one in await _read(self.look, unknown)}
        await _assign(connection, self.target, {**own, **read}, found, self.instance)
        for key in unknown - read.keys():
            if key[0] in self.types:
                found.ids[key] = made_id(self.target, key)
        for key in read.keys() - own.keys():
            if key[0] not in self.types and found.ids.get(key) == made_id(self.target, key):
                del found.ids[key]  # it never comes: what refers to it keeps the address there


async def _read(look: Look, keys: Iterable[Key]) -> list[Incoming]:
    by_type: dict[str, list[str]] = {}
    for type_, id_ in sorted(keys):
        by_type.setdefault(type_, []).append(id_)
    return [one for type_, ids in by_type.items() for one in await look(type_, ids)]


async def _assign(
    connection: Connection, target: str, read: Mapping[Key, Incoming], found: Identities, instance: str
) -> None:
    """An id for each of them that the ledger does not know."""
    left = {key: one for key, one in read.items() if key not in found.ids}
    sought = {key: business_identifiers(one) for key, one in left.items() if not own_id(one, instance)}
    held = await holders(connection, (one for each in sought.values() for one in each))
    ours = {key: {own_id(left[key], instance)} for key in left.keys() - sought.keys()}
    ours |= {key: {id_ for one in each for id_ in held[one]} for key, each in sought.items()}
    known = await ledger.read(connection, target, ((key[0], id_) for key, ids in ours.items() for id_ in ids))
    taken = {key for key, one in known.items() if not one.deleted}
    for key in left:
        if len(ours[key]) > 1:
            found.refused[key] = _ambiguous(key[0], len(ours[key]))
            continue
        id_ = next(iter(ours[key]), made_id(target, key))
        if (key[0], id_) in taken:
            found.refused[key] = _twice(key[0])
        else:
            found.ids[key] = id_
            taken.add((key[0], id_))


def _ambiguous(type_: str, count: int) -> Refused:
    told = f"Its identifiers are those of {count} {type_} resources here; which one it is cannot be told."
    return Refused([Issue("multiple-matches", told, f"{type_}.identifier", rule="dmt-condition")])


def _twice(type_: str) -> Refused:
    told = f"It is the same {type_} here as another one of the target's, which is held already."
    return Refused([Issue("duplicate", told, f"{type_}.identifier", rule="dmt-condition")])
