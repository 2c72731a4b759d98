"""Rules of our profiles that look at other resources: in the same Bundle, or contained."""

from copy import deepcopy
from itertools import count
from typing import Any

import pytest

from app.mapping.questionnaires.observation import assessment_to_fhir
from app.pain.instruments.assessments import read_assessment
from app.pain.instruments.scoring import score
from app.validation import Validator
from tests.pain.cases import NOW
from tests.validation.test_own_rules import CONTENT, PAIN, concept, made, told


def collected(*resources: dict[str, Any]) -> dict[str, Any]:
    """A Bundle as another server would send it."""
    base = "https://clinic.example/fhir"
    entries = [{"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def answered(said: dict[str, bool]) -> list[dict[str, Any]]:
    """The resources the clinic's answers become: response, items, interview score, score."""
    numbers = count(1)
    taken = {"patient": "Patient/12", "instrument": "dn4", "taken_at": "2026-05-01T09:30:00Z", "answers": said}
    one = read_assessment(taken, CONTENT, NOW)
    scores = score(CONTENT.instruments["dn4"], one.answers)
    return deepcopy(assessment_to_fhir(one, scores, CONTENT, patient_ref="Patient/12", ids=lambda: f"a{next(numbers)}"))


KEYS = [each.key for each in CONTENT.instruments["dn4"].items]
SUMS = ("np-score-dn4-sum", "np-score-dn4-interview-sum")
RESPONSES = ("np-score-dn4-response", "np-score-dn4-interview-response")


@pytest.mark.parametrize("yes", [[], KEYS[:1], KEYS[3:8], KEYS])
def test_the_scores_we_write_are_the_sums_of_their_answers(validator: Validator, yes: list[str]) -> None:
    bundle = collected(*answered({key: key in yes for key in KEYS}))

    rules = {issue.rule for issue in validator.check(bundle)}

    assert rules.isdisjoint({*SUMS, *RESPONSES})


@pytest.mark.parametrize(("place", "expected"), [(1, {*SUMS}), (10, {SUMS[0]})])
def test_an_answer_changed_in_the_bundle_is_found_by_its_sums(
    validator: Validator, place: int, expected: set[str]
) -> None:
    resources = answered(dict.fromkeys(KEYS, True))
    resources[place]["valueBoolean"] = False

    issues = [issue for issue in validator.check(collected(*resources)) if issue.rule.startswith("np-score")]

    assert {issue.rule for issue in issues} == expected
    assert {issue.expression for issue in issues} <= {"Bundle.entry[11].resource", "Bundle.entry[12].resource"}


def test_a_response_that_says_otherwise_is_found(validator: Validator) -> None:
    resources = answered(dict.fromkeys(KEYS, True))
    resources[0]["item"][0]["answer"] = [{"valueBoolean": False}]

    rules = {issue.rule for issue in validator.check(collected(*resources)) if issue.rule.startswith("np-score")}

    assert rules == {*RESPONSES}


def test_a_sum_is_not_told_where_an_answer_is_not_at_hand_or_there_twice(validator: Validator) -> None:
    resources = answered(dict.fromkeys(KEYS, True))
    resources[1]["valueBoolean"] = False
    without = [one for one in resources if one is not resources[2]]
    twice = [*resources, {**resources[2], "id": "again"}]
    for one in resources[-2:]:
        one["hasMember"].append({"reference": "Observation/again"})

    for bundle in (collected(*without), collected(*twice)):
        assert {issue.rule for issue in validator.check(bundle)}.isdisjoint(SUMS)


@pytest.mark.parametrize(("assessed", "is_told"), [("probable", True), ("definite", False), (None, False)])
def test_a_stage_is_not_above_the_assessment_it_names(
    validator: Validator, assessed: str | None, is_told: bool
) -> None:
    condition = made(PAIN, {"stage.0.assessment": [{"reference": "#g"}]})
    grade = {
        "resourceType": "Observation",
        "id": "g",
        "status": "final",
        "code": concept("np-instrument", "neupsig-2016"),
    }
    if assessed:
        grade["valueCodeableConcept"] = concept("np-grade", assessed)

    severities = told(validator, {**condition, "contained": [grade]}, "np-condition-stage")

    assert severities == (["warning"] if is_told else [])
