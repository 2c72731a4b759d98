"""Vital signs: an Observation with the code of one conforms to its profile in base R4, claimed or not."""

from decimal import Decimal
from typing import Any

import pytest

from app.profiles import r4, toml_files
from app.validation import Validator
from app.validation.checks.implied import implied_profile, related_profile
from tests.validation.samples import PATIENT, changed

BASE = "http://hl7.org/fhir/StructureDefinition/"
UCUM = "http://unitsofmeasure.org"
CATEGORY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}


def fixed(name: str) -> dict[str, str]:
    """The coding a profile of base R4 fixes."""
    elements = r4()["profiles"][BASE + name]["element"]
    at = {each["path"]: each for each in elements if each["path"].startswith("Observation.code.coding.")}
    return {
        "system": at["Observation.code.coding.system"]["fixedUri"],
        "code": at["Observation.code.coding.code"]["fixedCode"],
    }


def vital_sign(name: str, unit: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "text": PATIENT["text"],
        "status": "final",
        "category": [{"coding": [CATEGORY]}],
        "code": {"coding": [fixed(name)]},
        "subject": {"reference": "Patient/12"},
        "performer": [{"reference": "Practitioner/3"}],
        "effectiveDateTime": "2026-05-01",
        "valueQuantity": {"value": Decimal("36.5"), "unit": unit, "system": UCUM, "code": unit},
    }


SIGNS = [("bodytemp", "Cel"), ("heartrate", "/min"), ("bodyheight", "cm"), ("bodyweight", "kg"), ("bmi", "kg/m2")]


@pytest.mark.parametrize(("name", "unit"), SIGNS)
def test_a_conforming_vital_sign_has_no_error(validator: Validator, name: str, unit: str) -> None:
    assert [each for each in validator.check(vital_sign(name, unit)) if each.is_error] == []


@pytest.mark.parametrize(("name", "unit"), SIGNS)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("effectiveDateTime", None),
        ("category.0.coding.0.code", "survey"),
        ("valueQuantity.system", "https://example.org"),
        ("valueQuantity.code", "mg"),
        ("subject", {"reference": "Group/1"}),
    ],
)
def test_what_the_profile_of_a_vital_sign_forbids_is_an_error_without_a_claim(
    validator: Validator, name: str, unit: str, path: str, value: Any
) -> None:
    issues = validator.check(changed(vital_sign(name, unit), path, value))

    assert BASE + name in {each.profile for each in issues if each.is_error}


def test_a_vital_sign_may_be_of_a_period(validator: Validator) -> None:
    whole_day = changed(vital_sign("bodytemp", "Cel"), "effectiveDateTime", None)
    issues = validator.check(whole_day | {"effectivePeriod": {"start": "2026-05-01", "end": "2026-05-02"}})

    assert [each for each in issues if each.is_error] == []


def test_a_claimed_profile_is_checked_once(validator: Validator) -> None:
    claimed = vital_sign("bodytemp", "Cel") | {"meta": {"profile": [BASE + "bodytemp"]}}
    issues = validator.check(changed(claimed, "effectiveDateTime", None))

    assert len([each for each in issues if each.expression == "Observation.effective" and each.is_error]) == 1


def test_units_of_components_are_advice_where_the_profile_is_not_claimed(validator: Validator) -> None:
    flow = {"code": {"text": "Flow"}, "valueQuantity": {"value": 6, "unit": "L/min", "system": UCUM, "code": "L/min"}}
    sign = vital_sign("oxygensat", "%") | {"component": [flow]}
    claimed = sign | {"meta": {"profile": [BASE + "oxygensat"]}}

    assert [each for each in validator.check(sign) if each.is_error] == []
    assert "dmt-binding-required" in [each.rule for each in validator.check(claimed) if each.is_error]


RELATED = [
    ({"system": group["system"], "code": code}, group["profile"])
    for group in toml_files("r4")["vital-signs"]["related"]
    for code in group["codes"]
]


@pytest.mark.parametrize(("coding", "profile"), RELATED)
def test_a_more_special_code_alone_is_a_warning(validator: Validator, coding: dict[str, str], profile: str) -> None:
    alone = vital_sign("bodytemp", "Cel") | {"code": {"coding": [coding]}}
    both = alone | {"code": {"coding": [coding, fixed(profile)]}}

    told = [(each.severity, each.expected) for each in validator.check(alone) if each.rule == "dmt-vital-sign"]

    assert told == [("warning", BASE + profile)]
    assert related_profile(both) == ""
    assert implied_profile(both) == BASE + profile


@pytest.mark.parametrize(
    "code", [None, 1, "x", {"coding": 1}, {"coding": [1]}, {"coding": [{"system": [], "code": {}}]}]
)
def test_codes_of_any_shape_imply_nothing(code: Any) -> None:
    resource = {"resourceType": "Observation", "code": code}

    assert implied_profile(resource) == related_profile(resource) == ""
