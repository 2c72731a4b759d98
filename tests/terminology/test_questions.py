"""What could not be checked here is kept with its issue, so that another server may be asked."""

from typing import Any

import pytest

from app.fhir.questions import Question
from app.profiles import r4
from app.terminology import load_terminology
from app.validation import Validator, load_validator
from tests.terminology.other_server import SNOMED, VALUE_SET
from tests.terminology.test_in_validation import profile
from tests.validation.samples import OBSERVATION, changed

PART = "http://terminology.hl7.org/CodeSystem/service-type"
WHOLE = "http://terminology.hl7.org/CodeSystem/observation-category"
KNOWN = {"url": "https://example.org/CodeSystem/known", "resourceType": "CodeSystem", "content": "complete"}
VALIDATOR = Validator(r4(), load_terminology([{**KNOWN, "concept": [{"code": "k"}]}]), [profile("required")])


def asked(method: Any) -> set[Question]:
    """The questions about the method of an Observation that claims the profile."""
    claims = changed(OBSERVATION, "meta", {"profile": [profile("required")["url"]]})
    issues = VALIDATOR.check(changed(claims, "method", method))
    return {question for issue in issues for question in issue.questions if "method" in issue.expression}


def bound(system: str, code: str, **more: str) -> Question:
    return Question(system, code, value_set=VALUE_SET, strength="required", **more)


@pytest.mark.parametrize(
    ("codings", "questions"),
    [
        ([{"system": SNOMED, "code": "1"}], {Question(SNOMED, "1"), bound(SNOMED, "1")}),
        (
            [{"system": SNOMED, "version": "2026", "code": "1", "display": "One"}],
            {Question(SNOMED, "1", "2026", "One"), bound(SNOMED, "1", version="2026", display="One")},
        ),
        (
            [{"system": SNOMED, "code": "1"}, {"system": SNOMED, "code": "2"}],
            {Question(SNOMED, each) for each in "12"} | {bound(SNOMED, each) for each in "12"},
        ),
        ([{"system": KNOWN["url"], "code": "k"}], {bound(KNOWN["url"], "k")}),
        ([{"system": PART, "code": "no-such"}], {Question(PART, "no-such"), bound(PART, "no-such")}),
        ([{"code": "1"}], set()),
        ([{"system": SNOMED}], set()),
        ([{"system": SNOMED, "code": 7}], set()),
        ([{"system": 7, "code": "1"}], set()),
    ],
)
def test_the_questions_about_a_concept(codings: list[dict[str, Any]], questions: set[Question]) -> None:
    assert asked({"coding": codings}) == questions


def test_what_was_checked_here_is_no_question() -> None:
    issues = load_validator().check(changed(OBSERVATION, "category.0.coding.0.code", "no-such"))

    assert [issue.is_error for issue in issues if WHOLE in issue.diagnostics] == [True]
    assert [issue.questions for issue in issues if issue.questions] == []
