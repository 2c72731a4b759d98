"""What operators see of sync and do about it: status, metrics, dead letters, backfill, verify."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import yaml

from app.sync.client import Client
from app.sync.metrics import BREAKER, COUNTERS, GAUGES
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


def test_the_alerts_name_metrics_there_are() -> None:
    known = {name for name, _, _ in GAUGES} | {f"{name}_total" for name, _, _ in COUNTERS} | {BREAKER}

    rules = [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]

    assert rules
    for rule in rules:
        assert any(name in rule["expr"] for name in known), rule["expr"]
        assert rule["annotations"]["summary"]
