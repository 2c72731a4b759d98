"""Links are rewritten where they are links, and nowhere else."""

import pytest

from app.fhir.json import parse
from app.fhir.references import local, located, references, resolved, rewrite

OLD, NEW = "urn:uuid:6f2a1d3e-9c47-4b8a-a1f0-2d4e6c8b0a17", "Patient/1"


def new(link: str) -> str:
    return NEW if link == OLD else link


@pytest.mark.parametrize(
    "template",
    [
        '{"subject": {"reference" : "%s"}}',
        '{"extension":[{"url":"http://x","valueReference":{"reference":"%s"}}]}',
        '{"extension":[{"url":"http://x","valueUri":"%s"}]}',
        '{"contained":[{"resourceType":"Group","member":[{"entity":{"reference":"%s"}}]}]}',
        '{"text":{"div":"<div><a href=\\"%s\\">x</a></div>"}}',
        '{"instantiatesUri":["http://x","%s"]}',
        '{"content":{"url":"%s"}}',
        '{"refer\\u0065nce":"%s"}',
        '{"subject":{"reference":"%s"},"valueQuantity":{"value":0.000000100,"low":-1.10e-7}}',
    ],
)
def test_a_link_is_replaced(template: str) -> None:
    assert parse(rewrite((template % OLD).encode(), new)) == parse((template % NEW).encode())


@pytest.mark.parametrize(
    "text",
    [
        f'{{"identifier":[{{"system":"urn:ietf:rfc:3986","value":"{OLD}"}}]}}',
        f'{{"note":[{{"text":"\\"reference\\":\\"{OLD}\\""}}]}}',
        f'{{"valueString":"{OLD}"}}',
        f'{{"instantiatesCanonical":["{OLD}"],"valueCanonical":"{OLD}"}}',
        f'{{"text":{{"div":"<div>{OLD}</div>"}}}}',
        '{"subject":{"reference":"Patient\\/7"},"value":1.10}',
    ],
)
def test_what_is_no_link_keeps_its_bytes(text: str) -> None:
    assert rewrite(text.encode(), new) == text.encode()


def test_references_are_found_in_document_order() -> None:
    resource = {"a": {"reference": "A/1"}, "b": [{"reference": "B/1"}, {"c": {"reference": "C/1"}}]}

    assert list(references(resource)) == ["A/1", "B/1", "C/1"]


def test_numbers_beside_a_replaced_link_keep_their_digits() -> None:
    text = '{"subject":{"reference":"%s"},"value":0.000000100,"low":-1.10e-7,"n":1e3}'

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
