"""The clinic API, end to end, on both databases."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.answers import count, expressions, issues
from tests.builders import patient
from tests.conftest import serving

CASES = json.loads((Path(__file__).parents[2] / "examples" / "cases.json").read_text("utf-8"))["cases"]
SOMEBODY = {"system": "urn:oid:1.2.3", "value": "MRN-7"}
DN4_KEYS = list(CASES[0]["dn4"])
Json = dict[str, Any]


def assessment(**changes: Any) -> Json:
    answers = {key: bool(answer) for key, answer in CASES[0]["dn4"].items()}
    return {
        "patient": SOMEBODY,
        "instrument": "dn4",
        "taken_at": "2026-05-01T09:30:00+02:00",
        "answers": answers,
        "body_site": "56459004",
        "laterality": "bilateral",
        **changes,
    }


def diagnosis(**changes: Any) -> Json:
    expected = CASES[0]["expected"]
    evidence = CASES[0]["neupsig_inputs"]
    return {"patient": SOMEBODY, "code": expected["diagnosis"]["primary"], "evidence": evidence, **changes}


def plan(**changes: Any) -> Json:
    drug = {
        "drug": "Duloxetine",
        "route": "oral",
        "daily_dose_mg": 60,
        "titration": [{"daily_dose_mg": 30, "days": 7}],
    }
    return {
        "patient": SOMEBODY,
        "review_on": "2026-06-01",
        "goals": [{"measure": "nrs", "reduction_percent": 30, "due": "2026-06-01"}],
        "activities": [
            drug,
            {"drug": "lidocaine 5 % patch", "route": "topical", "site": {"text": "left T6"}},
            {"therapy": "physical-therapy"},
            {"therapy": "cbt"},
            {"therapy": "spinal-cord-stimulation"},
        ],
        **changes,
    }


RECORDS = {"assessments": assessment, "diagnoses": diagnosis, "treatment-plans": plan}
KIND = pytest.mark.parametrize("kind", RECORDS)
AMENDED: dict[str, Json] = {
    "assessments": {"answers": {**assessment()["answers"], "burning": False}},
    "diagnoses": {"evidence": {**diagnosis()["evidence"], "confirmatory_test": "negative"}},
    "treatment-plans": {"activities": [*plan()["activities"][1:], {"therapy": "acupuncture"}]},
}


async def record(client: httpx.AsyncClient, kind: str, **changes: Any) -> Json:
    answer = await client.post(f"/pain/{kind}", json=RECORDS[kind](**changes))
    assert answer.status_code == 201, answer.text
    told: Json = answer.json()
    return told


async def resources(client: httpx.AsyncClient, references: list[str]) -> list[Json]:
    return [(await client.get(f"/fhir/{reference}")).json() for reference in references]


@KIND
async def test_a_record_comes_back_as_it_was_sent(client: httpx.AsyncClient, kind: str) -> None:
    made = await record(client, kind)
    sent = RECORDS[kind]()

    view = (await client.get(f"/pain/{kind}/{made['id']}")).json()

    again = await client.post(f"/pain/{kind}", json={key: view[key] for key in sent})
    second = (await client.get(f"/pain/{kind}/{again.json()['id']}")).json()
    assert view["patient"].startswith("Patient/")
    assert {key: second[key] for key in sent} == {key: view[key] for key in sent}
    assert await count(client, "Patient") == 1


@KIND
async def test_everything_a_record_makes_is_valid_and_refers_to_what_is_there(
    client: httpx.AsyncClient, kind: str
) -> None:
    made = await record(client, kind)

    for resource in await resources(client, made["resources"]):
        checked = issues(await client.post("/fhir/$validate", json=resource))
        assert [issue for issue in checked if issue["severity"] == "error"] == []
        assert resource["resourceType"] == "Patient" or resource["meta"]["profile"]
        assert "urn:uuid" not in json.dumps(resource)


@KIND
async def test_a_dry_run_shows_the_bundle_and_stores_nothing(client: httpx.AsyncClient, kind: str) -> None:
    shown = await client.post(f"/pain/{kind}?dry_run=true", json=RECORDS[kind]())

    assert shown.status_code == 200
    assert (await client.get("/fhir/Patient?_count=0")).json()["total"] == 0
    done = await client.post("/fhir", json=shown.json())
    assert done.status_code == 200, done.text
    assert await count(client, "Patient") == 1


@KIND
async def test_a_withdrawn_record_is_entered_in_error_and_its_history_kept(
    client: httpx.AsyncClient, kind: str
) -> None:
    made = await record(client, kind)
    own = [reference for reference in made["resources"] if not reference.startswith("Patient/")]

    withdrawn = await client.delete(f"/pain/{kind}/{made['id']}")
    gone = await client.get(f"/pain/{kind}/{made['id']}")

    assert (withdrawn.status_code, gone.status_code) == (204, 410)
    for reference, resource in zip(own, await resources(client, own), strict=True):
        assert "entered-in-error" in json.dumps(resource)
        history = (await client.get(f"/fhir/{reference}/_history")).json()
        assert history["total"] == 2
    assert (await client.delete(f"/pain/{kind}/{made['id']}")).status_code == 410


@KIND
async def test_an_amendment_makes_new_versions_of_the_same_resources(client: httpx.AsyncClient, kind: str) -> None:
    made = await record(client, kind)

    amended = await client.put(f"/pain/{kind}/{made['id']}", json=RECORDS[kind](**AMENDED[kind]))

    view = (await client.get(f"/pain/{kind}/{made['id']}")).json()
    changed = AMENDED[kind].keys()
    assert amended.status_code == 200, amended.text
    assert amended.json()["id"] == made["id"]
    assert {key: view[key] for key in changed} == AMENDED[kind]
    assert view.get("grade", "probable") == "probable"
    assert amended.headers["etag"] == (await client.get(f"/pain/{kind}/{made['id']}")).headers["etag"]


@KIND
async def test_a_stale_amendment_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    made = await record(client, kind)

    stale = await client.put(f"/pain/{kind}/{made['id']}", json=RECORDS[kind](), headers={"If-Match": 'W/"9"'})

    assert stale.status_code == 412


@KIND
async def test_a_record_sent_again_with_its_key_is_kept_once(client: httpx.AsyncClient, kind: str) -> None:
    answers = [
        await client.post(f"/pain/{kind}", json=RECORDS[kind](), headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]

    assert answers[0].content == answers[1].content
    assert await count(client, "Patient") == 1


async def test_dn4_yields_response_items_and_scores_that_point_at_each_other(client: httpx.AsyncClient) -> None:
    made = await record(client, "assessments")

    found = await resources(client, made["resources"])
    observations = [one for one in found if one["resourceType"] == "Observation"]
    totals = [one for one in observations if "hasMember" in one]
    assert made["scores"] == {
        "dn4-interview": {"value": 4, "cutoff": 3, "positive": True},
        "dn4": {"value": 6, "cutoff": 4, "positive": True},
    }
    assert [one["resourceType"] for one in found[:2]] == ["Patient", "QuestionnaireResponse"]
    assert len(observations) == 12
    assert sorted(len(one["hasMember"]) for one in totals) == [7, 10]
    for one in observations:
        assert one["derivedFrom"] == [{"reference": f"QuestionnaireResponse/{made['id']}"}]
        assert one["category"]
        assert one["bodySite"]["coding"][0]["code"] == "56459004"
        assert one["bodySite"]["extension"]
    for one in totals:
        assert one["interpretation"]
        assert one["method"]


async def test_an_unanswered_item_gives_a_missing_score_never_a_zero(client: httpx.AsyncClient) -> None:
    answers = {key: True for key in DN4_KEYS if key != "brush_evoked"}

    made = await record(client, "assessments", answers={**answers, "brush_evoked": None})

    found = await resources(client, made["resources"])
    absent = [one for one in found if "dataAbsentReason" in one]
    assert made["scores"]["dn4"] == {"value": None, "cutoff": 4, "positive": None}
    assert made["scores"]["dn4-interview"]["value"] == 7
    assert len(absent) == 1
    assert not any(key.startswith("value") for key in absent[0])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
async def test_the_worked_cases_score_and_grade_as_published(client: httpx.AsyncClient, case: Json) -> None:
    expected = case["expected"]
    answers = {key: bool(answer) for key, answer in case["dn4"].items()}

    scored = await record(client, "assessments", answers=answers)
    graded = await record(client, "diagnoses", evidence=case["neupsig_inputs"], code=expected["diagnosis"]["primary"])

    assert scored["scores"]["dn4"]["value"] == expected["dn4_total"]
    assert scored["scores"]["dn4"]["positive"] is expected["dn4_positive"]
    assert scored["scores"]["dn4-interview"]["value"] == expected["dn4_interview_score"]
    assert scored["scores"]["dn4-interview"]["positive"] is expected["dn4_interview_positive"]
    assert graded["grade"] == expected["neupsig_grade"]


@pytest.mark.parametrize(
    ("kind", "changes", "where"),
    [
        ("assessments", {"instrument": "dn5"}, "instrument"),
        ("assessments", {"answers": {}}, "answers"),
        ("assessments", {"answers": dict.fromkeys(DN4_KEYS)}, "answers"),
        ("assessments", {"answers": {"burnin": True}}, "answers.burnin"),
        ("assessments", {"answers": {"burning": 1}}, "answers.burning"),
        ("assessments", {"instrument": "nrs", "answers": {"current": 11}}, "answers.current"),
        ("assessments", {"instrument": "nrs", "answers": {"current": -1}}, "answers.current"),
        ("assessments", {"instrument": "nrs", "answers": {"current": 6.5}}, "answers.current"),
        ("assessments", {"taken_at": "2126-01-01T00:00:00Z"}, "taken_at"),
        ("assessments", {"taken_at": "2026-05-01T09:30:00"}, "taken_at"),
        ("assessments", {"taken_at": "yesterday"}, "taken_at"),
        ("assessments", {"laterality": "up"}, "laterality"),
        ("assessments", {"patient": "Patient/nobody"}, "patient"),
        ("assessments", {"patient": {"system": "", "value": "x"}}, "patient.system"),
        ("assessments", {"mood": "good"}, "mood"),
        (
            "diagnoses",
            {"evidence": {**CASES[10]["neupsig_inputs"], "confirmatory_test": "negative"}, "grade": "definite"},
            "grade",
        ),
        ("diagnoses", {"evidence": {"confirmatory_test": "positive"}}, "evidence.history_relevant_lesion_or_disease"),
        ("diagnoses", {"distribution": "sock"}, "distribution"),
        ("treatment-plans", {"activities": []}, "activities"),
        ("treatment-plans", {"activities": [{"therapy": "cbt"}, {}]}, "activities[1]"),
        (
            "treatment-plans",
            {"activities": [{"drug": "duloxetine", "daily_dose_mg": -1}]},
            "activities[0].daily_dose_mg",
        ),
        ("treatment-plans", {"diagnosis": "Condition/none"}, "diagnosis"),
        ("treatment-plans", {"context": {"shoe_size": 44}}, "context.shoe_size"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_wrong_content_is_refused_with_the_place_and_nothing_is_kept(
    client: httpx.AsyncClient, kind: str, changes: Json, where: str
) -> None:
    answer = await client.post(f"/pain/{kind}", json=RECORDS[kind](**changes))

    assert answer.status_code == 422, answer.text
    assert where in expressions(answer)
    assert await count(client, "Patient") == 0


async def test_every_problem_is_told_at_once(client: httpx.AsyncClient) -> None:
    wrong = assessment(taken_at="2126-01-01T00:00:00Z", answers={"burning": 7, "x": True}, laterality="up")

    answer = await client.post("/pain/assessments", json=wrong)

    assert set(expressions(answer)) == {"taken_at", "answers.burning", "answers.x", "laterality"}


async def test_a_patient_is_found_by_identifier_or_made_once(client: httpx.AsyncClient) -> None:
    odd = {"system": "urn:oid:1.2.3", "value": "a|b,c$d\\e"}
    known = await client.post("/fhir/Patient", json=patient("MRN-7"))

    await record(client, "assessments")
    await record(client, "assessments", patient=odd)
    await record(client, "diagnoses", patient=odd)
    await record(client, "diagnoses", patient=f"Patient/{known.json()['id']}")

    assert await count(client, "Patient") == 2
    assert await count(client, "Condition", patient=known.json()["id"]) == 1


async def test_what_is_not_in_our_lists_is_kept_as_text_and_said_so(client: httpx.AsyncClient) -> None:
    activities = [{"drug": "Nonesuchin"}, {"drug": "duloxetine", "daily_dose_mg": 37.5}]

    made = await record(client, "treatment-plans", activities=activities)

    view = (await client.get(f"/pain/treatment-plans/{made['id']}")).json()
    assert any("activities[0].drug" in note for note in made["notes"])
    assert view["activities"] == activities
    assert any("activities[0]: medicine not recognised" in note for note in made["notes"])


async def test_an_unknown_kind_or_record_is_not_found(client: httpx.AsyncClient) -> None:
    answers = [
        await client.get("/pain/assessments/none"),
        await client.delete("/pain/diagnoses/none"),
        await client.post("/pain/moods", json={}),
    ]

    assert [a.status_code for a in answers] == [404, 404, 404]
    assert all(issues(a) for a in answers)


@KIND
async def test_what_get_answers_can_be_sent_back_and_changes_nothing(client: httpx.AsyncClient, kind: str) -> None:
    made = await record(client, kind)
    view = await client.get(f"/pain/{kind}/{made['id']}")

    answer = await client.put(
        f"/pain/{kind}/{made['id']}", content=view.content, headers={"If-Match": view.headers["etag"]}
    )

    again = await client.get(f"/pain/{kind}/{made['id']}")
    assert answer.status_code == 200, answer.text
    assert again.content == view.content
    assert again.headers["etag"] == view.headers["etag"]


async def test_an_amendment_keeps_what_others_wrote_and_get_tells_of_it(client: httpx.AsyncClient) -> None:
    made = await record(client, "diagnoses")
    address = f"/fhir/Condition/{made['id']}"
    condition = (await client.get(address)).json()
    resolved = {"coding": [{**condition["clinicalStatus"]["coding"][0], "code": "resolved", "display": "Resolved"}]}
    theirs = {
        "clinicalStatus": resolved,
        "abatementDateTime": "2026-06-01",
        "identifier": [{"system": "urn:ehr", "value": "7"}],
        "extension": [*condition.get("extension", []), {"url": "https://example.org/x", "valueDecimal": 1.5}],
    }
    put = await client.put(address, json={**condition, **theirs})
    assert put.status_code == 200, put.text

    view = (await client.get(f"/pain/diagnoses/{made['id']}")).json()
    amended = await client.put(f"/pain/diagnoses/{made['id']}", json=diagnosis(etiology_class="metabolic"))

    kept = (await client.get(address)).json()
    assert amended.status_code == 200, amended.text
    assert any("clinicalStatus" in note for note in view["notes"])
    assert {key: kept[key] for key in ("clinicalStatus", "abatementDateTime", "identifier")} == {
        key: theirs[key] for key in ("clinicalStatus", "abatementDateTime", "identifier")
    }
    assert {one["url"] for one in kept["extension"]} >= {"https://example.org/x"}
    assert (await client.get(f"/pain/diagnoses/{made['id']}")).json()["etiology_class"] == "metabolic"


async def test_what_others_linked_to_a_record_is_not_a_part_of_it(client: httpx.AsyncClient) -> None:
    made = await record(client, "assessments")
    foreign = {
        "resourceType": "Observation",
        "id": "theirs",
        "status": "final",
        "code": {"text": "theirs"},
        "derivedFrom": [{"reference": f"QuestionnaireResponse/{made['id']}"}],
    }
    await client.put("/fhir/Observation/theirs", json=foreign)

    amended = await client.put(f"/pain/assessments/{made['id']}", json=assessment(answers={"burning": True}))
    await client.delete(f"/pain/assessments/{made['id']}")

    assert amended.status_code == 200
    assert "Observation/theirs" not in amended.json()["resources"]
    assert (await client.get("/fhir/Observation/theirs")).json()["status"] == "final"


async def test_a_treatment_that_is_no_longer_planned_is_stopped_not_an_error(client: httpx.AsyncClient) -> None:
    made = await record(client, "treatment-plans")
    before = dict(zip(made["resources"], await resources(client, made["resources"]), strict=True))

    await client.put(f"/pain/treatment-plans/{made['id']}", json=plan(activities=[{"therapy": "cbt"}], goals=[]))

    after = dict(zip(before, await resources(client, list(before)), strict=True))
    told = {one["resourceType"]: one.get("status", one.get("lifecycleStatus")) for one in after.values()}
    assert (told["MedicationRequest"], told["Goal"]) == ("stopped", "cancelled")
    assert not any("entered-in-error" in json.dumps(one) for one in after.values())


async def test_a_flipped_answer_is_told_not_hidden(client: httpx.AsyncClient) -> None:
    made = await record(client, "assessments")
    found = await resources(client, made["resources"])
    item = next(one for one in found if "valueBoolean" in one)
    await client.put(f"/fhir/Observation/{item['id']}", json={**item, "valueBoolean": not item["valueBoolean"]})

    view = (await client.get(f"/pain/assessments/{made['id']}")).json()

    assert any(f"Observation/{item['id']}.valueBoolean" in note for note in view["notes"])


async def test_a_record_stays_with_its_patient(client: httpx.AsyncClient) -> None:
    made = await record(client, "assessments")
    other = (await client.post("/fhir/Patient", json=patient("MRN-8"))).json()["id"]

    moved = await client.put(f"/pain/assessments/{made['id']}", json=assessment(patient=f"Patient/{other}"))

    assert moved.status_code == 422
    assert expressions(moved) == ["patient"]


@KIND
async def test_a_dry_run_finds_what_the_real_request_would(client: httpx.AsyncClient, kind: str) -> None:
    answer = await client.post(f"/pain/{kind}?dry_run=true", json=RECORDS[kind](patient="Patient/nobody"))

    assert answer.status_code == 422
    assert expressions(answer) == ["patient"]


@pytest.mark.parametrize(
    ("method", "condition"),
    [("GET", "If-Match"), ("GET", "If-None-Match"), ("DELETE", "If-None-Match"), ("DELETE", "If-None-Exist")],
)
async def test_a_condition_that_is_not_served_is_refused(
    client: httpx.AsyncClient, method: str, condition: str
) -> None:
    place = (await client.post("/pain/assessments", json=assessment())).headers["location"]

    answer = await client.request(method, place, headers={condition: "*"})

    assert (answer.status_code, issues(answer)[0]["code"]) == (400, "not-supported")
    assert (await client.get(place)).status_code == 200


async def test_an_answer_is_replayed_whatever_happened_since(client: httpx.AsyncClient) -> None:
    who = (await client.post("/fhir/Patient", json=patient("MRN-9"))).json()["id"]
    asked, key = assessment(patient=f"Patient/{who}"), {"Idempotency-Key": "k"}
    first = await client.post("/pain/assessments", json=asked, headers=key)
    await client.delete(f"/fhir/Patient/{who}")

    again = await client.post("/pain/assessments", json=asked, headers=key)

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_patient_whose_identifier_ends_in_a_backslash_is_made_once(client: httpx.AsyncClient) -> None:
    odd = {"system": "urn:a\\", "value": "b"}

    for _ in range(2):
        await record(client, "assessments", patient=odd)

    assert await count(client, "Patient") == 1


async def test_a_record_has_all_its_parts_however_short_the_pages_are(database_url: str) -> None:
    settings = Settings(database_url=database_url, log_level="error", page_size=3, max_page_size=5)
    async with serving(settings) as client:
        made = await record(client, "assessments")

        view = (await client.get(f"/pain/assessments/{made['id']}")).json()
        await client.delete(f"/pain/assessments/{made['id']}")

        own = [name for name in made["resources"] if not name.startswith("Patient/")]
        assert sorted(view["resources"]) == sorted(own)
        assert {one["status"] for one in await resources(client, own)} == {"entered-in-error"}


async def test_a_part_deleted_through_fhir_is_told(database_url: str) -> None:
    settings = Settings(database_url=database_url, log_level="error", delete_referred="allow")
    async with serving(settings) as client:
        made = await record(client, "treatment-plans")
        gone = next(one for one in made["resources"] if one.startswith("MedicationRequest/"))
        await client.delete(f"/fhir/{gone}")

        view = (await client.get(f"/pain/treatment-plans/{made['id']}")).json()

    assert any(note.startswith(gone) for note in view["notes"])
    assert gone not in view["resources"]
    assert len(view["activities"]) == len(plan()["activities"]) - 1


async def test_a_stale_tag_is_refused_although_only_a_part_changed(client: httpx.AsyncClient) -> None:
    made = await client.post("/pain/treatment-plans", json=plan())
    address, tag = f"/pain/treatment-plans/{made.json()['id']}", made.headers["etag"]
    dose = {"drug": "duloxetine", "route": "oral", "daily_dose_mg": 90}
    others = plan()["activities"][1:]

    first = await client.put(address, json=plan(activities=[dose, *others]), headers={"If-Match": tag})
    second = await client.put(address, json=plan(), headers={"If-Match": tag})

    assert (first.status_code, second.status_code) == (200, 412)
    assert (await client.get(address)).headers["etag"] == first.headers["etag"] != tag


async def edit(client: httpx.AsyncClient, reference: str, **changes: Any) -> Json:
    """Change a resource through /fhir, as others do."""
    resource = (await client.get(f"/fhir/{reference}")).json()
    answer = await client.put(f"/fhir/{reference}", json={**resource, **changes})
    assert answer.status_code == 200, answer.text
    told: Json = answer.json()
    return told


async def test_a_dose_that_others_annotated_is_changed_and_stays_one(client: httpx.AsyncClient) -> None:
    made = await record(client, "treatment-plans", activities=[{"drug": "duloxetine", "daily_dose_mg": 60}])
    drug = next(one for one in made["resources"] if one.startswith("MedicationRequest/"))
    row = (await client.get(f"/fhir/{drug}")).json()["dosageInstruction"][0]
    await edit(client, drug, dosageInstruction=[{**row, "patientInstruction": "with food"}])

    changed = {"activities": [{"drug": "duloxetine", "daily_dose_mg": 90}]}
    answer = await client.put(f"/pain/treatment-plans/{made['id']}", json=plan(**changed))

    rows = (await client.get(f"/fhir/{drug}")).json()["dosageInstruction"]
    assert answer.status_code == 200, answer.text
    assert [one["patientInstruction"] for one in rows] == ["with food"]
    assert "90" in json.dumps(rows)
    assert "60" not in json.dumps(rows)


async def test_an_answer_that_others_annotated_is_changed_and_stays_one(client: httpx.AsyncClient) -> None:
    made = await record(client, "assessments")
    reference = f"QuestionnaireResponse/{made['id']}"
    items = (await client.get(f"/fhir/{reference}")).json()["item"]
    await edit(client, reference, item=[{**items[0], "definition": "https://example.org/d"}, *items[1:]])
    answers = {**assessment()["answers"], "burning": False}

    answer = await client.put(f"/pain/assessments/{made['id']}", json=assessment(answers=answers))

    view = (await client.get(f"/pain/assessments/{made['id']}")).json()
    assert answer.status_code == 200, answer.text
    assert view["answers"] == answers
    assert len((await client.get(f"/fhir/{reference}")).json()["item"]) == 10


async def test_taking_our_values_out_leaves_those_of_others(client: httpx.AsyncClient) -> None:
    made = await record(client, "treatment-plans", note="ours")
    address = f"CarePlan/{made['id']}"
    stored = (await client.get(f"/fhir/{address}")).json()
    theirs = {"text": "allergic to lidocaine"}
    await edit(client, address, note=[*stored["note"], theirs])

    await client.put(f"/pain/treatment-plans/{made['id']}", json=plan())

    assert (await client.get(f"/fhir/{address}")).json()["note"] == [theirs]


@pytest.mark.parametrize(
    ("first", "between", "last"),
    [
        (("nrs", {"current": 2, "average_24h": 3}), ("nrs", {"average_24h": 3}), ("nrs", {"current": 9})),
        (("dn4", {"burning": True}), ("nrs", {"current": 1}), ("dn4", dict.fromkeys(DN4_KEYS, True))),
        (("dn4", dict.fromkeys(DN4_KEYS, False)), ("nrs", {"current": 1}), ("dn4", dict.fromkeys(DN4_KEYS, True))),
    ],
)
async def test_answers_taken_back_can_be_given_again(
    client: httpx.AsyncClient, first: tuple[str, Json], between: tuple[str, Json], last: tuple[str, Json]
) -> None:
    made = await record(client, "assessments", instrument=first[0], answers=first[1])
    address = f"/pain/assessments/{made['id']}"

    for instrument, answers in (between, last):
        answer = await client.put(address, json=assessment(instrument=instrument, answers=answers))
        assert answer.status_code == 200, answer.text

    view = await client.get(address)
    assert view.json()["answers"] == last[1]
    assert view.json()["notes"] == []
    assert view.headers["etag"] == answer.headers["etag"]


async def test_a_score_that_others_made_stale_is_told_and_repaired(client: httpx.AsyncClient) -> None:
    made = await record(client, "assessments")
    address = f"/pain/assessments/{made['id']}"
    found = await resources(client, made["resources"])
    item = next(one for one in found if one.get("valueBoolean") is True)
    await edit(client, f"Observation/{item['id']}", valueBoolean=False)
    told = (await client.get(address)).json()["notes"]

    await client.put(address, content=(await client.get(address)).content)

    assert any(f"Observation/{item['id']}.valueBoolean" in note for note in told)
    assert (await client.get(f"/fhir/Observation/{item['id']}")).json()["valueBoolean"] is True
    assert (await client.get(address)).json()["notes"] == []


async def test_a_part_deleted_or_stripped_by_others_does_not_break_the_view(client: httpx.AsyncClient) -> None:
    made = await record(client, "assessments")
    parts = [one for one in made["resources"] if one.startswith("Observation/")]
    await client.delete(f"/fhir/{parts[0]}")
    await edit(client, parts[1], meta={"tag": [{"code": "theirs"}]})

    view = await client.get(f"/pain/assessments/{made['id']}")

    assert view.status_code == 200, view.text


async def test_what_others_finished_or_refuted_stays_so(client: httpx.AsyncClient) -> None:
    made = await record(client, "treatment-plans")
    drug = next(one for one in made["resources"] if one.startswith("MedicationRequest/"))
    await edit(client, drug, status="completed")
    await client.put(f"/pain/treatment-plans/{made['id']}", json=plan(activities=[{"therapy": "cbt"}]))
    scored = await record(client, "assessments")
    part = next(one for one in scored["resources"] if one.startswith("Observation/"))
    await edit(client, part, status="entered-in-error")
    await client.put(f"/pain/assessments/{scored['id']}", json=assessment(laterality="left"))

    assert (await client.get(f"/fhir/{drug}")).json()["status"] == "completed"
    assert (await client.get(f"/fhir/{part}")).json()["status"] == "entered-in-error"


async def test_a_component_that_others_added_stays(client: httpx.AsyncClient) -> None:
    made = await record(client, "assessments")
    theirs = {"code": {"text": "theirs"}, "valueString": "x"}
    parts = [one for one in await resources(client, made["resources"]) if one["resourceType"] == "Observation"]
    item = next(one for one in parts if "component" not in one)
    score = next(one for one in parts if "component" in one)
    for one in (item, score):
        await edit(client, f"Observation/{one['id']}", component=[*one.get("component", []), theirs])

    answer = await client.put(f"/pain/assessments/{made['id']}", json=assessment(laterality="left"))

    assert answer.status_code == 200, answer.text
    for one in (item, score):
        kept = (await client.get(f"/fhir/Observation/{one['id']}")).json()
        assert kept["component"] == [*one.get("component", []), theirs]
        assert kept["status"] == "amended"
