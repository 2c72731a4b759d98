"""The outbox as several workers use it: who may take what, what becomes of it, and what waits for what."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from app.store import letters, outbox, sync_state
from app.store.audit.rows import Agent
from app.store.database import Database
from app.store.enqueue import enqueue_current, patient_of
from app.store.ledger import Held
from app.store.ledger import read as held
from app.store.outbox import Became, Item, Noted
from app.store.parameters import load_parameters
from app.store.repository import Change, Stored, save

LEASE = 60.0


@pytest.fixture
async def database(bare_database_url: str) -> AsyncIterator[Database]:
    async with Database(bare_database_url) as database:
        yield database


def change(reference: str, version: int = 1, *, subject: str = "", gone: bool = False) -> Change:
    type_, _, id_ = reference.partition("/")
    tree: dict[str, Any] = {"resourceType": type_, "id": id_}
    if subject:
        tree["subject"] = {"reference": subject}
    stored = Stored(type_, id_, version, "PUT", version, None if gone else json.dumps(tree).encode())
    return Change(stored, None if gone else tree, ("partner",))


async def write(database: Database, *changes: Change) -> None:
    async with database.writing() as connection:
        await save(connection, changes, parameters=load_parameters(), agent=Agent("", ""), base="")


async def claim(database: Database, owner: str = "one", *, limit: int = 10, lease: float = LEASE) -> list[Item]:
    async with database.writing() as connection:
        await sync_state.hold(connection, "partner")
        return await outbox.claim(connection, "partner", owner, lease_seconds=lease, limit=limit)


async def note(database: Database, *noted: Noted, owner: str = "one") -> None:
    async with database.writing() as connection:
        await outbox.note(connection, "partner", owner, noted)


async def waiting(database: Database) -> float | None:
    async with database.reading() as connection:
        return await outbox.waiting(connection, "partner")


async def rows(database: Database, state: str = "pending") -> dict[str, Any]:
    async with database.reading() as connection:
        return {f"{row.type}/{row.id}": row for row in await letters.letters(connection, state)}


def delivered(item: Item) -> Noted:
    return Noted(item, Became.DELIVERED, Held(*item.key, item.version, remote_id=item.id, remote_etag='W/"1"'))


def names(items: Sequence[Item]) -> list[str]:
    return ["/".join(item.key) for item in items]


async def test_versions_coalesce_and_what_is_delivered_stands_in_the_ledger(database: Database) -> None:
    await write(database, change("Patient/p"))
    await write(database, change("Patient/p", 2))

    (item,) = await claim(database)
    await note(database, delivered(item))

    assert (item.version, item.patient, item.attempts) == (2, "Patient/p", 0)
    assert await rows(database) == {}
    assert await waiting(database) is None
    async with database.reading() as connection:
        found = (await held(connection, "partner", [("Patient", "p")]))["Patient", "p"]
    assert (found.version, found.remote_etag, found.verified) == (2, 'W/"1"', "answer")
    assert found.delivered_at > 1_700_000_000_000_000


@pytest.mark.parametrize("became", list(Became))
async def test_a_version_that_came_while_another_was_sent_is_sent_next(database: Database, became: Became) -> None:
    await write(database, change("Patient/p"))
    (item,) = await claim(database)
    await write(database, change("Patient/p", 2))
    told = delivered(item) if became is Became.DELIVERED else Noted(item, became, wait=60, reason="it said no")

    meanwhile = await claim(database, "two")
    await note(database, told)
    after = await claim(database, "two")

    assert meanwhile == []
    if became is Became.CONFLICT:
        assert (await rows(database, "conflict"))["Patient/p"].version == 2
        assert after == []
    else:
        assert [(one.version, one.attempts) for one in after] == [(2, 0)]


@pytest.mark.parametrize(
    ("became", "state"), [(Became.DEAD, "dead"), (Became.LATER, "pending"), (Became.CONFLICT, "conflict")]
)
async def test_what_a_target_said_is_kept(database: Database, became: Became, state: str) -> None:
    await write(database, change("Patient/p"), change("Patient/q"))
    items = await claim(database)

    await note(database, Noted(items[0], became, status=422, reason="x" * 9000, wait=30), delivered(items[1]))

    row = (await rows(database, state))["Patient/p"]
    assert (row.attempts, row.status, len(row.reason), row.owner, row.leased_until) == (1, 422, 4000, "", 0)
    assert await claim(database) == []
    expected = 30 if became is Became.LATER else None
    assert await waiting(database) == (pytest.approx(expected, abs=5) if expected else None)


@pytest.mark.parametrize(("state", "becomes"), [(Became.DEAD, "pending"), (Became.CONFLICT, "conflict")])
async def test_a_new_version_gives_a_dead_letter_another_chance_but_not_a_conflict(
    database: Database, state: Became, becomes: str
) -> None:
    await write(database, change("Patient/p"))
    (item,) = await claim(database)
    await note(database, Noted(item, state, status=422, reason="no"))

    await write(database, change("Patient/p", 2))

    row = (await rows(database, becomes))["Patient/p"]
    assert (row.version, row.attempts, row.reason) == (2, *((0, "") if becomes == "pending" else (1, "no")))


async def test_of_one_patient_one_worker_sends_at_a_time(database: Database) -> None:
    await write(database, change("Patient/p"), change("Patient/q"), change("Organization/o"))
    first = await claim(database, "one", limit=1)
    await write(database, change("Observation/1", subject="Patient/p"), change("Observation/2", subject="Patient/q"))

    others = await claim(database, "two")
    await note(database, *map(delivered, first))
    rest = await claim(database, "two")

    assert names(first) == ["Patient/p"]
    assert names(others) == ["Patient/q", "Organization/o", "Observation/2"]
    assert names(rest) == ["Observation/1"]


async def test_a_deletion_is_of_the_patient_it_was_about(database: Database) -> None:
    async with database.writing() as connection:
        first = [change("Observation/1", subject="Patient/p"), change("Patient/p")]
        untold = [Change(one.stored, one.tree) for one in first]
        await save(connection, untold, parameters=load_parameters(), agent=Agent("", ""), base="")

    await write(database, change("Observation/1", 2, gone=True), change("Patient/p", 2, gone=True))

    assert {name: row.patient for name, row in (await rows(database)).items()} == {
        "Observation/1": "Patient/p",
        "Patient/p": "Patient/p",
    }


async def test_what_a_worker_left_is_taken_over_when_its_lease_ends(database: Database) -> None:
    await write(database, change("Patient/p"))
    await claim(database, "dead", lease=3)

    before = await claim(database, "two")
    wait = await waiting(database)
    await asyncio.sleep(3.05)
    (item,) = await claim(database, "two")
    await note(database, Noted(item, Became.DEAD), owner="dead")

    assert before == []
    assert wait is not None
    assert 0 < wait <= 3.01
    assert item.attempts == 1
    assert (await rows(database))["Patient/p"].owner == "two"


async def test_what_is_referred_to_is_taken_along_if_it_is_free(database: Database) -> None:
    references = ["Patient/p", "Organization/free", "Organization/sent", "Organization/later", "Organization/dead"]
    await write(database, *map(change, references))
    items = {"/".join(item.key): item for item in await claim(database, "two")}
    await note(
        database,
        Noted(items["Organization/later"], Became.LATER, wait=60),
        Noted(items["Organization/dead"], Became.DEAD),
        Noted(items["Organization/free"], Became.LATER),
        Noted(items["Patient/p"], Became.LATER),
        owner="two",
    )
    (first,) = await claim(database, limit=1)
    keys = [("Organization", name) for name in ("free", "sent", "later", "dead", "unknown")]

    async with database.writing() as connection:
        more, others = await outbox.claim_more(connection, "partner", "one", keys, lease_seconds=LEASE)

    assert (first.key, names(more)) == (("Patient", "p"), ["Organization/free"])
    assert {id_: why for (_, id_), why in others.items()} == {"sent": "sending", "later": "waiting", "dead": "dead"}


async def test_what_is_blocked_is_freed_by_the_delivery_it_waits_for(database: Database) -> None:
    await write(database, change("Patient/p"), change("Observation/1"))
    patient, observation = await claim(database)
    await note(database, Noted(observation, Became.BLOCKED, wait=60, blocked_by=patient.key))
    blocked = (await rows(database))["Observation/1"]

    before = await claim(database)
    await note(database, delivered(patient))
    after = await claim(database)

    assert (blocked.blocked_by, blocked.attempts) == ("Patient/p", 0)
    assert (names(before), names(after)) == ([], ["Observation/1"])


async def test_what_would_wait_for_something_that_arrived_just_now_does_not_wait(database: Database) -> None:
    await write(database, change("Patient/p"), change("Observation/1"))
    patient, observation = await claim(database)
    await note(database, delivered(patient))

    await note(database, Noted(observation, Became.BLOCKED, wait=60, blocked_by=patient.key))

    assert names(await claim(database)) == ["Observation/1"]


async def test_a_dead_letter_is_replayed_or_discarded_and_then_buries_what_waits_for_it(database: Database) -> None:
    await write(database, change("Patient/p"), change("Observation/1"))
    patient, observation = await claim(database)
    await note(
        database,
        Noted(patient, Became.DEAD, status=422, reason="no"),
        Noted(observation, Became.BLOCKED, wait=60, blocked_by=patient.key),
    )

    async with database.writing() as connection:
        replayed = await letters.replay(connection, "partner", oids=[patient.oid])
    (again,) = await claim(database)
    await note(database, Noted(again, Became.DEAD, status=422, reason="no"))
    async with database.writing() as connection:
        discarded = await letters.discard(connection, "partner")

    assert (replayed, discarded) == (1, 1)
    assert await rows(database) == {}
    assert "refers to Patient/p" in (await rows(database, "dead"))["Observation/1"].reason
    # It comes to life again with what it waits for.
    await write(database, change("Patient/p", 2))
    await note(database, *map(delivered, await claim(database)))
    assert names(await claim(database)) == ["Observation/1"]


async def test_current_versions_are_noted_for_a_target_that_was_not_told(database: Database) -> None:
    untold = [Change(one.stored, one.tree) for one in (change("Patient/p"), change("Observation/1"))]
    async with database.writing() as connection:
        await save(connection, untold, parameters=load_parameters(), agent=Agent("", ""), base="")

    async with database.writing() as connection:
        keys = [("Observation", "1"), ("Patient", "p"), ("Patient", "nobody")]
        count = await enqueue_current(connection, "partner", keys, "")

    assert (count, names(await claim(database))) == (2, ["Patient/p", "Observation/1"])


@pytest.mark.parametrize(
    ("tree", "patient"),
    [
        ({"resourceType": "Patient", "id": "1"}, "Patient/1"),
        ({"resourceType": "Observation", "subject": {"reference": "Patient/1"}}, "Patient/1"),
        ({"resourceType": "Observation", "subject": {"reference": "http://here/fhir/Patient/1"}}, "Patient/1"),
        ({"resourceType": "Observation", "subject": {"reference": "http://there/fhir/Patient/1"}}, ""),
        ({"resourceType": "Observation", "subject": {"reference": "Group/1"}}, ""),
        ({"resourceType": "Consent", "patient": {"reference": "Patient/1/_history/3"}}, "Patient/1"),
        ({"resourceType": "Task", "for": {"reference": "Patient/1"}}, "Patient/1"),
        ({"resourceType": "ServiceRequest", "subject": {"display": "somebody"}}, ""),
        ({"resourceType": "Substance", "subject": "nonsense"}, ""),
    ],
)
def test_whose_a_resource_is(tree: dict[str, Any], patient: str) -> None:
    assert patient_of(tree, "http://here/fhir") == patient
