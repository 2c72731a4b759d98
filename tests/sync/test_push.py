"""Push: order, lost answers, refusals, conflicts, a target that is away. The target is a second instance."""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.sync.push.wanting import Wanting
from app.sync.targets import Target as Chosen
from tests.builders import observation, patient
from tests.sync.sides import Sides, Target, two_sides
from tests.sync.wire import BASE

REFUSAL = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "business-rule"}]}
WAYS = [("transaction", "same"), ("transaction", "identifier"), ("batch", "same"), ("single", "identifier")]


@pytest.fixture
async def sides(
    database_url: str, other_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sides]:
    async with two_sides(database_url, other_database_url, tmp_path_factory.mktemp("targets")) as both:
        yield both


async def only(sides: Sides, resource_type: str) -> dict[str, Any]:
    """The one resource of a type that the partner has."""
    found = (await sides.wire.partner.get(f"/fhir/{resource_type}")).json()
    assert found["total"] == 1, found
    return dict(found["entry"][0]["resource"])


@pytest.mark.parametrize(("delivery", "ids"), WAYS)
async def test_what_is_written_changed_and_deleted_is_so_at_the_target(sides: Sides, delivery: Any, ids: Any) -> None:
    target = Target(delivery=delivery, ids=ids)
    for active in (True, False):
        await sides.here.put("/fhir/Patient/p", json=patient(id="p", active=active))
    await sides.here.put("/fhir/Observation/o", json=observation("Patient/p", id="o"))
    await sides.deliver(target)

    first, referring = await only(sides, "Patient"), await only(sides, "Observation")
    await sides.here.put("/fhir/Patient/p", json=patient(id="p", active=True))
    await sides.here.delete("/fhir/Observation/o")
    waits = await sides.deliver(target, rounds=2)

    assert referring["subject"]["reference"] == f"Patient/{first['id']}"
    assert first["id"] == "p" or ids == "identifier"
    assert (first["active"], (await only(sides, "Patient"))["active"]) == (False, True)
    assert await sides.versions(f"Patient/{first['id']}") == 2
    assert (await sides.wire.partner.get(f"/fhir/Observation/{referring['id']}")).status_code == 410
    assert waits == [0, math.inf]
    held = await sides.ledger()
    assert {name: (row.version, row.remote_id, bool(row.deleted)) for name, row in held.items()} == {
        "Patient/p": (3, first["id"], False),
        "Observation/o": (2, referring["id"], True),
    }
    assert held["Patient/p"].remote_etag == 'W/"2"'
    assert await sides.rows() == {}


@pytest.mark.parametrize(
    ("delivery", "ids", "is_changed"),
    [
        ("transaction", "same", True),
        ("transaction", "identifier", False),
        # The change of the patient is told after what refers to it, which is looked for first.
        ("transaction", "identifier", True),
        ("batch", "same", False),
        ("single", "identifier", True),
    ],
)
async def test_a_lost_answer_makes_no_duplicate_and_no_conflict(
    sides: Sides, delivery: Any, ids: Any, is_changed: bool
) -> None:
    target = Target(delivery=delivery, ids=ids)
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    await sides.here.put("/fhir/Observation/o", json=observation("Patient/p", id="o"))
    sides.wire.lose_answers = 1
    lost = await sides.deliver(target)
    if is_changed:
        await sides.here.put("/fhir/Patient/p", json=patient(id="p", active=False))

    await sides.let_pass()
    await sides.deliver(target, rounds=2)

    assert lost[0] > 0
    found = await only(sides, "Patient")
    assert (await only(sides, "Observation"))["subject"]["reference"] == f"Patient/{found['id']}"
    assert found.get("active", True) is not is_changed
    assert await sides.versions(f"Patient/{found['id']}") == 1 + is_changed
    assert await sides.rows() == {}
    # Nothing was taken for a change of theirs.
    assert (await sides.here.get("/fhir/Observation/o")).json()["meta"]["versionId"] == "1"
    assert (await sides.here.get("/fhir/Task?_count=0&_total=accurate")).json()["total"] == 0


