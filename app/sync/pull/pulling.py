"""The pulling of a target, put together."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from app.fhir import json as lossless
from app.fhir.references import local
from app.intake.accept import Intake
from app.store.ledger import Held
from app.store.repository import Key
from app.sync.answers import Meaning
from app.sync.capabilities import Plan
from app.sync.conflicts.cases import Partner, Theirs
from app.sync.pull.identities import Identifier
from app.sync.pull.job import Pull
from app.sync.pull.pages import Incoming
from app.sync.pull.reading import Reader, Wanted
from app.sync.pull.remote import Getter, NotRead, Source
from app.sync.pull.taking import Taker
from app.sync.pull.weighing import Step
from app.validation.packages.shapes import DEFINITION_TYPES

# What a server has for itself: its definitions, who is told what, what was done there. Read only where it is named.
_ITS_OWN = (*DEFINITION_TYPES, "CapabilityStatement", "Subscription", "AuditEvent", "Provenance")
# As many as an address holds.
_ASKED_AT_ONCE = 25


class Pulled(Wanted, Partner, Protocol):
    """What is asked of a target here. filters: such as "Observation?category=survey"."""

    @property
    def base_url(self) -> str: ...
    @property
    def chosen_types(self) -> Collection[str]: ...
    @property
    def filters(self) -> Sequence[str]: ...
    @property
    def ids(self) -> Literal["same", "identifier"]: ...


class Settles(Protocol):
    """Decides about what both sides have changed (app/sync/conflicts/settling.py)."""

    async def settle(self, partner: Partner, key: Key, theirs: Theirs, known: Held | None) -> object: ...


@dataclass(frozen=True, slots=True)
class Puller:
    """What pulling needs of this service. known: the resource types there are; own_base: its FHIR address, if told."""

    intake: Intake
    conflicts: Settles
    known: Collection[str]
    own_base: str = ""
    instance: str = ""

    @asynccontextmanager
    async def open(
        self, target: Pulled, getter: Getter, plan: Callable[[], Awaitable[Plan]], owner: str
    ) -> AsyncIterator[Pull]:
        """The job that pulls a target; at the end another worker may take over at once."""
        source = Source(target.base_url, getter)

        def taker(made: Plan, types: Collection[str]) -> Taker:
            return self.taker(target, source, made, types)

        reader = Reader(self.intake.database, target, source, by_type(target.filters))
        job = Pull(self.intake.database, reader, plan, lambda made: self.types(target, made), taker, owner)
        try:
            yield job
        finally:
            await job.close()

    def types(self, target: Pulled, plan: Plan) -> Collection[str]:
        """What is pulled: the types that are named, else all that the target can be asked for."""
        if target.chosen_types:
            return target.chosen_types
        searched = {"search-type", "history-type"}
        offered = (name for name, each in plan.types.items() if each.interactions & searched)
        return [name for name in offered if name in self.known and name not in _ITS_OWN]

    def taker(self, target: Pulled, source: Source, plan: Plan, types: Collection[str]) -> Taker:
        """What takes over what is read of a target. types: those that are pulled."""
        # Who only tells us gives ids as configured; who is told by us too may give others than we sent.
        ids_of = plan.ids_of if target.direction == "both" else lambda _: target.ids
        other = frozenset(name for name in self.known if ids_of(name) == "identifier")

        async def look(type_: str, ids: Sequence[str]) -> Sequence[Incoming]:
            return await source.resources(type_, ids)

        async def settle(step: Step) -> None:
            one, held = step.incoming, step.common(0)
            theirs = Theirs(one.id, one.version, held.remote_etag, one.updated, None if one.deleted else step.text)
            await self.conflicts.settle(target, step.key, theirs, step.held)

        async def scored(ids: Sequence[str]) -> Collection[str]:
            return await scored_there(source, ids) if "Observation" in types else ()

        identify = Identifier(target.name, target.base_url, types, other, self.known, look, self.instance)
        return Taker(target.name, target.base_url, self.own_base, self.intake, identify, settle, scored)


def by_type(filters: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The queries of filters by the type they are about."""
    found: dict[str, list[str]] = {}
    for each in filters:
        name, _, query = each.partition("?")
        found.setdefault(name, []).append(query)
    return found


async def scored_there(source: Source, ids: Sequence[str]) -> Collection[str]:
    """Those of the QuestionnaireResponses that Observations of the target are derived from.

    Of a target that cannot tell it all are: the Observations there are pulled, and what is made twice is worse.
    """
    found: set[str] = set()
    for start in range(0, len(ids), _ASKED_AT_ONCE):
        some = ids[start : start + _ASKED_AT_ONCE]
        links = ",".join(f"QuestionnaireResponse/{each}" for each in some)
        try:
            parts = await source.search("Observation", [("derived-from", links)])
        except NotRead as error:
            if error.meaning not in (Meaning.REFUSED, Meaning.ABSENT):
                raise
            return ids
        found |= {each for part in parts for each in _derived_from(part, source.base)}
    return found


def _derived_from(part: Incoming, base: str) -> list[str]:
    tree: Any = lossless.parse_keeping_digits(part.text or b"{}")
    named = tree.get("derivedFrom")
    links = [str(one.get("reference")) for one in named if isinstance(one, dict)] if isinstance(named, list) else []
    return [key[1] for link in links if (key := local(link, base)) and key[0] == "QuestionnaireResponse"]
