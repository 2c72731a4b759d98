"""Which codes a constraint is about: told only where nothing else could make it fail."""

from typing import Any

import pytest

from app.profiles import json_files
from app.validation import load_validator
from app.validation.guards import codes_of, guard_of

ONE = "code.coding.exists(system = 'S' and (code = 'a'))"
TWO = "code.coding.exists(system = 'S' and (code = 'a' or code = 'b'))"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (f"{ONE} implies value.exists()", {("S", "a")}),
        (f"{TWO} and value.exists() and status.exists() implies value = 3", {("S", "a"), ("S", "b")}),
        (f"{ONE} and value.exists()", None),
        (f"{ONE} or status.exists() implies value.exists()", None),
        (f"(status.exists() and {ONE}) implies value.exists()", None),
        (f"{ONE}.not() implies value.exists()", None),
        ("code.coding.exists(system = 'S' or (code = 'a')) implies value.exists()", None),
        ("code.coding.exists(system = 'S' and (code = 'a' or display = 'b')) implies value.exists()", None),
        ("code.coding.exists(system = 'S' and code.startsWith('a')) implies value.exists()", None),
        ("code.coding.exists() implies value.exists()", None),
        ("category.coding.exists(system = 'S' and (code = 'a')) implies value.exists()", None),
        ("value.exists()", None),
    ],
)
def test_the_codes_a_constraint_is_about(text: str, pairs: set[tuple[str, str]] | None) -> None:
    assert guard_of(text) == pairs


@pytest.mark.parametrize(
    ("element", "codes"),
    [
        ({"code": {"coding": [{"system": "S", "code": "a"}, {"code": "b"}]}}, {("S", "a")}),
        ({"code": {"text": "a"}}, set()),
        ({}, set()),
        ({"code": "a"}, None),
        ({"code": {"coding": {"code": "a"}}}, None),
        ({"code": {"coding": ["a"]}}, None),
        ("a", None),
    ],
)
def test_the_codes_an_element_has(element: Any, codes: set[tuple[str, str]] | None) -> None:
    assert codes_of(element) == codes


def test_gate_and_diagnosing_pass_agree_on_every_example_of_an_observation() -> None:
    validator = load_validator()
    examples = [
        *json_files("examples/valid").values(),
        *(one["resource"] for one in json_files("examples/invalid").values()),
    ]

    for resource in (one for one in examples if one["resourceType"] == "Observation"):
        is_fine = not any(issue.is_error for issue in validator.check(resource))
        assert validator.admits(resource) in (is_fine, None), resource["id"]