@pytest.mark.parametrize("delivery", ["transaction", "batch", "single"])
async def test_what_arrived_and_was_not_named_is_asked_for(sides: Sides, delivery: Any) -> None:
    """A change by condition that meets what it has made itself is answered 200, by many without a Location."""
    target = Target(delivery=delivery, ids="identifier")
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    if delivery == "transaction":
        # One by itself is sent as such; what refers to it follows in the next round.
        sides.wire.twice = 1
        await sides.deliver(target)
    for id_ in ("a", "b"):
        await sides.here.put(f"/fhir/Observation/{id_}", json=observation("Patient/p", id=id_))
    for id_ in ("c", "d"):
        # What refers to what waits must wait too.
        derived = [{"reference": "Observation/a"}]
        await sides.here.put(f"/fhir/Observation/{id_}", json=observation(id=id_, derivedFrom=derived))
    sides.wire.twice = 1
    await sides.deliver(target)
    for _ in range(3):
        await sides.let_pass()
        await sides.deliver(target)

    found = await only(sides, "Patient")
    there = [each["resource"] for each in (await sides.wire.partner.get("/fhir/Observation")).json()["entry"]]
    assert [each["subject"]["reference"] for each in there if "subject" in each] == [f"Patient/{found['id']}"] * 2
    leading = {each["derivedFrom"][0]["reference"] for each in there if "derivedFrom" in each}
    assert leading == {f"Observation/{(await sides.ledger())['Observation/a'].remote_id}"}
    assert len(there) == 4
    assert await sides.rows() == {}
    assert {row.remote_id for name, row in (await sides.ledger()).items() if name == "Patient/p"} == {found["id"]}


@pytest.mark.parametrize("delivery", ["transaction", "batch", "single"])
async def test_what_arrives_while_it_is_looked_for_is_no_change_of_theirs(sides: Sides, delivery: Any) -> None:
    """Of the patient nothing is found, and then the Observation: what that refers to there is our patient."""
    target = Target(delivery=delivery, ids="identifier")
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    await sides.here.put("/fhir/Observation/o", json=observation("Patient/p", id="o"))
    sides.wire.late, sides.wire.before = 1 if delivery == "transaction" else 2, "/fhir/Observation"
    for _ in range(6):
        await sides.deliver(target)
        await sides.let_pass()

    there, theirs = await only(sides, "Observation"), await only(sides, "Patient")
    ours = (await sides.here.get("/fhir/Observation/o")).json()
    assert there["subject"]["reference"] == f"Patient/{theirs['id']}"
    assert (ours["meta"]["versionId"], ours["subject"]["reference"]) == ("1", "Patient/p")
    assert await sides.rows() == {}


async def test_a_target_that_is_not_able_to_keeps_nothing_and_loses_nothing(sides: Sides) -> None:
    await sides.deliver()
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    for status, body in [
        (500, b""),
        (503, b"{}"),
        (429, b""),
        (401, b""),
        (404, b"<html>no such host</html>"),
        (400, b"bad gateway"),
        (200, b"<html>sign in</html>"),
        (200, b'{"resourceType":"Pat'),
        (202, b""),
        (302, b""),
    ]:
        sides.wire.answers = [httpx.Response(status, content=body, headers={"Retry-After": "7"})]

        wait = (await sides.deliver())[0]

        assert wait >= 7, status
        assert [state for state, *_ in (await sides.rows()).values()] == ["pending"], status
        assert await sides.ledger() == {}, status
        await sides.let_pass()
    await sides.deliver()
    assert await sides.versions("Patient/p") == 1
    assert await sides.rows() == {}


@pytest.mark.parametrize("delivery", ["transaction", "batch", "single"])
async def test_one_refused_resource_keeps_none_back_but_what_refers_to_it(sides: Sides, delivery: Any) -> None:
    for name in "abcd":
        await sides.here.put(f"/fhir/Patient/{name}", json=patient(id=name))
    await sides.here.put("/fhir/Observation/o", json=observation("Patient/c", id="o"))
    sides.wire.refuse = {"Patient/c": REFUSAL}

    await sides.deliver(Target(delivery=delivery), rounds=2)

    rows = await sides.rows()
    assert {name: state for name, (state, *_) in rows.items()} == {"Patient/c": "dead", "Observation/o": "pending"}
    assert "business-rule" in rows["Patient/c"][2]
    assert "Patient/c" in rows["Observation/o"][2]
    assert [await sides.versions(f"Patient/{name}") for name in "abcd"] == [1, 1, 0, 1]

    sides.wire.refuse = {}
    await sides.here.put("/fhir/Patient/c", json=patient(id="c", active=True))
    await sides.deliver(Target(delivery=delivery), rounds=3)

    assert await sides.rows() == {}
    assert await sides.versions("Observation/o") == 1


async def test_what_fails_at_the_target_without_a_refusal_steps_aside_and_is_dead_in_the_end(sides: Sides) -> None:
    for name in "ab":
        await sides.here.put(f"/fhir/Patient/{name}", json=patient(id=name))
    sides.wire.refuse, sides.wire.refusal = {"Patient/a": REFUSAL}, 500

    for _ in range(13):
        await sides.let_pass()
        await sides.deliver()

    assert await sides.versions("Patient/b") == 1
    assert [state for state, *_ in (await sides.rows()).values()] == ["pending"]
    await sides.here.put("/fhir/Patient/c", json=patient(id="c"))
    await sides.let_pass()
    await sides.deliver()
    assert {name: state for name, (state, *_) in (await sides.rows()).items()} == {"Patient/a": "dead"}


