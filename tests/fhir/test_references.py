"""Links are rewritten where they are links, and nowhere else."""

import pytest

from app.fhir.references import references, rewrite

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
    ],
)
def test_a_link_is_replaced(template: str) -> None:
    assert rewrite((template % OLD).encode(), new) == (template % NEW).encode()


@pytest.mark.parametrize(
    "text",
    [
        f'{{"identifier":[{{"system":"urn:ietf:rfc:3986","value":"{OLD}"}}]}}',
        f'{{"note":[{{"text":"\\"reference\\":\\"{OLD}\\""}}]}}',
        f'{{"valueString":"{OLD}"}}',
        f'{{"text":{{"div":"<div>{OLD}</div>"}}}}',
        '{"subject":{"reference":"Patient\\/7"},"value":1.10}',
    ],
)
def test_what_is_no_link_keeps_its_bytes(text: str) -> None:
    assert rewrite(text.encode(), new) == text.encode()


def test_references_are_found_in_document_order() -> None:
    resource = {"a": {"reference": "A/1"}, "b": [{"reference": "B/1"}, {"c": {"reference": "C/1"}}]}

    assert list(references(resource)) == ["A/1", "B/1", "C/1"]
