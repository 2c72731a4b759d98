"""What operators see of sync and do about it: status, metrics, dead letters, backfill, verify."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.export.metrics import exposition
from app.store import pulls
from app.sync.client import Client
from app.sync.metrics import BREAKER, COUNTERS, EVENTS_LEFT, GAUGES, READS_FAILING, SUBSCRIPTIONS
from app.sync.planning import Planner
from app.sync.push.backfill import Backfill
from app.sync.verify.comparing import Verify
from app.sync.verify.report import Report
from app.sync.verify.told import Told
from tests.builders import observation, patient
from tests.sync.sides import TARGET, Sides, two_sides, wants_all
from tests.sync.wire import BASE

ALERTS = Path(__file__).parents[2] / "deploy" / "alerts.yaml"


@pytest.fixture
async def sides(database_url: str, other_database_url: str, tmp_path: Path) -> AsyncIterator[Sides]:
    async with two_sides(database_url, other_database_url, tmp_path) as both:
        yield both


async def verified(sides: Sides, *, repair: bool = False, sample: float = 0) -> Report:
    client = Client(sides.wire.client(), BASE, seconds=20)
    intake = sides.service.intake
    plan = await Planner(sides.service.database, client, TARGET)()
    told = Told(sides.service.database, TARGET, client, plan, wants_all, intake.own.keys, sample=sample, repair=repair)
    checking = Verify([told], client, plan)
    report = Report()
    async for found in checking.run():
        report = found
    return report


async def test_a_backfill_tells_of_what_was_there_before_and_notes_nothing_twice(sides: Sides) -> None:
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    await sides.here.put("/fhir/Observation/o", json=observation("Patient/p", id="o"))
    await sides.deliver()
    await sides.here.put("/fhir/Observation/late", json=observation("Patient/p", id="late"))
    async with sides.service.database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM outbox")
    target = (await sides.service.registry.current())[0]
    filling = Backfill(sides.service.database, target, sides.service.intake.own.keys, sides.service.bell.ring)

    await filling.begin()
    first = await filling.go_on()
    again = await filling.go_on()

    assert first is not None
    assert (first.noted, again) == (1, None)
    assert list(await sides.rows()) == ["Observation/late"]
    await sides.deliver()
    assert (await sides.there("Observation/late"))["id"] == "late"


Spoil = Callable[[Sides], Awaitable[object]]


async def _nothing(sides: Sides) -> None:
    return None


async def _deleted_there(sides: Sides) -> None:
    await sides.wire.partner.delete("/fhir/Observation/o")


async def _changed_there(sides: Sides) -> None:
    changed = observation("Patient/p", id="o", language="de")
    await sides.wire.partner.put("/fhir/Observation/o", json=changed)


async def _changed_and_back(sides: Sides) -> None:
    await _changed_there(sides)
    await sides.wire.partner.put("/fhir/Observation/o", json=observation("Patient/p", id="o"))


async def _ledger_lost(sides: Sides) -> None:
    async with sides.service.database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM ledger WHERE id = 'o'")


async def _deletion_lost(sides: Sides) -> None:
    await sides.here.delete("/fhir/Observation/o")
    async with sides.service.database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM outbox")


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (_nothing, {}),
        (_deleted_there, {"missing": 1}),
        (_changed_there, {"different": 1}),
        (_changed_and_back, {"stale": 1}),
        (_ledger_lost, {"unnoted": 1}),
        (_deletion_lost, {"not deleted": 1}),
    ],
)
async def test_verify_finds_drift_and_repairs_it(sides: Sides, spoil: Spoil, kinds: dict[str, int]) -> None:
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    await sides.here.put("/fhir/Observation/o", json=observation("Patient/p", id="o"))
    await sides.deliver()
    await spoil(sides)

    found = await verified(sides)
    assert dict(found.counts) == kinds
    assert found.drift == sum(kinds.values())

    await verified(sides, repair=True)
    await sides.deliver(rounds=2)
    await sides.let_pass()
    await sides.deliver(rounds=2)
    assert dict((await verified(sides, sample=1)).counts) == {}
    here, there = await sides.here.get("/fhir/Observation/o"), await sides.there("Observation/o")
    assert bool(there) == (here.status_code == 200)


async def test_what_waits_is_no_drift(sides: Sides) -> None:
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))

    found = await verified(sides)

    assert (dict(found.counts), found.drift) == ({"waiting": 1}, 0)


async def test_a_dead_letter_alarms_until_it_is_replayed_or_given_up(sides: Sides) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "business-rule"}]}
    for name in "ab":
        await sides.here.put(f"/fhir/Patient/{name}", json=patient(id=name))
    sides.wire.refuse = {"Patient/a": outcome, "Patient/b": outcome}
    await sides.deliver(rounds=3)

    letters = (await sides.here.get("/sync/dead-letters")).json()["items"]
    status = (await sides.here.get("/sync/status")).json()["targets"][0]
    metrics = (await sides.here.get("/metrics")).text
    assert {one["reference"] for one in letters} == {"Patient/a", "Patient/b"}
    assert (status["dead"], status["alarm"], status["pending"]) == (2, True, 0)
    assert 'dermatome_sync_dead_letters{target="partner"} 2.0' in metrics

    sides.wire.refuse = {}
    numbers = {one["reference"]: one["number"] for one in letters}
    replayed = await sides.here.post(f"/sync/dead-letters/{numbers['Patient/a']}/replay")
    given_up = await sides.here.delete(f"/sync/dead-letters/{numbers['Patient/b']}")
    unknown = await sides.here.delete(f"/sync/dead-letters/{numbers['Patient/b']}")
    await sides.deliver()
    after = (await sides.here.get("/sync/status")).json()["targets"][0]
    assert (replayed.status_code, given_up.status_code, unknown.status_code) == (202, 204, 404)
    assert (after["dead"], after["alarm"], after["pending"]) == (0, False, 0)
    assert await sides.there("Patient/a")
    assert not await sides.there("Patient/b")


async def test_the_ledger_tells_who_holds_what_and_what_a_target_holds(sides: Sides) -> None:
    for name in ("a", "b"):
        await sides.here.put(f"/fhir/Patient/{name}", json=patient(id=name))
        await sides.here.put(f"/fhir/Observation/{name}", json=observation(f"Patient/{name}", id=name))
    await sides.deliver(rounds=2)

    one = (await sides.here.get("/sync/ledger?reference=Patient/a")).json()
    pages: list[dict[str, Any]] = []
    while not pages or pages[-1]["next"]:
        after = f"&after={pages[-1]['next']}" if pages else ""
        pages.append((await sides.here.get(f"/sync/ledger?target=partner&_count=3{after}")).json())
    queries = ("target=x&reference=Patient/a", "", "target=partner&after=nonsense")
    wrong = [(await sides.here.get(f"/sync/ledger?{query}")).status_code for query in queries]
    unknown = (await sides.here.get("/sync/ledger?target=nobody")).json()

    told = one["held"][0]
    assert (told["target"], told["version"], told["remote_version"], told["verified"]) == ("partner", 1, "1", "answer")
    listed = [item["reference"] for page in pages for item in page["held"]]
    assert listed == ["Observation/a", "Observation/b", "Patient/a", "Patient/b"]
    assert [len(page["held"]) for page in pages] == [3, 1]
    assert (wrong, unknown["held"]) == ([400, 400, 400], [])


async def test_metrics_tell_of_reads_and_subscriptions(sides: Sides) -> None:
    async with sides.service.database.writing() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO subscription_state (id, version, status, last_event, delivered, failures, not_before, sent_at,"
            " heartbeat_at, ends_at, owner, leased_until, error)"
            " VALUES ('s', 1, 'error', 7, 3, 0, 0, 0, 0, 0, '', 0, '')"
        )
        await pulls.begin(connection, "gone", {"Patient": "search", "Observation": "history", "Patient?x": "ids"})
        await connection.exec_driver_sql("UPDATE pull SET failures = 1, finished_at = 5 WHERE type = 'Patient'")

    metrics = (await sides.here.get("/metrics")).text.splitlines()
    status = {one["target"]: one for one in (await sides.here.get("/sync/status")).json()["targets"]}

    assert 'dermatome_subscriptions{status="error"} 1.0' in metrics
    assert 'dermatome_subscription_events_undelivered{status="error"} 4.0' in metrics
    assert 'dermatome_sync_reads_failing{target="gone"} 1.0' in metrics
    assert status["gone"]["configured"] is False
    assert status["gone"]["pull"] == {"reads": 2, "failing": 1, "read_to": None, "finished_at": None}
    assert status["partner"]["pull"] is None


def test_the_alerts_name_metrics_there_are() -> None:
    known = {name for name, _, _ in GAUGES} | {f"{name}_total" for name, _, _ in COUNTERS}
    known |= {BREAKER, READS_FAILING, SUBSCRIPTIONS, EVENTS_LEFT}
    known |= {each.name for each in text_string_to_metric_families(exposition({}, 0).decode())}

    rules = [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]

    assert rules
    for rule in rules:
        named = set(re.findall(r"dermatome_\w+", rule["expr"]))
        assert named
        assert named <= known
        assert rule["annotations"]["summary"]
