"""An issue says what was expected, what was found, and how it may be put right; never what a record says."""

import json
import time
from typing import Any

import pytest

from app.fhir.outcomes import Issue
from app.profiles import json_files, r4, toml_files
from app.terminology import load_terminology
from app.terminology.unit_names import unit_meant
from app.validation import Validator
from app.validation.telling.report import MAX_ERRORS, MAX_SUGGESTIONS
from app.validation.telling.suggestions import nearest
from tests.validation.samples import CONDITION, OBSERVATION, PATIENT, changed
from tests.validation.test_base import DEFECTS
from tests.validation.test_profiles import DEFINITIONS, GOOD, GRADE

Json = dict[str, Any]
ZONE = "YYYY-MM-DDThh:mm:ss+zz:zz"
TIME = "effectiveDateTime"
FIXES: list[tuple[Json, str, Any, str, str]] = [
    # names
    (PATIENT, "nmae", [], "dmt-unknown-element", 'Did you mean "name"?'),
    (PATIENT, "birthdate", "1960", "dmt-unknown-element", 'Did you mean "birthDate"?'),
    (PATIENT, "name.0.firstName", "Ann", "dmt-unknown-element", ""),
    (OBSERVATION, "value", 7, "dmt-unknown-element", "Write value with its type: "),
    (OBSERVATION, "valueDecimal", 7, "dmt-unknown-element", "Write value with its type: "),
    (OBSERVATION, "_code", {"id": "a"}, "dmt-unknown-element", "A name with _ in front"),
    (OBSERVATION, "valueString", "x", "dmt-choice-one", "Keep one of them."),
    ({"resourceType": "Pateint"}, "id", "a", "dmt-resource-type", 'Did you mean "Patient"?'),
    ({}, "id", "a", "dmt-resource-type", 'Add "resourceType"'),
    # shapes
    (PATIENT, "name", {"family": "X"}, "dmt-array", "Write [ ] around it, also for one value."),
    (PATIENT, "gender", ["male"], "dmt-single", "Write the value without [ ] around it."),
    (OBSERVATION, "code", "pain", "dmt-object", 'Write {"text": "..."}, or better'),
    (OBSERVATION, "subject", "Patient/1", "dmt-object", 'Write {"reference": "Type/id"}.'),
    (PATIENT, "name", [], "dmt-empty", "Leave the element out"),
    (PATIENT, "birthDate", {}, "dmt-primitive-date", ""),
    # primitives
    (PATIENT, "active", "True", "dmt-primitive-boolean", "Write true or false"),
    (PATIENT, "active", 1, "dmt-primitive-boolean", "Write true or false"),
    (PATIENT, "active", "maybe", "dmt-primitive-boolean", ""),
    (PATIENT, "multipleBirthInteger", "2", "dmt-primitive-integer", "Write the number without quotes."),
    (PATIENT, "gender", "", "dmt-primitive-code", "Leave the element out"),
    (PATIENT, "gender", " male", "dmt-primitive-code", "Remove the spaces"),
    (PATIENT, "name.0.family", 7, "dmt-primitive-string", "Write the value in quotes."),
    (PATIENT, "birthDate", "2.1.1960", "dmt-primitive-date", "Write YYYY-MM-DD."),
    (PATIENT, "birthDate", "19600201", "dmt-primitive-date", "Write the date with dashes: YYYY-MM-DD."),
    (PATIENT, "birthDate", "1960-02-01T00:00:00Z", "dmt-primitive-date", "Write the date without the time"),
    (PATIENT, "birthDate", "1960-02-31", "dmt-primitive-date", "Look at the day, month and time"),
    (OBSERVATION, TIME, "2026-05-01T09:30:00", "dmt-primitive-dateTime", f"Add the time zone, and seconds: {ZONE}."),
    (OBSERVATION, TIME, "2026-05-01T09:30Z", "dmt-primitive-dateTime", f"Add the seconds: {ZONE}."),
    (OBSERVATION, TIME, "2026-05-01 09:30:00Z", "dmt-primitive-dateTime", f"Write T between date and time: {ZONE}."),
    (OBSERVATION, TIME, "2026-05-01T09:30:00+0200", "dmt-primitive-dateTime", "Write the time zone with a colon"),
    (
        OBSERVATION,
        "issued",
        "2026-05-01",
        "dmt-primitive-instant",
        f"An instant needs date, time and time zone: {ZONE}.",
    ),
    # codes
    (PATIENT, "gender", "Female", "dmt-binding-required", 'Use the code "female" of'),
    (OBSERVATION, "status", "finall", "dmt-binding-required", 'Did you mean the code "final"?'),
    (CONDITION, "clinicalStatus", {"text": "Active"}, "dmt-binding-required", 'Use the code "active" of'),
    (OBSERVATION, "category.0.coding.0.code", "surveys", "dmt-code-system", 'Did you mean the code "survey"?'),
    (OBSERVATION, "valueQuantity.code", "hours", "dmt-unit", 'Write the code "h".'),
    (OBSERVATION, "valueQuantity.code", "mmHg", "dmt-unit", 'Write the code "mm[Hg]".'),
    (OBSERVATION, "valueQuantity.code", "points", "dmt-unit", "Write what is only counted in braces"),
    # references
    (OBSERVATION, "subject.reference", "12", "dmt-reference-form", "Write the type before the id: Type/id."),
    (OBSERVATION, "subject.reference", "/Patient/12", "dmt-reference-form", "Write Type/id without a slash in front."),
    (OBSERVATION, "subject.reference", "patient/12", "dmt-reference-form", "Write Patient/id"),
    (OBSERVATION, "subject.reference", "#nobody", "ref-1", 'Put the resource into "contained"'),
    # constraints
    (OBSERVATION, "valueQuantity.system", None, "qty-3", 'Add "system": "http://unitsofmeasure.org"'),
    (OBSERVATION, "dataAbsentReason", {"text": "x"}, "obs-6", "Remove either the value or dataAbsentReason."),
    (PATIENT, "contact.0", {"gender": "female"}, "pat-1", "Add name, telecom, address or organization"),
    (PATIENT, "text.div", "<div>plain</div>", "txt-1", "Write well-formed XHTML"),
    # what is missing
    (OBSERVATION, "code", None, "dmt-cardinality-min", 'Add "code": {"coding": [{"system": "...", "code": "..."}]}.'),
    (OBSERVATION, "status", None, "dmt-cardinality-min", 'Add "status": "...", one of amended, '),
    (CONDITION, "subject", None, "dmt-cardinality-min", 'Add "subject": {"reference": "Type/id"}.'),
]
FACTS = [
    (
        OBSERVATION,
        "subject.reference",
        "Practitioner/1",
        "dmt-reference-type",
        "Device, Group, Location, Patient",
        "Practitioner",
    ),
    (OBSERVATION, "component", {}, "dmt-array", "an array", "an object"),
    (OBSERVATION, "status", None, "dmt-cardinality-min", "at least 1", "0"),
    (
        OBSERVATION,
        "status",
        "done",
        "dmt-binding-required",
        "a code of http://hl7.org/fhir/ValueSet/observation-status",
        "done",
    ),
    (OBSERVATION, "valueString", "x", "dmt-choice-one", "one value[x]", "valueQuantity and valueString"),
]
PROFILED = [
    ("status", "amended", "dmt-fixed", "final", "amended", 'Write "final".'),
    ("code.text", "Pain", "dmt-pattern", "text Pain intensity", "", 'Write {"text":"Pain intensity"}.'),
    ("extension", None, "dmt-slice-min", "at least 1", "0", f'Add to "extension": {{"url":"{GRADE}"}}.'),
    (
        "interpretation",
        [{"text": "high"}],
        "dmt-cardinality-max",
        "at most 0",
        "1",
        "Remove it: the profile does not allow it.",
    ),
    (
        "component.0.code.text",
        "Later",
        "dmt-slice-min",
        "at least 1",
        "0",
        'Add to "component": {"code":{"text":"Now"}}.',
    ),
    ("valueQuantity.value", 11, "dmt-max-value", "at most 10", "more", ""),
]


