"""Verify, where a target is read: what was changed there, or lost here, is found and put right."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import text

from app.settings import Settings
from app.sync.capabilities import plan
from app.sync.client import Client
from app.sync.pull.remote import Getter, Source
from app.sync.verify.comparing import Verify
from app.sync.verify.report import Amount, Report
from app.sync.verify.taken import Taken
from tests.builders import observation, patient
from tests.sync.pulling import PARTNER, Partner, Sides, both

TARGET = replace(Partner(), direction="pull", overlap_seconds=0)


@pytest.fixture
async def sides(database_url: str, other_database_url: str) -> AsyncIterator[Sides]:
    own = Settings(database_url=database_url, log_level="error", worker="separate")
    other = Settings(database_url=other_database_url, log_level="error", worker="separate", unknown_profiles="warning")
    async with both(own, other) as made:
        yield made


async def verified(sides: Sides, *, repair: bool = False) -> Report:
    async with httpx.AsyncClient(transport=sides.wire) as http:
        made = plan((await sides.partner.get(f"{PARTNER}/metadata")).json(), TARGET)
        source = Source(PARTNER, Getter(http, 5))
        types = sides.puller.types(TARGET, made)
        taker = sides.puller.taker(TARGET, source, made, types)
        taken = Taken(sides.service.database, TARGET, source, made, taker, types, sample=1, repair=repair)
        report = Report()
        async for found in Verify([taken], Client(http, PARTNER, seconds=5), made).run():
            report = found
        return report


async def here(sides: Sides, statement: str) -> None:
    async with sides.service.database.writing() as connection:
        await connection.execute(text(statement))


Spoil = Callable[[Sides], Awaitable[object]]


async def _nothing(sides: Sides) -> None:
    return None


async def _new_there(sides: Sides) -> None:
    await sides.partner.put("/fhir/Observation/new", json=observation("Patient/p1", id="new"))


async def _changed_there(sides: Sides) -> None:
    await sides.partner.put("/fhir/Observation/o1", json=observation("Patient/p1", id="o1", language="de"))


async def _deleted_there(sides: Sides) -> None:
    await sides.partner.delete("/fhir/Observation/o1")


async def _ledger_is_wrong(sides: Sides) -> None:
    """What is here differs from what the ledger calls the same."""
    await sides.here.put("/fhir/Observation/o1", json=observation("Patient/p1", id="o1", language="fr"))
    await here(sides, "UPDATE ledger SET version = 2 WHERE id = 'o1'")


async def _set_back(sides: Sides) -> None:
    """The target was restored from a backup: its version is an earlier one than the ledger knows."""
    await here(sides, "UPDATE ledger SET remote_version = '7' WHERE id = 'o1'")
    await _changed_there(sides)


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (_nothing, {}),
        (_new_there, {"not taken": 1}),
        (_changed_there, {"outdated": 1}),
        (_deleted_there, {"still here": 1}),
        (_ledger_is_wrong, {"different": 1}),
        (_set_back, {"outdated": 1}),
    ],
)
async def test_drift_is_found_and_put_right(sides: Sides, spoil: Spoil, kinds: dict[str, int]) -> None:
    for number in range(4):
        await sides.partner.put(f"/fhir/Patient/p{number}", json=patient(id=f"p{number}"))
        await sides.partner.put(f"/fhir/Observation/o{number}", json=observation(f"Patient/p{number}", id=f"o{number}"))
    await sides.pull(TARGET)
    await spoil(sides)
    if spoil is not _nothing and spoil is not _deleted_there and spoil is not _ledger_is_wrong:
        assert dict((await verified(sides)).counts) == {"to be read": 1}
    # As if it had been read since, and passed over.
    await here(sides, "UPDATE pull SET watermark = watermark + 1000000000000")

    found = await verified(sides)
    assert (dict(found.counts), found.code) == (kinds, int(bool(kinds)))

    repaired = await verified(sides, repair=True)
    assert repaired.repaired == len(kinds)
    again = await verified(sides)
    assert (dict(again.counts), again.code) == ({}, 0)
    held = (await sides.partner.get("/fhir/Observation?_summary=count")).json()["total"]
    assert again.types["Observation"] == Amount(held, held, held)
    assert await sides.count("Observation") == held


async def test_what_is_in_quarantine_is_no_drift(sides: Sides) -> None:
    """A deletion of what is referred to here is refused, and stays so until somebody decides."""
    await sides.partner.put("/fhir/Patient/p", json=patient(id="p"))
    await sides.pull(TARGET)
    await sides.partner.put("/fhir/Patient/p", json=patient(id="p", active=True))
    await here(sides, "UPDATE pull SET watermark = watermark + 1000000000000")
    await here(
        sides,
        "INSERT INTO quarantine (target, type, remote_id, remote_version, remote_updated, issues, attempts, not_before,"
        " discarded, created_at) VALUES ('partner', 'Patient', 'p', '2', 0, '[]', 1, 0, FALSE, 0)",
    )

    found = await verified(sides)

    assert (dict(found.counts), found.code) == ({"quarantined": 1}, 0)
