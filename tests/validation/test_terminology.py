"""Code systems and value sets: what is known is said, and what is not known is never refused."""

import time
from typing import Any

import pytest

from app.profiles import r4
from app.terminology import Answer, Terminology, load_terminology
from app.validation import Validator
from tests.validation.samples import CONDITION, OBSERVATION, changed

BASE = "https://example.org"
SYSTEM = f"{BASE}/CodeSystem/colours"


def code_system(url: str = SYSTEM, **rest: Any) -> dict[str, Any]:
    concepts = [
        {"code": "red", "display": "Red", "property": [{"code": "warm", "valueBoolean": True}]},
        {"code": "blue", "display": "Blue", "designation": [{"language": "de", "value": "Blau"}]},
    ]
    return {"resourceType": "CodeSystem", "url": url, "content": "complete", "concept": concepts} | rest


def value_set(name: str, *includes: dict[str, Any], **rest: Any) -> dict[str, Any]:
    url = f"{BASE}/ValueSet/{name}"
    return {"resourceType": "ValueSet", "url": url, "compose": {"include": list(includes)}} | rest


def of(*names: str) -> dict[str, Any]:
    return {"valueSet": [f"{BASE}/ValueSet/{name}" for name in names]}


SETS = [
    value_set("all", {"system": SYSTEM}, version="1.0"),
    value_set("warm", {"system": SYSTEM, "filter": [{"property": "warm", "op": "=", "value": "true"}]}),
    value_set("odd", {"system": SYSTEM, "filter": [{"property": "warm", "op": "regex", "value": ".*"}]}),
    value_set("next", {"system": SYSTEM, "version": "3.0"}),
    value_set("circle-a", of("circle-b"), {"system": SYSTEM, "concept": [{"code": "red"}]}),
    value_set("circle-b", of("circle-a")),
    value_set("itself", of("itself")),
    value_set("nothing"),
    {"resourceType": "ValueSet", "url": f"{BASE}/ValueSet/bare"},
    value_set("units", {"system": "http://unitsofmeasure.org"}),
    value_set(
        "masses",
        {"system": "http://unitsofmeasure.org", "filter": [{"property": "canonical", "op": "=", "value": "g"}]},
    ),
    value_set(
        "not-red",
        {"system": SYSTEM},
        compose={"include": [{"system": SYSTEM}], "exclude": [{"system": SYSTEM, "concept": [{"code": "red"}]}]},
    ),
    value_set("without-unknown", compose={"include": [{"system": SYSTEM}], "exclude": [of("unheard-of")]}),
    {
        "resourceType": "ValueSet",
        "url": f"{BASE}/ValueSet/stored",
        "expansion": {"contains": [{"abstract": True, "contains": [{"system": SYSTEM, "code": "red"}]}]},
    },
]
YES, NO, OPEN = Answer.VALID, Answer.INVALID, Answer.UNCHECKED


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return load_terminology([code_system(version="2.0"), *SETS])


@pytest.mark.parametrize(
    ("name", "system", "code", "answer"),
    [
        ("all", SYSTEM, "red", YES),
        ("all", SYSTEM, "green", NO),
        ("all|1.0", SYSTEM, "green", NO),
        ("all|2.0", SYSTEM, "green", OPEN),
        ("warm", SYSTEM, "red", YES),
        ("warm", SYSTEM, "blue", NO),
        ("odd", SYSTEM, "blue", OPEN),
        ("next", SYSTEM, "green", OPEN),
        ("circle-a", SYSTEM, "red", YES),
        ("circle-a", SYSTEM, "green", OPEN),
        ("circle-b", SYSTEM, "green", OPEN),
        ("itself", SYSTEM, "red", OPEN),
        ("nothing", SYSTEM, "red", OPEN),
        ("bare", SYSTEM, "red", OPEN),
        ("unheard-of", SYSTEM, "red", OPEN),
        ("units", "http://unitsofmeasure.org", "mg", YES),
        ("units", "http://unitsofmeasure.org", "mgg", NO),
        ("masses", "http://unitsofmeasure.org", "mg", OPEN),
        ("masses", "http://unitsofmeasure.org", "mgg", NO),
        ("not-red", SYSTEM, "red", NO),
        ("without-unknown", SYSTEM, "red", OPEN),
        ("stored", SYSTEM, "red", YES),
        ("stored", SYSTEM, "blue", NO),
    ],
)
def test_a_value_set_says_yes_no_or_that_it_cannot_be_told(
    terminology: Terminology, name: str, system: str, code: str, answer: Answer
) -> None:
    assert terminology.contains(f"{BASE}/ValueSet/{name}", system, code) is answer


