"""What both sides changed: merged by rules through the one door, or decided by a person; nothing is left hanging."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from app.fhir.outcomes import PreconditionFailed
from app.service import Service
from app.settings import Settings
from app.store import conflicts, ledger, letters, outbox
from app.store.enqueue import enqueue_current
from app.store.ledger import Held
from app.store.repository import Key
from app.sync.client import Client
from app.sync.conflicts.cases import Theirs
from app.sync.conflicts.looking import Looking
from app.sync.conflicts.resolving import Changed, Resolving
from app.sync.conflicts.rules import Rule
from app.sync.conflicts.settling import Conflicts
from tests.builders import observation, patient
from tests.conftest import serving

KEY = ("Observation", "o")
NEWER, OLDER = 4_000_000_000_000_000, 1_000_000
Tree = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    default: Rule = "newest"
    elements: Mapping[str, Rule] = field(default_factory=dict)


@dataclass(frozen=True)
class Partner:
    name: str = "partner"
    base_url: str = "http://partner.test/fhir"
    ids: str = "same"
    direction: str = "both"
    conflict: Rules = field(default_factory=Rules)


ASKS = Partner(conflict=Rules("manual"))


@dataclass
class Side:
    """This server, and a partner that exists by what is said to have come from it."""

    client: httpx.AsyncClient
    service: Service
    partner: Partner = field(default_factory=Partner)

    @property
    def conflicts(self) -> Conflicts:
        return Conflicts(self.service.intake)

    @property
    def resolving(self) -> Resolving:
        async def partner_of(_: str) -> Partner:
            return self.partner

        return Resolving(self.conflicts, partner_of)

    async def put(self, key: Key = KEY, **fields: Any) -> None:
        made = observation("Patient/p", **fields) if key[0] == "Observation" else fields
        answer = await self.client.put(f"/fhir/{key[0]}/{key[1]}", json={**made, "id": key[1]})
        assert answer.status_code in (200, 201), answer.text

    async def agreed(self, **fields: Any) -> None:
        """Version 1 is on both sides, and the patient."""
        await self.client.put("/fhir/Patient/p", json=patient(id="p"))
        await self.put(**fields)
        async with self.service.database.writing() as connection:
            await ledger.write(connection, "partner", [Held(*KEY, 1, False, "o", "1", 'W/"1"', 1)])

    async def changed(self, **fields: Any) -> None:
        """A version here that the partner is to be told of."""
        await self.put(**fields)
        async with self.service.database.writing() as connection:
            await enqueue_current(connection, "partner", [KEY], "")

    async def came(self, version: int, *, updated: int = NEWER, raw: Tree | None = None, **fields: Any) -> str:
        """Settle a version of the partner's."""
        tree = observation("Patient/p", **fields) | {"id": "o"} | (raw or {})
        theirs = Theirs("o", str(version), f'W/"{version}"', updated, json.dumps(tree).encode())
        return await self.settle(theirs)

    async def gone(self, version: int, updated: int) -> str:
        return await self.settle(Theirs("o", str(version), "", updated, None))

    async def settle(self, theirs: Theirs) -> str:
        return await self.conflicts.settle(self.partner, KEY, theirs, await self.noted())

    async def here(self) -> Tree:
        found: Tree = (await self.client.get("/fhir/Observation/o")).json()
        return found

    async def task(self, cid: str) -> Tree:
        found: Tree = (await self.client.get(f"/fhir/Task/{cid}")).json()
        return found

    async def open(self) -> list[Tree]:
        found: list[Tree] = (await self.client.get("/sync/conflicts")).json()["items"]
        return found

    async def shown(self, cid: str) -> Tree:
        found: Tree = (await self.client.get(f"/sync/conflicts/{cid}")).json()
        return found

    async def decide(self, cid: str, resolution: str, **more: Any) -> httpx.Response:
        return await self.client.post(f"/sync/conflicts/{cid}", json={"resolution": resolution, **more})

    async def queued(self) -> list[tuple[str, int]]:
        """State and version of what the partner is still to be told."""
        async with self.service.database.reading() as connection:
            rows = [row for state in ("pending", "conflict") for row in await letters.letters(connection, state)]
        return [(row.state, row.version) for row in rows if (row.type, row.id) == KEY]

    async def held(self) -> Held:
        held = await self.noted()
        assert held is not None
        return held

    async def noted(self) -> Held | None:
        """What the ledger says of it."""
        async with self.service.database.reading() as connection:
            return (await ledger.read(connection, "partner", [KEY])).get(KEY)


