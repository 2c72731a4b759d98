"""Merging two records of one patient (HL7 FHIR R5, Patient $merge), and reversing it.

What refers to the source refers to the target afterwards; the source stays, inactive, with a link to the target. A
Provenance, written with it, names each version that was made so, and the reversal goes by that.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.fhir import json as lossless
from app.fhir.instants import instant
from app.fhir.outcomes import Conflict, Issue, TooLarge, Unprocessable
from app.fhir.references import local, rewrite
from app.intake.accept import Answers, Intake
from app.intake.writes import Caller, Write
from app.profiles import package, toml_files
from app.rights.person import PATIENT, identifiers_of
from app.store import repository
from app.store.database import Connection, Database
from app.store.idempotency import Answer
from app.store.references import LASTING, referring
from app.store.repository import Stored
from app.store.search import Searcher, search

Tree = dict[str, Any]
RECORD = f"{package()['canonical']}/rights-record"
MERGED, REVERSED = "merge", "unmerge"
_PROVENANCE = "Provenance"
_REPLACED, _REPLACES = "replaced-by", "replaces"
_MOST_RECORDS = 1_000


@dataclass(frozen=True, slots=True)
class Moves:
    """What is written: the two patients, and what refers to them. result: the target as it becomes; left: how many of
    each type keep their references, because they say how things were."""

    source: Stored
    target: Stored
    writes: Sequence[Write]
    result: Tree
    left: Mapping[str, int] = field(default_factory=dict)

    @property
    def moved(self) -> Mapping[str, int]:
        """How many resources of each type change, without the two patients."""
        own = {("Patient", self.source.id), ("Patient", self.target.id)}
        return Counter(one.type for one in self.writes if (one.type, one.id) not in own and one.type != _PROVENANCE)


@dataclass(frozen=True, slots=True)
class Merging:
    """Merges through the one door. most: resources that one merge may change; base: the address of this server."""

    database: Database
    intake: Intake
    searcher: Searcher
    base: str
    most: int

    async def merge(self, source: Stored, target: Stored, result: Tree | None) -> Moves:
        """What a merge would write. result: the target as the client wants it. Raises Unprocessable where the two
        cannot be merged, TooLarge."""
        own, other = _tree(source), _tree(target)
        _require_mergeable(source, target, own, other)
        made = _survivor(other, own, source.id) if result is None else _given(result, target, own, source.id)
        retired = {**own, "active": False, "link": _linked(own, target.id, _REPLACED)}
        async with self.database.reading() as connection:
            found = await referring(connection, [(PATIENT, source.id)])
        patients = (source.id, target.id)
        others = [one for one in found if one.type not in LASTING and (one.type != PATIENT or one.id not in patients)]
        if len(others) > self.most:
            told = f"{len(others)} resources refer to the source; DERMATOME_MAX_BUNDLE_ENTRIES allows {self.most}."
            raise TooLarge([Issue("too-costly", told)])
        texts = [(one, self._pointed(one.content or b"", source.id, target.id)) for one in others]
        writes = [
            _put(target, lossless.dumps(made)),
            _put(source, lossless.dumps(retired)),
            *(_put(one, text) for one, text in texts if text != one.content),
        ]
        record = self._record(MERGED, writes, [("source", source), ("revision", target)])
        left = Counter(one.type for one in found if one.type in LASTING)
        return Moves(source, target, [*writes, record], made, left)

    async def reverse(self, source: Stored, target: Stored) -> Moves:
        """What the reversal of their merges would write. Raises Unprocessable where they are not merged, Conflict with
        everything that cannot be told apart any more."""
        if target.id not in _links(_tree(source), _REPLACED):
            told = f"Patient/{source.id} was not merged into Patient/{target.id}."
            raise Unprocessable([Issue("business-rule", told)])
        async with self.database.reading() as connection:
            records = await self._records(connection, source.id, target.id)
            writes, problems = [], list[Issue]()
            for type_, id_, version in dict.fromkeys(key for one in records for key in self._versions(one)):
                if type_ == PATIENT and id_ in (source.id, target.id):
                    continue
                write = await self._restored(connection, (type_, id_), version, source.id, target.id, problems)
                writes += [write] if write else []
            before, after = await self._before(connection, records)
        if problems:
            raise Conflict(problems)
        made = _separated(_tree(target), after, source.id)
        revived = _without_link(_tree(source), target.id, _REPLACED)
        revived = {name: value for name, value in revived.items() if name != "active"}
        revived |= {"active": before["active"]} if "active" in before else {}
        writes = [_put(target, lossless.dumps(made)), _put(source, lossless.dumps(revived)), *writes]
        record = self._record(REVERSED, writes, [("source", source), ("revision", target)])
        return Moves(source, target, [*writes, record], made)

    async def preview(self, moves: Moves) -> None:
        """Check what would be written, and write nothing. Raises Refused."""
        await asyncio.to_thread(self.intake.check, moves.writes)

    async def save(self, moves: Moves, caller: Caller, answer: Answers) -> Answer:
        """Write all of it or nothing. Raises what the door raises: PreconditionFailed where others were faster."""
        # What was computed from a response moves by itself, like the response.
        return await replace(self.intake, extraction=None).accept(moves.writes, caller, answer)

    def _pointed(self, text: bytes, old: str, new: str) -> bytes:
        """The text with its references to the one patient as it is now, whichever that is, to the other."""

        def replaced(link: str) -> str:
            found = local(link, self.base)
            return link.replace(f"{PATIENT}/{old}", f"{PATIENT}/{new}") if found == (PATIENT, old, "") else link

        return rewrite(text, replaced)

    def _record(self, code: str, writes: Sequence[Write], entities: Sequence[tuple[str, Stored]]) -> Write:
        tree = {
            **toml_files("audit")["provenance"]["merged"],
            "meta": {"tag": [{"system": RECORD, "code": code}]},
            "target": [{"reference": f"{w.type}/{w.id}/_history/{(w.if_match or 0) + 1}"} for w in writes],
            "recorded": instant(self.intake.clock()),
            "entity": [{"role": role, "what": {"reference": _name(one)}} for role, one in entities],
        }
        text = lossless.dumps(tree)
        return Write("POST", _PROVENANCE, "", text, lossless.parse_object(text), path="record", is_local=True)

    async def _records(self, connection: Connection, source: str, target: str) -> list[Tree]:
        """Of the merges of the two since the last reversal, oldest first."""
        asked = [("_tag", f"{RECORD}|"), ("entity", f"{PATIENT}/{source}"), ("_sort", "_lastUpdated")]
        query = replace(self.searcher.parse(_PROVENANCE, asked, strict=True), count=_MOST_RECORDS)
        found = [_tree(one) for one in (await search(connection, query)).matches]
        of_both = [one for one in found if _entities(one) == [source, target]]
        last = max((place for place, one in enumerate(of_both) if _code(one) == REVERSED), default=-1)
        return of_both[last + 1 :]

    def _versions(self, record: Tree) -> list[tuple[str, str, int]]:
        found = (local(each["reference"], self.base) for each in record["target"])
        return [(type_, id_, int(version)) for type_, id_, version in filter(None, found)]

    async def _before(self, connection: Connection, records: Sequence[Tree]) -> tuple[Tree, Tree]:
        """The two patients as they were before the first merge; nothing of one whose version is gone."""
        keys = [local(each["what"]["reference"], self.base) for each in records[0]["entity"]] if records else []
        found = [await repository.read_version(connection, key[0], key[1], int(key[2])) for key in keys if key]
        trees = [_tree(one) if one else {} for one in found]
        return (trees[0], trees[1]) if len(trees) == 2 else ({}, {})

    async def _restored(
        self, connection: Connection, key: tuple[str, str], version: int, source: str, target: str,
        problems: list[Issue],
    ) -> Write | None:  # fmt: skip
        """What was moved, as it was before or, where it was changed since, with its references moved back."""
        current = await repository.read(connection, *key)
        if current is None or current.content is None:
            return None
        before = await repository.read_version(connection, *key, version - 1)
        if before and before.content and current.version == version:
            return _put(current, before.content)
        others = self._pointed(before.content, target, source) if before and before.content else b""
        if before is None or others != before.content:
            name = "/".join(key)
            told = f"{name} was changed since, and which of its references are the source's cannot be told any more."
            problems.append(Issue("conflict", told, key[0]))
            return None
        text = self._pointed(current.content, target, source)
        return _put(current, text) if text != current.content else None


def _require_mergeable(source: Stored, target: Stored, own: Tree, other: Tree) -> None:
    told = ""
    if source.id == target.id:
        told = "Source and target are the same patient."
    elif (into := _links(own, _REPLACED)) and target.id not in into:
        told = "The source was merged into another patient already: merge that one, or reverse it with $unmerge."
    elif _links(other, _REPLACED):
        told = "The target was itself merged into another patient: merge into that one."
    if told:
        raise Unprocessable([Issue("business-rule", told, "Patient.link")])


def _survivor(target: Tree, source: Tree, source_id: str) -> Tree:
    """The target with the identifiers of the source, as old ones, and a link to it."""
    held = identifiers_of(target)
    new = [
        {**each, "use": "old"}
        for each in source.get("identifier", ())
        if (str(each.get("system", "")), str(each.get("value"))) not in held
    ]
    more = {"identifier": [*target.get("identifier", ()), *new]} if new else {}
    return {**target, **more, "link": _linked(target, source_id, _REPLACES)}


def _given(result: Tree, target: Stored, source: Tree, source_id: str) -> Tree:
    """The client's own target, which must say the same of the merge."""
    problems = []
    if result.get("id") != target.id:
        problems.append(Issue("value", "The result must have the id of the target.", "Patient.id"))
    if source_id not in _links(result, _REPLACES):
        told = "The result must have a link of type replaces to the source."
        problems.append(Issue("required", told, "Patient.link"))
    if identifiers_of(source) - identifiers_of(result):
        problems.append(Issue("required", "The result must have all identifiers of the source.", "Patient.identifier"))
    if problems:
        raise Unprocessable(problems)
    return result


