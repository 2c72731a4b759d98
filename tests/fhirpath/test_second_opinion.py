"""An engine that is not ours, fhirpathpy, says the same of the constraints of base R4 and of our profiles."""

import json
from functools import cache
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from app.fhir.canonicals import claimed_profiles
from app.fhir.fhirpath import compile_expression
from app.fhir.json import dumps
from app.profiles import json_files, r4

# What fhirpathpy cannot say or says wrongly -> a part of the expressions it concerns.
LIMITS = {
    "resolve() is not implemented": "resolve()",
    "`as` takes one item only, as in later versions of FHIRPath": "descendants().as(",
    "where($this) keeps what is false": ".where($this)",
}
EXAMPLES: dict[str, dict[str, Any]] = {
    **json_files("examples/valid"),
    **{name: each["resource"] for name, each in json_files("examples/invalid").items()},
}


def constraints(resource: dict[str, Any]) -> dict[str, str]:
    """Key -> expression of what holds for a resource as a whole, as far as fhirpathpy can tell."""
    base, profiles = r4(), {each["url"]: each for each in json_files("structuredefinitions").values()}
    (root, *_) = base["types"][resource["resourceType"]]["element"]
    found = {key: text for key, _, _, text, _ in (base["constraints"][place] for place in root.get("constraint", ()))}
    for url in claimed_profiles(resource):
        (root, *_) = profiles[url]["differential"]["element"] if url in profiles else ({},)
        found |= {each["key"]: each["expression"] for each in root.get("constraint", ())}
    return {key: text for key, text in found.items() if not any(part in text for part in LIMITS.values())}


@cache
def compiled(expression: str) -> Any:
    return fhirpathpy.compile(expression, model=models["r4"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_another_engine_says_the_same(name: str) -> None:
    resource = EXAMPLES[name]
    # fhirpathpy knows no Decimal.
    plain = json.loads(dumps(resource))

    expressions = constraints(resource)
    ours = {key: compile_expression(text)(resource) for key, text in expressions.items()}
    theirs = {key: compiled(text)(plain, {"resource": plain}) for key, text in expressions.items()}

    assert ours == theirs


def test_another_engine_is_asked_about_most_of_our_constraints() -> None:
    asked = {key for resource in EXAMPLES.values() for key in constraints(resource)}

    assert len([key for key in asked if key.startswith("np-")]) > 30
    assert "obs-6" in asked
