"""Expressions of posted profiles that would take for ever: what they ask is told as not checked, soon."""

import time
from typing import Any

import httpx
import pytest

from app.fhir.outcomes import Issue
from app.validation import load_validator
from app.validation.patience import together
from tests.answers import count
from tests.builders import bundle, entry

URL = "https://example.org/fhir/StructureDefinition/costly"
Json = dict[str, Any]
COSTLY = {
    "whole resources compared again and again": "component.where(%resource ~ %resource).exists()",
    "loops in loops": "component.all(%resource.component.all(%resource.component.all(code.exists())))",
    "all below all": "descendants().where(%resource.descendants().exists()).exists()",
    "unions that grow": "component.aggregate($total | %resource.component).exists()",
    "a slow pattern": "component.all(value.matches('x*y').not())",
    "a slow pattern that is replaced": "component.all(value.replaceMatches('x*y', 'z') != '')",
}


def profile(expression: str, *, severity: str = "error", **more: Any) -> Json:
    """A profile on Observation with one constraint."""
    constraint = {"key": "x-1", "severity": severity, "human": "x", "expression": expression}
    return {
        "resourceType": "StructureDefinition",
        "url": URL,
        "name": "Costly",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Observation",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Observation", "path": "Observation", "constraint": [constraint]}]},
        **more,
    }


def extension(expression: str) -> Json:
    """An extension that asks something of where it stands."""
    element = {"id": "Extension", "path": "Extension", "max": "1"}
    return profile("true") | {
        "kind": "complex-type",
        "type": "Extension",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
        "context": [{"type": "element", "expression": "Observation"}],
        "contextInvariant": [expression],
        "differential": {"element": [element]},
    }


def observation(components: int = 1_000, text: str = "x" * 5_000, **more: Any) -> Json:
    found = [{"code": {"text": f"{n}"}, "valueString": text} for n in range(components)]
    return {
        "resourceType": "Observation",
        "meta": {"profile": [URL]},
        "status": "final",
        "code": {"text": "a"},
        "component": found,
        **more,
    }


def costly(issues: list[Issue]) -> list[tuple[str, str]]:
    return [(one.severity, one.rule) for one in issues if one.code == "too-costly"]


@pytest.mark.parametrize("name", COSTLY)
def test_what_takes_too_long_is_told_and_is_not_valid(name: str) -> None:
    validator = load_validator([profile(COSTLY[name])], frozenset([URL])).prepare()
    started = time.thread_time()

    found = validator.problems(observation())

    # A second for the fast gate, one for the diagnosing pass, and what one step may take beyond it.
    assert time.thread_time() - started < 6
    assert costly(found) == [("error", "x-1")]
    assert "could not be checked" in next(one.diagnostics for one in found if one.code == "too-costly")


def test_so_is_what_is_a_warning_only() -> None:
    validator = load_validator([profile(COSTLY["loops in loops"], severity="warning")], frozenset([URL]))

    assert costly(validator.check(observation())) == [("warning", "x-1")]


def test_so_is_where_an_extension_may_stand() -> None:
    validator = load_validator([extension(COSTLY["all below all"])], frozenset([URL]))
    resource = observation(meta={}, extension=[{"url": URL, "valueString": "a"}])

    assert costly(validator.problems(resource)) == [("error", "dmt-extension-context")]


def test_what_takes_its_time_leaves_the_rest_of_the_resource_checked() -> None:
    validator = load_validator([profile(COSTLY["loops in loops"])], frozenset([URL]))

    found = validator.problems(observation(status="nonsense", effectiveDateTime="yesterday"))

    assert {"Observation.status", "Observation.effective.ofType(dateTime)"} <= {one.expression for one in found}


@pytest.mark.parametrize(
    ("expression", "is_met"),
    [
        ("component.all(value.matches('^x+$'))", True),
        ("component.all(value.matches('^y+$'))", False),
        ("component.all(%resource.status = 'final')", True),
        ("component.code.text.isDistinct() and component.count() > 900", True),
    ],
)
def test_what_is_quick_is_checked_as_ever(expression: str, is_met: bool) -> None:
    definition, resource = profile(expression), observation(text="x" * 20)
    posted, trusted = load_validator([definition], frozenset([URL])), load_validator([definition])

    assert [validator.problems(resource) == [] for validator in (posted, trusted)] == [is_met, is_met]
    assert posted.check(resource) == trusted.check(resource)


def test_validations_of_one_request_share_what_they_may_take() -> None:
    validator = load_validator([profile(COSTLY["all below all"])], frozenset([URL])).prepare()
    resource = observation()
    started = time.thread_time()

    with together(0.5):
        found = [costly(validator.problems(resource)) for _ in range(10)]

    # Twenty passes by themselves would take twenty seconds.
    assert time.thread_time() - started < 10
    assert found == [[("error", "x-1")]] * 10


async def test_a_write_that_cannot_be_checked_is_refused_and_others_are_not(client: httpx.AsyncClient) -> None:
    posted = await client.post("/fhir/StructureDefinition", json=profile(COSTLY["loops in loops"]))
    started = time.monotonic()

    alone = await client.post("/fhir/Observation", json=observation())
    together_ = await client.post("/fhir", json=bundle(entry(observation()), entry(observation(2))))
    small = await client.post("/fhir/Observation", json=observation(5))

    told = [issue["code"] for issue in alone.json()["issue"] if issue["severity"] == "error"]
    assert (posted.status_code, alone.status_code, together_.status_code) == (201, 422, 422)
    assert told == ["too-costly"]
    assert small.status_code == 201
    assert await count(client, "Observation") == 1
    assert time.monotonic() - started < 60
