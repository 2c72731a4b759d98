"""Profiles: what a differential adds to base R4 holds, for resources that claim it or are asked for it."""

from decimal import Decimal
from typing import Any

import pytest

from app.profiles import r4
from app.terminology import load_terminology
from app.validation import Validator
from app.validation.profiles import Profiles
from app.validation.rules import BaseRules
from app.validation.snapshots.broken import BrokenProfile
from tests.validation.samples import OBSERVATION, changed

BASE = "https://example.org/StructureDefinition"
GRADE = f"{BASE}/grade"
PROFILE = f"{BASE}/observation"
SCORES = "https://example.org/ValueSet/scores"


def element(id_: str, **rest: Any) -> dict[str, Any]:
    path = ".".join(step.partition(":")[0] for step in id_.split("."))
    slice_ = id_.rpartition(".")[2].partition(":")[2]
    return {"id": id_, "path": path} | ({"sliceName": slice_} if slice_ else {}) | rest


def structure(url: str, type_: str, *elements: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": url,
        "version": "1.0.0",
        "kind": "resource",
        "type": type_,
        "derivation": "constraint",
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{type_}",
        "differential": {"element": list(elements)},
    } | rest


SLICED = {"slicing": {"discriminator": [{"type": "value", "path": "code"}], "rules": "open"}}
RULE = {"key": "x-1", "severity": "error", "human": "A score needs a time", "expression": "effective.exists()"}
MEMBER = {
    "key": "x-2",
    "severity": "error",
    "human": "The method is a scoring method",
    "expression": f"method.memberOf('{SCORES}')",
}
DEFINITIONS = [
    structure(
        PROFILE,
        "Observation",
        element("Observation", constraint=[RULE, MEMBER]),
        element("Observation.extension:grade", type=[{"code": "Extension", "profile": [GRADE]}], min=1, max="1"),
        element("Observation.status", fixedCode="final"),
        element("Observation.code", patternCodeableConcept={"text": "Pain intensity"}),
        element("Observation.subject", type=[{"code": "Reference", "targetProfile": [f"{BASE}/patient"]}]),
        element("Observation.value[x]", type=[{"code": "Quantity"}, {"code": "integer"}], min=1),
        element("Observation.value[x]:valueQuantity.value", minValueDecimal=0, maxValueDecimal=10),
        element("Observation.interpretation", min=0, max="0"),
        element("Observation.method", binding={"strength": "required", "valueSet": SCORES}),
        element("Observation.component", min=1, **SLICED),
        element("Observation.component:now", min=1, max="1"),
        element("Observation.component:now.code", patternCodeableConcept={"text": "Now"}),
        element("Observation.component:now.value[x]", type=[{"code": "integer"}]),
        element("Observation.component:now.valueInteger", maxValueInteger=10),
    ),
    structure(f"{PROFILE}-special", "Observation", element("Observation.device", min=1), baseDefinition=PROFILE),
    structure(f"{BASE}/patient", "Patient", element("Patient.name", min=1)),
    structure(
        GRADE,
        "Extension",
        element("Extension.url", fixedUri=GRADE),
        element("Extension.value[x]", type=[{"code": "code"}], min=1),
        context=[{"type": "element", "expression": "Observation"}],
    ),
    {
        "resourceType": "ValueSet",
        "url": SCORES,
        "compose": {"include": [{"system": "http://snomed.info/sct", "concept": [{"code": "1"}]}]},
    },
]
GOOD: dict[str, Any] = OBSERVATION | {
    "meta": {"profile": [PROFILE]},
    "extension": [{"url": GRADE, "valueCode": "x"}],
    "method": {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]},
}


@pytest.fixture(scope="module")
def profiled() -> Validator:
    return Validator(r4(), load_terminology(DEFINITIONS[-1:]), DEFINITIONS[:-1])


def test_every_profile_of_base_r4_compiles() -> None:
    rules = BaseRules(r4())
    profiles = Profiles(rules, [{**each, "url": url} for url, each in r4()["profiles"].items()])

    assert all(profiles.get(url) for url in r4()["profiles"])


def test_a_conforming_resource_has_no_error(profiled: Validator) -> None:
    assert [issue for issue in profiled.check(GOOD) if issue.is_error] == []