@pytest.fixture
async def side(database_url: str) -> AsyncIterator[Side]:
    settings = Settings(database_url=database_url, log_level="error", worker="separate")
    async with serving(settings) as client:
        yield Side(client, client._transport.app.state.service)  # type: ignore[attr-defined]


def code(name: str) -> Tree:
    return {"coding": [{"system": "https://example.org/codes", "code": name}]}


async def test_a_version_that_was_read_before_the_ledger_moved_on_decides_nothing(side: Side) -> None:
    """Ours was on its way when theirs was read: it arrived meanwhile, and theirs is an old one by now."""
    await side.agreed(valueInteger=1)
    before = await side.held()
    await side.put(valueInteger=2)
    async with side.service.database.writing() as connection:
        await ledger.write(connection, "partner", [Held(*KEY, 2, False, "o", "3", 'W/"3"', 3)])
    tree = observation("Patient/p", valueInteger=7) | {"id": "o"}
    read = Theirs("o", "2", 'W/"2"', NEWER, json.dumps(tree).encode())

    with pytest.raises(PreconditionFailed):
        await side.conflicts.settle(side.partner, KEY, read, before)

    assert (await side.here())["valueInteger"] == 2
    assert (await side.held()).remote_version == "3"


async def test_what_the_rules_decide_is_merged_through_the_door(side: Side) -> None:
    await side.agreed(valueInteger=1)
    await side.changed(valueInteger=1, bodySite=code("arm"))

    assert await side.came(2, valueInteger=2) == "written"

    merged = await side.here()
    assert (merged["valueInteger"], merged["bodySite"]) == (2, code("arm"))
    assert await side.queued() == [("pending", 3)]
    records = (await side.client.get("/fhir/Provenance?target=Observation/o")).json()["entry"]
    assert (
        records[0]["resource"]["entity"][0]["what"]["reference"] == f"{side.partner.base_url}/Observation/o/_history/2"
    )
    held = await side.held()
    assert (held.version, held.remote_version, held.remote_etag) == (0, "2", 'W/"2"')

    # They take their change back before ours is delivered: what both had by then was their second version.
    assert await side.came(3, valueInteger=1) == "written"
    assert (await side.here())["valueInteger"] == 1
    assert (await side.here())["bodySite"] == code("arm")

    # An older change of theirs in the same place: ours holds, and is sent on theirs.
    assert await side.came(4, updated=OLDER, valueInteger=1, bodySite=code("leg")) == "send"
    assert (await side.here())["bodySite"] == code("arm")
    assert await side.queued() == [("pending", 4)]
    assert (await side.held()).remote_etag == 'W/"4"'

    # They come to hold the same by themselves: nothing is left to be sent.
    assert await side.came(5, valueInteger=1, bodySite=code("arm")) == "kept"
    assert await side.queued() == []
    assert (await side.held()).version == 4

    # Only they change it.
    assert await side.came(6, valueInteger=7) == "written"
    assert (await side.here())["valueInteger"] == 7
    assert await side.queued() == []
    assert await side.open() == []
    settled = (await side.client.get("/sync/conflicts?state=settled")).json()["items"]
    assert [one["resolution"] for one in settled] == ["merged", "merged", "ours"]


