"""Plans are judged by the guideline rules: what is found comes back, stands beside the plan, and may block it."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.settings import Settings, WrongSettings
from tests.answers import count, expressions, issues
from tests.builders import patient
from tests.conftest import serving
from tests.pain import cases
from tests.pain.case_records import CONTENT, orders, person, record
from tests.pain.cases import CASES

OTHER_SERVER = "https://ehr.example.org/fhir"
INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
BLOCKED = {"activities": [{"drug": "gabapentin", "daily_dose_mg": 900}, {"drug": "pregabalin", "daily_dose_mg": 150}]}
HARMLESS = {"activities": [{"therapy": "cbt"}]}
Json = dict[str, Any]


async def stored(client: httpx.AsyncClient, resource: Json) -> str:
    answer = await client.post(f"/fhir/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return f"{resource['resourceType']}/{answer.json()['id']}"


async def prefetched(client: httpx.AsyncClient, service: Json, patient_id: str) -> Json:
    """What a client sends along: the templates of the service, asked of a FHIR server."""
    found = {}
    for key, template in service["prefetch"].items():
        answer = await client.get(f"/fhir/{template.replace('{{context.patientId}}', patient_id)}")
        assert answer.status_code == 200, answer.text
        found[key] = answer.json()
    return found


async def hooked(client: httpx.AsyncClient, case: Json, patient_ref: str, reason: str) -> set[str]:
    """The rules an EHR is told when it signs a case's plan, without any use of our own record."""
    services = (await client.get("/cds-services")).json()["services"]
    service = next(one for one in services if one["hook"] == "order-sign")
    drafts = {"resourceType": "Bundle", "entry": [{"resource": one} for one in orders(case, patient_ref, reason)]}
    asked = {
        "hook": "order-sign",
        "hookInstance": INSTANCE,
        "fhirServer": OTHER_SERVER,
        "context": {"userId": "Practitioner/1", "patientId": patient_ref.split("/")[1], "draftOrders": drafts},
        "prefetch": await prefetched(client, service, patient_ref.split("/")[1]),
    }
    answer = await client.post(f"/cds-services/{service['id']}", json=asked)
    assert answer.status_code == 200, answer.text
    topics = [one["source"].get("topic") for one in answer.json()["cards"]]
    return {topic["code"] for topic in topics if topic}


async def test_the_twelve_cases_raise_what_they_must_by_both_doors(client: httpx.AsyncClient) -> None:
    today = datetime.now(UTC).date()
    for case in CASES:
        patient_ref = await stored(client, person(case, today))
        for one in record(case, patient_ref):
            await stored(client, one)
        graded = await client.post("/pain/diagnoses", json=cases.diagnosis(case) | {"patient": patient_ref})
        assert graded.status_code == 201, graded.text
        diagnosis = f"Condition/{graded.json()['id']}"
        context = {"prior_first_line_trials": case["prior_first_line_trials"]}
        plan = cases.plan(case, CONTENT.systems["snomed"]) | {"patient": patient_ref, "diagnosis": diagnosis}

        answer = await client.post("/pain/treatment-plans", json=plan | {"context": context})

        found = answer.json()
        raised = {one["rule"] for one in found["findings"]}
        has_block = any(one["severity"] == "block" for one in found["findings"])
        assert answer.status_code == (422 if has_block else 201), (case["id"], answer.text)
        assert set(case["expected"]["plan_flags_required"]) <= raised, (case["id"], raised)
        assert not set(case["expected"]["plan_flags_forbidden"]) & raised, (case["id"], raised)
        assert await hooked(client, case, patient_ref, diagnosis) == raised, case["id"]


async def test_a_blocked_plan_stores_nothing_until_a_reason_is_given(client: httpx.AsyncClient) -> None:
    who = await stored(client, patient())
    sent = {"patient": who, **BLOCKED}
    key = {"Idempotency-Key": "plan-1"}

    refused = [await client.post("/pain/treatment-plans", json=sent, params=dry) for dry in ({}, {"dry_run": "true"})]
    again = await client.post("/pain/treatment-plans", json=sent, headers=key)

    for answer in (*refused, again):
        told = answer.json()
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/json"
        assert [one["rule"] for one in told["findings"] if one["severity"] == "block"] == ["NPR25"]
        assert told["resources"] == []
        assert told["outcome"]["issue"][0]["code"] == "business-rule"
        assert told["outcome"]["issue"][0]["expression"] == ["activities[0]"]
    assert await count(client, "CarePlan") == await count(client, "DetectedIssue") == 0

    # What refuses is not remembered: the same key may carry what was put right.
    made = await client.post("/pain/treatment-plans", json=sent | {"override": {"NPR25": "cross-taper"}}, headers=key)
    found = await client.get("/fhir/DetectedIssue", params={"implicated": f"CarePlan/{made.json()['id']}"})
    [issue] = [e["resource"] for e in found.json()["entry"] if e["resource"].get("severity") == "high"]
    assert made.status_code == 201
    assert [one["action"]["text"] for one in issue["mitigation"]] == ["cross-taper"]
    assert issue["patient"]["reference"] == who
    assert issue["implicated"][0]["reference"] == f"CarePlan/{made.json()['id']}"
    assert {one["reference"].split("/")[0] for one in issue["implicated"][1:]} == {"MedicationRequest"}


