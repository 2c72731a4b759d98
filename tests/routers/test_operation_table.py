"""The table of operations: every row can be done, is documented, and our own definitions are sound."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from app import profiles
from app.routers.operations.handlers import HANDLERS
from app.routers.operations.table import EVERY_TYPE, LEVELS, Operation, operations
from app.store.parameters import load_parameters
from app.terminology.own_maps import own_maps
from app.validation import load_validator

VALIDATOR = load_validator()
OWN = profiles.json_files("operations")
VERIFIED = Path(__file__).parent.parent / "data" / "verified-codes.csv"


@pytest.mark.parametrize("operation", operations(), ids=lambda each: each.id)
def test_a_row_says_what_can_be_done(operation: Operation) -> None:
    assert operation.title
    assert operation.id in HANDLERS
    assert set(operation.levels) <= set(LEVELS)
    assert set(operation.types) <= {EVERY_TYPE, *VALIDATOR.resource_types}
    assert operation.types or operation.levels == ("system",)
    assert not operation.body or operation.parameters[operation.body].is_resource
    for parameter in operation.parameters.values():
        assert parameter.is_resource or parameter.type in profiles.r4()["types"]


def test_every_handler_belongs_to_a_row() -> None:
    assert set(HANDLERS) == {each.id for each in operations()}


def test_no_two_operations_are_at_the_same_place() -> None:
    places = [(level, type_, each.code) for each in operations() for level in each.levels for type_ in each.types]

    assert len(places) == len(set(places))


@pytest.mark.parametrize("name", OWN)
def test_our_definitions_are_valid(name: str) -> None:
    definition: dict[str, Any] = dict(OWN[name])

    issues = [each for each in VALIDATOR.check(definition) if each.rule != "dom-6"]

    assert issues == []
    assert name == f"OperationDefinition-{definition['id']}"
    assert definition["url"] == profiles.canonical("OperationDefinition", definition["id"])


@pytest.mark.parametrize("concept_map", own_maps(), ids=lambda each: str(each["id"]))
def test_our_concept_maps_are_valid_and_hold_verified_codes_only(concept_map: dict[str, Any]) -> None:
    with VERIFIED.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "verified"]
    known = {(row["system"], row["code"]): row["display"] for row in rows}
    own = {one["url"]: one for one in profiles.json_files("terminology").values() if "concept" in one}
    known |= {(url, row["code"]): row["display"] for url, one in own.items() for row in one["concept"]}

    assert [each for each in VALIDATOR.check(json.loads(json.dumps(concept_map))) if each.rule != "dom-6"] == []
    for group in concept_map["group"]:
        for element in group["element"]:
            assert known[group["source"], element["code"]] == element["display"]
            for target in (each for each in element["target"] if each["equivalence"] != "unmatched"):
                assert known[group["target"], target["code"]] == target["display"]
                for other in (*target.get("dependsOn", ()), *target.get("product", ())):
                    assert known[other["system"], other["value"]] == other["display"]


def test_without_icd_11_no_map_holds_one_of_its_codes() -> None:
    shown = json.dumps(own_maps(icd_11=False))

    assert "id.who.int" not in shown
    assert "np-diagnosis-icd-10-cm" in shown


def test_dates_of_care_are_date_parameters_of_the_compartment() -> None:
    served = load_parameters()
    dates = profiles.toml_files("operations")["care-dates"]["dates"]
    compartment = profiles.json_files("r4")["compartments"]["Patient"]

    assert set(dates) <= set(compartment)
    for type_, names in dates.items():
        assert {served.of(type_)[each].kind for each in names} == {"date"}, type_


def test_statistics_are_codes_of_their_system() -> None:
    content = profiles.toml_files("operations")["statistics"]

    known = VALIDATOR.terminology.code_system(content["system"])

    assert known is not None
    assert set(content["statistic"]) <= set(known.codes)
