"""Diagnoses, end to end: the cause beside the pain, translated codes, how and when the pain was graded."""

from typing import Any

import httpx
import pytest

from app.profiles import json_files
from app.settings import Settings
from tests.answers import expressions
from tests.conftest import serving

Json = dict[str, Any]
SNOMED = "http://snomed.info/sct"
ICD_11 = "http://id.who.int/icd/release/11/mms"
EVIDENCE = {
    "history_relevant_lesion_or_disease": True,
    "pain_distribution_neuroanatomically_plausible": True,
    "sensory_signs_same_distribution": "present",
    "confirmatory_test": "positive",
}
NOT_BY_FHIR = (
    "Condition-fibromyalgia-graded-definite",
    "Condition-coded-with-a-heading",
    "Condition-chronic-after-two-months",
    "Condition-etiology-coded-with-a-heading",
    "Condition-who-icd-10-with-a-code-of-icd-10-cm",
    "Observation-neupsig-definite-though-not-neuropathic-by-definition",
)


def diagnosis(**changes: Any) -> Json:
    made = {
        "patient": {"system": "urn:oid:1.2.3", "value": "MRN-7"},
        "code": {"system": SNOMED, "code": "57406009"},
        "laterality": "right",
        "evidence": EVIDENCE,
        "recorded_at": "2026-05-01T09:30:00+02:00",
    }
    return made | changes


async def record(client: httpx.AsyncClient, **changes: Any) -> Json:
    answer = await client.post("/pain/diagnoses", json=diagnosis(**changes))
    assert answer.status_code == 201, answer.text
    told: Json = answer.json()
    return told


async def read(client: httpx.AsyncClient, reference: str) -> Json:
    told: Json = (await client.get(f"/fhir/{reference}")).json()
    return told


