"""What the resources say, one sentence each."""

from contextlib import suppress
from copy import deepcopy
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.mapping.careplans.careplan import plan_from_fhir, plan_to_fhir
from app.mapping.clinic import KINDS
from app.mapping.conditions.condition import codings_of, diagnosis_from_fhir, diagnosis_to_fhir
from app.mapping.elements import Resource, Unrecognised, parts_of
from app.mapping.questionnaires.observation import assessment_from_fhir, assessment_to_fhir
from app.mapping.questionnaires.questionnaire import questionnaire
from app.mapping.revision import withdraw
from app.pain.content import load_content
from app.pain.diagnoses.diagnoses import read_diagnosis
from app.pain.instruments.assessments import Assessment, read_assessment
from app.pain.instruments.scoring import score
from app.pain.plans.treatments import read_plan
from app.profiles import canonical, json_files
from app.validation import load_validator
from tests.pain.cases import CASES, NOW, assessment, diagnosis, plan

CONTENT = load_content()
SNOMED = CONTENT.systems["snomed"]
VALIDATOR = load_validator()
VALID, INVALID = json_files("examples/valid"), json_files("examples/invalid")
NRS = CONTENT.instruments["nrs"]


def read(instrument: str, answers: dict[str, Any], **more: Any) -> Assessment:
    payload = {"patient": "Patient/1", "instrument": instrument, "taken_at": "2026-05-01T09:30:00Z", "answers": answers}
    return read_assessment(payload | more, CONTENT, NOW)


def assessed(instrument: str, answers: dict[str, Any], **more: Any) -> list[Resource]:
    one = read(instrument, answers, **more)
    numbers = count(1)
    return assessment_to_fhir(
        one,
        score(CONTENT.instruments[instrument], one.answers),
        CONTENT,
        patient_ref="Patient/12",
        ids=lambda: f"a{next(numbers)}",
    )


def diagnosed(payload: dict[str, Any]) -> list[Resource]:
    numbers = count(1)
    one = read_diagnosis(payload, CONTENT, NOW)
    return diagnosis_to_fhir(one, CONTENT, patient_ref="Patient/12", ids=lambda: f"d{next(numbers)}")


def planned(**payload: Any) -> list[Resource]:
    numbers = count(1)
    one = read_plan({"patient": "Patient/12"} | payload, CONTENT, NOW)
    return plan_to_fhir(one, CONTENT, patient_ref="Patient/12", ids=lambda: f"p{next(numbers)}")


def score_observation(resources: list[Resource], name: str) -> Resource:
    return next(one for one in resources[1:] if one["code"]["coding"][-1]["code"] == name)


def codes(element: dict[str, Any]) -> list[str]:
    return [coding["code"] for coding in element["coding"]]


# We write no narrative but a plan's, and hold no code system of others.
NOT_OURS = ("dom-6", "dmt-system-unchecked")


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_everything_written_for_a_case_is_valid(case: dict[str, Any]) -> None:
    payloads = [assessment(case), assessment(case, "nrs")]
    written = [one for each in payloads for one in assessed(each["instrument"], each["answers"])]
    written += diagnosed(diagnosis(case)) + planned(**plan(case, SNOMED), diagnosis="Condition/d1")

    issues = [issue for one in written for issue in VALIDATOR.check(one) if issue.rule not in NOT_OURS]

    assert issues == []
    assert all(one["meta"]["profile"] for one in written)


def test_a_complete_dn4_is_one_response_ten_answers_and_two_scores() -> None:
    resources = assessed("dn4", {key: bool(answer) for key, answer in CASES[0]["dn4"].items()})

    total = score_observation(resources, "dn4")
    assert [one["resourceType"] for one in resources] == ["QuestionnaireResponse"] + ["Observation"] * 12
    assert total["valueQuantity"]["value"] == 6
    assert codes(total["interpretation"][0]) == ["POS"]
    assert [one["reference"] for one in total["hasMember"]] == [f"Observation/{one['id']}" for one in resources[1:11]]
    assert all(one["derivedFrom"] == [{"reference": "QuestionnaireResponse/a1"}] for one in resources[1:])


def test_an_incomplete_score_is_absent_and_never_zero() -> None:
    resources = assessed("dn4", {"burning": False})

    total = score_observation(resources, "dn4")
    assert len(resources) == 4
    assert codes(total["dataAbsentReason"]) == ["unknown"]
    assert not {"valueQuantity", "interpretation"} & total.keys()