async def test_a_person_is_asked_once_and_decides_once(side: Side) -> None:
    side.partner = ASKS
    await side.agreed(valueInteger=1)
    await side.changed(valueInteger=2, bodySite=code("arm"))

    # However many workers find it at once.
    found_by = await asyncio.gather(*(side.came(2, valueInteger=3, method=code("m")) for _ in range(3)))
    assert found_by == ["manual"] * 3

    [found] = await side.open()
    assert (found["target"], found["reference"]) == ("partner", "Observation/o")
    value = "Observation.value.ofType(integer)"
    assert found["paths"] == [
        {"element": "Observation.value", "ours": value, "theirs": value, "decision": "manual"}
    ]  # fmt: skip
    assert await side.queued() == [("conflict", 2)]
    shown = await side.shown(found["id"])
    assert [shown[name]["resource"]["valueInteger"] for name in ("base", "ours", "theirs")] == [1, 2, 3]
    assert (shown["proposed"]["valueInteger"], shown["proposed"]["method"]) == (2, code("m"))
    assert shown["notes"] == []
    task = await side.task(found["id"])
    assert (task["status"], task["intent"]) == ("requested", "order")
    assert task["focus"]["reference"] == "Observation/o/_history/2"
    assert task["for"]["reference"] == "Patient/p"
    assert task["contained"][0]["valueInteger"] == 3
    assert [one.get("valueString") for one in task["input"]][1:] == [value, value]

    wrong = await side.decide(found["id"], "ours", resource={})
    decided = await side.decide(found["id"], "theirs")
    again = await side.decide(found["id"], "theirs")
    other = await side.decide(found["id"], "ours")

    assert wrong.status_code == 400
    assert (decided.status_code, decided.json()["resolution"]) == (200, "theirs")
    assert again.json() == decided.json()
    assert (other.status_code, other.json()["resolution"]) == (409, "theirs")
    here = await side.here()
    assert (here["valueInteger"], here["bodySite"], here["method"]) == (3, code("arm"), code("m"))
    task = await side.task(found["id"])
    assert (task["status"], task["businessStatus"]["coding"][0]["code"]) == ("completed", "theirs")
    assert task["output"][0]["valueReference"]["reference"] == "Observation/o/_history/3"
    assert await side.open() == []


@pytest.mark.parametrize(("resolution", "value"), [("ours", 2), ("theirs", 3), ("merged", 5)])
async def test_what_was_decided_is_sent_on_their_version(side: Side, resolution: Any, value: int) -> None:
    side.partner = ASKS
    await side.agreed(valueInteger=1)
    await side.changed(valueInteger=2, bodySite=code("arm"))
    await side.came(2, valueInteger=3)
    cid = (await side.open())[0]["id"]
    text = json.dumps(await side.here() | {"valueInteger": 5}).encode() if resolution == "merged" else None

    caller = side.conflicts.asking.caller("partner")
    found = await side.resolving.resolve(cid, resolution, text, caller)

    assert (found.resolution, found.decided_by) == (resolution, "person")
    assert (await side.here())["valueInteger"] == value
    assert await side.queued() == [("pending", 2 if resolution == "ours" else 3)]
    assert (await side.held()).remote_etag == 'W/"2"'


async def test_a_decision_about_what_has_changed_since_is_not_taken(side: Side) -> None:
    side.partner = ASKS
    await side.agreed(valueInteger=1)
    await side.changed(valueInteger=2)
    await side.came(2, valueInteger=3)
    first = (await side.open())[0]["id"]
    await side.changed(valueInteger=4)
    assert await side.queued() == [("conflict", 3)]

    stale = await side.decide(first, "ours")

    assert stale.status_code == 409
    second = stale.json()
    assert second["id"] != first
    assert second["ours"]["resource"]["valueInteger"] == 4
    assert second["outcome"]["issue"][0]["code"] == "conflict"
    assert (await side.task(first))["status"] == "cancelled"
    assert (await side.task(second["id"]))["status"] == "requested"
    assert [one["id"] for one in await side.open()] == [second["id"]]

    # The partner changes it again, as the look before a decision shows.
    async def look(*_: object) -> Theirs:
        return Theirs("o", "3", 'W/"3"', NEWER, json.dumps(observation("Patient/p", valueInteger=4)).encode())

    resolving = side.resolving
    resolving.look = look
    with pytest.raises(Changed) as raised:
        await resolving.resolve(second["id"], "theirs", None, side.conflicts.asking.caller("partner"))
    assert raised.value.conflict.resolution == "alike"
    assert await side.queued() == []
    assert await side.open() == []