@pytest.mark.parametrize("content", ["fragment", "example", "not-present"])
def test_an_incomplete_code_system_never_says_no(content: str) -> None:
    terminology = load_terminology([code_system(content=content), *SETS])

    assert terminology.has_code(SYSTEM, "green") is OPEN
    assert terminology.contains(f"{BASE}/ValueSet/all", SYSTEM, "green") is OPEN
    assert terminology.is_display(SYSTEM, "red", "Crimson") is OPEN


@pytest.mark.parametrize("url", ["http://snomed.info/sct", "http://loinc.org", "http://hl7.org/fhir/sid/icd-10"])
def test_nobody_can_make_the_other_codes_of_a_great_terminology_wrong(url: str) -> None:
    terminology = load_terminology([code_system(url)])

    assert terminology.has_code(url, "red") is YES
    assert terminology.has_code(url, "green") is OPEN


@pytest.mark.parametrize(
    ("text", "answer"), [("Blue", YES), ("blue", YES), ("Blau", YES), ("Azul", YES), (" Blue", NO), ("Green", NO)]
)
def test_designations_and_supplements_are_displays_too(text: str, answer: Answer) -> None:
    supplement = {
        "resourceType": "CodeSystem",
        "url": f"{BASE}/CodeSystem/more",
        "content": "supplement",
        "supplements": f"{SYSTEM}|2.0",
        "concept": [{"code": "blue", "designation": [{"value": "Azul"}, {"value": "Blau"}]}],
    }
    terminology = load_terminology([code_system(), supplement])

    assert terminology.is_display(SYSTEM, "blue", text) is answer


def test_value_sets_that_include_each_other_many_times_are_read_soon() -> None:
    names = [f"v{number}" for number in range(40)]
    sets = [value_set(name, *[of(other) for other in names]) for name in names]
    terminology = load_terminology(sets)
    start = time.perf_counter()

    answers = {terminology.contains(each["url"], SYSTEM, "red") for each in sets}

    assert answers == {OPEN}
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("system", "code", "answer"),
    [
        ("urn:ietf:bcp:47", "de-CH", YES),
        ("urn:ietf:bcp:47", "zh-Hant-TW", YES),
        ("urn:ietf:bcp:47", "sl-rozaj-biske-1994", YES),
        ("urn:ietf:bcp:47", "x-private", YES),
        ("urn:ietf:bcp:47", "english", NO),
        ("urn:ietf:bcp:47", "en_US", NO),
        ("urn:ietf:bcp:47", "en-", NO),
        ("urn:ietf:bcp:13", "text/plain; charset=UTF-8", YES),
        ("urn:ietf:bcp:13", "text/", NO),
        ("urn:iso:std:iso:4217", "EUR", YES),
        ("urn:iso:std:iso:4217", "euro", NO),
        ("https://example.org/unheard-of", "x", OPEN),
    ],
)
def test_systems_with_a_grammar_are_held_to_it(
    terminology: Terminology, system: str, code: str, answer: Answer
) -> None:
    assert terminology.has_code(system, code) is answer


def test_an_unknown_code_system_is_said_to_be_unchecked(validator: Validator) -> None:
    coding = {"system": "https://example.org/unheard-of", "code": "x"}
    issues = validator.check(changed(OBSERVATION, "code", {"coding": [coding]}))

    told = [(each.severity, each.expression) for each in issues if each.rule == "dmt-system-unchecked"]

    assert told == [("information", "Observation.code.coding[0].system")]


@pytest.mark.parametrize(("language", "severity"), [(None, "error"), ("en-GB", "error"), ("de", "warning")])
def test_a_wrong_display_of_a_complete_system_is_an_error_in_english(
    validator: Validator, language: str | None, severity: str
) -> None:
    wrong = changed(OBSERVATION, "category.0.coding.0.display", "Umfrage")
    issues = validator.check(wrong | ({"language": language} if language else {}))

    assert [each.severity for each in issues if each.rule == "dmt-display"] == [severity]


@pytest.mark.parametrize("strength", ["preferred", "extensible"])
def test_the_maximum_value_set_binds_whatever_the_strength(strength: str) -> None:
    url = f"{BASE}/StructureDefinition/coloured"
    most = {
        "url": "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet",
        "valueCanonical": f"{BASE}/ValueSet/all",
    }
    binding = {"strength": strength, "valueSet": f"{BASE}/ValueSet/warm", "extension": [most]}
    profile = {
        "resourceType": "StructureDefinition",
        "url": url,
        "type": "Condition",
        "kind": "resource",
        "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Condition",
        "differential": {"element": [{"id": "Condition.code", "path": "Condition.code", "binding": binding}]},
    }
    validator = Validator(r4(), load_terminology([code_system(), *SETS]), [profile])

    def errors(code: str) -> list[str]:
        colour = changed(CONDITION, "code", {"coding": [{"system": SYSTEM, "code": code}]})
        return [each.rule for each in validator.check(colour, profiles=[url]) if each.is_error]

    assert errors("red") == []
    assert errors("blue") == []
    assert "dmt-binding-max" in errors("green")
