"""What rows tokens of each data type give (R4 3.1.1.4.10), and which definitions are served."""

from typing import Any

import pytest

from app.profiles import r4
from app.store.index.definitions import APART, unserved
from app.store.parameters import load_parameters
from app.store.tables import SearchString, SearchToken
from tests.store.index_rows import SCT, rows

TOKENS = [
    ("Coding", "Encounter", {"class": {"system": "urn:s", "code": "AMB"}}, "class", {("urn:s", "AMB")}),
    ("a Coding of system only", "Encounter", {"class": {"system": "urn:s"}}, "class", {("urn:s", "")}),
    ("Coding without system", "Encounter", {"class": {"code": "AMB"}}, "class", {("", "AMB")}),
    (
        "CodeableConcept",
        "Observation",
        {"code": {"coding": [{"system": SCT, "code": "1"}, {"code": "2"}], "text": "Pain"}},
        "code",
        {(SCT, "1"), ("", "2")},
    ),
    ("a CodeableConcept of text only", "Observation", {"code": {"text": "Pain"}}, "code", set()),
    ("Identifier", "Patient", {"identifier": [{"system": "urn:mrn", "value": "9"}]}, "identifier", {("urn:mrn", "9")}),
    (
        "the type of an Identifier",
        "Patient",
        {"identifier": [{"type": {"coding": [{"system": "urn:t", "code": "MR"}]}, "value": "9"}]},
        "identifier:of-type",
        {("urn:t|MR", "9")},
    ),
    (
        "ContactPoint",
        "Patient",
        {"telecom": [{"system": "phone", "value": "555"}]},
        "telecom",
        {("", "555"), ("phone", "555")},
    ),
    (
        "a ContactPoint of another system",
        "Patient",
        {"telecom": [{"system": "phone", "value": "555"}, {"system": "email", "value": "a@b"}]},
        "email",
        {("", "a@b"), ("email", "a@b")},
    ),
    ("boolean", "Patient", {"active": True}, "active", {("", "true")}),
    ("what is computed", "Patient", {"deceasedDateTime": "2026"}, "deceased", {("", "true")}),
    ("what is computed, of nothing", "Patient", {}, "deceased", {("", "false")}),
    (
        "a code, with the system its value set tells",
        "Patient",
        {"gender": "female"},
        "gender",
        {("http://hl7.org/fhir/administrative-gender", "female")},
    ),
    ("a string, whose case has no meaning", "ValueSet", {"version": "R4.A"}, "version", {("", "r4.a")}),
    ("uri", "MessageHeader", {"eventUri": "urn:e"}, "event", {("", "urn:e")}),
    ("a long value, by its hash", "Patient", {"identifier": [{"value": "x" * 300}]}, "identifier", None),
    (
        "a tag of any type",
        "Observation",
        {"meta": {"tag": [{"system": "urn:t", "code": "a"}]}},
        "_tag",
        {("urn:t", "a")},
    ),
    (
        "a boolean by a corrected definition",
        "Patient",
        {"multipleBirthBoolean": True},
        "birthOrderBoolean",
        {("", "true")},
    ),
    (
        "the identifier of a reference",
        "Observation",
        {"subject": {"identifier": {"system": "urn:mrn", "value": "9"}}},
        "subject:identifier",
        {("urn:mrn", "9")},
    ),
    (
        "the identifier of a reference whose type is stated",
        "Observation",
        {"subject": {"type": "Patient", "identifier": {"value": "9"}}},
        "patient:identifier",
        {("", "9")},
    ),
]


@pytest.mark.parametrize(("name", "resource_type", "elements", "param", "expected"), TOKENS, ids=[t[0] for t in TOKENS])
def test_tokens(name: str, resource_type: str, elements: dict[str, Any], param: str, expected: Any) -> None:
    found = rows(resource_type, elements, SearchToken, param)

    if expected is None:
        ((_, value),) = found
        assert value.startswith("sha256:")
        assert len(value) < 255
    else:
        assert found == expected


def test_text_and_displays_of_a_token_are_found_by_their_words() -> None:
    concept = {"coding": [{"code": "1", "display": "Brûlure"}], "text": "Burning  PAIN"}

    found = rows("Observation", {"code": concept}, SearchString, "code:text")

    assert found == {("brulure", "Brûlure"), ("burning pain", "Burning  PAIN")}


def test_each_definition_of_r4_is_served_or_has_a_reason_not_to_be() -> None:
    parameters = load_parameters()
    served = {each.url for type_ in parameters.types for each in parameters.of(type_).values()}
    # Answered by search itself, without rows of a parameter.
    by_itself = {"DomainResource-text", "Resource-content", "filter"}

    # AuditEvents are no stored resources.
    asked = {each["url"] for each in r4()["search_parameters"] if set(each.get("base", [""])) - APART}
    left = asked - served - unserved().keys()

    assert {url.rpartition("/")[2] for url in left} == by_itself
    assert not served & unserved().keys()