def test_the_interview_may_be_complete_while_the_total_is_absent() -> None:
    interview = [item.key for item in CONTENT.instruments["dn4"].items if item.by == "patient"]

    resources = assessed("dn4", dict.fromkeys(interview, True))

    assert score_observation(resources, "dn4-interview")["valueQuantity"]["value"] == 7
    assert "valueQuantity" not in score_observation(resources, "dn4")


def test_every_observation_has_a_us_core_category() -> None:
    written = assessed("dn4", {"burning": True, "brush_evoked": False}) + assessed("nrs", {"current": 1})
    written += diagnosed(diagnosis(CASES[0]))

    observations = [one for one in written if one["resourceType"] == "Observation"]
    found = [[codes(category)[0] for category in one["category"]] for one in observations]

    assert found == [["survey"], ["survey", "exam"], ["survey"], ["survey"], ["survey"], ["exam"]]


def test_a_numeric_rating_says_which_recall_period_it_means() -> None:
    [_, now, worst, week] = assessed("nrs", {"current": 6, "worst_24h": 9, "average_7d": 7})

    assert [codes(one["code"]) for one in (now, worst, week)] == [
        [NRS.item("current").codings[0].code, "nrs.current"],
        ["nrs.worst_24h"],
        [NRS.item("average_7d").codings[0].code, "nrs.average_7d"],
    ]
    assert NRS.item("current").codings != NRS.item("average_7d").codings
    assert [part["valueCodeableConcept"]["coding"][0]["code"] for part in now["component"]] == ["moderate"]


def test_laterality_stands_even_without_a_site() -> None:
    [_, rating] = assessed("nrs", {"current": 6}, laterality="midline")

    assert list(rating["bodySite"]) == ["extension"]


def test_posted_codings_come_first_and_get_displays() -> None:
    posted = [{"system": "urn:x", "code": "k"}, {"system": SNOMED, "code": "193184006"}]

    written = codings_of(diagnosed(diagnosis(CASES[0]) | {"code": posted}), CONTENT)

    assert [one["code"] for one in written] == ["k", "193184006"]
    assert written[1]["display"] == "Chronic painful neuropathy due to diabetes mellitus (disorder)"


@pytest.mark.parametrize(
    ("signs", "test", "status"),
    [
        ("present", "positive", "confirmed"),
        ("absent", "negative", "provisional"),
        ("present", "negative", None),
    ],
)
def test_the_verification_status_follows_from_the_grade(signs: str, test: str, status: str | None) -> None:
    evidence = CASES[0]["neupsig_inputs"] | {"sensory_signs_same_distribution": signs, "confirmatory_test": test}

    condition = diagnosed(diagnosis(CASES[0]) | {"evidence": evidence})[0]

    assert (codes(condition["verificationStatus"])[0] if "verificationStatus" in condition else None) == status


def test_the_grade_refers_to_the_condition_and_the_condition_to_the_grade() -> None:
    condition, grade = diagnosed(diagnosis(CASES[0]))

    assert condition["stage"][0]["assessment"] == [{"reference": f"Observation/{grade['id']}"}]
    assert grade["focus"] == [{"reference": f"Condition/{condition['id']}"}]
    assert codes(condition["stage"][0]["summary"]) == codes(grade["valueCodeableConcept"]) == ["definite"]


def test_titration_steps_come_before_the_dose_they_lead_to() -> None:
    titration = [{"daily_dose_mg": 30, "days": 7}, {"daily_dose_mg": 45, "days": 7}]
    request = planned(activities=[{"drug": "duloxetine", "daily_dose_mg": 60, "titration": titration}])[1]

    steps = [(row["sequence"], row["doseAndRate"][0]["rateQuantity"]["value"]) for row in request["dosageInstruction"]]
    assert steps == [(1, 30), (2, 45), (3, 60)]


def test_a_drug_posted_as_a_code_keeps_it_first_and_gains_the_other() -> None:
    atc = {"system": CONTENT.systems["atc"], "code": "N06AX21"}

    request = planned(activities=[{"drug": atc}])[1]

    assert codes(request["medicationCodeableConcept"]) == ["N06AX21", "72625"]


@pytest.mark.parametrize("name", ["spinal-cord-stimulation", "peripheral-nerve-block", "gene-therapy", "rtms"])
def test_a_therapy_without_a_code_that_means_it_has_ours_and_text(name: str) -> None:
    request = planned(activities=[{"therapy": name}])[1]

    assert codes(request["code"]) == [name]
    assert request["code"]["text"]


def test_an_anchor_names_the_parts_of_its_record() -> None:
    plan_resources = planned(activities=[{"therapy": "cbt"}], goals=[{"measure": "nrs", "target": 3}])
    for resources in (plan_resources, diagnosed(diagnosis(CASES[0]))):
        assert parts_of(resources[0]) == [f"{one['resourceType']}/{one['id']}" for one in resources[1:]]