@pytest.fixture(scope="module")
def profiled() -> Validator:
    return Validator(r4(), load_terminology(DEFINITIONS[-1:]), DEFINITIONS[:-1])


def found(validator: Validator, resource: Json, rule: str) -> Issue:
    issues = [issue for issue in validator.check(resource) if issue.rule == rule]
    assert issues, [issue.rule for issue in validator.check(resource)]
    return issues[0]


@pytest.mark.parametrize(("resource", "path", "value", "rule", "suggestion"), FIXES)
def test_a_problem_comes_with_a_suggestion(
    validator: Validator, resource: Json, path: str, value: Any, rule: str, suggestion: str
) -> None:
    issue = found(validator, changed(resource, path, value), rule)

    assert issue.suggestion.startswith(suggestion)
    assert bool(issue.suggestion) is bool(suggestion)


@pytest.mark.parametrize(("resource", "path", "value", "rule", "expected", "there"), FACTS)
def test_a_problem_says_what_was_expected_and_found(
    validator: Validator, resource: Json, path: str, value: Any, rule: str, expected: str, there: str
) -> None:
    issue = found(validator, changed(resource, path, value), rule)

    assert (issue.expected, issue.found) == (expected, there)


@pytest.mark.parametrize(("path", "value", "rule", "expected", "there", "suggestion"), PROFILED)
def test_a_broken_profile_says_what_it_asks(
    profiled: Validator, path: str, value: Any, rule: str, expected: str, there: str, suggestion: str
) -> None:
    issue = found(profiled, changed(GOOD, path, value), rule)

    assert (issue.expected, issue.found, issue.suggestion) == (expected, there, suggestion)