async def test_findings_live_with_their_plan(client: httpx.AsyncClient) -> None:
    who = await stored(client, patient(birthDate="1950-01-01", gender="male"))
    sent = {"patient": who, "activities": [{"drug": "amitriptyline", "daily_dose_mg": 50}], "override": {"NPR02": "?"}}

    made = await client.post("/pain/treatment-plans", json=sent)
    address = f"/pain/treatment-plans/{made.json()['id']}"
    shown = await client.get(address)
    same = await client.put(address, json=sent, headers={"If-Match": shown.headers["etag"]})
    blocked = await client.put(address, json={"patient": who, **BLOCKED})
    amended = await client.put(address, json={"patient": who, **HARMLESS})
    after = await client.get(address)
    gone = await client.delete(address)

    for name in ("findings", "data_needed", "rules_checked"):
        assert shown.json()[name] == made.json()[name]
    assert {one["rule"] for one in made.json()["findings"]} == {"NPR04", "NPR32"}
    assert [one["rule"] for one in made.json()["data_needed"]] == ["NPR03"]
    assert len(made.json()["rules_checked"]) == len(CONTENT.guidelines.rules)
    assert "override.NPR02: the rule was not raised; the reason was kept." in made.json()["notes"]
    assert same.headers["etag"] == shown.headers["etag"]
    assert (blocked.status_code, amended.status_code) == (422, 200)
    assert after.headers["etag"] == amended.headers["etag"]
    assert after.json()["findings"] == amended.json()["findings"] == []
    assert gone.status_code == 204
    states = await client.get("/fhir/DetectedIssue", params={"implicated": f"CarePlan/{made.json()['id']}"})
    assert {one["resource"]["status"] for one in states.json()["entry"]} == {"entered-in-error"}


async def test_a_rule_that_no_longer_holds_is_cancelled_and_comes_back_as_the_same_issue(
    client: httpx.AsyncClient,
) -> None:
    who = await stored(client, patient())
    twice = {"patient": who, **BLOCKED, "override": {"NPR25": "cross-taper"}}
    made = await client.post("/pain/treatment-plans", json=twice)
    address, plan = f"/pain/treatment-plans/{made.json()['id']}", f"CarePlan/{made.json()['id']}"

    async def blocks() -> list[tuple[str, str]]:
        found = await client.get("/fhir/DetectedIssue", params={"implicated": plan, "code": "NPR25"})
        return [(one["resource"]["id"], one["resource"]["status"]) for one in found.json()["entry"]]

    [(first, status)] = await blocks()
    await client.put(address, json={"patient": who, **HARMLESS})
    cancelled = await blocks()
    await client.put(address, json=twice)

    assert status == "final"
    assert cancelled == [(first, "cancelled")]
    assert await blocks() == [(first, "final")]


async def test_a_plan_is_judged_with_what_stands_in_the_record(client: httpx.AsyncClient) -> None:
    who = await stored(client, patient())
    first = await client.post(
        "/pain/treatment-plans", json={"patient": who, "activities": [{"drug": "gabapentin", "daily_dose_mg": 900}]}
    )
    plan = {"patient": who, "activities": [{"drug": "pregabalin", "daily_dose_mg": 150}]}

    earlier = await client.post("/pain/treatment-plans", json=plan)
    itself = await client.put(f"/pain/treatment-plans/{first.json()['id']}", json=plan)

    assert earlier.status_code == 422, "the plan of an earlier visit counts"
    assert itself.status_code == 200, "the plan that is written anew does not count twice"


WRONG: tuple[tuple[Json, str, str], ...] = (
    ({"override": {"NPR99": "x"}}, "override.NPR99", "one of NPR01"),
    ({"override": {"renal": "x"}}, "override", "one of NPR01"),
    ({"guideline": "nice"}, "guideline", "one of neupsig-2025"),
    ({"jurisdiction": "fr"}, "jurisdiction", "one of us"),
    ({"context": {"mood": "good"}}, "context.mood", "the known ones are creatinine"),
)


async def test_what_the_rules_do_not_know_is_refused_in_its_place(client: httpx.AsyncClient) -> None:
    for changes, place, told in WRONG:
        answer = await client.post("/pain/treatment-plans", json={"patient": "Patient/1", **HARMLESS, **changes})

        assert answer.status_code == 422
        assert expressions(answer) == [place]
        assert told in issues(answer)[0]["diagnostics"]


async def test_edition_and_jurisdiction_are_settings_a_plan_may_change(database_url: str) -> None:
    settings = Settings(database_url=database_url, log_level="error", guideline="nice-cg173", jurisdiction="uk")
    plan = {
        "activities": [{"drug": "gabapentin", "daily_dose_mg": 2400}],
        "context": {"creatinine_clearance_ml_min": 60},
    }
    async with serving(settings) as client:
        who = await stored(client, patient())

        uk = await client.post("/pain/treatment-plans", json={"patient": who, **plan})
        us = await client.post("/pain/treatment-plans", json={"patient": who, **plan, "jurisdiction": "us"})
        shown = await client.get(f"/pain/treatment-plans/{us.json()['id']}")
        care_plan = await client.get(f"/fhir/CarePlan/{us.json()['id']}")

    checked = next(one for one in care_plan.json()["extension"] if one["url"].endswith("/rules-checked"))
    assert (uk.status_code, us.status_code) == (422, 201)
    assert (shown.json()["jurisdiction"], shown.json().get("guideline")) == ("us", None)
    assert [part["valueCode"] for part in checked["extension"]][:2] == ["nice-cg173", "us"]


@pytest.mark.parametrize("setting", [{"guideline": "neupsig"}, {"jurisdiction": "fr"}])
async def test_an_unknown_edition_or_jurisdiction_is_refused_at_the_start(setting: Json) -> None:
    with pytest.raises(WrongSettings) as refused:
        serving(Settings(log_level="error", **setting))

    assert f"DERMATOME_{next(iter(setting)).upper()}" in str(refused.value)