def test_free_text_cannot_break_the_narrative() -> None:
    care_plan = planned(activities=[{"drug": "<script>alert('x')</script> & co"}])[0]

    assert "&lt;script&gt;" in care_plan["text"]["div"]
    assert [issue for issue in VALIDATOR.check(care_plan) if issue.is_error] == []


def test_an_answer_taken_back_is_entered_in_error() -> None:
    old = assessed("dn4", {"burning": True, "itching": True})
    after = read("dn4", {"burning": False})

    new = KINDS["assessments"].amend(after, CONTENT, "Patient/12", lambda: "unused", old)

    # The last two, the scores, were not there before and are not now: nothing of them changes but the members.
    states = {one["id"]: one["status"] for one in new}
    assert [states[one["id"]] for one in old] == ["amended", "amended", "entered-in-error", "amended", "amended"]


def test_what_an_amendment_does_not_change_keeps_its_version() -> None:
    old = assessed("dn4", {"burning": True, "itching": True})

    new = KINDS["assessments"].amend(read("dn4", {"burning": True, "itching": True}), CONTENT, "Patient/12", str, old)

    assert new == old


def test_an_amendment_keeps_what_others_added() -> None:
    old = assessed("dn4", {"burning": True})
    theirs = {"url": "https://example.org/x", "valueString": "y"}
    old[0] = old[0] | {
        "extension": [theirs],
        "identifier": {"value": "7"},
        "item": [*old[0]["item"], {"linkId": "own"}],
    }

    new = KINDS["assessments"].amend(read("dn4", {"burning": False}), CONTENT, "Patient/12", str, old)

    assert new[0]["extension"] == [theirs]
    assert new[0]["identifier"] == {"value": "7"}


def test_a_withdrawn_condition_has_no_clinical_status() -> None:
    condition = withdraw(diagnosed(diagnosis(CASES[0])))[0]

    assert "clinicalStatus" not in condition
    assert codes(condition["verificationStatus"]) == ["entered-in-error"]


@pytest.mark.parametrize("name", CONTENT.instruments)
def test_the_questionnaire_of_an_instrument_is_valid(name: str) -> None:
    made = questionnaire(CONTENT.instruments[name])

    assert [issue for issue in VALIDATOR.check(made) if issue.is_error] == []
    assert made["url"] == canonical("Questionnaire", name)


@pytest.mark.parametrize("folder", ["terminology", "structuredefinitions"])
def test_our_own_definitions_are_valid_resources(folder: str) -> None:
    issues = [issue for file in json_files(folder).values() for issue in VALIDATOR.check(file) if issue.is_error]

    assert issues == []


@pytest.mark.parametrize("name", VALID)
def test_valid_examples_are_valid(name: str) -> None:
    assert [issue for issue in VALIDATOR.check(VALID[name]) if issue.is_error] == []


@pytest.mark.parametrize("name", INVALID)
def test_invalid_examples_are_told_for_the_stated_reason(name: str) -> None:
    example = INVALID[name]
    expected = {"severity": "error", **example["expect"]}

    issues = VALIDATOR.check(example["resource"])

    assert expected in [{each: getattr(issue, each) for each in expected} for issue in issues]
    assert expected["severity"] == "error" or not any(issue.is_error for issue in issues)


WRITTEN = {
    assessment_from_fhir: assessed("dn4", {"burning": True}, laterality="left"),
    diagnosis_from_fhir: diagnosed(
        diagnosis(CASES[0]) | {"mechanisms": [{"code": "ectopic-activity", "evidence": ["Observation/1"]}]}
    ),
    plan_from_fhir: planned(
        activities=[{"drug": "gabapentin", "daily_dose_mg": 900, "site": "arm"}, {"therapy": "cbt"}],
        goals=[{"measure": "nrs", "reduction_percent": 30}],
        context={"pregnant": False},
        override={"NPR06": "reason"},
    ),
}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.sampled_from(list(WRITTEN)), st.data())
def test_resources_changed_by_others_are_read_or_refused_but_never_crash(reader: Any, data: st.DataObject) -> None:
    resources = deepcopy(WRITTEN[reader])
    node: Any = data.draw(st.sampled_from(resources))
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    change: Any = data.draw(st.sampled_from(["drop", None, 7, "text", [], {}]))
    if change == "drop":
        del node[key]
    else:
        node[key] = change

    with suppress(Unrecognised):
        reader(resources, CONTENT)
