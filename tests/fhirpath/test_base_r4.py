"""Every expression of base R4 compiles, and runs where it belongs."""

import pytest

from app.fhir.fhirpath import compile_expression
from app.profiles import r4

CONSTRAINTS = sorted({(each[0], each[3]) for each in r4()["constraints"]})
PARAMETERS = sorted({each["expression"] for each in r4()["search_parameters"] if "expression" in each})


@pytest.mark.parametrize(("key", "expression"), CONSTRAINTS)
def test_every_constraint_runs(key: str, expression: str) -> None:
    compiled = compile_expression(expression)

    assert isinstance(compiled({"resourceType": "Basic"}), list)


def test_every_search_parameter_runs() -> None:
    for expression in PARAMETERS:
        assert isinstance(compile_expression(expression)({"resourceType": "Basic"}), list)


def test_a_reference_parameter_finds_only_references_to_its_type() -> None:
    parameters = [each for each in r4()["search_parameters"] if "Observation" in each.get("base", ())]
    patient = next(each for each in parameters if each["code"] == "patient")
    resource = {"resourceType": "Observation", "subject": {"reference": "Patient/12"}}
    other = {"resourceType": "Observation", "subject": {"reference": "Group/12"}}

    compiled = compile_expression(patient["expression"])

    assert [item.value for item in compiled(resource)] == [{"reference": "Patient/12"}]
    assert compiled(other) == []
