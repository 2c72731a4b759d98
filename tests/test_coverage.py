"""Every concept of neuropathic pain has a home in FHIR: examples/coverage.toml, request by request."""

import json
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.fhir import json as lossless
from app.fhir.fhirpath import compile_expression, value_of
from tools.coverage_page import PAGE, page

EXAMPLES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent.parent / "examples" / "coverage.toml").read_text("utf-8")
)["example"]


async def test_every_concept_has_its_resources(client: httpx.AsyncClient) -> None:
    wrong = [problem for one in EXAMPLES for problem in await _problems(client, one)]

    assert wrong == []


def test_no_concept_is_listed_twice() -> None:
    concepts = [one["concept"] for one in EXAMPLES]

    assert sorted(set(concepts)) == sorted(concepts)


def test_the_page_shows_what_is_tested() -> None:
    assert PAGE.read_text("utf-8") == page()


async def _problems(client: httpx.AsyncClient, one: dict[str, Any]) -> list[str]:
    """What is not as the example says."""
    patient = (await client.post("/fhir/Patient", json={"resourceType": "Patient", "birthDate": "1970-01-01"})).json()
    body = {"patient": f"Patient/{patient['id']}"} | json.loads(one["body"])
    answer = await client.request(*one["request"].split(" "), json=body)
    if answer.status_code != 201:
        return [f"{one['concept']}: {answer.status_code} {answer.text}"]
    made = [lossless.parse((await client.get(f"/fhir/{name}")).content) for name in answer.json()["resources"]]
    return [
        f"{one['concept']}: no {kind} where {check}"
        for kind, checks in one["resource"].items()
        for check in ([checks] if isinstance(checks, str) else checks)
        if not _holds(made, kind, check)
    ]


def _holds(made: list[Any], kind: str, check: str) -> bool:
    found = compile_expression(check)
    of_kind = [resource for resource in made if resource["resourceType"] == kind]
    return any([value_of(item) for item in found(resource)] == [True] for resource in of_kind)


@pytest.mark.parametrize("kind", sorted({kind for one in EXAMPLES for kind in one["resource"]}))
def test_a_check_that_cannot_hold_is_told(kind: str) -> None:
    assert not _holds([{"resourceType": kind}], kind, "id = 'somebody-else'")
