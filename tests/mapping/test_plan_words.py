"""What a plan says to people, and what it says of sides, tiers and repeated activities."""

from itertools import count
from typing import Any

import pytest

from app.mapping.careplans.careplan import amend_plan, plan_from_fhir, plan_to_fhir
from app.mapping.elements import Resource
from app.pain.content import load_content
from app.pain.plans.treatments import TreatmentPlan, read_plan
from app.validation import load_validator
from tests.pain.cases import NOW

CONTENT = load_content()
VALIDATOR = load_validator()
RELATED = CONTENT.therapies.rows["peripheral-nerve-stimulation"].also[0]


def read(**payload: Any) -> TreatmentPlan:
    return read_plan({"patient": "Patient/12"} | payload, CONTENT, NOW)


def planned(**payload: Any) -> list[Resource]:
    numbers = count(1)
    made = plan_to_fhir(read(**payload), CONTENT, patient_ref="Patient/12", ids=lambda: f"p{next(numbers)}")
    assert [issue for one in made for issue in VALIDATOR.check(one) if issue.is_error] == []
    return made


def test_the_narrative_tells_everything_that_is_planned() -> None:
    drug = {
        "drug": "duloxetine",
        "route": "oral",
        "daily_dose_mg": 60,
        "titration": [{"daily_dose_mg": 30, "days": 7}],
        "note": "with food & water",
    }
    patch = {"drug": "lidocaine 5% patch", "route": "topical", "site": "T6", "laterality": "left"}

    plan = planned(activities=[drug, patch], override={"NPR06": "eGFR < 30 discussed"}, note="Call in June.")[0]

    told = plan["text"]["div"]
    assert plan["title"] == "Pain treatment plan"
    assert "neuropathic" not in told
    for line in (
        "duloxetine, Oral, 30 mg per day for 7 days, then 60 mg per day (with food &amp; water)",
        "lidocaine 5 % patch, Topical, T6 (left)",
        "NPR06 was set aside: eGFR &lt; 30 discussed",
        "Note: Call in June.",
    ):
        assert f"<li>{line}</li>" in told


@pytest.mark.parametrize("site", [{"site": "56459004"}, {}])
@pytest.mark.parametrize("what", [{"drug": "capsaicin 8 % patch"}, {"therapy": "acupuncture"}])
def test_the_side_of_an_activity_is_written_and_read(what: dict[str, Any], site: dict[str, Any]) -> None:
    made = planned(activities=[what | site | {"laterality": "right"}])

    written = made[1]["bodySite"][0] if "therapy" in what else made[1]["dosageInstruction"][0]["site"]
    assert written["extension"][0]["valueCodeableConcept"]["coding"][0]["display"].startswith("Right")
    assert plan_from_fhir(made, CONTENT).activities[0].laterality == "right"


def test_a_therapy_posted_as_a_code_has_its_tier_too() -> None:
    request = planned(activities=[{"code": {"system": RELATED.system, "code": RELATED.code}}])[1]

    assert request["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "emerging"


def test_a_repeated_drug_is_matched_by_content_before_position() -> None:
    morning, night, more = (
        {"drug": "morphine", "daily_dose_mg": dose, "route": route}
        for dose, route in ((10, "oral"), (20, "rectal"), (30, "intrathecal"))
    )
    before = planned(activities=[morning, night])
    numbers = count(1)

    after = amend_plan(
        before,
        read(activities=[more, night, morning]),
        CONTENT,
        patient_ref="Patient/12",
        ids=lambda: f"new-{next(numbers)}",
    )

    doses = {one["id"]: one["dosageInstruction"][0]["text"] for one in after[1:]}
    assert doses == {"new-1": "30 mg per day", "p3": "20 mg per day", "p2": "10 mg per day"}


def test_a_goal_on_the_rating_scale_says_which_rating() -> None:
    goals = [{"measure": "nrs", "target": 3}, {"measure": "nrs-average-7d", "target": 3}]

    _, now, week, _ = planned(activities=[{"therapy": "cbt"}], goals=goals)

    codes = [[coding["code"] for coding in one["target"][0]["measure"]["coding"]] for one in (now, week)]
    assert codes[0][1:] == ["nrs"]
    assert codes[1][1:] == ["nrs-average-7d"]
    assert codes[0][0] != codes[1][0]
