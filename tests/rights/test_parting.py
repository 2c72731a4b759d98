"""Merges are taken back one by one: each gives back what it took, and nothing that came otherwise."""

import json

import httpx
import pytest

from tests.builders import MEDICAL_RECORD, Json, observation, patient
from tests.rights.test_erase import about, member, put
from tests.rights.test_merge import parameters, read, subject, without_meta

NAMES = (*(f"Patient/{who}" for who in "abc"), *(f"Observation/{who}" for who in "abc"), "Group/study")
RECORD = "https://w3id.org/dermatome/fhir/rights-record"


async def asked(client: httpx.AsyncClient, source: str, target: str, *more: Json, code: str = "merge") -> int:
    patients = [
        {"name": f"{side}-patient", "valueReference": {"reference": f"Patient/{who}"}}
        for side, who in (("source", source), ("target", target))
    ]
    return (await client.post(f"/fhir/Patient/${code}", json=parameters(*patients, *more))).status_code


async def filled(client: httpx.AsyncClient) -> None:
    for who in "abc":
        await put(client, patient(f"number-{who}", id=who, active=True))
        await put(client, observation(f"Patient/{who}", id=who))
    await put(client, about("Group", id="study", type="person", actual=True, member=[member("a"), member("b")]))


async def state(client: httpx.AsyncClient) -> dict[str, Json]:
    return {name: without_meta(await read(client, name)) for name in NAMES}


@pytest.mark.parametrize(("second", "refused"), [
    (("b", "c"), [("a", "c", 409)]),  # into the same: whose the second member of the Group was is not told
    (("c", "a"), []),
])  # fmt: skip
async def test_the_last_merge_is_parted_first(
    client: httpx.AsyncClient, second: tuple[str, str], refused: list[tuple[str, str, int]]
) -> None:
    first = ("a", "c") if second == ("b", "c") else ("b", "a")
    await filled(client)
    states = [await state(client)]
    for pair in (first, second):
        assert await asked(client, *pair) == 200
        states.append(await state(client))

    for source, target, status in refused:
        assert await asked(client, source, target, code="unmerge") == status
    for pair, before in ((second, states[1]), (first, states[0])):
        assert await asked(client, *pair, code="unmerge") == 200
        assert await state(client) == before


async def test_of_a_chain_the_last_is_parted_first_and_nothing_that_was_no_merge(client: httpx.AsyncClient) -> None:
    await filled(client)
    before = await state(client)
    assert [await asked(client, "a", "b"), await asked(client, "b", "c")] == [200, 200]
    after = await state(client)

    assert [await asked(client, "a", who, code="unmerge") for who in "bc"] == [422, 422]
    assert await state(client) == after
    assert [await asked(client, *pair, code="unmerge") for pair in (("b", "c"), ("a", "b"))] == [200, 200]
    assert await state(client) == before


async def test_what_was_moved_back_by_hand_and_merged_again_is_parted_once(client: httpx.AsyncClient) -> None:
    await filled(client)
    await asked(client, "a", "c")
    await put(client, observation("Patient/a", id="a", valueInteger=4))
    await asked(client, "a", "c")

    assert await asked(client, "a", "c", code="unmerge") == 200
    assert await subject(client, "Observation/a") == "Patient/a"


async def test_the_target_keeps_what_it_got_otherwise_and_nothing_of_the_source(client: httpx.AsyncClient) -> None:
    await filled(client)
    await asked(client, "a", "c")
    merged = await read(client, "Patient/c")
    own = {"system": "urn:other", "value": "own", "use": "old"}
    await put(client, merged | {"identifier": [*merged["identifier"], own], "gender": "other"})

    assert await asked(client, "a", "c", code="unmerge") == 200
    parted = await read(client, "Patient/c")
    assert parted["identifier"] == [{"system": MEDICAL_RECORD, "value": "number-c"}, own]
    assert parted["gender"] == "other"


async def test_a_result_that_was_given_is_taken_back(client: httpx.AsyncClient) -> None:
    await filled(client)
    before = await state(client)
    numbers = [{"system": MEDICAL_RECORD, "value": f"number-{who}"} for who in "ac"]
    link = [{"other": {"reference": "Patient/a"}, "type": "replaces"}]
    result = patient(id="c", identifier=numbers, gender="other", link=link)
    assert await asked(client, "a", "c", {"name": "result-patient", "resource": result}) == 200

    assert await asked(client, "a", "c", code="unmerge") == 200
    assert await state(client) == before


async def test_a_reference_to_the_target_that_is_new_stands_in_the_way(client: httpx.AsyncClient) -> None:
    await filled(client)
    await asked(client, "a", "c")
    await put(client, observation("Patient/c", id="a", performer=[{"reference": "Patient/c"}]))

    assert await asked(client, "a", "c", code="unmerge") == 409


async def test_records_name_only_versions_that_were_made(client: httpx.AsyncClient) -> None:
    await filled(client)
    await put(client, patient(id="a", identifier=[{"system": "urn:y"}]))
    assert [await asked(client, "a", "c"), await asked(client, "a", "c")] == [200, 200]

    found = (await client.get("/fhir/Provenance", params={"_tag": f"{RECORD}|merge"})).json()["entry"]
    named = [each["reference"] for one in found for each in one["resource"]["target"]]
    assert [(await client.get(f"/fhir/{each}")).status_code for each in named] == [200] * len(named)
    assert len((await read(client, "Patient/c"))["identifier"]) == 2


async def test_nobody_else_writes_a_record(client: httpx.AsyncClient) -> None:
    await filled(client)
    await asked(client, "a", "c")
    tag = {"system": RECORD, "code": "merge"}
    record = (await client.get("/fhir/Provenance", params={"_tag": f"{RECORD}|merge"})).json()["entry"][0]["resource"]
    other = about(
        "Provenance",
        target=[{"reference": "Observation/b/_history/1"}],
        recorded="2026-05-01T09:30:00Z",
        agent=[{"who": {"display": "desk"}}],
    )
    made = (await client.post("/fhir/Provenance", json=other)).json()
    said = {name: value for name, value in other.items() if name != "target"} | {"meta": {"tag": [tag]}}
    patched = [{"op": "add", "path": "/meta/tag", "value": [tag]}]
    types = {"Content-Type": "application/json-patch+json"}

    answers = [
        await client.post("/fhir/Provenance", json=other | {"meta": {"tag": [tag]}}),
        await client.put(f"/fhir/Provenance/{record['id']}", json=record | {"recorded": "2026-05-01T09:30:00Z"}),
        await client.patch(f"/fhir/Provenance/{made['id']}", json=patched, headers=types),
        await client.post(
            f"/fhir/Provenance/{made['id']}/$meta-add",
            json=parameters({"name": "meta", "valueMeta": {"tag": [tag]}}),
        ),
        await client.post("/fhir/Observation", json=observation(), headers={"X-Provenance": json.dumps(said)}),
    ]

    assert [(each.status_code, "for this server alone" in each.text) for each in answers] == [(422, True)] * 5
    assert await asked(client, "a", "c", code="unmerge") == 200


async def test_references_to_a_version_stay_and_are_counted(client: httpx.AsyncClient) -> None:
    await filled(client)
    await put(client, observation("Patient/a/_history/1", id="past"))
    patients = [{"name": f"{side}-patient", "valueReference": {"reference": f"Patient/{who}"}}
                for side, who in (("source", "a"), ("target", "c"))]  # fmt: skip

    answer = await client.post("/fhir/Patient/$merge", json=parameters(*patients))

    assert "Observation: 1 kept as they are" in answer.text
    assert await subject(client, "Observation/past") == "Patient/a/_history/1"
