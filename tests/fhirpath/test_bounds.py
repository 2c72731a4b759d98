"""Expressions of clients that would take for ever: each ends soon, with a reason."""

import time
from typing import Any

import httpx
import pytest

from app.fhir.fhirpath import FhirPathError, compile_expression
from tests.answers import issues
from tests.builders import patient

ITEMS = [
    {
        "linkId": f"{group}",
        "type": "group",
        "item": [{"linkId": f"{group}-{n}", "type": "string", "text": "x" * 580} for n in range(30)],
    }
    for group in range(60)
]
LARGE: dict[str, Any] = {"resourceType": "Questionnaire", "status": "draft", "item": ITEMS}
EVERY = "Questionnaire.item.item"
ENDLESS = (
    f"{EVERY}.where(text.matches('(x+x+)y'))",
    f"{EVERY}.where(text.matchesFull('(x+x+)y'))",
    f"{EVERY}.text.select(replaceMatches('(x+x+)y', 'z'))",
    f"{EVERY}.where(text.matches('(a+)+$'))",
    f"{EVERY}.where(text.matches('(x|xx)+y'))",
    f"{EVERY}.where(text.matches('(.)*(.)*(.)*(.)*y'))",
    f"{EVERY}.where('{'x' * 5_000}'.matches('(x+x+)y'))",
    f"{EVERY}.where(%resource = %resource).where(%resource ~ %resource)",
    f"{EVERY}.aggregate($total | %resource)",
    f"{EVERY}.aggregate($total | %resource.item.item)",
    "Questionnaire.descendants().where(%resource.descendants().where(%resource.descendants().exists()).exists())",
    f"{EVERY}.where(%resource.item.item.isDistinct())",
    "'x'.repeat($this + $this)",
    "1.repeat($this + 1)",
    f"{EVERY}.text.aggregate($total & $this & $total, '')",
    "'" + "x" * 900 + "'.replace('x', '" + "x" * 1_000 + "').replace('x', '" + "y" * 1_000 + "')",
    "10.power(100000000)",
)


@pytest.mark.parametrize("text", ENDLESS, ids=lambda text: text[:60])
def test_an_expression_without_an_end_is_given_up(text: str) -> None:
    started = time.thread_time()

    with pytest.raises(FhirPathError):
        compile_expression(text)(LARGE)

    # A second, and what one step may take beyond it.
    assert time.thread_time() - started < 3


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5_000 + "1" + ")" * 5_000,
        "1" + " + 1" * 9_000,
        "a" + ".a" * 9_000,
        "-" * 5_000 + "1",
        "iif(true, " * 500 + "1" + ")" * 500,
    ],
)
def test_an_expression_nested_too_deeply_is_none(text: str) -> None:
    started = time.thread_time()

    with pytest.raises(FhirPathError):
        compile_expression(text)(LARGE)

    assert time.thread_time() - started < 3


async def test_doors_that_take_expressions_answer_in_time(client: httpx.AsyncClient) -> None:
    stored = await client.put("/fhir/Patient/one", json=patient(id="one", name=[{"family": "x" * 580}] * 200))
    assert stored.status_code == 201
    path = "Patient.name.where(family.matches('(x+x+)y'))"
    operation = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": operation}] * 1_000}
    view = {
        **{"resourceType": "ViewDefinition", "status": "active", "resource": "Patient"},
        "where": [{"path": "name.where(family.matches('(x+x+)y')).empty()"}],
        "select": [{"column": [{"name": "id", "path": "id"}]}],
    }
    run = {"resourceType": "Parameters", "parameter": [{"name": "viewResource", "resource": view}]}
    started = time.monotonic()

    patched = await client.patch("/fhir/Patient/one", json=patch, headers={"Content-Type": "application/fhir+json"})
    rows = await client.post("/fhir/$viewdefinition-run", json=run)

    assert (patched.status_code, rows.status_code) == (422, 422)
    assert "steps" in issues(patched)[0]["diagnostics"]
    assert time.monotonic() - started < 15
