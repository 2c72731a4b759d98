"""The twelve worked cases give the scores and grades they expect."""

from typing import Any

import pytest

from app.pain.content import load_content
from app.pain.diagnoses.diagnoses import diagnosis_notes, read_diagnosis
from app.pain.diagnoses.grading import grade
from app.pain.instruments.assessments import read_assessment
from app.pain.instruments.scoring import score, scores_view
from app.pain.plans.treatments import plan_notes, read_plan
from tests.pain.cases import CASES, NOW, assessment, diagnosis, plan

CONTENT = load_content()
each_case = pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])


def test_there_are_twelve_cases() -> None:
    assert len(CASES) == 12


@each_case
def test_dn4_scores_as_expected(case: dict[str, Any]) -> None:
    read = read_assessment(assessment(case), CONTENT, NOW)

    scores = scores_view(score(CONTENT.instruments["dn4"], read.answers))

    expected = case["expected"]
    assert scores == {
        "dn4-interview": {
            "value": expected["dn4_interview_score"],
            "cutoff": 3,
            "positive": expected["dn4_interview_positive"],
        },
        "dn4": {"value": expected["dn4_total"], "cutoff": 4, "positive": expected["dn4_positive"]},
    }


@each_case
def test_lanss_scores_as_expected(case: dict[str, Any]) -> None:
    read = read_assessment(assessment(case, "lanss"), CONTENT, NOW)

    scores = scores_view(score(CONTENT.instruments["lanss"], read.answers))

    expected = case["expected"]
    told = {"value": expected["lanss_total"], "cutoff": 12, "positive": expected["lanss_positive"]}
    assert scores == {"lanss": told}


@each_case
def test_nrs_answers_are_scores_of_their_own(case: dict[str, Any]) -> None:
    read = read_assessment(assessment(case, "nrs"), CONTENT, NOW)

    scores = scores_view(score(CONTENT.instruments["nrs"], read.answers))

    given = case["pain"]["nrs"]
    named = {"nrs": "current", "nrs-average-7d": "average_7d", "nrs-worst-7d": "worst_7d"}
    assert {name: one["value"] for name, one in scores.items()} == {
        name: given[key] for name, key in named.items() if key in given
    }


@each_case
def test_the_grade_is_the_expected_one_whatever_the_screening_says(case: dict[str, Any]) -> None:
    read = read_diagnosis(diagnosis(case), CONTENT, NOW)

    assert grade(read.evidence) == case["expected"]["neupsig_grade"]


@each_case
def test_every_code_of_a_case_is_known(case: dict[str, Any]) -> None:
    diagnosed = read_diagnosis(diagnosis(case), CONTENT, NOW)
    planned = read_plan(plan(case, CONTENT.systems["snomed"]), CONTENT, NOW)

    assert [note for note in diagnosis_notes(diagnosed, CONTENT) if not note.startswith("body_site")] == []
    assert plan_notes(planned, CONTENT) == []


@each_case
def test_drugs_of_a_case_get_the_codes_of_the_case(case: dict[str, Any]) -> None:
    planned = read_plan(plan(case, CONTENT.systems["snomed"]), CONTENT, NOW)

    given = [{coding.code for coding in one.drug.codings} for one in planned.activities if one.drug]
    assert given == [{one["rxnorm"], one["atc"]} for one in case["proposed_plan"]["medications"]]
