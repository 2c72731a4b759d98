"""References that lead nowhere, and deletions of what others refer to: refused or told, as the operator decided."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.fhir import json as lossless
from app.fhir.canonicals import claimed_profiles
from app.fhir.outcomes import Conflict, Issue, Refused, Severity
from app.fhir.references import local, located, references
from app.intake.conditions import referred
from app.intake.policy import Policy
from app.intake.problems import Problems
from app.intake.versions import Placed
from app.intake.writes import Caller, Write, Written
from app.profiles import shared_json
from app.store import repository, sight
from app.store.database import Connection, Lock
from app.store.references import held, referrers, versions_held
from app.store.repository import Key, Stored
from app.store.sight import wholly


@dataclass(frozen=True, slots=True)
class Done:
    """A write, what became of it, and what was there before."""

    placed: Placed
    written: Written
    before: Stored | None = None

    @property
    def is_change(self) -> bool:
        return self.written.outcome in ("created", "updated", "deleted")

    @property
    def is_record(self) -> bool:
        """Whether it is what this service says itself of the others (app/intake/provenance.py)."""
        return self.placed.is_derived and self.placed.is_fresh


@dataclass(frozen=True, slots=True)
class _Pointing:
    """A reference to a resource of this server. profile: ours that constrains its element, "" for none."""

    place: int
    path: str
    key: Key
    version: str
    profile: str

    @property
    def named(self) -> tuple[Key, int]:
        return self.key, int(self.version) if self.version.isdigit() and len(self.version) < 10 else 0


@dataclass(frozen=True, slots=True)
class Integrity:
    """Looks at what a transaction has stored, before it is committed. Refusals are kept in `problems`."""

    connection: Connection
    policy: Policy
    caller: Caller
    problems: Problems

    async def look(self, done: Sequence[Done]) -> dict[int, list[Issue]]:
        """What is to be told about each write, by its place."""
        told: dict[int, list[Issue]] = {}
        for place, issue in [*await self._dangling(done), *await self._deletions(done)]:
            if issue.is_error:
                with self.problems.kept():
                    raise (Conflict if issue.code == "conflict" else Refused)([issue])
            else:
                told.setdefault(place, []).append(issue)
        return told

    async def _dangling(self, done: Sequence[Done]) -> list[tuple[int, Issue]]:
        if not is_looked_at(self.policy, self.caller):
            return []
        # What is derived refers to nothing that the write it follows from does not.
        stored = [one.placed for one in done if one.is_change and one.placed.tree and not one.placed.is_derived]
        asked = [each for one in stored for each in self._pointing(one)]
        here = await held(self.connection, (each.key for each in asked if not each.version))
        versions = await versions_held(self.connection, (each.named for each in asked if each.version))
        hidden = await self._hidden(asked, done)
        lost = (e for e in asked if e in hidden or (e.named not in versions if e.version else e.key not in here))
        return [(each.place, self._not_here(each)) for each in lost]

    async def _hidden(self, asked: Sequence[_Pointing], done: Sequence[Done]) -> set[_Pointing]:
        """References to what a limited client may not see. To it this is not here, and it learns no more by pointing
        there; but what it writes along with them it knows, and so what was referred to before."""
        looking = sight.current()
        if looking is None:
            return set()
        with wholly():
            there = await repository.read_all(self.connection, (each.key for each in asked))
        found = await repository.seen(self.connection, list(there.values()), "rs")
        known = {one.placed.key for one in done} | {(each.type, each.id) for each in found}
        changed = [one for one in done if not one.placed.is_derived]
        before = {one.placed.place: _links(one.before, self.caller.base) for one in changed}
        return {each for each in asked if each.key not in known and each.key not in before[each.place]}

    def _pointing(self, placed: Placed) -> Iterator[_Pointing]:
        """The references that must be looked at: others need no look where nobody hears of them."""
        write = placed.write
        if write.type == "Bundle" or write.tree is None:
            return
        claimed = [url for url in claimed_profiles(write.tree) if url in _own_elements()]
        if not claimed and self.policy.dangling_references == "profiles" and not self.caller.wants_outcome:
            return
        for path, link in located(write.tree):
            if key := local(link, self.caller.base):
                where = f"{write.where}.{path.partition('.')[2]}" if write.where else path
                yield _Pointing(placed.place, where, (key[0], key[1]), key[2], _constrained(path, claimed))

    def _not_here(self, pointing: _Pointing) -> Issue:
        is_refused = pointing.profile or self.policy.dangling_references == "strict"
        named = f"{pointing.key[0]} of that {'version' if pointing.version else 'id'}"
        told = f"The reference leads nowhere: no {named} is here."
        severity: Severity = "error" if is_refused else "warning"
        return Issue("not-found", told, pointing.path, severity, "dmt-reference-here", pointing.profile)

    async def _deletions(self, done: Sequence[Done]) -> list[tuple[int, Issue]]:
        gone = {one.placed.key: one.placed for one in done if one.written.outcome == "deleted"}
        is_allowed = self.policy.delete_referred == "allow" and not self.caller.wants_outcome
        if not gone or is_allowed or self.caller.is_system:
            return []
        found = {key: _seen(types) for key, types in (await referrers(self.connection, gone)).items()}
        return [(gone[key].place, self._still_referred(gone[key].write, types)) for key, types in found.items()]

    def _still_referred(self, write: Write, types: Mapping[str, int]) -> Issue:
        count = sum(types.values())
        which = ", ".join(f"{type_ or 'others'}: {number}" for type_, number in sorted(types.items()))
        told = f"{count} {'resource refers' if count == 1 else 'resources refer'} to this {write.type} ({which})"
        if self.policy.delete_referred == "refuse":
            return Issue("conflict", f"{told}; delete them first, or with it.", write.path, rule="dmt-still-referred")
        return Issue("informational", f"{told}; it was deleted.", write.path, "warning", "dmt-still-referred")


def _links(stored: Stored | None, base: str) -> set[Key]:
    """What a stored version refers to here."""
    tree = lossless.parse_object(stored.content) if stored and stored.content else {}
    return {key[:2] for link in references(tree) if (key := local(link, base))}


def _seen(types: Mapping[str, int]) -> dict[str, int]:
    """How many there are of each type, without naming ("") those that the one who looks may not see all of."""
    looking, found = sight.current(), dict[str, int]()
    for type_, number in types.items():
        name = type_ if looking is None or looking.is_whole("rs", type_) else ""
        found[name] = found.get(name, 0) + number
    return found


def is_looked_at(policy: Policy, caller: Caller) -> bool:
    """Whether references are looked at; the clinic API tells its callers about them itself."""
    return policy.dangling_references != "off" and not caller.tells_dangling


def reference_locks(writes: Sequence[Write], policy: Policy, caller: Caller) -> Iterator[Lock]:
    """What those who refer to resources hold, so that these are not deleted meanwhile."""
    if policy.dangling_references == "off" and policy.delete_referred == "allow":
        return
    for write in writes:
        for link in references(write.tree) if write.tree and write.type != "Bundle" else ():
            if key := local(link, caller.base):
                yield referred(key[0], key[1])


def _constrained(path: str, claimed: Sequence[str]) -> str:
    """The first of the profiles that constrains the element at a path."""
    plain = _without_places(path)
    return next((url for url in claimed if plain in _own_elements()[url]), "")


def _without_places(path: str) -> str:
    return ".".join(step.partition("[")[0] for step in path.split(".") if not step.startswith("ofType("))


@cache
def _own_elements() -> Mapping[str, frozenset[str]]:
    """The elements that each of our profiles on resources says something about, by its URL."""
    return {
        definition["url"]: frozenset(_paths(definition))
        for definition in shared_json("structuredefinitions").values()
        if definition["type"] != "Extension"
    }


def _paths(definition: Mapping[str, Any]) -> Iterator[str]:
    for element in definition["differential"]["element"]:
        yield element["path"].removesuffix("[x]")
