"""Slices: told apart by every kind of discriminator, ordered, closed, with a default, and sliced again."""

from typing import Any

import pytest

from app.profiles import r4
from app.terminology import load_terminology
from app.validation import Validator
from tests.validation.samples import OBSERVATION, changed
from tests.validation.test_profiles import element, structure

URL = "https://example.org/StructureDefinition/sliced"
NAMED = structure("https://example.org/StructureDefinition/named", "Patient", element("Patient.name", min=1))
FLAG = "https://example.org/StructureDefinition/flag"


def slicing(kind: str, path: str, rules: str = "open", **rest: Any) -> dict[str, Any]:
    return {"slicing": {"discriminator": [{"type": kind, "path": path}], "rules": rules} | rest}


def text(value: str) -> dict[str, Any]:
    return {"patternCodeableConcept": {"text": value}}


def rules(elements: list[dict[str, Any]], resource: dict[str, Any]) -> list[str]:
    profile = structure(URL, "Observation", *elements)
    validator = Validator(r4(), load_terminology(), [NAMED, profile])
    return [each.rule for each in validator.check(resource, profiles=[URL]) if each.is_error]


def components(*names: str) -> dict[str, Any]:
    made = [
        {"code": {"text": name.partition("=")[0]}, "valueInteger": int(name.partition("=")[2] or 1)} for name in names
    ]
    return changed(OBSERVATION, "component", made)


NOW_THEN = [
    element("Observation.component:now", min=1, max="1"),
    element("Observation.component:now.code", **text("Now")),
    element("Observation.component:then", max="1"),
    element("Observation.component:then.code", **text("Then")),
]


@pytest.mark.parametrize(
    ("rules_", "names", "expected"),
    [
        ({"rules": "open"}, ("Other", "Now"), []),
        ({"rules": "open"}, ("Other",), ["dmt-slice-min"]),
        ({"rules": "open"}, ("Now", "Now"), ["dmt-slice-max"]),
        ({"rules": "closed"}, ("Now", "Other"), ["dmt-slice-closed"]),
        ({"rules": "openAtEnd"}, ("Now", "Other"), []),
        ({"rules": "openAtEnd"}, ("Other", "Now"), ["dmt-slice-order"]),
        ({"rules": "open", "ordered": True}, ("Now", "Then"), []),
        ({"rules": "open", "ordered": True}, ("Then", "Now"), ["dmt-slice-order"]),
    ],
)
def test_the_rules_of_slicing_hold(rules_: dict[str, Any], names: tuple[str, ...], expected: list[str]) -> None:
    sliced = element("Observation.component", **slicing("value", "code", **rules_))

    assert rules([sliced, *NOW_THEN], components(*names)) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Now", "Other=1"), []),
        (("Now", "Other=9"), ["dmt-max-value"]),
        (("Now=9", "Other=1"), []),
        (("Now", "Other=1", "More=1"), ["dmt-slice-max"]),
    ],
)
def test_the_default_slice_holds_what_belongs_to_no_other(names: tuple[str, ...], expected: list[str]) -> None:
    elements = [
        element("Observation.component", **slicing("value", "code", "closed")),
        *NOW_THEN,
        element("Observation.component:@default", max="1"),
        element("Observation.component:@default.valueInteger", maxValueInteger=5),
    ]

    assert rules(elements, components(*names)) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Now=1", "Now=2"), []),
        (("Now=1", "Now=1"), ["dmt-slice-max", "dmt-slice-min"]),
        (("Now=1", "Now=2", "Now=3"), ["dmt-slice-closed"]),
        (("Now=1", "Now=2", "Then=1"), []),
    ],
)
def test_a_slice_is_sliced_again(names: tuple[str, ...], expected: list[str]) -> None:
    elements = [
        element("Observation.component", **slicing("value", "code")),
        element("Observation.component:now", min=1, **slicing("value", "value", "closed")),
        element("Observation.component:now.code", **text("Now")),
        element("Observation.component:now/one", min=1, max="1"),
        element("Observation.component:now/one.valueInteger", fixedInteger=1),
        element("Observation.component:now/two", min=1, max="1"),
        element("Observation.component:now/two.valueInteger", fixedInteger=2),
    ]

    assert rules(elements, components(*names)) == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [("dataAbsentReason", ["dmt-slice-max"]), ("interpretation", [])],
)
def test_slices_are_told_apart_by_what_exists(place: str, expected: list[str]) -> None:
    elements = [
        element("Observation.component", **slicing("exists", "dataAbsentReason")),
        element("Observation.component:with", max="0"),
        element("Observation.component:with.dataAbsentReason", min=1),
        element("Observation.component:without"),
        element("Observation.component:without.dataAbsentReason", max="0"),
    ]
    value: Any = {"text": "x"} if place == "dataAbsentReason" else [{"text": "x"}]
    component = {"code": {"text": "Now"}, place: value}

    assert rules(elements, changed(OBSERVATION, "component", [component])) == expected