@pytest.mark.parametrize(
    ("rule", "updated", "settled", "is_here"),
    [("theirs", 0, "written", False), ("ours", 0, "send", True), ("newest", NEWER, "written", False),
     ("newest", OLDER, "send", True), ("newest", 0, "manual", True)],
)  # fmt: skip
async def test_a_deletion_there_against_a_change_here(
    side: Side, rule: Rule, updated: int, settled: str, is_here: bool
) -> None:
    side.partner = Partner(conflict=Rules("manual", {"Observation": rule}))
    await side.agreed(valueInteger=1)
    await side.changed(valueInteger=2)

    assert await side.gone(2, updated) == settled

    answer = await side.client.get("/fhir/Observation/o")
    assert answer.status_code == (200 if is_here else 410)
    assert len(await side.queued()) == is_here
    if settled == "manual":
        [found] = await side.open()
        assert found["paths"] == [
            {"element": "Observation", "ours": "Observation", "theirs": "", "decision": "manual"}
        ]  # fmt: skip
        assert (await side.shown(found["id"]))["theirs"]["resource"] is None
        assert (await side.decide(found["id"], "theirs")).status_code == 200
        assert (await side.client.get("/fhir/Observation/o")).status_code == 410


async def test_what_the_rules_here_refuse_is_decided_by_a_person(side: Side) -> None:
    await side.agreed()
    await side.changed(valueInteger=1)

    # obs-6: a value and the reason why there is none, each right on its own side.
    assert await side.came(2, dataAbsentReason=code("x")) == "manual"
    [found] = await side.open()
    assert found["paths"] == []
    assert "obs-6" in found["issues"][0]
    assert any("obs-6" in one.get("valueString", "") for one in (await side.task(found["id"]))["input"])

    # What they hold now may not be stored here at all, not even within a Task.
    assert await side.came(3, raw={"status": "bogus"}) == "manual"
    [found] = await side.open()
    assert "contained" not in await side.task(found["id"])
    refused = await side.decide(found["id"], "theirs")
    assert refused.status_code == 422
    assert [one["id"] for one in await side.open()] == [found["id"]]
    assert (await side.decide(found["id"], "ours")).status_code == 200
    assert (await side.here())["valueInteger"] == 1


async def test_a_task_that_somebody_closed_decides_or_is_opened_again(side: Side) -> None:
    side.partner = ASKS
    await side.agreed(valueInteger=1)
    await side.changed(valueInteger=2)
    await side.came(2, valueInteger=3)
    cid = (await side.open())[0]["id"]

    task = await side.task(cid)
    await side.client.put(f"/fhir/Task/{cid}", json=task | {"status": "completed"})
    await side.resolving.step()
    assert (await side.task(cid))["status"] == "requested"

    await side.client.delete(f"/fhir/Task/{cid}")
    assert "Its Task is not here" in (await side.shown(cid))["notes"][0]
    await side.resolving.step()
    assert (await side.task(cid))["status"] == "requested"

    said = {"coding": [task["businessStatus"]["coding"][0] | {"code": "theirs"}]}
    await side.client.put(f"/fhir/Task/{cid}", json=task | {"status": "completed", "businessStatus": said})
    await side.resolving.step()
    assert (await side.here())["valueInteger"] == 3
    assert await side.queued() == []
    [settled] = (await side.client.get("/sync/conflicts?state=settled")).json()["items"]
    assert (settled["resolution"], settled["decided_by"]) == ("theirs", "task")

    # The service dies between the decision and its Task: the next round tells it.
    await side.changed(valueInteger=4)
    await side.came(3, valueInteger=5)
    cid = (await side.open())[0]["id"]
    async with side.service.database.writing() as connection:
        assert await conflicts.decided(connection, cid, "ours", "person", result=4, now=1)
        assert not await conflicts.decided(connection, cid, "theirs", "person", result=4, now=1)
    await side.resolving.step()
    assert (await side.task(cid))["businessStatus"]["coding"][0]["code"] == "ours"

    # Changed here until both are the same, by nobody's decision: nothing is left open.
    await side.came(4, valueInteger=6)
    await side.changed(valueInteger=6)
    await side.resolving.step()
    assert await side.open() == []
    assert await side.queued() == []


