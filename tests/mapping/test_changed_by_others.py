"""Resources that others wrote on are read for what this service knows of them."""

from copy import deepcopy
from itertools import count
from typing import Any

import pytest

from app.mapping.careplans.careplan import plan_from_fhir, plan_to_fhir
from app.mapping.conditions.condition import diagnosis_from_fhir, diagnosis_to_fhir
from app.mapping.elements import Resource, Unrecognised
from app.mapping.questionnaires.observation import assessment_to_fhir
from app.pain.content import load_content
from app.pain.diagnoses.diagnoses import read_diagnosis
from app.pain.instruments.assessments import read_assessment
from app.pain.instruments.scoring import score
from app.pain.plans.activities import TitrationStep
from app.pain.plans.treatments import read_plan
from tests.pain.cases import CASES, NOW, diagnosis

CONTENT = load_content()
DRUG = {
    "drug": "duloxetine",
    "route": "oral",
    "daily_dose_mg": 60,
    "titration": [{"daily_dose_mg": 30, "days": 7}],
}
FOREIGN_ROWS = [
    {"text": "1 capsule at night", "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}},
    {"text": "for 2 weeks", "timing": {"repeat": {"boundsDuration": {"value": 2, "unit": "weeks"}}}},
    {"doseAndRate": [{"rateRatio": {"numerator": {"value": 1}, "denominator": {"value": 1}}}]},
    {"doseAndRate": [{"doseQuantity": {"value": 30}}], "timing": {"code": {"text": "BID"}}},
    {"additionalInstruction": [{"text": "with food"}]},
]


def planned() -> list[Resource]:
    numbers = count(1)
    one = read_plan({"patient": "Patient/12", "activities": [DRUG]}, CONTENT, NOW)
    return deepcopy(plan_to_fhir(one, CONTENT, patient_ref="Patient/12", ids=lambda: f"p{next(numbers)}"))


def diagnosed(**fields: Any) -> list[Resource]:
    numbers = count(1)
    one = read_diagnosis(diagnosis(CASES[0]) | fields, CONTENT, NOW)
    return deepcopy(diagnosis_to_fhir(one, CONTENT, patient_ref="Patient/12", ids=lambda: f"d{next(numbers)}"))


@pytest.mark.parametrize("row", FOREIGN_ROWS)
@pytest.mark.parametrize("first", [True, False])
def test_another_way_to_dose_is_left_aside(row: dict[str, Any], first: bool) -> None:
    resources = planned()
    rows = resources[1]["dosageInstruction"]
    rows.insert(0 if first else len(rows), row)

    [activity] = plan_from_fhir(resources, CONTENT).activities

    assert (activity.daily_dose_mg, activity.titration) == (60, (TitrationStep(30, 7),))
    assert activity.route == "oral"


def test_a_route_coded_by_others_is_read_in_their_words() -> None:
    resources = planned()
    for row in resources[1]["dosageInstruction"]:
        row["route"] = {"coding": [{"system": "urn:x", "code": "PO", "display": "By mouth"}]}

    assert plan_from_fhir(resources, CONTENT).activities[0].route == "By mouth"


def test_what_is_told_of_unreadable_resources_is_for_people() -> None:
    resources = planned()
    resources[1]["dosageInstruction"] = [7]

    with pytest.raises(Unrecognised) as caught:
        plan_from_fhir(resources, CONTENT)

    assert "Error" not in str(caught.value)
    assert "_" not in str(caught.value)


def test_a_condition_without_a_recorded_date_is_as_old_as_its_grade() -> None:
    resources = diagnosed()
    recorded = resources[0].pop("recordedDate")

    assert diagnosis_from_fhir(resources, CONTENT).recorded_at == recorded


@pytest.mark.parametrize(("asserted", "status"), [("probable", None), ("possible", "provisional"), (None, "confirmed")])
def test_the_verification_status_follows_the_lower_grade(asserted: str | None, status: str | None) -> None:
    condition, graded = diagnosed(asserted_grade=asserted)

    assert condition.get("verificationStatus", {}).get("coding", [{}])[0].get("code") == status
    assert len(graded["component"]) == (5 if asserted else 4)
    assert diagnosis_from_fhir([condition, graded], CONTENT).asserted_grade == asserted


def test_an_asserted_grade_that_equals_the_evidence_is_not_written() -> None:
    assert len(diagnosed(grade="definite")[1]["component"]) == 4


def test_an_absent_score_names_the_missing_items_and_no_method_has_a_version() -> None:
    payload = {
        "patient": "Patient/12",
        "instrument": "dn4",
        "taken_at": "2026-05-01T09:30:00Z",
        "answers": {item.key: True for item in CONTENT.instruments["dn4"].items if item.key != "itching"},
    }
    one = read_assessment(payload, CONTENT, NOW)
    numbers = count(1)

    made = assessment_to_fhir(
        one,
        score(CONTENT.instruments["dn4"], one.answers),
        CONTENT,
        patient_ref="Patient/12",
        ids=lambda: f"a{next(numbers)}",
    )

    assert made[-1]["dataAbsentReason"]["text"] == "not answered: itching"
    assert all("version" not in coding for each in made[1:] for coding in each["method"]["coding"])
    assert made[0]["questionnaire"].endswith("|" + CONTENT.instruments["dn4"].version)