async def test_what_both_sides_changed_is_settled_and_what_the_target_had_already_is_not_sent(sides: Sides) -> None:
    for name in "ab":
        await sides.here.put(f"/fhir/Patient/{name}", json=patient(id=name, gender="female"))
    await sides.wire.partner.put("/fhir/Patient/b", json=patient(id="b", gender="female"))
    await sides.deliver(rounds=2)
    before = await sides.versions("Patient/b"), (await sides.ledger())["Patient/b"].verified
    await sides.wire.partner.put("/fhir/Patient/a", json=patient(id="a", gender="female", birthDate="1980-01-01"))
    await sides.here.put("/fhir/Patient/a", json=patient(id="a", gender="other"))

    await sides.deliver(rounds=3)

    here, there = (await sides.here.get("/fhir/Patient/a")).json(), await sides.there("Patient/a")
    assert before == (1, "read")
    assert [(one["gender"], one.get("birthDate")) for one in (here, there)] == [("other", "1980-01-01")] * 2
    assert await sides.rows() == {}


def circle() -> dict[str, Any]:
    """A transaction of two Observations that refer to each other."""
    pair = [
        {
            "fullUrl": f"urn:uuid:00000000-0000-4000-8000-00000000000{number}",
            "resource": observation(hasMember=[{"reference": f"urn:uuid:00000000-0000-4000-8000-00000000000{other}"}]),
            "request": {"method": "POST", "url": "Observation"},
        }
        for number, other in ((1, 2), (2, 1))
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": pair}


async def test_a_circle_that_cannot_be_named_is_refused_in_a_sentence(sides: Sides) -> None:
    await sides.here.post("/fhir", json=circle())

    await sides.deliver(Target(ids="identifier", delivery="single"))

    rows = (await sides.rows()).values()
    assert [state for state, *_ in rows] == ["dead", "pending"]
    assert "refer to each other" in next(iter(rows))[2]
    assert not sides.wire.writes()


async def test_a_circle_goes_in_one_transaction_and_a_reference_that_was_never_noted_goes_first(sides: Sides) -> None:
    await sides.here.post("/fhir", json=circle())
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    await sides.here.put("/fhir/Observation/o", json=observation("Patient/p", id="o"))
    async with sides.service.database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM outbox WHERE type = 'Patient'")

    await sides.deliver(Target(ids="identifier"), rounds=2)

    assert await sides.rows() == {}
    held = await sides.ledger()
    assert len(held) == 4
    assert (await sides.there(f"Observation/{held['Observation/o'].remote_id}"))["subject"]["reference"] == (
        f"Patient/{held['Patient/p'].remote_id}"
    )
    members = [await sides.there(f"Observation/{row.remote_id}") for name, row in held.items() if row.id not in "op"]
    assert {one["hasMember"][0]["reference"] for one in members} == {f"Observation/{one['id']}" for one in members}


def without(*interactions: str, **offers: bool) -> Any:
    """A CapabilityStatement that offers less."""

    def change(statement: dict[str, Any]) -> None:
        rest = statement["rest"][0]
        rest["interaction"] = [each for each in rest["interaction"] if each["code"] not in interactions]
        for each in rest["resource"]:
            each.update(offers)

    return change


async def test_a_target_that_offers_less_is_told_otherwise(sides: Sides) -> None:
    bare = without("transaction", "batch", updateCreate=False, conditionalUpdate=False)
    for number, (statement, requests) in enumerate(
        [
            (without("transaction"), [("POST", ""), ("PUT", "/Observation/o0")]),
            (
                without("transaction", "batch"),
                [("PUT", "/Patient/p1"), ("PUT", "/Patient/q1"), ("PUT", "/Observation/o1")],
            ),
            (bare, [("POST", "/Patient"), ("POST", "/Patient"), ("POST", "/Observation")]),
        ]
    ):
        sides.wire.statement = statement
        for name in "pq":
            await sides.here.put(f"/fhir/Patient/{name}{number}", json=patient(id=f"{name}{number}"))
        await sides.here.put(f"/fhir/Observation/o{number}", json=observation(f"Patient/p{number}", id=f"o{number}"))
        async with sides.service.database.writing() as connection:
            await connection.exec_driver_sql("DELETE FROM sync_state")
        sides.wire.seen.clear()

        await sides.deliver()

        assert sides.wire.writes() == requests
        assert await sides.rows() == {}
    assert (await sides.wire.partner.get("/fhir/Patient?_count=0")).json()["total"] == 6


async def test_a_target_that_takes_fewer_at_once_is_given_fewer(sides: Sides) -> None:
    for number in range(8):
        await sides.here.put(f"/fhir/Patient/{number}x", json=patient(id=f"{number}x"))
    sides.wire.answers = [httpx.Response(413)]

    await sides.deliver(rounds=2)

    async with sides.service.database.reading() as connection:
        size = (await connection.exec_driver_sql("SELECT batch_size FROM sync_state")).scalar()
    assert [path for _, path in sides.wire.writes()] == ["", "", ""]
    assert size == 4
    assert await sides.rows() == {}


async def test_a_target_that_is_none_is_left_alone_and_says_why(sides: Sides) -> None:
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    for answer, why in [
        (httpx.Response(200, content=b"<html>Welcome</html>", headers={"content-type": "text/html"}), "text/html"),
        (httpx.Response(404, content=b"not found"), "404"),
        (httpx.Response(301, headers={"location": "http://elsewhere.test/fhir"}), "not where it was"),
        (httpx.Response(200, json={"resourceType": "CapabilityStatement", "fhirVersion": "3.0.2"}), "FHIR 3.0.2"),
        (httpx.Response(401, json=REFUSAL), "does not let us in"),
    ]:
        sides.wire.everything = answer

        waits = await sides.deliver(rounds=2)

        async with sides.service.database.reading() as connection:
            reason = (await connection.exec_driver_sql("SELECT last_error FROM sync_state")).scalar()
        assert all(wait > 200 for wait in waits)
        assert why in reason
        assert [(state, attempts) for state, attempts, _ in (await sides.rows()).values()] == [("pending", 0)]
        await sides.let_pass()
    sides.wire.everything = None
    await sides.deliver()
    assert await sides.rows() == {}


async def test_what_stands_before_a_known_target_for_a_moment_does_not_make_it_none(sides: Sides) -> None:
    await sides.deliver()
    await sides.here.put("/fhir/Patient/p", json=patient(id="p"))
    await sides.deliver()
    await sides.here.put("/fhir/Patient/q", json=patient(id="q"))
    async with sides.service.database.writing() as connection:
        await connection.exec_driver_sql("UPDATE sync_state SET capabilities_at = 1")
    sides.wire.everything = httpx.Response(404, content=b"<html>starting</html>")

    wait = (await sides.deliver())[0]

    assert wait < 60
    sides.wire.everything = None
    await sides.let_pass()
    await sides.deliver()
    assert await sides.rows() == {}


async def test_a_type_we_are_not_allowed_to_write_is_refused_and_keeps_no_other_back(sides: Sides) -> None:
    for name in "ab":
        await sides.here.put(f"/fhir/Patient/{name}", json=patient(id=name))
    sides.wire.refuse, sides.wire.refusal = {"Patient/a": REFUSAL}, 403

    await sides.deliver()

    assert {name: state for name, (state, *_) in (await sides.rows()).items()} == {"Patient/a": "dead"}
    assert await sides.versions("Patient/b") == 1


async def test_what_a_target_does_not_want_is_sent_only_where_something_it_wants_refers_to_it(sides: Sides) -> None:
    for name in "ab":
        await sides.here.put(f"/fhir/Patient/{name}", json=patient(id=name))
    for name, status in (("o", "final"), ("n", "preliminary")):
        await sides.here.put(f"/fhir/Observation/{name}", json=observation("Patient/a", id=name, status=status))
    target = Chosen(name="partner", base_url=BASE, types=(), filters=("Observation?status=final",), batch_size=2)

    push = replace(sides.push(), wants=Wanting(sides.service.searcher, target))
    for _ in range(3):
        await push.step()

    assert await sides.rows() == {}
    assert sorted(await sides.ledger()) == ["Observation/o", "Patient/a"]


async def test_two_workers_share_the_work_and_nothing_is_sent_twice(sides: Sides) -> None:
    for number in range(12):
        await sides.here.put(f"/fhir/Patient/{number}x", json=patient(id=f"{number}x"))
    await asyncio.gather(*(sides.push(Target(batch_size=4), owner=str(each)).step() for each in range(3)))

    await sides.deliver(rounds=3)

    assert [await sides.versions(f"Patient/{number}x") for number in range(12)] == [1] * 12
    assert await sides.rows() == {}


async def test_a_target_slower_than_a_lease_is_told_once_and_asked_once_what_it_can_do(sides: Sides) -> None:
    for name in ("a", "b"):
        await sides.here.put(f"/fhir/Patient/{name}", json=patient(id=name))
    sides.wire.seconds = 4
    workers = [sides.push(Target(batch_size=2), owner=name, lease_seconds=2) for name in ("one", "two")]

    async def work(number: int) -> None:
        for _ in range(20):
            await workers[number].step()
            await asyncio.sleep(0.2)

    await asyncio.gather(work(0), work(1))

    assert len(sides.wire.writes()) == 1
    assert len([path for _, path, *_ in sides.wire.seen if path.endswith("/metadata")]) == 1
    assert len(await sides.ledger()) == 2