@pytest.mark.parametrize(
    ("path", "value", "code", "expression"),
    [
        ("extension", None, "required", "Observation"),
        ("extension.0.url", "http://example.org/other", "required", "Observation"),
        (
            "extension.0",
            {"url": GRADE, "valueString": "x"},
            "structure",
            "Observation.extension[0].value.ofType(string)",
        ),
        ("status", "amended", "value", "Observation.status"),
        ("code.text", "Pain", "value", "Observation.code"),
        ("subject.reference", "Group/1", "value", "Observation.subject"),
        ("valueQuantity", None, "required", "Observation.value"),
        ("valueQuantity.value", Decimal("10.5"), "value", "Observation.value.ofType(Quantity).value"),
        ("interpretation", [{"text": "high"}], "structure", "Observation"),
        ("method.coding.0.code", "2", "code-invalid", "Observation.method"),
        ("effectiveDateTime", None, "invariant", "Observation"),
        ("component.0.code.text", "Later", "required", "Observation"),
        ("component.1.code.text", "Now", "structure", "Observation"),
        ("component.0.valueInteger", 11, "value", "Observation.component[0].value.ofType(integer)"),
    ],
)
def test_one_broken_profile_rule_is_found(
    profiled: Validator, path: str, value: Any, code: str, expression: str
) -> None:
    issues = [issue for issue in profiled.check(changed(GOOD, path, value)) if issue.is_error]

    assert (code, expression) in [(issue.code, issue.expression) for issue in issues]
    assert all(issue.profile in (PROFILE, GRADE) for issue in issues)


def test_a_narrowed_choice_refuses_other_types(profiled: Validator) -> None:
    other = changed(changed(GOOD, "valueQuantity", None), "valueString", "seven")

    assert "Observation.value.ofType(string)" in [each.expression for each in profiled.check(other) if each.is_error]


def test_a_profile_can_be_asked_for(profiled: Validator) -> None:
    plain = changed(OBSERVATION, "status", "amended")

    assert not [issue for issue in profiled.check(plain) if issue.is_error]
    assert [issue for issue in profiled.check(plain, profiles=[PROFILE]) if issue.is_error]


def test_a_derived_profile_keeps_the_rules_of_its_base(profiled: Validator) -> None:
    claimed = changed(changed(GOOD, "meta.profile", [f"{PROFILE}-special"]), "status", "amended")

    issues = [issue for issue in profiled.check(claimed) if issue.is_error]

    assert {issue.code for issue in issues} == {"value", "required"}


@pytest.mark.parametrize("profile", ["https://example.org/unknown", f"{PROFILE}|9.9.9"])
def test_an_unknown_profile_is_a_warning(profiled: Validator, profile: str) -> None:
    issues = profiled.check(changed(OBSERVATION, "meta", {"profile": [profile]}))

    assert [(issue.severity, issue.expression) for issue in issues] == [("warning", "Observation.meta.profile[0]")]


def test_an_extension_in_the_wrong_place_is_an_error(profiled: Validator) -> None:
    patient = {"resourceType": "Patient", "extension": [{"url": GRADE, "valueCode": "x"}]}

    assert "dmt-extension-context" in [issue.rule for issue in profiled.check(patient) if issue.is_error]


def test_a_constraint_that_does_not_compile_stops_the_start() -> None:
    broken = structure(
        PROFILE, "Observation", element("Observation", constraint=[RULE | {"expression": "status.nope()"}])
    )

    with pytest.raises(BrokenProfile) as caught:
        Validator(r4(), load_terminology(), [broken])

    assert "nope" in str(caught.value)


@pytest.mark.parametrize("is_named", [True, False])
def test_a_constraint_may_ask_whether_something_conforms(is_named: bool) -> None:
    inner = {"resourceType": "Patient", "id": "p"} | ({"name": [{"text": "x"}]} if is_named else {"active": True})
    rule = RULE | {"expression": f"contained.first().conformsTo('{BASE}/patient')"}
    asking = structure(PROFILE, "Observation", element("Observation", constraint=[rule]))
    patient = structure(f"{BASE}/patient", "Patient", element("Patient.name", min=1))
    validator = Validator(r4(), load_terminology(), [asking, patient])
    resource = OBSERVATION | {"contained": [inner], "subject": {"reference": "#p"}}

    broken = [each.rule for each in validator.check(resource, profiles=[PROFILE]) if each.is_error]

    assert broken == ([] if is_named else ["x-1"])
