"""Push: order, refusals, a target that is away, workers side by side. The target is a second instance."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from app.settings import Settings
from app.store import outbox
from app.store.database import Database
from app.store.outbox import Item
from app.sync.client import Meaning, meaning_of
from app.sync.push import MOST_ATTEMPTS, Pusher, backoff_seconds, newest
from app.sync.targets import Target
from tests.builders import observation, patient
from tests.conftest import serving
from tests.sync.wire import Wire

TARGET = Target(name="partner", base_url="http://partner.test/fhir", batch_size=10)


def item(number: int, resource_id: str, version: int) -> Item:
    return Item(number, "Patient", resource_id, version, 0, b"{}")


class Sides:
    """This server and its outbox, the partner, and the wire between them."""

    def __init__(self, here: httpx.AsyncClient, database: Database, wire: Wire) -> None:
        self.here, self.database, self.wire = here, database, wire

    def pusher(self, owner: str = "one", lease_seconds: float = 30) -> Pusher:
        return Pusher(
            self.database,
            [TARGET],
            owner=owner,
            lease_seconds=lease_seconds,
            clock=lambda: time.time_ns() // 1000,
        )

    async def deliver(self, owner: str = "one", target: Target = TARGET) -> Meaning | None:
        reply = await self.pusher(owner).deliver(target, self.wire.client())
        return reply.meaning if reply else None

    async def status(self) -> dict[str, int]:
        told: dict[str, int] = (await self.here.get("/sync/status")).json()["targets"][0]
        return {name: told[name] for name in ("pending", "dead", "delivered")}

    async def versions(self, resource: str) -> int:
        answer = await self.wire.partner.get(f"/fhir/{resource}/_history")
        return int(answer.json()["total"]) if answer.status_code == 200 else 0


@pytest.fixture
async def sides(
    database_url: str, other_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sides]:
    targets = tmp_path_factory.mktemp("targets") / "targets.toml"
    targets.write_text(f'[[target]]\nname = "partner"\nbase_url = "{TARGET.base_url}"\n')
    own = Settings(database_url=database_url, log_level="error", sync_targets=targets, worker="separate")
    async with (
        serving(own) as here,
        serving(Settings(database_url=other_database_url, log_level="error")) as partner,
        Database(database_url) as database,
    ):
        yield Sides(here, database, Wire(partner))


async def test_what_was_written_arrives_once_with_its_etag_in_the_ledger(sides: Sides) -> None:
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))

    assert await sides.deliver() is Meaning.DONE
    assert await sides.deliver() is None

    held = (await sides.here.get("/sync/ledger?reference=Patient/p")).json()["held"]
    assert [(one["target"], one["version"], one["etag"]) for one in held] == [("partner", 1, 'W/"1"')]
    assert await sides.versions("Patient/p") == 1
    assert await sides.status() == {"pending": 0, "dead": 0, "delivered": 1}


@pytest.mark.parametrize("delivery", ["transaction", "single"])
async def test_a_transaction_has_the_newest_version_only_and_a_deletion_arrives(sides: Sides, delivery: str) -> None:
    target = TARGET.model_copy(update={"delivery": delivery})
    for active in (True, False, True):
        await sides.here.put("/fhir/Patient/p", json=patient(id="p", active=active))
    await sides.here.put("/fhir/Observation/o", json=observation("Patient/p", id="o"))
    await sides.deliver(target=target)

    await sides.here.delete("/fhir/Observation/o")
    await sides.deliver(target=target)

    assert await sides.versions("Patient/p") == (1 if delivery == "transaction" else 3)
    assert (await sides.wire.partner.get("/fhir/Patient/p")).json()["active"] is True
    assert (await sides.wire.partner.get("/fhir/Observation/o")).status_code == 410
    assert (await sides.status())["pending"] == 0


async def test_an_answer_lost_on_the_way_makes_no_duplicate(sides: Sides) -> None:
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    await sides.here.post("/fhir/Patient", json=patient())
    sides.wire.lose_answers = 1

    lost = await sides.deliver()
    again = await sides.deliver()

    assert (lost, again) == (Meaning.LATER, Meaning.DONE)
    assert await sides.versions("Patient/p") == 1
    assert (await sides.wire.partner.get("/fhir/Patient?_count=0")).json()["total"] == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (503, b"{}"),
        (429, b""),
        (401, b""),
        (404, b"<html>no such host</html>"),
        (400, b"bad gateway"),
        (200, b"<html>sign in</html>"),
        (200, b"{}"),
        (302, b""),
    ],
)
async def test_a_target_that_is_not_able_to_keeps_nothing_and_loses_nothing(
    sides: Sides, status: int, body: bytes
) -> None:
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    sides.wire.answers = [httpx.Response(status, content=body, headers={"Retry-After": "7"})]

    reply = await sides.pusher().deliver(TARGET, sides.wire.client())

    assert reply is not None
    assert (reply.meaning, reply.wait) == (Meaning.LATER, 7)
    assert await sides.status() == {"pending": 1, "dead": 0, "delivered": 0}
    assert await sides.deliver() is Meaning.DONE


async def test_one_refused_resource_keeps_no_other_back(sides: Sides) -> None:
    for name in "abc":
        await sides.here.put(f"/fhir/Patient/{name}", json=patient(id=name))
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "business-rule"}]}
    sides.wire.refuse = {"Patient/b": outcome}

    await sides.deliver()

    dead = (await sides.here.get("/sync/dead-letters")).json()["items"]
    assert await sides.status() == {"pending": 0, "dead": 1, "delivered": 2}
    assert [one["reference"] for one in dead] == ["Patient/b"]
    assert "business-rule" in dead[0]["reason"]
    assert [await sides.versions(f"Patient/{name}") for name in "abc"] == [1, 0, 1]


async def test_a_resource_the_target_cannot_take_now_waits_while_others_go_on(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.sync.push.backoff_seconds", lambda *_: 0)
    for name in "ab":
        await sides.here.put(f"/fhir/Patient/{name}", json=patient(id=name))
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "conflict"}]}
    sides.wire.refuse, sides.wire.refusal = {"Patient/a": outcome}, 409

    for _ in range(MOST_ATTEMPTS):
        await sides.deliver()

    assert await sides.versions("Patient/b") == 1
    assert await sides.status() == {"pending": 0, "dead": 1, "delivered": 1}


@pytest.mark.parametrize("delivery", ["transaction", "single"])
async def test_what_refers_to_a_resource_that_waits_is_sent_again_after_it(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, delivery: str
) -> None:
    monkeypatch.setattr("app.sync.push.backoff_seconds", lambda *_: 0.2)
    target = TARGET.model_copy(update={"delivery": delivery})
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    await sides.here.put("/fhir/Observation/o", json=observation("Patient/p", id="o"))
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}
    each = [httpx.Response(status, json=outcome) for status in (409, 400)]
    sides.wire.answers = [httpx.Response(400, json=outcome), *each] if delivery == "transaction" else each

    await sides.deliver(target=target)
    waiting = await sides.status()
    await asyncio.sleep(0.3)
    await sides.deliver(target=target)

    assert waiting == {"pending": 2, "dead": 0, "delivered": 0}
    assert await sides.status() == {"pending": 0, "dead": 0, "delivered": 2}


@pytest.mark.parametrize("entry", [None, "x", {}, {"response": None}, {"response": {"status": "OK"}}])
async def test_an_answer_that_cannot_be_read_is_no_delivery(sides: Sides, entry: object) -> None:
    for name in "ab":
        await sides.here.put(f"/fhir/Patient/{name}", json=patient(id=name))
    answer = {"resourceType": "Bundle", "type": "transaction-response", "entry": [entry, entry]}
    sides.wire.answers = [httpx.Response(200, json=answer)]

    assert await sides.deliver() is Meaning.LATER

    waiting = (await sides.here.get("/sync/queue")).json()["items"]
    assert [(one["attempts"], bool(one["reason"])) for one in waiting] == [(1, True), (1, True)]
    assert await sides.deliver() is Meaning.DONE


async def test_two_workers_do_not_serve_one_target_at_once(sides: Sides) -> None:
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    async with sides.database.writing() as connection:
        now = time.time_ns() // 1000
        assert await outbox.claim(connection, "partner", "other", now=now, until=now + 60_000_000)

    assert await sides.deliver() is None

    async with sides.database.writing() as connection:
        await outbox.release(connection, "partner", "other")
    assert await sides.deliver() is Meaning.DONE


async def test_a_lease_that_ran_out_is_taken_over(sides: Sides) -> None:
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    async with sides.database.writing() as connection:
        assert await outbox.claim(connection, "partner", "dead", now=1, until=2)

    assert await sides.deliver() is Meaning.DONE


async def test_only_the_types_a_target_wants_are_noted_for_it(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    targets = tmp_path_factory.mktemp("targets") / "targets.toml"
    targets.write_text('[[target]]\nname = "partner"\nbase_url = "http://x.test/fhir"\ntypes = ["Observation"]\n')
    settings = Settings(database_url=database_url, log_level="error", sync_targets=targets, worker="separate")
    async with serving(settings) as here:
        await here.post("/fhir/Patient", json=patient())
        await here.put("/fhir/Observation/o", json=observation(id="o"))

        waiting = (await here.get("/sync/queue")).json()["items"]

    assert [one["reference"] for one in waiting] == ["Observation/o"]


async def test_a_running_worker_delivers_and_stops_when_told(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sync.push.http_client", lambda _: sides.wire.client())
    task = asyncio.create_task(sides.pusher().run())

    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    for _ in range(100):
        await asyncio.sleep(0.05)
        if (await sides.status())["delivered"]:
            break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await sides.versions("Patient/p") == 1


@pytest.mark.parametrize(
    ("status", "is_fhir", "meaning"),
    [
        (200, True, Meaning.DONE),
        (201, True, Meaning.DONE),
        (400, True, Meaning.REFUSED),
        (400, False, Meaning.LATER),
        (404, True, Meaning.REFUSED),
        (409, True, Meaning.NOT_NOW),
        (413, False, Meaning.REFUSED),
        (200, False, Meaning.LATER),
        (412, True, Meaning.REFUSED),
        (422, True, Meaning.REFUSED),
        (429, True, Meaning.LATER),
        (301, False, Meaning.LATER),
        (500, True, Meaning.LATER),
    ],
)
def test_the_table_of_answers(status: int, is_fhir: bool, meaning: Meaning) -> None:
    assert meaning_of(status, is_fhir=is_fhir) is meaning


def test_the_newest_version_stands_where_the_resource_first_appeared() -> None:
    items = [item(1, "a", 1), item(2, "b", 1), item(3, "a", 2)]

    assert [(one.id, one.version) for one in newest(items)] == [("a", 2), ("b", 1)]


def test_waiting_grows_to_a_minute_with_full_jitter() -> None:
    waits: Sequence[float] = [backoff_seconds(failures, 1.0) for failures in (0, 1, 2, 6, 50)]

    assert waits == [1, 2, 4, 60, 60]
    assert backoff_seconds(3, 0.0) == 0