async def test_before_a_decision_the_other_server_is_asked_what_it_holds(side: Side, other_database_url: str) -> None:
    side.partner = Partner(ids="identifier", conflict=Rules("manual"))
    await side.agreed(valueInteger=1)
    await side.changed(valueInteger=2)
    async with side.service.database.writing() as connection:
        theirs = (Held("Patient", "p", 1, False, "9"), Held(*KEY, 1, False, "8", "1", 'W/"1"'))
        await ledger.write(connection, "partner", theirs, anew=True)
    async with serving(Settings(database_url=other_database_url, log_level="error")) as other:
        await other.put("/fhir/Patient/9", json=patient(id="9"))
        await other.put("/fhir/Observation/8", json=observation("Patient/9", id="8", valueInteger=3))
        client = Client(other, "http://dermatome.test/fhir", seconds=10)
        resolving = side.resolving
        resolving.look = Looking(side.service.database, lambda _: nullcontext(client))
        item = outbox.Item(1, *KEY, 2, "Patient/p", 0, 0, b"")
        read = await other.get("/fhir/Observation/8")
        assert (
            await side.conflicts.settle_item(side.partner, item, read.json(), read.headers["etag"], await side.held())
            == "manual"
        )
        [first] = await side.open()
        shown = (await side.shown(first["id"]))["theirs"]
        assert (shown["id"], shown["resource"]["id"]) == ("8", "o")
        assert shown["resource"]["subject"]["reference"] == "Patient/p"
        await other.put("/fhir/Observation/8", json=observation("Patient/9", id="8", valueInteger=4))

        caller = side.conflicts.asking.caller("partner")
        with pytest.raises(Changed) as changed:
            await resolving.resolve(first["id"], "theirs", None, caller)
        second = changed.value.conflict.cid
        assert second != first["id"]
        await resolving.resolve(second, "theirs", None, caller)

        await side.changed(valueInteger=5)
        await other.delete("/fhir/Observation/8")
        assert await side.conflicts.settle_item(side.partner, item, None, "", await side.held()) == "manual"
        third = (await side.open())[0]["id"]
        await resolving.resolve(third, "ours", None, caller)

    # It is away by now: whether it changed anything shows when it is told.
    assert (await side.here())["valueInteger"] == 5
    assert [state for state, _ in await side.queued()] == ["pending"]


async def test_lists_are_paged_and_missing_parts_are_told(side: Side) -> None:
    side.partner = ASKS
    await side.put(valueInteger=1)
    assert await side.came(1, valueInteger=2) == "manual"
    [found] = await side.open()

    shown = await side.shown(found["id"])
    page = (await side.client.get("/sync/conflicts?_count=1&target=partner")).json()
    missing = await side.client.get("/sync/conflicts/none")
    unknown = await side.client.get("/sync/conflicts?stat=open")

    assert shown["base"] == {"version": None, "resource": None}
    assert "not known" in shown["notes"][0]
    assert len(page["items"]) == 1
    rest = await side.client.get(f"/sync/conflicts?_count=1&after={page['next']}")
    assert rest.json() == {"items": [], "next": None}
    assert (missing.status_code, unknown.status_code) == (404, 400)
    bodies: list[Tree] = [{}, {"resolution": "x"}, {"resolution": ["ours"]}, {"resolution": "merged"},
                          {"resolution": "ours", "why": "because"},
                          {"resolution": "merged", "resource": {"resourceType": "Patient", "id": "o"}},
                          {"resolution": "merged", "resource": observation(id="other")}]  # fmt: skip
    answers = [await side.client.post(f"/sync/conflicts/{found['id']}", json=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [400] * len(bodies)
    assert [one["state"] for one in await side.open()] == ["open"]