@pytest.mark.parametrize(("resource", "path", "value", "code", "expression"), DEFECTS)
def test_every_defect_names_its_rule(
    validator: Validator, resource: Json, path: str, value: Any, code: str, expression: str
) -> None:
    issues = validator.check(changed(resource, path, value))

    assert [issue for issue in issues if not issue.rule] == []


@pytest.mark.parametrize(
    "path",
    ["name.0.family", "birthDate", "gender", "active", "name", "contact.0.name", "text.div", "link", "id", "photo"],
)
@pytest.mark.parametrize("secret", ["Ann Example 1960", "ann.example/1960", " ", 19600201, ["Ann Example 1960"]])
def test_no_issue_repeats_what_the_record_says(validator: Validator, path: str, secret: Any) -> None:
    issues = validator.check(changed(PATIENT, path, secret))

    told = " ".join(f"{i.diagnostics} {i.expected} {i.found} {i.suggestion} {i.expression}" for i in issues)
    assert "Example" not in told
    assert "1960" not in told


def test_a_name_far_from_all_others_has_no_suggestion() -> None:
    assert nearest("firstName", ["family", "given", "use"]) == ""
    assert nearest("x" * 10_000, ["x"]) == ""


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ("hr", "h"),
        ("mg/day", "mg/d"),
        ("MG/KG", "mg/kg"),
        ("years", "a"),
        ("milligram", "mg"),
        ("percent", "%"),
        ("IU", "[iU]"),
        ("°C", "Cel"),
        ("mmHg", "mm[Hg]"),
        ("kg/m^2", "kg/m2"),
        ("tablet", ""),
        ("x" * 10_000, ""),
    ],
)
def test_a_unit_is_known_by_its_names(written: str, unit: str) -> None:
    assert unit_meant(written) == unit


def test_many_suggestions_are_not_looked_for(validator: Validator) -> None:
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMBB"}
    resource = changed(OBSERVATION, "category", [{"coding": [coding | {"display": str(n)}]} for n in range(2000)])

    start = time.perf_counter()
    issues = [issue for issue in validator.check(resource) if issue.is_error]

    assert len(issues) == MAX_ERRORS
    assert sum(bool(issue.suggestion) for issue in issues) == MAX_SUGGESTIONS
    assert time.perf_counter() - start < 10


def test_every_fix_is_one_of_a_constraint() -> None:
    keys = {each[0] for each in r4()["constraints"]}

    fixes = toml_files("rules")["r4-fixes"]["fix"]

    assert fixes.keys() - keys == set()
    assert all(fix[0].isupper() and fix.endswith(".") for fix in fixes.values())


def test_an_example_of_a_profile_is_shaped_as_json(validator: Validator) -> None:
    signs = changed(OBSERVATION, "meta", {"profile": ["http://hl7.org/fhir/StructureDefinition/vitalsigns"]})

    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    shown = f'{{"coding":[{{"system":"{system}","code":"vital-signs"}}]}}'
    assert found(validator, signs, "dmt-slice-min").suggestion == f'Add to "category": {shown}.'


def test_the_detail_of_an_issue_is_defined() -> None:
    elements = json_files("structuredefinitions")["issue-detail"]["differential"]["element"]

    defined = {each["sliceName"] for each in elements if "sliceName" in each}
    assert defined == {"pointer", "entry", "expected", "found", "suggestion", "profile"}
    assert json.dumps(elements).count("fixedUri") == len(defined) + 1
