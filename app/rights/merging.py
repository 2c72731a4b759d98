"""Merging two records of one patient (HL7 FHIR R5, Patient $merge), and reversing it.

What refers to the source refers to the target afterwards; the source stays, inactive, with a link to the target. A
Provenance, written with it, names each version that was made so, and the reversal goes by that.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.fhir import json as lossless
from app.fhir.instants import instant
from app.fhir.outcomes import Conflict, Issue, TooLarge, Unprocessable
from app.fhir.provenance import TYPE as PROVENANCE
from app.fhir.references import local
from app.intake.accept import Answers, Intake
from app.intake.writes import Caller, Write
from app.profiles import toml_files
from app.rights.links import REPLACED, REPLACES, Tree, linked, others, pointed
from app.rights.parting import Parting
from app.rights.person import PATIENT, identifiers_of
from app.rights.records import RECORD, code_of
from app.store.database import Connection, Database
from app.store.idempotency import Answer
from app.store.references import LASTING, referring
from app.store.repository import Stored
from app.store.search import Searcher, search

MERGED, REVERSED = "merge", "unmerge"
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
        return Counter(one.type for one in self.writes if (one.type, one.id) not in own and one.type != PROVENANCE)


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
        retired = {**own, "active": False, "link": linked(own, target.id, REPLACED)}
        async with self.database.reading() as connection:
            found = await referring(connection, [(PATIENT, source.id)])
        patients = (source.id, target.id)
        moving = [one for one in found if one.type not in LASTING and (one.type != PATIENT or one.id not in patients)]
        if len(moving) > self.most:
            told = f"{len(moving)} resources refer to the source; DERMATOME_MAX_BUNDLE_ENTRIES allows {self.most}."
            raise TooLarge([Issue("too-costly", told)])
        texts = [(one, pointed(one.content or b"", source.id, target.id, self.base)) for one in moving]
        lasting = [one for one in found if one.type in LASTING]
        left = Counter(one.type for one in (*lasting, *_unchanged(texts)))
        both = [(target, lossless.dumps(made)), (source, lossless.dumps(retired))]
        return self._moves(MERGED, source, target, [*both, *texts], left)

    async def reverse(self, source: Stored, target: Stored) -> Moves:
        """What the reversal of their merges would write. Raises Unprocessable where they are not merged, Conflict with
        everything that cannot be told apart any more."""
        if target.id not in others(_tree(source), REPLACED):
            told = f"Patient/{source.id} is not merged into Patient/{target.id}; what was merged last is parted first."
            raise Unprocessable([Issue("business-rule", told, "Patient.link")])
        async with self.database.reading() as connection:
            records = await self._records(connection, source.id, target.id)
            if not records:
                told = f"Patient/{source.id} was not itself merged into Patient/{target.id}: no record of that is here."
                raise Unprocessable([Issue("business-rule", told, "Patient.link")])
            parting = Parting(connection, self.base, source, target)
            for record in reversed(records):
                await parting.undo(record)
        if parting.problems:
            raise Conflict(list(parting.problems.values()))
        texts = [(parting.stored[key], text) for key, text in parting.texts.items()]
        return self._moves(REVERSED, source, target, texts, {})

    async def preview(self, moves: Moves) -> None:
        """Check what would be written, and write nothing. Raises Refused."""
        await asyncio.to_thread(self.intake.check, moves.writes)

    async def save(self, moves: Moves, caller: Caller, answer: Answers) -> Answer:
        """Write all of it or nothing. Raises what the door raises: PreconditionFailed where others were faster."""
        # What was computed from a response moves by itself, like the response.
        return await replace(self.intake, extraction=None).accept(moves.writes, caller, answer)

    def _moves(
        self, code: str, source: Stored, target: Stored, texts: Sequence[tuple[Stored, bytes]], left: Mapping[str, int]
    ) -> Moves:
        """texts: what each becomes, that of the target first. The two are written even where nothing changes: nobody
        else is to change them meanwhile."""
        same = {(one.type, one.id) for one in _unchanged(texts)}
        both = {(PATIENT, source.id), (PATIENT, target.id)}
        writes = [_put(one, text) for one, text in texts if (one.type, one.id) not in same - both]
        changed = [one for one, _ in texts if (one.type, one.id) not in same]
        record = [self._record(code, changed, source, target)] if changed else []
        return Moves(source, target, [*writes, *record], lossless.parse_keeping_digits(texts[0][1]), left)

    def _record(self, code: str, changed: Sequence[Stored], source: Stored, target: Stored) -> Write:
        tree = {
            **toml_files("audit")["provenance"]["merged"],
            "meta": {"tag": [{"system": RECORD, "code": code}]},
            "target": [{"reference": f"{one.type}/{one.id}/_history/{one.version + 1}"} for one in changed],
            "recorded": instant(self.intake.clock()),
            "entity": [
                {"role": role, "what": {"reference": f"{one.type}/{one.id}/_history/{one.version}"}}
                for role, one in (("source", source), ("revision", target))
            ],
        }
        text = lossless.dumps(tree)
        return Write("POST", PROVENANCE, "", text, lossless.parse_object(text), path="record", is_local=True)

    async def _records(self, connection: Connection, source: str, target: str) -> list[Tree]:
        """Of the merges of the two since the last reversal, oldest first."""
        asked = [("_tag", f"{RECORD}|"), ("entity", f"{PATIENT}/{source}"), ("_sort", "_lastUpdated")]
        query = replace(self.searcher.parse(PROVENANCE, asked, strict=True), count=_MOST_RECORDS)
        found = [_tree(one) for one in (await search(connection, query)).matches]
        of_both = [one for one in found if _entities(one) == [source, target]]
        last = max((place for place, one in enumerate(of_both) if code_of(one) == REVERSED), default=-1)
        return of_both[last + 1 :]


def _require_mergeable(source: Stored, target: Stored, own: Tree, other: Tree) -> None:
    told = ""
    if source.id == target.id:
        told = "Source and target are the same patient."
    elif (into := others(own, REPLACED)) and target.id not in into:
        told = "The source was merged into another patient already: merge that one, or reverse it with $unmerge."
    elif others(other, REPLACED):
        told = "The target was itself merged into another patient: merge into that one."
    if told:
        raise Unprocessable([Issue("business-rule", told, "Patient.link")])


def _survivor(target: Tree, source: Tree, source_id: str) -> Tree:
    """The target with the identifiers of the source, as old ones, and a link to it."""
    known = target.get("identifier", ())
    old = [{**each, "use": "old"} for each in source.get("identifier", ())]
    # One without a value is told by all that it has.
    new = [
        one for one in old if one not in known and not identifiers_of({"identifier": [one]}) & identifiers_of(target)
    ]
    more = {"identifier": [*known, *new]} if new else {}
    return {**target, **more, "link": linked(target, source_id, REPLACES)}


def _given(result: Tree, target: Stored, source: Tree, source_id: str) -> Tree:
    """The client's own target, which must say the same of the merge."""
    problems = []
    if result.get("id") != target.id:
        problems.append(Issue("value", "The result must have the id of the target.", "Patient.id"))
    if source_id not in others(result, REPLACES):
        told = "The result must have a link of type replaces to the source."
        problems.append(Issue("required", told, "Patient.link"))
    if identifiers_of(source) - identifiers_of(result):
        problems.append(Issue("required", "The result must have all identifiers of the source.", "Patient.identifier"))
    if problems:
        raise Unprocessable(problems)
    return result


def _unchanged(texts: Sequence[tuple[Stored, bytes]]) -> list[Stored]:
    """Those that stay as they are."""
    return [one for one, text in texts if lossless.same_content(text, one.content or b"{}")]


def _entities(record: Tree) -> list[str]:
    """The ids of the patients of a record; anybody may write one, with others or none."""
    found = (local(str(each["what"].get("reference", "")), "") for each in record.get("entity", ()))
    return [key[1] if key else "" for key in found]


def _put(stored: Stored, text: bytes) -> Write:
    tree = lossless.parse_object(text)
    return Write("PUT", stored.type, stored.id, text, tree, if_match=stored.version, path=f"{stored.type}/{stored.id}")


def _tree(stored: Stored) -> Tree:
    tree: Tree = lossless.parse_keeping_digits(stored.content or b"{}")
    return tree
