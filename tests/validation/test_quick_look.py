"""Constraints that surely hold are not asked of the closures: the diagnosing pass finds just the same."""

from typing import Any

import pytest

from app.profiles import json_files
from app.validation import Validator, constraints, load_validator
from tools.oracle.mutants import mutants

Json = dict[str, Any]
EXAMPLES = [*json_files("examples/valid").values(), *json_files("examples/invalid").values()]


@pytest.fixture(scope="module")
def validator() -> Validator:
    return load_validator()


def test_the_closures_alone_find_the_same_issues(validator: Validator, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [*EXAMPLES, *(case.resource for case in list(mutants())[::4])]
    found = [validator.check(each) for each in cases]
    monkeypatch.setattr(constraints, "quick_test", lambda text, type_: None)

    assert [validator.check(each) for each in cases] == found


@pytest.mark.parametrize("change", [{"_status": {"id": "a"}}, {"component": {"code": {"text": "x"}}}, {"status": 1}])
def test_no_quick_look_is_taken_at_what_has_not_the_form_of_its_type(
    validator: Validator, monkeypatch: pytest.MonkeyPatch, change: Json
) -> None:
    resource = json_files("examples/valid")["Observation-dn4-score"] | change
    asked: list[str] = []
    monkeypatch.setattr(constraints, "quick_test", lambda text, type_: asked.append(type_))

    validator.check(resource)

    assert "Observation" not in asked
