"""Profiles of others may ask anything: the fast gate and the diagnosing pass agree on them, and both end soon."""

import time
from copy import deepcopy
from typing import Any

import pytest

from app.validation import Validator, load_validator
from tests.validation.samples import OBSERVATION, PATIENT, changed
from tests.validation.test_profiles import element, structure

Json = dict[str, Any]
BASE = "https://example.org/StructureDefinition"
PROFILE, DATATYPE = f"{BASE}/profile", f"{BASE}/datatype"
CODES = "http://hl7.org/fhir/ValueSet/observation-status"
GREATEST = {
    "url": "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet",
    "valueCanonical": "http://hl7.org/fhir/ValueSet/condition-clinical",
}
QUANTITY = {"value": 4, "system": "http://unitsofmeasure.org", "code": "mg", "unit": "mg"}
MEASURED = changed(OBSERVATION, "valueQuantity", QUANTITY)
CODED = changed(OBSERVATION, "method", {"coding": [{"system": "http://example.org/s", "code": "x"}]})


def datatype(type_: str, **root: Any) -> Json:
    return structure(DATATYPE, type_, element(type_, **root), kind="complex-type")


def using(path: str, type_: str) -> Json:
    return structure(PROFILE, "Observation", element(path, type=[{"code": type_, "profile": [DATATYPE]}]))


def rule(expression: str, severity: str = "error") -> Json:
    return {"constraint": [{"key": "x-1", "severity": severity, "human": "As asked", "expression": expression}]}


def judged(validator: Validator, resource: Json) -> tuple[bool | None, list[str]]:
    """What the gate says, and the rules of the errors that the diagnosing pass finds."""
    admitted = validator.admits(resource, profiles=[PROFILE])
    return admitted, [each.rule for each in validator.check(resource, profiles=[PROFILE]) if each.is_error]


BOTH = {"slicing": {"discriminator": [{"type": "exists", "path": "code"}], "rules": "open"}}
OVERLAPPING = [
    element("Observation.component", min=2, **BOTH),
    element("Observation.component:one", min=1),
    element("Observation.component:one.code", min=1),
    element("Observation.component:two", min=1),
    element("Observation.component:two.code", min=1),
]
CHOICE = {"slicing": {"discriminator": [{"type": "type", "path": "$this"}], "rules": "closed"}}
STRANGE = [
    element("Observation.value[x]", **CHOICE),
    element(
        "Observation.value[x]:valueQuantity",
        type=[{"code": "Quantity", "profile": ["https://example.org/unknown"]}],
    ),
]
ONE = changed(OBSERVATION, "component", [{"code": {"text": "x"}, "valueInteger": 1}])
CASES: dict[str, tuple[list[Json], Json, list[str]]] = {
    "least value at the root of a datatype": (
        [
            datatype("Quantity", minValueQuantity=QUANTITY | {"value": 5}),
            using("Observation.valueQuantity", "Quantity"),
        ],
        MEASURED,
        ["dmt-min-value"],
    ),
    "greatest value set at the root of a datatype": (
        [
            datatype("CodeableConcept", binding={"strength": "required", "valueSet": CODES, "extension": [GREATEST]}),
            using("Observation.method", "CodeableConcept"),
        ],
        CODED,
        ["dmt-binding-required", "dmt-binding-max"],
    ),
    "binding at the root of a datatype": (
        [
            datatype("CodeableConcept", binding={"strength": "required", "valueSet": CODES}),
            using("Observation.method", "CodeableConcept"),
        ],
        CODED,
        ["dmt-binding-required"],
    ),
    "one item in two slices": ([structure(PROFILE, "Observation", *OVERLAPPING)], ONE, ["dmt-cardinality-min"]),
    "slice of a profile that is not known": (
        [structure(PROFILE, "Observation", *STRANGE)],
        changed(changed(OBSERVATION, "valueQuantity", None), "valueString", "x"),
        ["dmt-slice-closed"],
    ),
    "conformsTo of a profile that is known": (
        [
            structure(PROFILE, "Observation", element("Observation", **rule(f"conformsTo('{DATATYPE}')"))),
            structure(DATATYPE, "Observation", element("Observation.status", fixedCode="final")),
        ],
        OBSERVATION,
        [],
    ),
    "conformsTo of a profile that does not hold": (
        [
            structure(PROFILE, "Observation", element("Observation", **rule(f"conformsTo('{DATATYPE}')"))),
            structure(DATATYPE, "Observation", element("Observation.status", fixedCode="amended")),
        ],
        OBSERVATION,
        ["x-1"],
    ),
    "a warning that cannot be evaluated": (
        [structure(PROFILE, "Observation", element("Observation.status", **rule("$this > @2014", "warning")))],
        OBSERVATION,
        [],
    ),
    "an error that cannot be evaluated": (
        [structure(PROFILE, "Observation", element("Observation.status", **rule("$this > @2014")))],
        OBSERVATION,
        ["x-1"],
    ),
}


@pytest.mark.parametrize(("definitions", "resource", "expected"), CASES.values(), ids=CASES)
def test_gate_and_diagnosis_agree(definitions: list[Json], resource: Json, expected: list[str]) -> None:
    admitted, found = judged(load_validator(definitions), deepcopy(resource))

    assert sorted(found) == sorted(expected)
    assert admitted in (None, not expected)


AGAIN = "component.all(%resource.component.all(%resource.component.all(%resource.component.all(code.exists()))))"
MANY = changed(OBSERVATION, "component", [{"code": {"text": "x"}}] * 4_000)
HOSTILE: dict[str, tuple[list[str], Json]] = {
    "a constraint that starts anew at every element": ([AGAIN], MANY),
    "a constraint that compares all with all": (["component.code.intersect(%resource.component).empty()"], MANY),
    "thousands of constraints": (
        [f"component.code.count() >= 0 and descendants().count() >= -{number}" for number in range(3_000)],
        MANY,
    ),
}


@pytest.mark.parametrize(("expressions", "resource"), HOSTILE.values(), ids=HOSTILE)
def test_constraints_of_others_end_soon(expressions: list[str], resource: Json) -> None:
    constraints = [rule(text)["constraint"][0] | {"key": f"x-{place}"} for place, text in enumerate(expressions)]
    definition = structure(PROFILE, "Observation", element("Observation", constraint=constraints))
    validator = load_validator([definition])
    # Of this process: what else the machine does is not about it.
    started = time.process_time()

    admitted, found = judged(validator, resource)

    # Unbounded the first would take years.
    assert time.process_time() - started < 20
    assert admitted in (None, not found)


def test_the_same_holds_for_what_contained_resources_refer_to() -> None:
    patient = {"resourceType": "Patient", "link": [{"other": {"reference": "#0"}, "type": "seealso"}]}
    many = changed(PATIENT, "contained", [patient | {"id": str(place)} for place in range(10_000)])
    started = time.perf_counter()

    load_validator().check(many)

    # A minute, if each looked through all the others.
    assert time.perf_counter() - started < 10
