"""What an erasure would do: found once for the dry run, and found anew, and compared, before it is done."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.fhir import json as lossless
from app.fhir.outcomes import Gone, Issue, NotFound, TooLarge
from app.fhir.references import local
from app.fhir.removing import without
from app.rights.person import (
    LEAST_LETTERS,
    PATIENT,
    Claim,
    Identifier,
    Person,
    has_subject,
    identifiers_of,
    references_in,
)
from app.store import erasing
from app.store.database import Connection
from app.store.erasing import Held
from app.store.lookups import Sought, holders
from app.store.parameters import SearchParameters
from app.store.references import referring
from app.store.repository import Key, Stored
from app.store.snapshot import Snapshot, current

# What is said of what was done goes with what it is about.
_RECORD = "Provenance"
_FILE = "Binary"
# What a resource is about that is about no patient: these elements say so.
_ABOUT = ("target", "focus", "encounter", "context")
_ADDRESS = re.compile(rb"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})")


@dataclass(frozen=True, slots=True)
class Shared:
    """A resource that stays, and refers to what goes. tree: it without that, None where it cannot be without; paths:
    where. is_record: it says what was done, and loses its targets without being asked."""

    held: Held
    tree: Mapping[str, Any] | None
    paths: tuple[str, ...]
    is_record: bool


@dataclass(slots=True)
class Plan:
    """own: the resources that go, with their current version (0: that is a deletion already). gone: the versions that
    are removed, past ones of others too. attached: the files that these have. named: versions that stay and name the
    patient, and where. copies: rows outside the store, by where. snapshot: what it was found in."""

    person: Person
    snapshot: Snapshot
    own: dict[Key, int] = field(default_factory=dict)
    gone: dict[int, Held] = field(default_factory=dict)
    attached: set[Key] = field(default_factory=set)
    shared: list[Shared] = field(default_factory=list)
    named: dict[Held, list[str]] = field(default_factory=dict)
    copies: dict[str, set[Any]] = field(default_factory=dict)
    exports: int = 0

    @property
    def token(self) -> str:
        """What is the same only while the plan is."""
        kept = sorted(f"{each.held.type}/{each.held.id}/{each.held.version}" for each in self.shared)
        gone = sorted(f"{type_}/{id_}/{version}" for (type_, id_), version in self.own.items())
        return hashlib.sha256("\n".join([*gone, "", *map(str, sorted(self.gone)), "", *kept]).encode()).hexdigest()[:32]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to erase."""
        return not (self.gone or self.shared or self.copies)

    @property
    def by_type(self) -> dict[str, tuple[int, int]]:
        """Type -> how many resources go, and how many versions."""
        resources = Counter(type_ for type_, _ in self.own)
        versions = Counter(each.type for each in self.gone.values())
        return {name: (resources[name], versions[name]) for name in sorted({*resources, *versions})}

    @property
    def is_told_by_id(self) -> bool:
        """Whether an id that stays, in the audit above all, says an identifier of the patient."""
        values = [value.casefold() for _, value in self.person.identifiers if len(value) >= LEAST_LETTERS]
        return any(value in id_.casefold() for _, id_ in self.own for value in values)


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds all that is about a patient. most: resources that one erasure may take."""

    parameters: SearchParameters
    base: str
    most: int

    async def find(self, connection: Connection, patient_id: str) -> Plan:
        """Raises NotFound, TooLarge, and Gone for one that was erased, and of whom nothing has come since."""
        key = (PATIENT, patient_id)
        newest = await erasing.current_of(connection, key)
        if newest is None:
            raise NotFound([Issue("not-found", f"Patient/{patient_id} is not here.")])
        identifiers: set[Identifier] = set()
        async for each in erasing.versions_of(connection, key):
            identifiers |= identifiers_of(_tree(each))
        ambiguous = await _ambiguous(connection, patient_id, identifiers)
        person = Person(patient_id, frozenset(identifiers - ambiguous), self.parameters, self.base, ambiguous)
        plan = Plan(person, await current(connection))
        # It need not say anything of itself that is looked for.
        plan.own[key] = 0 if newest[1] else newest[0]
        shared = await self._sweep(connection, plan)
        await self._whole(connection, plan)
        shared = await self._followers(connection, plan) | shared
        await self._files(connection, plan)
        shared = await self._followers(connection, plan) | shared
        self._require_few(plan)
        plan.named = {each: places for each, places in plan.named.items() if each.vid not in plan.gone}
        for each in sorted(shared.values(), key=lambda one: one.key):
            if each.key not in plan.own:
                _share(plan, each)
        await self._copies(connection, plan)
        plan.exports = await erasing.count_exports(connection, patient_id)
        if plan.is_empty and await erasing.erased(connection, [key]):
            raise Gone([Issue("deleted", f"Patient/{patient_id} was erased, and nothing has come since.")], newest[0])
        return plan

    async def _sweep(self, connection: Connection, plan: Plan) -> dict[Key, Held]:
        """All versions that say something of the patient; answers the current ones that are about others too."""
        shared: dict[Key, Held] = {}
        async for each in erasing.holding(connection, plan.person.words):
            tree = _tree(each)
            claim = plan.person.claim(tree)
            if claim is Claim.OWN and await self._is_last(connection, each):
                plan.own[each.key] = each.version if each.is_current else 0
            elif claim is Claim.SHARED and each.is_current:
                shared[each.key] = each
            elif claim is Claim.NAMED:
                plan.named[_bare(each)] = plan.person.places(tree)
            if claim in (Claim.OWN, Claim.SHARED):
                self._goes(plan, each, tree)
            self._require_few(plan)
        return shared

    def _require_few(self, plan: Plan) -> None:
        if len(plan.own) > self.most:
            told = f"More than {self.most} resources are about this patient; DERMATOME_MAX_BUNDLE_ENTRIES allows so"
            raise TooLarge([Issue("too-costly", f"{told} many in one transaction.")])

    async def _is_last(self, connection: Connection, held: Held) -> bool:
        """Whether a version is what the resource says, or said last before it was deleted."""
        if held.is_current:
            return True
        newest = await erasing.current_of(connection, held.key)
        return newest is not None and newest[1] and held.version == newest[0] - 1

    async def _whole(self, connection: Connection, plan: Plan) -> None:
        """Of what is erased, the versions go that are about nobody else."""
        for key in plan.own:
            async for each in erasing.versions_of(connection, key):
                if each.vid not in plan.gone and not plan.person.is_of_others(tree := _tree(each)):
                    self._goes(plan, each, tree)

    async def _followers(self, connection: Connection, plan: Plan) -> dict[Key, Held]:
        """What refers to what goes, and stays; what is about nothing else goes with it, as a record of what was done
        does, or what was observed at an encounter."""
        found: dict[Key, Held] = {}
        waiting = list(plan.own)
        while waiting:
            others = [_held(each) for each in await referring(connection, waiting)]
            waiting = []
            for each in (one for one in others if one.key not in plan.own):
                if not self._follows(plan, _tree(each)):
                    found[each.key] = each
                    continue
                plan.own[each.key] = each.version
                waiting.append(each.key)
                async for version in erasing.versions_of(connection, each.key):
                    self._goes(plan, version, _tree(version))
        return found

    def _follows(self, plan: Plan, tree: Mapping[str, Any]) -> bool:
        """Whether a resource is about no patient, and all it is about goes."""
        about = [self._key(str(one.get("reference", ""))) for name in _ABOUT for one in references_in(tree.get(name))]
        return bool(about) and not has_subject(tree) and all(key in plan.own for key in about)

    async def _files(self, connection: Connection, plan: Plan) -> None:
        """The files that what goes has attached, unless something that stays has them too."""
        for key in sorted(plan.attached - plan.own.keys()):
            newest = await erasing.current_of(connection, key)
            if newest is None or await self._is_used(connection, plan, key):
                continue
            plan.own[key] = 0 if newest[1] else newest[0]
            async for version in erasing.versions_of(connection, key):
                plan.gone[version.vid] = _bare(version)

    async def _is_used(self, connection: Connection, plan: Plan, file: Key) -> bool:
        """Whether a version that stays has a file attached. Of a record of what was done it is no part."""
        async for each in erasing.holding(connection, ["/".join(file).encode()]):
            if each.vid in plan.gone or each.type == _RECORD or each.key == file:
                continue
            if any(self._key(link) == file for link in _urls(_tree(each))):
                return True
        return False

    def _goes(self, plan: Plan, held: Held, tree: Mapping[str, Any]) -> None:
        plan.gone[held.vid] = _bare(held)
        plan.attached |= {key for link in _urls(tree) if (key := self._key(link))[0] == _FILE}

    def _key(self, link: str) -> Key:
        found = local(link, self.base)
        return found[:2] if found else ("", "")

    async def _copies(self, connection: Connection, plan: Plan) -> None:
        # Who is meant by what others have as well cannot be told of a copy either.
        person = replace(plan.person, ambiguous=frozenset())
        known = await erasing.remote_ids(connection, (PATIENT, person.id))
        alike = [person, *(person.known_as(each) for each in sorted(known - {person.id}))]
        words = [word for each in alike for word in each.words]
        async for where, row, content in erasing.copies(connection, words):
            tree = lossless.parse_object(content) if content.lstrip().startswith(b"{") else {}
            if any(each.claim(tree) is not Claim.NONE for each in alike):
                plan.copies.setdefault(where, set()).add(row)
        async for where, row, told in erasing.addressed(connection):
            if any((type_.decode(), id_.decode()) in plan.own for type_, id_ in _ADDRESS.findall(told)):
                plan.copies.setdefault(where, set()).add(row)


async def _ambiguous(
    connection: Connection, patient_id: str, identifiers: Iterable[Identifier]
) -> frozenset[Identifier]:
    """Those of the identifiers that another Patient has now."""
    sought = {each: Sought(PATIENT, each[1], each[0]) for each in identifiers}
    found = await holders(connection, sought.values())
    return frozenset(each for each, one in sought.items() if set(found[one]) - {patient_id})


def _share(plan: Plan, held: Held) -> None:
    """Note what a resource would be without what goes, and what of the patient it would still have."""

    def is_gone(reference: Mapping[str, Any]) -> bool:
        link = local(str(reference.get("reference", "")), plan.person.base)
        return plan.person.is_meant(reference) or bool(link and link[:2] in plan.own)

    tree = lossless.parse_keeping_digits(held.text)
    if held.type == "Bundle":
        plan.shared.append(Shared(held, None, ("Bundle.entry",), is_record=False))
        return
    left, paths = without(tree, is_gone)
    if left is not None and paths and left.get("text", {}).get("status") in ("generated", "extensions"):
        # Written by the server of the time, it may name whoever is taken out.
        del left["text"]
    if paths:
        plan.shared.append(Shared(held, left, tuple(paths), held.type == _RECORD))
    else:
        # Nothing is put in its place.
        plan.gone.pop(held.vid, None)
    if left is not None and (places := plan.person.places(left)):
        plan.named[_bare(held)] = places


def _urls(node: Any) -> Iterable[str]:
    """What attachments and references lead to."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name in ("url", "reference") and isinstance(value, str):
                yield value
            else:
                yield from _urls(value)
    elif isinstance(node, list):
        for one in node:
            yield from _urls(one)


def _tree(held: Held) -> dict[str, Any]:
    return lossless.parse_object(held.text)


def _held(stored: Stored) -> Held:
    return Held(0, stored.type, stored.id, stored.version, True, stored.content or b"")


def _bare(held: Held) -> Held:
    """The same without its content: there may be many."""
    return Held(held.vid, held.type, held.id, held.version, held.is_current, b"")
