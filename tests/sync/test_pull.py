"""Pull: pages, deletions, echoes, refusals, references. The target is a second instance."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.settings import Settings
from app.store.database import Unavailable
from app.store.pulls import Overtaken, move
from tests.builders import MEDICAL_RECORD, bundle, entry, observation, patient
from tests.forms import COMPLETE, assessment
from tests.sync.pulling import PARTNER, Partner, Sides, both, told


@pytest.fixture
async def sides(
    database_url: str, other_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sides]:
    targets = tmp_path_factory.mktemp("targets") / "targets.toml"
    targets.write_text(f'[[target]]\nname = "partner"\nbase_url = "{PARTNER}"\ndirection = "both"\n')
    own = Settings(
        database_url=database_url,
        log_level="error",
        worker="separate",
        dangling_references="strict",
        sync_targets=targets,
    )
    other = Settings(database_url=other_database_url, log_level="error", worker="separate", dangling_references="off")
    async with both(own, other) as made:
        yield made


async def fill(sides: Sides, count: int) -> None:
    """Patients and one Observation about each, at the partner."""
    made = [
        entry(resource, method="PUT", url=f"{resource['resourceType']}/{resource['id']}")
        for number in range(count)
        for resource in (patient(id=f"p{number}"), observation(f"Patient/p{number}", id=f"o{number}"))
    ]
    assert (await sides.partner.post("/fhir", json=bundle(*made))).status_code == 200


async def version(sides: Sides, reference: str) -> str:
    return str((await sides.here.get(f"/fhir/{reference}")).json().get("meta", {}).get("versionId", ""))


def searchset(*resources: bytes, link: str = "") -> bytes:
    """A page as a target answers it, whatever the resources are."""
    links = f',"link":[{{"relation":"next","url":{json.dumps(link)}}}]' if link else ""
    entries = b",".join(b'{"resource":' + one + b"}" for one in resources)
    return b'{"resourceType":"Bundle","type":"searchset"' + links.encode() + b',"entry":[' + entries + b"]}"


@pytest.mark.parametrize("without", ["", "history-type"])
async def test_what_is_there_comes_once_and_what_changes_or_goes_follows(sides: Sides, without: str) -> None:
    await fill(sides, 7)
    await sides.pull(without=without)
    await sides.partner.put("/fhir/Patient/p1", json=patient(id="p1", active=True))
    await sides.partner.put("/fhir/Patient/p1", json=patient(id="p1", active=False))
    await sides.partner.delete("/fhir/Observation/o2")

    await sides.pull(without=without)
    if without:  # without a history deletions are looked for by ids, and that is done seldom
        await sides.due("Observation?_elements=id")
        await sides.pull(without=without)

    assert (await sides.count("Patient"), await sides.count("Observation")) == (7, 6)
    changed = (await sides.here.get("/fhir/Patient/p1")).json()
    assert (changed["active"], changed["meta"]["versionId"]) == (False, "2")
    assert changed["meta"]["source"] == f"{PARTNER}/Patient/p1"
    assert [await version(sides, f"Patient/p{number}") for number in (0, 6)] == ["1", "1"]
    assert (await sides.here.get("/fhir/Observation/o2")).status_code == 410
    origin = (await sides.here.get("/fhir/Provenance?target=Patient/p1&_sort=-recorded")).json()["entry"][0]["resource"]
    assert {"reference": "Patient/p1/_history/2"} in origin["target"]
    assert f"{PARTNER}/Patient/p1/_history/3" in [one["what"]["reference"] for one in origin["entity"]]
    assert await sides.refused() == []
    assert await sides.queue() == []


async def test_what_the_target_has_from_us_does_not_come_back_though_its_answer_was_lost(sides: Sides) -> None:
    for active in (True, False):
        await sides.here.put("/fhir/Patient/p", json=patient(id="p", active=active))
    await sides.here.put("/fhir/Patient/q", json=patient(id="q"))
    # What the target got is the version before the current one; of the other it has the current one.
    await sides.partner.put("/fhir/Patient/p", json=patient(id="p", active=True))
    await sides.partner.put("/fhir/Patient/q", json=patient(id="q"))

    await sides.pull()

    assert [await version(sides, f"Patient/{name}") for name in "pq"] == ["2", "1"]
    held = await sides.held("Patient", "p", "q")
    assert [(one.version, one.remote_version) for one in held] == [(1, "1"), (1, "1")]
    assert await sides.queue() == ["Patient/p"]


async def test_one_worker_pulls_at_a_time_and_what_another_has_read_is_not_noted_twice(sides: Sides) -> None:
    await fill(sides, 4)
    async with (
        sides.job(Partner(types=("Patient",))) as one,
        sides.job(Partner(types=("Patient",)), owner="two") as two,
    ):
        await one.step()
        before = (await sides.rows())[0]
        await one.step()
        asked = len(sides.wire.asked)
        waits = await two.step()
        async with sides.service.database.writing() as connection:
            with pytest.raises(Overtaken):
                await move(connection, before, before)

    assert waits > 0
    assert len(sides.wire.asked) == asked


async def test_one_that_is_refused_waits_with_its_issues_and_keeps_no_other_back(sides: Sides) -> None:
    good, wrong, broken = (
        b'{"resourceType":"Patient","id":"good","meta":{"versionId":"1"}}',
        b'{"resourceType":"Patient","id":"wrong","birthDate":"x","meta":{"versionId":"1"}}',
        b'{"resourceType":"Patient","id":"broken","id":"broken","meta":{"versionId":"1"}}',
    )
    sides.wire.answers = [told(200, searchset(wrong, good, broken))]

    await sides.pull(Partner(types=("Patient",)))

    refused = await sides.refused()
    # Once when they came, and once after the round, which may have brought what they lacked.
    assert [(one["remote_id"], one["attempts"]) for one in refused] == [("broken", 2), ("wrong", 2)]
    assert json.loads(refused[1]["issues"])["issue"][0]["expression"] == ["Patient.birthDate"]
    assert await sides.count("Patient") == 1

    await sides.partner.put("/fhir/Patient/wrong", json=patient(id="wrong", birthDate="1970-01-01"))
    await sides.partner.put("/fhir/Patient/wrong", json=patient(id="wrong", birthDate="1971-01-01"))
    await sides.pull(Partner(types=("Patient",)))

    assert [one["remote_id"] for one in await sides.refused()] == ["broken"]
    assert (await sides.here.get("/fhir/Patient/wrong")).json()["birthDate"] == "1971-01-01"


async def test_what_is_in_quarantine_is_shown_tried_again_and_discarded(sides: Sides) -> None:
    wrong = b'{"resourceType":"Patient","id":"wrong","birthDate":"x","meta":{"versionId":"1"}}'
    sides.wire.answers = [told(200, searchset(wrong)), None, told(200, searchset(wrong))]
    await sides.pull(Partner(types=("Patient",)))

    found = (await sides.here.get("/sync/quarantine?target=partner")).json()["items"]
    one = f"/sync/quarantine/{found[0]['number']}"
    shown = (await sides.here.get(one)).json()
    retried = await sides.here.post(f"{one}/retry")
    await sides.pull(Partner(types=("Patient",)))
    attempts = (await sides.here.get(one)).json()["attempts"]
    discarded = await sides.here.delete(one)
    await sides.pull(Partner(types=("Patient",)))

    assert (found[0]["reference"], found[0]["issues"][0]["expression"]) == ("Patient/wrong", ["Patient.birthDate"])
    assert shown["content"].encode() == wrong
    assert (retried.status_code, attempts, discarded.status_code) == (202, found[0]["attempts"] + 1, 204)
    # The version that is not wanted came again; nothing of it is kept, and it is not tried.
    left = (await sides.here.get(one)).json()
    assert (left["discarded"], left["content"], left["attempts"]) == (True, None, attempts)
    gone = [
        (await sides.here.post(f"{one}/retry")).status_code,
        (await sides.here.get("/sync/quarantine/999")).status_code,
    ]
    assert gone == [404, 404]
    asked = [await sides.here.post(f"/sync/targets/{name}/pull") for name in ("partner", "nobody")]
    assert [(each.status_code, each.json().get("reads")) for each in asked] == [(202, 1), (404, None)]
    read = (await sides.here.get("/sync/pulls?target=partner")).json()["pulls"]
    assert [(each["read"], each["requested"], each["error"]) for each in read] == [("Patient", True, None)]


async def test_what_refers_to_something_that_comes_later_is_tried_again_after_it(sides: Sides) -> None:
    await fill(sides, 2)
    await sides.pull(Partner(types=("Observation",)))
    waiting = await sides.refused()

    await sides.pull(Partner(types=("Patient", "Observation")))

    assert [one["remote_id"] for one in waiting] == ["o0", "o1"]
    assert await sides.refused() == []
    assert await sides.count("Observation") == 2


async def test_a_next_link_that_ran_out_begins_the_window_again(sides: Sides) -> None:
    await fill(sides, 7)
    sides.wire.answers = [None, None, told(410, b'{"resourceType":"OperationOutcome"}')]

    row = await sides.steps(3, Partner(types=("Patient",)))
    await sides.due("Patient")
    await sides.pull()

    assert (row.pages, row.failures, "no longer known" in row.error) == (0, 1, True)
    assert await sides.count("Patient") == 7


async def test_what_is_deleted_before_a_first_search_is_begun_again_goes_here_too(sides: Sides) -> None:
    await fill(sides, 7)
    target = Partner(types=("Patient",), overlap_seconds=0)
    sides.wire.answers = [None, None, told(410, b'{"resourceType":"OperationOutcome"}')]
    await sides.steps(3, target)
    taken = (await sides.here.get("/fhir/Patient?_elements=id")).json()["entry"][0]["resource"]["id"]
    await sides.partner.delete(f"/fhir/Observation/o{taken.removeprefix('p')}")
    await sides.partner.delete(f"/fhir/Patient/{taken}")
    await asyncio.sleep(1.1)  # the time of a target is told to the second
    await sides.partner.put("/fhir/Patient/later", json=patient(id="later"))

    for _ in range(2):
        await sides.due("Patient")
        await sides.pull(target)

    assert (await sides.here.get(f"/fhir/Patient/{taken}")).status_code == 410
    assert await sides.count("Patient") == 7


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (searchset(link="https://elsewhere.test/fhir/Patient?page=2"), "another server"),
        (searchset(link="http://partner.test:8080/fhir/Patient?page=2"), "another server"),
        (searchset(link="http://partner.test@elsewhere.test/fhir?page=2"), "no address"),
        (searchset(link="http://me:secret@partner.test/fhir?page=2"), "no address"),
        (b"<html>sign in</html>", "not the answer of a FHIR server"),
        (b'{"resourceType":"Bundle","type":"batch-response"}', "no Bundle of type searchset"),
        (b'{"resourceType":"Bundle","type":"searchset","entry":{}}', "something else than a FHIR Bundle"),
        (searchset(json.dumps(patient(id="p")).encode())[:-40], "cut short"),
    ],
)
async def test_a_page_that_leads_elsewhere_or_is_none_is_refused_and_said(
    sides: Sides, answer: bytes, said: str
) -> None:
    sides.wire.answers = [told(200, answer)]

    row = await sides.steps(1, Partner(types=("Patient",)))

    assert said in row.error
    assert len(sides.wire.asked) == 1
    # What was cut on the way, or comes from something before the server, may be whole a moment later.
    is_passing = said in ("cut short", "not the answer of a FHIR server")
    assert (row.not_before < (time.time() + 60) * 1_000_000) is is_passing


@pytest.mark.parametrize("length", [1, 3])
async def test_pages_that_lead_in_a_circle_come_to_an_end(
    sides: Sides, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [json.dumps(patient(id=f"p{number}", meta={"versionId": "1"})).encode() for number in range(length)]
    links = [f"{PARTNER}/Patient?page={number}" for number in range(1000)]
    sides.wire.answers = [told(200, searchset(texts[number % length], link=links[number])) for number in range(1000)]
    waits = []
    # The longest waits, in units no slow machine takes: a second lasts as long as a thousand.
    monkeypatch.setattr("random.random", lambda: 1000.0)

    async with sides.job(Partner(types=("Patient",))) as job:
        for _ in range(4):
            asked = len(sides.wire.asked)
            row = None
            while row is None or row.pages or len(sides.wire.asked) == asked:
                await job.step()
                row = (await sides.rows())[-1]
                assert len(sides.wire.asked) - asked < 20
            assert "circle" in row.error
            waits.append(round(row.not_before / 1_000_000 - time.time(), -3))
            await sides.due("Patient")

    # What was written meanwhile may have moved a page on by its whole length, so it is read again soon; a circle stays.
    assert waits == [1000, 2000, 4000, 8000]
    assert await sides.count("Patient") == length


async def test_an_answer_that_is_packed_or_too_large_is_not_read(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sync.pull.remote.MOST_BYTES", 100)
    sides.wire.answers = [told(200, b"x", **{"Content-Encoding": "gzip"}), told(200, b"x" * 101)]

    said = []
    for _ in range(2):
        said.append((await sides.steps(1, Partner(types=("Patient",)))).error)
        await sides.due("Patient")

    assert ["packed" in said[0], "larger" in said[1]] == [True, True]


async def test_what_dies_within_a_page_leaves_nothing_of_it_and_goes_on_there(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(sides, 7)
    async with sides.job(Partner()) as job:
        for _ in range(3):
            await job.step()

        async def dies(*_: Any) -> None:
            raise Unavailable("killed")

        with monkeypatch.context() as patched:
            patched.setattr("app.store.pulls.move", dies)
            with pytest.raises(Unavailable):
                await job.step()
        within = await sides.count("Patient")
    asked = len(sides.wire.asked)

    await sides.pull()

    assert within == 6
    assert (await sides.count("Patient"), await sides.count("Observation")) == (7, 7)
    assert sides.wire.asked[asked] == sides.wire.asked[asked - 1]
    assert {await version(sides, f"Patient/p{number}") for number in range(7)} == {"1"}


async def test_each_side_has_ids_of_its_own_and_references_follow(sides: Sides) -> None:
    await sides.here.put("/fhir/Patient/ours", json=patient("known", id="ours"))
    for name in ("twin-a", "twin-b"):
        await sides.here.put(f"/fhir/Patient/{name}", json=patient("twin", id=name))
    for name, value in (("theirs", "known"), ("new", "new"), ("twin", "twin")):
        await sides.partner.put(f"/fhir/Patient/{name}", json=patient(value, id=name))
        links = {"performer": [{"reference": f"{PARTNER}/Practitioner/doc"}]}
        await sides.partner.put(
            f"/fhir/Observation/o-{name}", json=observation(f"Patient/{name}", id=f"o-{name}", **links)
        )
    target = Partner(ids="identifier")

    await sides.pull(target)

    found = (await sides.here.get("/fhir/Observation?subject:Patient.identifier=" + f"{MEDICAL_RECORD}|known")).json()
    only = found["entry"][0]["resource"]
    assert (only["subject"]["reference"], only["performer"][0]["reference"]) == (
        "Patient/ours",
        f"{PARTNER}/Practitioner/doc",
    )
    assert await sides.count("Patient") == 4
    refused = await sides.refused()
    assert {one["remote_id"] for one in refused} == {"twin", "o-twin"}
    assert "multiple-matches" in next(one["issues"] for one in refused if one["remote_id"] == "twin")


async def test_both_sides_changed_different_elements_and_both_changes_stand(sides: Sides) -> None:
    await sides.partner.put("/fhir/Patient/p", json=patient(id="p"))
    await sides.pull()
    await sides.partner.put("/fhir/Patient/p", json=patient(id="p", active=True))
    await sides.here.put("/fhir/Patient/p", json=patient(id="p", birthDate="1970-01-01"))

    await sides.pull()

    stands = (await sides.here.get("/fhir/Patient/p")).json()
    assert (stands["active"], stands["birthDate"]) == (True, "1970-01-01")


@pytest.mark.parametrize(
    "filters", [("Observation?status=final",), ("Observation?status=final", "Observation?status=amended")]
)
async def test_only_what_the_filters_ask_for_comes(sides: Sides, filters: tuple[str, ...]) -> None:
    await sides.partner.put("/fhir/Observation/early", json=observation(id="early"))
    await sides.pull(Partner(types=("Observation",), filters=filters))
    for name, status in (("late", "final"), ("draft", "preliminary"), ("early", "cancelled")):
        await sides.partner.put(f"/fhir/Observation/{name}", json=observation(id=name, status=status))

    await sides.pull(Partner(types=("Observation",), filters=filters))

    found = (await sides.here.get("/fhir/Observation?_elements=status")).json()["entry"]
    stands = {one["resource"]["id"]: one["resource"]["status"] for one in found}
    assert stands == {"late": "final", "early": "cancelled"}  # what is held stays in step, whatever it says now


async def test_scores_that_come_with_a_response_are_not_made_twice(sides: Sides) -> None:
    await sides.partner.put("/fhir/Patient/p", json=patient(id="p"))
    made = await sides.partner.post("/pain/assessments", json=assessment("dn4", COMPLETE["dn4"]))
    assert made.status_code == 201, made.text
    there = int((await sides.partner.get("/fhir/Observation?_summary=count")).json()["total"])

    await sides.pull(Partner(types=("Patient", "QuestionnaireResponse", "Observation"), ids="identifier"))

    assert await sides.count("QuestionnaireResponse") == 1
    assert await sides.count("Observation") == there > 0


@pytest.mark.parametrize("ids", ["same", "identifier"])
async def test_definitions_that_both_have_from_the_package_are_left_alone(sides: Sides, ids: Any) -> None:
    mine = {"resourceType": "Questionnaire", "id": "q", "url": "https://example.org/q", "status": "active"}
    assert (await sides.partner.put("/fhir/Questionnaire/q", json=mine)).status_code == 201
    before = await sides.count("Questionnaire")

    await sides.pull(Partner(types=("Questionnaire",), ids=ids, page_size=50))

    assert await sides.refused() == []
    assert await sides.count("Questionnaire") == before + 1
