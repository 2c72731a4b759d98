"""Links are rewritten where they are links, and nowhere else."""

from typing import Any

import pytest

from app.fhir.json import dumps, parse
from app.fhir.references import local, located, references, resolved, rewrite

OLD, NEW = "urn:uuid:6f2a1d3e-9c47-4b8a-a1f0-2d4e6c8b0a17", "Patient/1"


def new(link: str) -> str:
    return NEW if link == OLD else link


@pytest.mark.parametrize(
    "template",
    [
        '{"resourceType":"Observation","subject": {"reference" : "%s"}}',
        '{"resourceType":"Patient","extension":[{"url":"http://x","valueReference":{"reference":"%s"}}]}',
        '{"resourceType":"Patient","extension":[{"url":"http://x","valueUri":"%s"}]}',
        '{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://x","valueReference":{"reference":"%s"}}]}}',
        '{"resourceType":"Observation","contained":[{"resourceType":"Group","member":[{"entity":{"reference":"%s"}}]}]}',
        '{"resourceType":"Patient","text":{"div":"<div><a href=\\"%s\\">x</a></div>"}}',
        '{"resourceType":"Patient","text":{"div":"<div><img alt=\'1 > 0\' src = \'%s\'/></div>"}}',
        '{"resourceType":"CarePlan","instantiatesUri":["http://x","%s"]}',
        '{"resourceType":"DocumentReference","content":[{"attachment":{"url":"%s"}}]}',
        '{"resourceType":"Patient","meta":{"source":"%s"}}',
        '{"resourceType":"QuestionnaireResponse","item":[{"linkId":"1","definition":"%s"}]}',
        '{"resourceType":"ConceptMap","group":[{"source":"%s"}]}',
        '{"resourceType":"DetectedIssue","reference":"%s"}',
        '{"resourceType":"Parameters","parameter":[{"resource":{"resourceType":"Flag","subject":{"reference":"%s"}}}]}',
        '{"resourceType":"Observation","subject":{"refer\\u0065nce":"%s"}}',
        '{"resourceType":"Observation","subject":{"reference":"%s"},"valueQuantity":{"value":0.000000100}}',
    ],
)
def test_a_link_is_replaced(template: str) -> None:
    assert parse(rewrite((template % OLD).encode(), new)) == parse((template % NEW).encode())


@pytest.mark.parametrize(
    "elements",
    [
        f'"identifier":[{{"system":"urn:ietf:rfc:3986","value":"{OLD}"}}]',
        f'"note":[{{"text":"\\"reference\\":\\"{OLD}\\""}}]',
        f'"valueString":"{OLD}"',
        f'"instantiatesCanonical":["{OLD}"],"extension":[{{"url":"http://x","valueCanonical":"{OLD}"}}]',
        f'"text":{{"div":"<div>{OLD}</div>"}}',
        f'"text":{{"div":"<div>write href=\\"{OLD}\\" there</div>"}}',
        f'"text":{{"div":"<div title=\' href=\\"{OLD}\\"\'/>"}}',
        '"subject":{"reference":"Patient\\/7"},"valueQuantity":{"value":1.10}',
    ],
)
def test_what_is_no_link_keeps_its_bytes(elements: str) -> None:
    text = f'{{"resourceType":"Observation",{elements}}}'

    assert rewrite(text.encode(), new) == text.encode()


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "TestScript", "setup": {"action": [{"operation": {"url": OLD}}]}},
        {"resourceType": "StructureMap", "structure": [{"url": OLD, "mode": "source"}]},
        {"resourceType": "CapabilityStatement", "instantiates": [OLD]},
    ],
)
def test_a_name_that_is_a_link_elsewhere_is_none_here(resource: dict[str, Any]) -> None:
    assert rewrite(dumps(resource), new) == dumps(resource)


def test_references_are_found_in_document_order() -> None:
    resource = {
        "resourceType": "Observation",
        "subject": {"reference": "A/1"},
        "performer": [{"reference": "B/1"}, {"extension": [{"valueReference": {"reference": "C/1"}}]}],
        "focus": [{"reference": "D/1"}],
    }

    assert list(references(resource)) == ["A/1", "B/1", "C/1", "D/1"]


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "DetectedIssue", "reference": "Patient/1"},
        {"resourceType": "Immunization", "education": [{"reference": "Patient/1"}]},
        {"resourceType": "PlanDefinition", "action": [{"condition": [{"expression": {"reference": "Patient/1"}}]}]},
        {"resourceType": "ExampleScenario", "instance": [{"resourceType": "Patient", "reference": "Patient/1"}]},
    ],
)
def test_a_uri_called_reference_is_no_reference(resource: dict[str, Any]) -> None:
    assert (list(references(resource)), list(located(resource))) == ([], [])


def test_numbers_beside_a_replaced_link_keep_their_digits() -> None:
    text = '{"resourceType":"Observation","subject":{"reference":"%s"},"value":0.000000100,"low":-1.10e-7,"n":1e3}'

    assert rewrite((text % OLD).encode(), new) == (text % NEW).encode()


@pytest.mark.parametrize(
    ("link", "full_url", "stands_for"),
    [
        (OLD, "", "Patient/1"),
        ("Patient/q", "http://a/fhir/Observation/1", "Patient/2"),
        ("Patient/q", "http://b/fhir/Observation/1", "Patient/3"),
        ("http://b/fhir/Patient/q", "http://a/fhir/Observation/1", "Patient/3"),
        ("Patient/q", OLD, "Patient/q"),
        ("Patient/other", "http://a/fhir/Observation/1", "Patient/other"),
    ],
)
def test_a_relative_link_is_relative_to_its_own_entry(link: str, full_url: str, stands_for: str) -> None:
    names = {OLD: "Patient/1", "http://a/fhir/Patient/q": "Patient/2", "http://b/fhir/Patient/q": "Patient/3"}

    assert resolved(link, full_url, names) == stands_for


def test_references_are_located_by_fhirpath() -> None:
    resource = {
        "resourceType": "Observation",
        "subject": {"reference": "a"},
        "performer": [{"display": "nobody"}, {"reference": "b"}],
        "note": [{"authorReference": {"reference": "c"}}],
        "extension": [{"url": "https://example.org/x", "valueReference": {"reference": "d"}}],
        "contained": [{"resourceType": "Encounter", "reasonReference": [{"reference": "e"}]}],
    }

    assert dict(located(resource)) == {
        "Observation.subject": "a",
        "Observation.performer[1]": "b",
        "Observation.note[0].author.ofType(Reference)": "c",
        "Observation.extension[0].value.ofType(Reference)": "d",
        "Observation.contained[0].reasonReference[0]": "e",
    }


@pytest.mark.parametrize(
    ("link", "means"),
    [
        ("Patient/1", ("Patient", "1", "")),
        ("http://here/fhir/Patient/1", ("Patient", "1", "")),
        ("Patient/1/_history/3", ("Patient", "1", "3")),
        ("Patient/1#part", ("Patient", "1", "")),
        ("http://elsewhere/fhir/Patient/1", None),
        ("#contained", None),
        ("urn:uuid:6f2a1d3e-9c47-4b8a-a1f0-2d4e6c8b0a17", None),
        ("Patient?identifier=1", None),
    ],
)
def test_a_local_reference_names_a_resource_of_this_server(link: str, means: tuple[str, str, str] | None) -> None:
    assert local(link, "http://here/fhir") == means