def _separated(target: Tree, before: Tree, source_id: str) -> Tree:
    """The target without the link, and without the identifiers that the merge gave it."""
    made, held = _without_link(target, source_id, _REPLACES), identifiers_of(before)
    if not before:
        return made
    kept = [
        each
        for each in made.get("identifier", ())
        if each.get("use") != "old" or (str(each.get("system", "")), str(each.get("value"))) in held
    ]
    rest = {name: value for name, value in made.items() if name != "identifier"}
    return rest | ({"identifier": kept} if kept else {})


def _linked(patient: Tree, other: str, kind: str) -> list[Any]:
    """The links of a patient, and that one."""
    known = list(patient.get("link", ()))
    new = {"other": {"reference": f"{PATIENT}/{other}"}, "type": kind}
    return known if other in _links(patient, kind) else [*known, new]


def _links(patient: Tree, kind: str) -> list[str]:
    """The ids of the patients that one has links of a kind to."""
    return [_other(each) for each in patient.get("link", ()) if each.get("type") == kind]


def _other(link: Mapping[str, Any]) -> str:
    return str(link.get("other", {}).get("reference", "")).rpartition("/")[2]


def _without_link(patient: Tree, other: str, kind: str) -> Tree:
    kept = [each for each in patient.get("link", ()) if (each.get("type"), _other(each)) != (kind, other)]
    rest = {name: value for name, value in patient.items() if name != "link"}
    return rest | ({"link": kept} if kept else {})


def _entities(record: Tree) -> list[str]:
    return [str(each["what"]["reference"]).split("/")[1] for each in record["entity"]]


def _code(record: Tree) -> str:
    return next((str(each["code"]) for each in record["meta"]["tag"] if each.get("system") == RECORD), "")


def _put(stored: Stored, text: bytes) -> Write:
    tree = lossless.parse_object(text)
    return Write("PUT", stored.type, stored.id, text, tree, if_match=stored.version, path=f"{stored.type}/{stored.id}")


def _tree(stored: Stored) -> Tree:
    tree: Tree = lossless.parse_keeping_digits(stored.content or b"{}")
    return tree


def _name(stored: Stored) -> str:
    return f"{stored.type}/{stored.id}/_history/{stored.version}"
