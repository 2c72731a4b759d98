"""Where extensions may stand, and what is said of those that are not known (R4 section 2.5)."""

from typing import Any

import pytest

from app.profiles import r4
from app.terminology import load_terminology
from app.validation import Validator
from app.validation.snapshots.broken import BrokenProfile
from tests.validation.samples import OBSERVATION, PATIENT, changed
from tests.validation.test_profiles import element, structure

BASE = "https://example.org/StructureDefinition"
HL7 = "http://hl7.org/fhir/StructureDefinition"


def extension(name: str, *contexts: tuple[str, str], **rest: Any) -> dict[str, Any]:
    url = f"{BASE}/{name}"
    context = [{"type": kind, "expression": text} for kind, text in contexts]
    modifier = {"isModifier": True, "isModifierReason": "x"} if rest.pop("is_modifier", False) else {}
    return structure(
        url,
        "Extension",
        element("Extension", **modifier),
        element("Extension.url", fixedUri=url),
        element("Extension.value[x]", type=[{"code": "string"}]),
        context=context,
        **rest,
    )


DEFINED = [
    extension("patient", ("element", "Patient")),
    extension("name", ("element", "HumanName")),
    extension("path", ("fhirpath", "name.where(use = 'official')")),
    extension("date", ("fhirpath", "birthDate")),
    extension("inside", ("extension", f"{BASE}/outer")),
    extension("canonical", ("element", "CanonicalResource")),
    extension("asking", ("element", "Patient"), contextInvariant=["active = true"]),
    extension("modifier", ("element", "Patient"), is_modifier=True),
    structure(f"{BASE}/outer", "Extension", context=[{"type": "element", "expression": "Element"}]),
]


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator(r4(), load_terminology(), DEFINED)


def of(name: str) -> dict[str, Any]:
    return {"url": f"{BASE}/{name}", "valueString": "x"}


def rules(validator: Validator, resource: dict[str, Any]) -> list[str]:
    return [each.rule for each in validator.check(resource) if each.rule.startswith(("dmt-ext", "dmt-mod"))]


OFFICIAL = changed(PATIENT, "name.0.use", "official")
OUTER = {"url": f"{BASE}/outer", "extension": [of("inside")]}


@pytest.mark.parametrize(
    ("resource", "path", "value", "expected"),
    [
        (PATIENT, "extension", [of("patient")], []),
        (OBSERVATION, "extension", [of("patient")], ["dmt-extension-context"]),
        (PATIENT, "name.0.extension", [of("name")], []),
        (PATIENT, "extension", [of("name")], ["dmt-extension-context"]),
        (OFFICIAL, "name.0.extension", [of("path")], []),
        (PATIENT, "name.0.extension", [of("path")], ["dmt-extension-context"]),
        (PATIENT, "_birthDate", {"extension": [of("date")]}, []),
        (PATIENT, "_active", {"extension": [of("date")]}, ["dmt-extension-context"]),
        (PATIENT, "extension", [OUTER], []),
        (PATIENT, "extension", [of("inside")], ["dmt-extension-context"]),
        (PATIENT, "extension", [of("canonical")], ["dmt-extension-context"]),
        (changed(PATIENT, "active", True), "extension", [of("asking")], []),
        (PATIENT, "extension", [of("asking")], ["dmt-extension-invariant"]),
        (PATIENT, "modifierExtension", [of("modifier")], []),
        (PATIENT, "extension", [of("modifier")], ["dmt-extension-modifier"]),
        (PATIENT, "modifierExtension", [of("patient")], ["dmt-extension-modifier"]),
    ],
)
def test_an_extension_stands_where_its_definition_allows(
    validator: Validator, resource: dict[str, Any], path: str, value: Any, expected: list[str]
) -> None:
    assert rules(validator, changed(resource, path, value)) == expected


@pytest.mark.parametrize(
    ("place", "url", "rule", "severity"),
    [
        ("extension", "https://elsewhere.org/x", "dmt-extension-unchecked", "information"),
        ("extension", f"{HL7}/patient-unheard-of", "dmt-extension-unknown", "warning"),
        ("modifierExtension", "https://elsewhere.org/x", "dmt-modifier-unknown", "warning"),
    ],
)
def test_an_unknown_extension_is_told_but_never_refused(
    validator: Validator, place: str, url: str, rule: str, severity: str
) -> None:
    issues = validator.check(changed(PATIENT, place, [{"url": url, "valueString": "x"}]))

    told = [(each.rule, each.severity) for each in issues if each.expression == f"Patient.{place}[0]"]

    assert told == [(rule, severity)]


def test_a_modifier_of_base_r4_stands_in_modifier_extension(validator: Validator) -> None:
    url = f"{HL7}/request-doNotPerform"
    resource = {
        "resourceType": "DeviceRequest",
        "intent": "order",
        "codeCodeableConcept": {"text": "x"},
        "subject": {"reference": "Patient/1"},
        "extension": [{"url": url, "valueBoolean": True}],
    }

    assert "dmt-extension-modifier" in rules(validator, resource)


@pytest.mark.parametrize(
    "sibling", [None, {"extension": [{"url": f"{HL7}/data-absent-reason", "valueCode": "masked"}]}]
)
def test_an_extension_without_a_url_is_an_error(validator: Validator, sibling: dict[str, Any] | None) -> None:
    extension = {"valueString": "x"} | ({"_url": sibling} if sibling else {})

    places = [each.expression for each in validator.check(changed(PATIENT, "extension", [extension])) if each.is_error]

    assert "Patient.extension[0].url" in places


@pytest.mark.parametrize(
    "broken", [{"contextInvariant": ["nope("]}, {"context": [{"type": "fhirpath", "expression": "(("}]}]
)
def test_an_expression_that_does_not_compile_stops_the_start(broken: dict[str, Any]) -> None:
    with pytest.raises(BrokenProfile) as caught:
        Validator(r4(), load_terminology(), [extension("broken") | broken])

    assert "context" in str(caught.value)
