"""Whatever JSON comes in, checking ends soon and never raises."""

import time
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.fhir.outcomes import Issue
from app.validation import Validator
from tests.validation.samples import SAMPLES

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("#") | st.just("Patient/1")
KEYS = st.sampled_from(
    ["resourceType", "id", "meta", "profile", "extension", "url", "value", "contained", "coding", "code", "system",
     "reference", "_status", "_id", "text", "div", "entry", "resource", "start", "end", "low", "high", "x"]
)  # fmt: skip
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a resource."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for key, each in list(pairs) for place in [(node, key), *places(each)]]


@RELAXED
@given(st.sampled_from(sorted(SAMPLES)), st.integers(0, 200), JSON)
def test_any_value_anywhere_is_judged_not_tripped_over(validator: Validator, name: str, place: int, value: Any) -> None:
    resource = deepcopy(SAMPLES[name])
    found = places(resource)
    container, key = found[place % len(found)]
    container[key] = value

    issues = validator.check(resource)

    assert all(isinstance(issue, Issue) for issue in issues)


@RELAXED
@given(st.dictionaries(KEYS, JSON, max_size=6), st.sampled_from(["Bundle", "Questionnaire", "Parameters", "ValueSet"]))
def test_any_object_is_judged(validator: Validator, content: dict[str, Any], name: str) -> None:
    issues = validator.check(content | {"resourceType": name})

    assert all(issue.expression.startswith(name) for issue in issues)


def nested(depth: int) -> dict[str, Any]:
    item: dict[str, Any] = {"linkId": "0", "type": "group"}
    for level in range(1, depth):
        item = {"linkId": str(level), "type": "group", "item": [item]}
    return {"resourceType": "Questionnaire", "status": "draft", "item": [item]}


def contained(depth: int) -> dict[str, Any]:
    resource: dict[str, Any] = {"resourceType": "Patient", "id": "0"}
    for level in range(1, depth):
        resource = {"resourceType": "Patient", "id": str(level), "contained": [resource]}
    return resource


def patient(**rest: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **rest}


MANY = 10_000
SOME = 2_000
COMPONENTS = [{"code": {"coding": [{"code": str(n)}]}} for n in range(MANY)]
GROUPINGS = {
    "grouping": [{"id": str(n), "name": "x"} for n in range(MANY // 2)],
    "resource": [{"reference": {"reference": "Patient/1"}, "groupingId": str(n)} for n in range(MANY // 2)],
}
HOSTILE: dict[str, dict[str, Any]] = {
    "deep groups": nested(45),
    "deep contained": contained(45),
    "components": {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "component": COMPONENTS},
    "unknown elements": patient(**{f"x{n}": 1 for n in range(MANY)}),
    "entries": {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": "x"}}] * MANY,
    },
    "contained": patient(
        contained=[patient(id=str(n)) for n in range(SOME)],
        link=[{"other": {"reference": f"#{n}"}, "type": "seealso"} for n in range(SOME)],
    ),
    "quadratic constraint": {"resourceType": "ImplementationGuide", "definition": GROUPINGS},
    "long strings": patient(
        id="a" * 1_000_000,
        language="a-" * 500_000,
        birthDate="1" * 1_000_000,
        implicitRules="http://" + "/" * 1_000_000,
        text={"status": "generated", "div": "<" * 1_000_000},
        photo=[{"data": "A" * 1_000_001}],
    ),
    "long reference": patient(managingOrganization={"reference": "http://" + "a/" * 500_000}),
}


def test_nesting_without_end_is_an_issue(validator: Validator) -> None:
    assert [issue.code for issue in validator.check(contained(5_000)) if issue.is_error]


def test_no_number_of_warnings_hides_an_error(validator: Validator) -> None:
    entry = {"fullUrl": "http://example.org/Patient/1", "resource": patient()}
    wrong = {"fullUrl": "http://example.org/Patient/2", "resource": patient(gender="x")}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [entry] * SOME + [wrong]}

    errors = [issue for issue in validator.check(bundle) if issue.is_error]

    assert f"Bundle.entry[{SOME}].resource.gender" in [issue.expression for issue in errors]


@pytest.mark.parametrize("resource", HOSTILE.values(), ids=HOSTILE)
def test_hostile_input_is_judged_in_bounded_time(validator: Validator, resource: dict[str, Any]) -> None:
    started = time.perf_counter()

    validator.check(resource)
    validator.admits(resource)

    # Far above what it takes, far below what exponential or quadratic work would.
    assert time.perf_counter() - started < 10
