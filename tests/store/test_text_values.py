"""What rows references, strings and uris give (R4 3.1.1.4.8, 3.1.1.4.11, 3.1.1.4.13)."""

from typing import Any

import pytest

from app.store.tables import SearchReference, SearchString, SearchToken, SearchUri
from tests.store.index_rows import rows

REFERENCES = [
    ("a relative reference", {"reference": "Patient/1"}, "subject", {("Patient", "1")}),
    ("a version of a resource", {"reference": "Patient/1/_history/3"}, "subject", {("Patient", "1")}),
    ("an absolute reference to this server", {"reference": "http://own/fhir/Patient/1"}, "subject", {("Patient", "1")}),
    (
        "one to another server",
        {"reference": "http://other/fhir/Patient/1"},
        "subject",
        {("", "http://other/fhir/Patient/1")},
    ),
    (
        "of a type that is told by its address",
        {"reference": "http://o/Patient/1"},
        "patient",
        {("", "http://o/Patient/1")},
    ),
    ("of another type", {"reference": "Group/1"}, "patient", set()),
    ("a contained resource", {"reference": "#p"}, "subject", set()),
    ("a name", {"reference": "urn:uuid:0c0c"}, "subject", {("", "urn:uuid:0c0c")}),
]


@pytest.mark.parametrize(("name", "reference", "param", "expected"), REFERENCES, ids=[r[0] for r in REFERENCES])
def test_references(name: str, reference: dict[str, Any], param: str, expected: set[Any]) -> None:
    found = rows("Observation", {"subject": reference}, SearchReference, param, "http://own/fhir")

    assert found == expected


PRESENT = [
    ("a contained resource", {"subject": {"reference": "#p"}}, "subject:present", True),
    ("a name of what is referred to", {"subject": {"display": "the ward"}}, "subject:present", True),
    ("a type only", {"identifier": [{"use": "old"}]}, "identifier:present", True),
    ("a reference that can be searched for", {"subject": {"reference": "Patient/1"}}, "subject:present", False),
    ("an identifier that can be", {"subject": {"identifier": {"value": "1"}}}, "subject:present", False),
    (
        "one of several that can be",
        {"performer": [{"reference": "#p"}, {"reference": "Patient/1"}]},
        "performer:present",
        False,
    ),
    ("nothing", {}, "subject:present", False),
]


@pytest.mark.parametrize(("name", "elements", "param", "is_noted"), PRESENT, ids=[p[0] for p in PRESENT])
def test_a_value_that_cannot_be_searched_for_is_noted(
    name: str, elements: dict[str, Any], param: str, is_noted: bool
) -> None:
    assert rows("Observation", elements, SearchToken, param) == ({("", "")} if is_noted else set())


def test_a_canonical_is_found_with_and_without_its_version() -> None:
    found = rows("CarePlan", {"instantiatesCanonical": ["http://x/p|2"]}, SearchReference, "instantiates-canonical")

    assert found == {("", "http://x/p|2"), ("", "http://x/p")}


@pytest.mark.parametrize(("param", "expected"), [("composition", {("Composition", "c")}), ("message", set())])
def test_a_document_is_found_by_its_composition(param: str, expected: set[Any]) -> None:
    entry = [{"resource": {"resourceType": "Composition", "id": "c"}}]

    assert rows("Bundle", {"type": "document", "entry": entry}, SearchReference, param) == expected


STRINGS = [
    ("string", "Patient", {"name": [{"family": "Ångström"}]}, "family", {("angstrom", "Ångström")}),
    (
        "HumanName",
        "Patient",
        {"name": [{"family": "Bø", "given": ["Ann", "Lý"], "prefix": ["Dr"]}]},
        "name",
        {("bo", "Bø"), ("ann", "Ann"), ("ly", "Lý"), ("dr", "Dr"), ("ann ly bo", "Ann Lý Bø")},
    ),
    (
        "Address",
        "Patient",
        {"address": [{"line": ["Weg 1"], "city": "Köln", "country": "DE"}]},
        "address",
        {("weg 1", "Weg 1"), ("koln", "Köln"), ("de", "DE"), ("weg 1 koln", "Weg 1 Köln")},
    ),
    (
        "the text of a concept",
        "Observation",
        {"valueCodeableConcept": {"text": "Hot"}},
        "value-string",
        {("hot", "Hot")},
    ),
    (
        "an extension",
        "Patient",
        {
            "extension": [
                {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "Weiß"},
                {"url": "urn:other", "valueString": "x"},
            ]
        },
        "mothersMaidenName",
        {("weiss", "Weiß")},
    ),
]


@pytest.mark.parametrize(
    ("name", "resource_type", "elements", "param", "expected"), STRINGS, ids=[s[0] for s in STRINGS]
)
def test_strings(name: str, resource_type: str, elements: dict[str, Any], param: str, expected: set[Any]) -> None:
    assert rows(resource_type, elements, SearchString, param) == expected


def test_any_part_of_a_long_text_stands_in_one_piece_whole() -> None:
    text = " ".join(f"word{n:05}" for n in range(300))

    whole = rows("ValueSet", {"description": text}, SearchString, "description")
    pieces = {value for value, _ in rows("ValueSet", {"description": text}, SearchString, "description:part")}

    assert whole == {(text[:200], text)}
    assert all(any(text[n : n + 100] in piece for piece in pieces) for n in range(len(text) - 100))


URIS = [
    ("uri", "ValueSet", {"url": "http://x/v"}, "url", {("http://x/v",)}),
    (
        "a canonical of a profile",
        "Patient",
        {"meta": {"profile": ["http://x/p|1"]}},
        "_profile",
        {("http://x/p|1",), ("http://x/p",)},
    ),
    ("source", "Patient", {"meta": {"source": "urn:ehr#1"}}, "_source", {("urn:ehr#1",)}),
]


@pytest.mark.parametrize(("name", "resource_type", "elements", "param", "expected"), URIS, ids=[u[0] for u in URIS])
def test_uris(name: str, resource_type: str, elements: dict[str, Any], param: str, expected: set[Any]) -> None:
    assert rows(resource_type, elements, SearchUri, param) == expected
