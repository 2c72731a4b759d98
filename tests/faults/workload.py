"""What an EHR does all day: records of patients, corrected and withdrawn, repeated until they are acknowledged."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from tests.builders import Json, bundle, entry, observation, patient
from tests.repeating import acknowledged

TYPES = ("Patient", "Condition", "CarePlan", "Observation")
GROUPS_PER_BUNDLE = 8
PER_GROUP = 6
_UNREFERRED = (4, 5)
# The share of groups with a resource that the other server is to refuse; the first has one in any case.
REFUSALS = 0.02
# Claimed by what the other server is to refuse: it is told to take no profile it does not know.
UNKNOWN_PROFILE = "https://example.org/fhir/StructureDefinition/nobody-knows"


@dataclass
class Workload:
    """Writes about `resources` resources to a server and changes some of them again. name: of no other one there.

    is_shared: what others have brought to the server is changed too. is_created: all were written once.
    """

    base: str
    resources: int
    chance: random.Random
    name: str = "load"
    refusals: float = REFUSALS
    is_shared: bool = False
    is_created: bool = False
    refused: set[str] = field(default_factory=set)
    made: list[str] = field(default_factory=list)

    async def run(self, over: asyncio.Event | None = None, writers: int = 4) -> None:
        """Returns when everything is acknowledged; goes on with changes until it is over, if that is given."""
        count = -(-self.resources // (PER_GROUP * GROUPS_PER_BUNDLE))
        numbers = iter(range(count))
        async with httpx.AsyncClient(base_url=self.base, timeout=30) as client:
            await asyncio.gather(*(self._writer(client, numbers) for _ in range(writers)))
            self.is_created = True
            while over is not None and not over.is_set():
                await asyncio.sleep(self.chance.uniform(0.05, 0.5))
                await self._change(client, await self._any(client))

    async def _writer(self, client: httpx.AsyncClient, numbers: Iterator[int]) -> None:
        for number in numbers:
            ids = await self._create(client, number)
            self.made += ids
            for place, one in enumerate(ids):
                drawn = self.chance.random()
                # What others refer to stays.
                if place % PER_GROUP in _UNREFERRED and drawn < 0.15:
                    await acknowledged(client, "DELETE", f"/fhir/{one}", None)
                elif drawn < 0.2:
                    await self._change(client, one)

    async def _any(self, client: httpx.AsyncClient) -> str:
        """Some resource of the server, whoever has brought it there."""
        if not self.is_shared:
            return self.chance.choice(self.made)
        type_, order = self.chance.choice(TYPES), self.chance.choice(("_id", "-_id", "_lastUpdated", "-_lastUpdated"))
        found = await acknowledged(client, "GET", f"/fhir/{type_}?_sort={order}&_count=20&_elements=id", None)
        entries = found.json().get("entry", [])
        return f"{type_}/{self.chance.choice(entries)['resource']['id']}" if entries else self.chance.choice(self.made)

    async def _create(self, client: httpx.AsyncClient, number: int) -> list[str]:
        entries: list[Json] = []
        refused_places = []
        for group in range(GROUPS_PER_BUNDLE):
            is_first = self.refusals > 0 and number == group == 0
            is_refused = is_first or self.chance.random() < self.refusals
            if is_refused:
                refused_places.append(len(entries) + _UNREFERRED[0])
            entries += _group(f"{self.name}-{number}-{group}", is_refused=is_refused)
        # In any order: what is referred to need not come first.
        answer = await acknowledged(client, "POST", "/fhir", bundle(*entries), key=f"{self.name}-{number}")
        ids = [_reference(each["response"]["location"]) for each in answer.json()["entry"]]
        self.refused |= {ids[place] for place in refused_places}
        return ids

    async def _change(self, client: httpx.AsyncClient, reference: str) -> None:
        if reference.startswith("CarePlan/") and self.chance.random() < 0.1:
            await acknowledged(client, "DELETE", f"/fhir/{reference}", None)
            return
        for turn in range(self.chance.randint(1, 3)):
            found = await acknowledged(client, "GET", f"/fhir/{reference}", None)
            if found.status_code == 410:
                return
            resource: Json = found.json()
            resource["language"] = self.chance.choice(("en", "de", "fr", "it"))
            resource.setdefault("extension", []).append({"url": "https://example.org/turn", "valueInteger": turn})
            await acknowledged(client, "PUT", f"/fhir/{reference}", resource)


def _group(name: str, *, is_refused: bool) -> list[Json]:
    """A patient with what was found, in one family of references; the last Observation refers to another."""
    urn = f"urn:uuid:{random.Random(name).getrandbits(128):032x}"
    urns = [f"urn:uuid:{u[:8]}-{u[8:12]}-4{u[13:16]}-8{u[17:20]}-{u[20:]}" for u in _hexes(urn)]
    who, problem, score = urns[:3]
    subject = {"reference": who}
    condition = {
        "resourceType": "Condition",
        "clinicalStatus": _status("condition-clinical", "active"),
        "code": {"text": "pain"},
        "subject": subject,
    }
    plan = {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": subject,
        "addresses": [{"reference": problem}],
        "supportingInfo": [{"reference": score}],
    }
    profile = {"meta": {"profile": [UNKNOWN_PROFILE]}} if is_refused else {}
    value = {"valueQuantity": {"value": 7.50, "unit": "points"}}
    return [
        entry(patient(name), full_url=who),
        entry(condition, full_url=problem),
        entry(plan),
        entry(observation(who, **value), full_url=score),
        entry(observation(who, **profile)),
        entry(observation(who, derivedFrom=[{"reference": score}])),
    ]


def _hexes(urn: str) -> list[str]:
    start = int(urn.removeprefix("urn:uuid:"), 16)
    return [f"{(start + place) % 2**128:032x}" for place in range(3)]


def _status(system: str, code: str) -> Json:
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}]}


def _reference(location: str) -> str:
    return location.partition("/fhir/")[2].partition("/_history")[0]