async def test_a_cause_is_told_taken_back_and_told_again(client: httpx.AsyncClient) -> None:
    cause = {"system": SNOMED, "code": "44054006"}
    made = await record(client, etiology=cause)
    address, where = f"/pain/diagnoses/{made['id']}", made["resources"][-1]

    kept = await client.put(address, json=diagnosis(etiology=cause, extent="diffuse", recorded_at=None))
    recorded = (await read(client, f"Condition/{made['id']}"))["recordedDate"]
    dropped = await client.put(address, json=diagnosis())
    withdrawn = await read(client, where)
    again = await client.put(address, json=diagnosis(etiology=cause))

    assert [one.status_code for one in (kept, dropped, again)] == [200, 200, 200], again.text
    assert recorded == diagnosis()["recorded_at"]
    assert withdrawn["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert (await read(client, where))["clinicalStatus"]["coding"][0]["code"] == "active"
    view = (await client.get(address)).json()
    assert [one["code"] for one in view["etiology"]] == ["44054006"]
    assert where in view["resources"]


async def test_a_cause_recorded_elsewhere_is_referred_to_and_no_part(client: httpx.AsyncClient) -> None:
    other = await record(client, etiology={"system": SNOMED, "code": "44054006"})
    cause = other["resources"][-1]
    made = await record(client, etiology=cause)

    removed = await client.delete(f"/pain/diagnoses/{made['id']}")

    assert (removed.status_code, len(made["resources"])) == (204, 2)
    assert "verificationStatus" not in await read(client, cause)


async def test_codes_are_translated_and_sent_ones_told_back_as_sent(client: httpx.AsyncClient) -> None:
    made = await record(client)

    view = (await client.get(f"/pain/diagnoses/{made['id']}")).json()

    assert [(one["code"], one.get("translated")) for one in made["codings"]] == [
        ("57406009", None),
        ("G56.01", True),
        ("8C10.0", True),
    ]
    assert [one["code"] for one in view["code"]] == ["57406009"]
    assert view["codings"] == made["codings"]
    left = await client.put(f"/pain/diagnoses/{made['id']}", json=diagnosis(laterality="left"))
    assert [one["code"] for one in left.json()["codings"]] == ["57406009", "G56.02", "8C10.0"]


async def test_a_pain_graded_again_says_when(client: httpx.AsyncClient) -> None:
    made = await record(client)
    address, grade = f"/pain/diagnoses/{made['id']}", made["resources"][-1]
    first = (await read(client, grade))["effectiveDateTime"]

    await client.put(address, json=diagnosis(extent="localized"))
    same = (await read(client, grade))["effectiveDateTime"]
    view = (await client.get(address)).json()
    again = view | {"evidence": EVIDENCE | {"confirmatory_test": "negative"}, "grade": None}
    assert (await client.put(address, json=again)).status_code == 200

    condition, graded = await read(client, f"Condition/{made['id']}"), await read(client, grade)
    assert first == same == condition["recordedDate"] == "2026-05-01T09:30:00+02:00"
    assert graded["effectiveDateTime"] > first
    assert [step["reached"] for step in (await client.get(address)).json()["steps"]] == [
        None,
        "possible",
        "probable",
        "probable",
    ]


async def test_fibromyalgia_is_recorded_with_its_evidence_and_never_graded_neuropathic(
    client: httpx.AsyncClient,
) -> None:
    made = await record(client, code={"system": SNOMED, "code": "203082005"}, basis={"confirmatory_test": ["Media/1"]})

    asserted = await client.post(
        "/pain/diagnoses", json=diagnosis(code={"system": SNOMED, "code": "203082005"}, grade="probable")
    )

    view = (await client.get(f"/pain/diagnoses/{made['id']}")).json()
    assert made["grade"] == view["grade"] == "unlikely"
    assert view["evidence"] == EVIDENCE
    assert view["basis"] == {"confirmatory_test": ["Media/1"]}
    assert made["steps"][-1]["step"] == "definition"
    assert any("not neuropathic by definition" in note for note in made["notes"])
    assert (asserted.status_code, expressions(asserted)) == (422, ["grade"])


async def test_headings_are_refused_at_every_door(client: httpx.AsyncClient) -> None:
    made = await record(client)
    heading = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M50.12"}

    amended = await client.put(f"/pain/diagnoses/{made['id']}", json=diagnosis(code=heading))
    caused = await client.post("/pain/diagnoses", json=diagnosis(etiology=heading))
    posted = [json_files("examples/invalid")[name]["resource"] for name in NOT_BY_FHIR]
    answers = [await client.post(f"/fhir/{one['resourceType']}", json=one) for one in posted]

    assert (amended.status_code, expressions(amended)) == (422, ["code.code"])
    assert (caused.status_code, expressions(caused)) == (422, ["etiology.code"])
    assert [one.status_code for one in answers] == [422] * len(NOT_BY_FHIR)


async def test_what_is_told_of_a_pain_can_be_searched_for(client: httpx.AsyncClient) -> None:
    trials = [
        {"class": "tca", "outcome": "insufficient-relief", "adequate": True},
        {"class": "snri", "outcome": "not-tolerated"},
    ]
    made = await record(
        client,
        distribution="dermatomal",
        dermatomes=["C6", "C7"],
        sensory_profile="mixed",
        extent="localized",
        refractory={"trials": trials},
    )

    asked = ("refractory=refractory", "sensory-profile=mixed", "extent=localized", "dermatome=C7")
    found = [(await client.get(f"/fhir/Condition?{one}")).json() for one in asked]
    none = (await client.get("/fhir/Condition?dermatome=L5")).json()

    assert [[one["resource"]["id"] for one in each["entry"]] for each in found] == [[made["id"]]] * len(asked)
    assert none["total"] == 0


@pytest.mark.parametrize("icd_11", ["on", "off"])
async def test_icd_11_can_be_switched_off(database_url: str, icd_11: Any) -> None:
    async with serving(Settings(database_url=database_url, log_level="error", icd_11=icd_11)) as client:
        made = await record(client)
        sent = await record(client, code={"system": ICD_11, "code": "8B82.0"})
        asked = f"system={SNOMED}&code=57406009&targetsystem={ICD_11}"
        translated = await client.get(f"/fhir/ConceptMap/$translate?{asked}")
        served = await client.get("/fhir/ConceptMap/np-diagnosis-icd-11")

    is_on = icd_11 == "on"
    assert any(one["system"] == ICD_11 for one in [*made["codings"], *made["suggestions"]]) is is_on
    # The database was made with the maps: they are deleted at the start without them.
    assert (translated.status_code, served.status_code) == ((200, 200) if is_on else (422, 410))
    assert sent["codings"][0]["code"] == "8B82.0"
    assert ("display" in sent["codings"][0]) is is_on
