"""Responses to our instruments that come in by FHIR: scored in the same transaction, like those of the clinic API."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from app.fhir import json as lossless
from app.fhir.outcomes import Issue
from app.fhir.references import local
from app.intake.conditions import of_type
from app.intake.versions import Placed
from app.intake.writes import Write
from app.mapping.clinic import KINDS
from app.mapping.elements import Resource, Unrecognised, is_error
from app.mapping.questionnaires.extraction import extracted, is_done, is_ours, notes
from app.mapping.revision import belongs
from app.pain.content import Content
from app.pain.errors import Rejected
from app.store import repository
from app.store.database import Connection, Lock
from app.store.repository import Key, Stored
from app.store.search import Searcher, search

TYPE = "QuestionnaireResponse"
_PART = "Observation"
_MOST_PARTS = 1_000
_RULE = "dmt-extract"
Told = dict[int, list[Issue]]
_BROUGHT = Issue(
    "informational",
    "Observations that derive from the response came with it: they were stored, and no others made of its answers.",
    severity="information",
    rule=_RULE,
)


class Check(Protocol):
    """What validation says of a resource; see app/intake/accept.py."""

    def problems(self, resource: dict[str, Any]) -> list[Issue]: ...


@dataclass(frozen=True, slots=True)
class Extraction:
    """Finds the responses among writes, and what is to be written with them."""

    content: Content
    searcher: Searcher
    checker: Check

    async def parts(
        self, connection: Connection, placed: Sequence[Placed], now: int, base: str = ""
    ) -> tuple[list[Placed], Told]:
        """What follows from the responses among the writes, and what is to be told, by the place of the response.

        placed: the writes with their ids and references. A response whose Observations are among them is left alone.
        """
        made: list[Placed] = []
        told: Told = {}
        responses = [one for one in placed if one.write.type == TYPE and one.tree and not one.is_existing]
        brought = _brought(placed, base) if responses else set()
        for one in responses:
            parts, issues = await self._followed(connection, one, now, is_brought=one.write.id in brought)
            made += parts
            told[one.place] = [_at(issue, one.write) for issue in issues]
        return made, told

    async def _followed(
        self, connection: Connection, one: Placed, now: int, *, is_brought: bool
    ) -> tuple[list[Placed], list[Issue]]:
        response = one.tree or {}
        is_scored = is_ours(response) and (is_done(response) or is_error(response))
        if is_scored and is_brought:
            return [], [_BROUGHT]
        before, parts = (None, []) if one.is_fresh else await self._stored(connection, response)
        made, issues = self._made(response, now, before, parts) if is_scored else ([], [])
        if not made and any(not is_error(part) for part in parts):
            issues.append(_left(parts))
        versions = {} if one.is_fresh else await _versions(connection, made)
        versions |= {_key(part): int(part["meta"]["versionId"]) for part in parts}
        return [_written(one, part, versions.get(_key(part), 0)) for part in made], issues

    async def _stored(self, connection: Connection, response: Resource) -> tuple[Resource | None, list[Resource]]:
        """Like stored_parts, but nothing of a response that neither is nor was ours: nothing belongs to it."""
        if not is_ours(response):
            found = await repository.read(connection, TYPE, response["id"])
            if found is None or not is_ours(_parsed(found)):
                return None, []
        return await stored_parts(connection, self.searcher, response)

    def _made(
        self, response: Resource, now: int, before: Resource | None, parts: Sequence[Resource]
    ) -> tuple[list[Resource], list[Issue]]:
        try:
            moment = datetime.fromtimestamp(now / 1_000_000, UTC)
            made = extracted(response, self.content, moment, before, parts)
        except Rejected as rejected:
            return [], [_not_scored(p.code, f"{p.path}: {p.sentence}") for p in rejected.problems]
        except Unrecognised as error:
            return [], [_not_scored("not-supported", f"{error}.")]
        if flaws := [issue for part in made for issue in self.checker.problems(part) if issue.is_error]:
            return [], [_not_scored(f.code, f"what follows from it breaks a rule: {f.diagnostics}") for f in flaws]
        said = [] if is_error(response) else [_note(note) for note in notes(response, self.content)]
        return made, [_done(response, len(made)), *said]


async def stored_parts(
    connection: Connection, searcher: Searcher, response: Resource
) -> tuple[Resource | None, list[Resource]]:
    """A response and what belongs to it, as they are stored; None for a response that is not."""
    found = await repository.read(connection, TYPE, response["id"])
    named, parts = f"{TYPE}/{response['id']}", list[Resource]()
    for part_type, parameter in KINDS["assessments"].points_back:
        query = searcher.parse(part_type, [(parameter, named)], strict=True)
        matches = (await search(connection, replace(query, count=_MOST_PARTS))).matches
        parts += [part for each in matches if belongs(response, part := _parsed(each))]
    return (_parsed(found) if found and not found.deleted else None), parts


def part_locks(writes: Sequence[Write]) -> Iterator[Lock]:
    """What is held while parts of a response may be made, as by whoever writes them: conditions then see them."""
    if any(write.type == TYPE for write in writes):
        yield from (replace(of_type(kind), shared=True) for kind, _ in KINDS["assessments"].points_back)


async def _versions(connection: Connection, resources: Sequence[Resource]) -> dict[Key, int]:
    """The versions that are there under their ids, whoever wrote them."""
    found = await repository.read_all(connection, map(_key, resources))
    return {key: stored.version for key, stored in found.items() if not stored.deleted}


def _key(resource: Resource) -> Key:
    return resource["resourceType"], resource["id"]


def _brought(placed: Sequence[Placed], base: str) -> set[str]:
    """The ids of the responses that Observations of the same request are derived from."""
    parts = [one.tree or {} for one in placed if one.write.type == _PART]
    links = [str(link.get("reference")) for part in parts for link in part.get("derivedFrom", [])]
    return {key[1] for link in links if (key := local(link, base)) and key[0] == TYPE}


def _written(response: Placed, part: Resource, based_on: int) -> Placed:
    type_, text = part["resourceType"], lossless.dumps(part)
    write = Write("PUT", type_, part["id"], text, part, path=response.write.path)
    return Placed(response.place, write, based_on=based_on, is_derived=True)


def _at(issue: Issue, write: Write) -> Issue:
    return replace(issue, expression=write.where or TYPE)


def _done(response: Resource, count: int) -> Issue:
    which = f"{_PART}?derived-from={TYPE}/{response['id']}"
    what = "entered in error with it" if is_error(response) else "written from its answers"
    told = f"The response answers an instrument of this service: {count} resources were {what}, see {which}."
    return Issue("informational", told, severity="information", rule=_RULE)


def _left(parts: Sequence[Resource]) -> Issue:
    told = (
        f"Only a completed or amended response to an instrument of this service is scored: the {len(parts)} resources "
        "written from its answers before stay as they are. Entered in error, it takes them along."
    )
    return Issue("business-rule", told, severity="warning", rule=_RULE)


def _not_scored(code: str, why: str) -> Issue:
    return Issue(code, f"The response was stored, and no score made of it: {why}", severity="warning", rule=_RULE)


def _note(told: str) -> Issue:
    return Issue("business-rule", told, severity="warning", rule=_RULE)


def _parsed(stored: Stored) -> Resource:
    return lossless.parse_object(stored.content or b"{}")