@pytest.mark.parametrize("kind", ["type", "profile"])
@pytest.mark.parametrize(
    ("target", "by_type", "by_profile"),
    [
        ({"resourceType": "Patient", "id": "t", "name": [{"text": "x"}]}, [], []),
        ({"resourceType": "Patient", "id": "t", "active": True}, [], ["dmt-slice-min"]),
        ({"resourceType": "Device", "id": "t"}, ["dmt-slice-min"], ["dmt-slice-min"]),
    ],
)
def test_slices_are_told_apart_by_type_and_profile_of_what_is_referred_to(
    kind: str, target: dict[str, Any], by_type: list[str], by_profile: list[str]
) -> None:
    reference = [{"code": "Reference", "targetProfile": [NAMED["url"]]}]
    elements = [
        element("Observation.focus", **slicing(kind, "$this.resolve()")),
        element("Observation.focus:named", min=1, type=reference),
    ]
    resource = OBSERVATION | {"contained": [target], "focus": [{"reference": "#t"}]}

    found = [each for each in rules(elements, resource) if each != "dmt-reference-profile"]

    assert found == (by_type if kind == "type" else by_profile)


@pytest.mark.parametrize(("value", "expected"), [("a", []), ("b", ["dmt-slice-min"])])
def test_slices_are_told_apart_by_an_extension(value: str, expected: list[str]) -> None:
    flag = structure(
        FLAG,
        "Extension",
        element("Extension.url", fixedUri=FLAG),
        element("Extension.value[x]", type=[{"code": "code"}]),
    )
    inner = "Observation.component:a.extension:flag"
    elements = [
        element("Observation.component", **slicing("value", f"extension('{FLAG}').value")),
        element("Observation.component:a", min=1),
        element(inner, type=[{"code": "Extension", "profile": [FLAG]}]),
        element(f"{inner}.value[x]", fixedCode="a"),
    ]
    component = {"code": {"text": "x"}, "extension": [{"url": FLAG, "valueCode": value}]}
    validator = Validator(r4(), load_terminology(), [flag, structure(URL, "Observation", *elements)])

    issues = validator.check(changed(OBSERVATION, "component", [component]), profiles=[URL])

    assert [each.rule for each in issues if each.is_error] == expected


@pytest.mark.parametrize(("text_", "expected"), [("Now", []), ("Later", ["dmt-slice-min"])])
def test_slices_stand_in_slices(text_: str, expected: list[str]) -> None:
    elements = [
        element("Observation.component", **slicing("value", "code")),
        element("Observation.component:now", min=1),
        element("Observation.component:now.code", **text("Now")),
        element("Observation.component:now.interpretation", **slicing("value", "text")),
        element("Observation.component:now.interpretation:high", min=1),
        element("Observation.component:now.interpretation:high.text", fixedString="Now"),
    ]
    component = {"code": {"text": "Now"}, "interpretation": [{"text": text_}]}

    assert rules(elements, changed(OBSERVATION, "component", [component])) == expected


def test_a_fixed_value_allows_no_extension() -> None:
    fixed = [element("Observation.status", fixedCode="final")]
    reason = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}

    assert rules(fixed, OBSERVATION | {"_status": {"id": "a"}}) == []
    assert rules(fixed, OBSERVATION | {"_status": {"extension": [reason]}}) == ["dmt-fixed"]
