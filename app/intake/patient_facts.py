"""What the store holds of a patient that a rule may ask for, read in one transaction and never cut silently."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.fhir import json as lossless
from app.fhir.references import local
from app.mapping.elements import Resource, target
from app.mapping.facts.medicines import MEDICINE_TYPES, TAKEN, USED
from app.mapping.facts.observed import SAYS, codes_of_facts
from app.pain.content import Content
from app.store import repository, sight
from app.store.database import Connection, Database
from app.store.repository import Stored
from app.store.search import Searcher, escaped, search

# Far more than any patient has of one kind; a record with more is looked at as far as its newest, and that is told.
MOST = 500
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Holding:
    """Resources by name, e.g. "Condition/5", and what is to be said about them."""

    held: Mapping[str, Resource]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """Reads the part of a patient's record the rules are about."""

    database: Database
    searcher: Searcher
    content: Content

    async def load(self, patient_ref: str, also: Iterable[str] = ()) -> Holding:
        """also: further resources by name, such as the diagnosis of a plan."""
        held: dict[str, Resource] = {}
        notes: list[str] = []
        looking = sight.current()
        async with self.database.reading() as connection:
            for kind, asked, most in self._asked():
                if looking and not looking.may("s", kind):
                    continue
                given = [("patient", patient_ref), *asked]
                query = replace(self.searcher.parse(kind, given, strict=True), count=most)
                page = await search(connection, query)
                held |= _named(page.matches)
                if page.next and most == MOST:
                    notes.append(f"There are more than {MOST} {kind}s; the rules looked at the {MOST} changed last.")
            held |= await _read(connection, [patient_ref, *also, *_linked(held.values())])
        cut = sorted({kind for kind, *_ in self._asked() if looking and looking.is_cut("s", kind)})
        if cut:
            notes.append(f"The rules did not look at all {', '.join(cut)}: the scopes of this token do not cover them.")
        return Holding(held, tuple(notes))

    def _asked(self) -> Iterator[tuple[str, Pairs, int]]:
        """(type, parameters, how many); of a fact that is observed only the newest counts."""
        newest, uncounted = ("_sort", "-_lastUpdated"), ("_total", "none")
        # Those without a clinical status are asked for too: nobody says that they are over.
        yield "Condition", [("clinical-status", "active,recurrence,relapse,remission"), newest, uncounted], MOST
        yield "Condition", [("clinical-status:missing", "true"), newest, uncounted], MOST
        # An overdose of years ago still counts.
        yield "Condition", [("clinical-status", "inactive,resolved"), newest, uncounted], MOST
        for kind in MEDICINE_TYPES:
            for uses in (TAKEN, USED):
                yield kind, [("status", ",".join(sorted(uses))), newest, uncounted], MOST
        yield "Device", [newest, uncounted], MOST
        yield "DeviceUseStatement", [newest, uncounted], MOST
        by_fact: dict[str, list[str]] = {}
        for (system, code), fact in codes_of_facts(self.content).items():
            by_fact.setdefault(fact, []).append(f"{escaped(system)}|{escaped(code)}")
        for codes in by_fact.values():
            yield (
                "Observation",
                [("code", ",".join(codes)), ("status", ",".join(SAYS)), ("_sort", "-date"), uncounted],
                1,
            )


async def _read(connection: Connection, names: Iterable[str]) -> dict[str, Resource]:
    keys = [key[:2] for name in names if (key := local(name, ""))]
    return _named((await repository.read_all(connection, keys)).values())


def _linked(resources: Iterable[Resource]) -> Iterator[str]:
    """The medications and devices that requests and statements name."""
    for one in resources:
        for name in ("medicationReference", "device"):
            if link := target(one.get(name)):
                yield link


def _named(stored: Iterable[Stored]) -> dict[str, Resource]:
    live: Iterable[tuple[Stored, Any]] = ((one, one.content) for one in stored)
    return {f"{one.type}/{one.id}": lossless.parse_object(text) for one, text in live if text is not None}
