"""One defect at a time: what base R4 forbids is found, at its place."""

from typing import Any

import pytest

from app.validation import Validator
from tests.validation.samples import CONDITION, OBSERVATION, PATIENT, SAMPLES, changed

NURSE = {"resourceType": "Practitioner", "id": "nurse"}
DEFECTS: list[tuple[dict[str, Any], str, Any, str, str]] = [
    # structure
    (OBSERVATION, "colour", "red", "structure", "Observation"),
    (OBSERVATION, "code", ["x"], "structure", "Observation.code"),
    (OBSERVATION, "code", "x", "structure", "Observation.code"),
    (OBSERVATION, "component", {}, "structure", "Observation.component"),
    (OBSERVATION, "component", [], "structure", "Observation.component"),
    (OBSERVATION, "component.0", None, "structure", "Observation.component[0]"),
    (OBSERVATION, "component.1.code", {}, "structure", "Observation.component[1].code"),
    (OBSERVATION, "valueString", "x", "structure", "Observation.value"),
    (OBSERVATION, "component.0.valueInteger", "7", "value", "Observation.component[0].value.ofType(integer)"),
    (OBSERVATION, "component.0.colour", 1, "structure", "Observation.component[0]"),
    (PATIENT, "name.0._given", [{"id": "a"}, {"id": "b"}, {}], "structure", "Patient.name[0].given[2]"),
    (PATIENT, "active", "true", "value", "Patient.active"),
    # cardinality
    (OBSERVATION, "status", None, "required", "Observation.status"),
    (OBSERVATION, "component.1", {"valueInteger": 3}, "required", "Observation.component[1].code"),
    # primitives
    (OBSERVATION, "id", "a b", "value", "Observation.id"),
    (OBSERVATION, "id", "x" * 65, "value", "Observation.id"),
    (OBSERVATION, "status", "", "value", "Observation.status"),
    (OBSERVATION, "effectiveDateTime", "2026-02-30", "value", "Observation.effective.ofType(dateTime)"),
    (OBSERVATION, "effectiveDateTime", "2026-05-01T09:30", "value", "Observation.effective.ofType(dateTime)"),
    (OBSERVATION, "issued", "2026-05-01", "value", "Observation.issued"),
    (PATIENT, "birthDate", "1959-02-29", "value", "Patient.birthDate"),
    (PATIENT, "multipleBirthInteger", 2**31, "value", "Patient.multipleBirth.ofType(integer)"),
    (PATIENT, "photo", [{"data": "a*=="}], "value", "Patient.photo[0].data"),
    (OBSERVATION, "language", "english", "code-invalid", "Observation.language"),
    # codes
    (OBSERVATION, "status", "done", "code-invalid", "Observation.status"),
    (OBSERVATION, "category.0.coding.0.code", "nonsense", "code-invalid", "Observation.category[0].coding[0].code"),
    (CONDITION, "clinicalStatus.coding.0.code", "gone", "code-invalid", "Condition.clinicalStatus"),
    (CONDITION, "clinicalStatus", {"text": "active"}, "code-invalid", "Condition.clinicalStatus"),
    # references
    (OBSERVATION, "subject.reference", "Practitioner/1", "value", "Observation.subject"),
    (OBSERVATION, "subject.reference", "Patient/a b", "value", "Observation.subject"),
    (OBSERVATION, "subject.reference", "#nobody", "invariant", "Observation.subject"),
    (OBSERVATION, "contained", [NURSE], "invariant", "Observation.contained[0]"),
    # constraints
    (OBSERVATION, "dataAbsentReason", {"text": "x"}, "invariant", "Observation"),
    (OBSERVATION, "referenceRange.0", {"appliesTo": [{"text": "x"}]}, "invariant", "Observation.referenceRange[0]"),
    (OBSERVATION, "valueQuantity.system", None, "invariant", "Observation.value.ofType(Quantity)"),
    (PATIENT, "contact.0", {"gender": "female"}, "invariant", "Patient.contact[0]"),
    (CONDITION, "abatementString", "over", "invariant", "Condition"),
    # extensions
    (PATIENT, "extension", [{"valueString": "x"}], "required", "Patient.extension[0].url"),
    (PATIENT, "extension", [{"url": "http://example.org/x"}], "invariant", "Patient.extension[0]"),
    (PATIENT, "extension", [{"url": "local", "valueString": "x"}], "value", "Patient.extension[0]"),
    (OBSERVATION, "subject.type", "Nurse", "value", "Observation.subject"),
    # narrative
    (PATIENT, "text._div", {"id": "a"}, "structure", "Patient.text.div"),
    (PATIENT, "text.div", "<div>plain</div>", "invariant", "Patient.text.div"),
    (PATIENT, "text.div", "not xhtml", "invariant", "Patient.text.div"),
]


@pytest.mark.parametrize("resource", SAMPLES.values(), ids=SAMPLES)
def test_valid_resources_have_no_issue(validator: Validator, resource: dict[str, Any]) -> None:
    assert [issue for issue in validator.check(resource) if issue.severity != "information"] == []


@pytest.mark.parametrize(("resource", "path", "value", "code", "expression"), DEFECTS)
def test_one_defect_is_found_at_its_place(
    validator: Validator, resource: dict[str, Any], path: str, value: Any, code: str, expression: str
) -> None:
    issues = [issue for issue in validator.check(changed(resource, path, value)) if issue.is_error]

    assert (code, expression) in [(issue.code, issue.expression) for issue in issues]


def test_all_problems_are_told_at_once(validator: Validator) -> None:
    broken = changed(changed(OBSERVATION, "status", "done"), "colour", "red")

    assert {issue.expression for issue in validator.check(broken) if issue.is_error} == {
        "Observation",
        "Observation.status",
    }


@pytest.mark.parametrize(
    "resource", [{}, {"resourceType": "Dragon"}, {"resourceType": 7}, {"resourceType": "Resource"}]
)
def test_an_unknown_type_is_one_issue(validator: Validator, resource: dict[str, Any]) -> None:
    issues = validator.check(resource)

    assert [issue.code for issue in issues] == ["structure"]


def test_entries_of_a_bundle_are_checked_as_what_they_are(validator: Validator) -> None:
    entries = [{"fullUrl": "urn:uuid:9b9d5c2a-1111-4222-8333-444455556666", "resource": OBSERVATION}] * 1
    broken = {"fullUrl": "http://example.org/Patient/12", "resource": changed(PATIENT, "gender", "x")}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [*entries, broken]}

    issues = [issue for issue in validator.check(bundle) if issue.is_error]

    assert [issue.expression for issue in issues] == ["Bundle.entry[1].resource.gender"]


def test_codes_of_terminologies_kept_elsewhere_are_not_errors(validator: Validator) -> None:
    odd = changed(CONDITION, "code.coding.0.code", "00000000")

    assert not [issue for issue in validator.check(odd) if issue.is_error]


def test_issues_do_not_repeat_what_the_record_says(validator: Validator) -> None:
    secret = "Ann Example 1960"
    broken = changed(changed(changed(PATIENT, "gender", secret), "birthDate", secret), secret, secret)

    told = " ".join(issue.diagnostics + issue.expression for issue in validator.check(broken))

    assert secret not in told


@pytest.mark.parametrize("kind", [["collection"], {"a": 1}, 5, None])
def test_a_bundle_whose_type_is_no_text_is_an_issue(validator: Validator, kind: object) -> None:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": [{"resource": {"resourceType": "Patient"}}]}

    assert any(issue.is_error and issue.expression.startswith("Bundle.type") for issue in validator.check(bundle))
