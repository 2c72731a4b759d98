"""What rows dates, numbers, quantities and composites give (R4 3.1.1.4.5 to 3.1.1.4.7, 3.1.1.4.12, 3.1.1.4.14)."""

from decimal import Decimal
from typing import Any

import pytest

from app.store.index.values import EARLIEST, GREATEST, LATEST, LEAST
from app.store.parameters import load_parameters
from app.store.tables import (
    SearchDate,
    SearchNumber,
    SearchQuantity,
    SearchReference,
    SearchToken,
)
from tests.store.index_rows import SCT, UCUM, rows

DAY = 86_400_000_000
MAY = 1_777_593_600_000_000  # 2026-05-01 in UTC
DATES = [
    ("a day", {"effectiveDateTime": "2026-05-01"}, {(MAY, MAY + DAY)}),
    ("a month", {"effectiveDateTime": "2026-05"}, {(MAY, MAY + 31 * DAY)}),
    ("a moment with an offset", {"effectiveDateTime": "2026-05-01T02:00:00+02:00"}, {(MAY, MAY + 1_000_000)}),
    ("instant", {"effectiveInstant": "2026-05-01T00:00:00.500Z"}, {(MAY + 500_000, MAY + 501_000)}),
    ("Period", {"effectivePeriod": {"start": "2026-05-01", "end": "2026-05-02"}}, {(MAY, MAY + 2 * DAY)}),
    ("a Period without end", {"effectivePeriod": {"start": "2026-05-01"}}, {(MAY, LATEST)}),
    ("a Period without start", {"effectivePeriod": {"end": "2026-05-01"}}, {(EARLIEST, MAY + DAY)}),
    ("an empty Period", {"effectivePeriod": {"extension": []}}, set()),
    (
        "the outer limits of a Timing",
        {"effectiveTiming": {"event": ["2026-05-03", "2026-05-01"], "repeat": {"frequency": 2}}},
        {(MAY, MAY + 3 * DAY)},
    ),
    (
        "the bounds of a Timing",
        {"effectiveTiming": {"repeat": {"boundsPeriod": {"start": "2026-05-01"}}}},
        {(MAY, LATEST)},
    ),
    ("a Timing without limits", {"effectiveTiming": {"repeat": {"frequency": 2}}}, set()),
    ("the last month there is", {"effectiveDateTime": "9999-12"}, {(253_399_622_400_000_000, 253_402_300_800_000_000)}),
    ("before the calendar begins", {"effectiveDateTime": "0001-01-01T00:00:00+14:00"}, {(EARLIEST, EARLIEST + 1)}),
    ("no date", {"effectiveDateTime": "soon"}, set()),
    ("the last year there is", {"effectiveDateTime": "9999"}, {(253_370_764_800_000_000, 253_402_300_800_000_000)}),
]


@pytest.mark.parametrize(("name", "elements", "expected"), DATES, ids=[d[0] for d in DATES])
def test_dates(name: str, elements: dict[str, Any], expected: set[Any]) -> None:
    assert rows("Observation", elements, SearchDate, "date") == expected


def mg(value: str, **more: str) -> dict[str, Any]:
    return {"value": Decimal(value), "system": UCUM, "code": "mg", **more}


QUANTITIES = [
    ("as written", {"valueQuantity": mg("5.0")}, "", {(UCUM, "mg", 5.0, 5.0)}),
    ("in canonical units", {"valueQuantity": mg("5.0")}, ":canonical", {(UCUM, "g", 0.005, 0.005)}),
    ("less than", {"valueQuantity": mg("5", comparator="<")}, "", {(UCUM, "mg", LEAST, 5.0)}),
    ("at least, canonical", {"valueQuantity": mg("5", comparator=">=")}, ":canonical", {(UCUM, "g", 0.005, GREATEST)}),
    ("a unit without a code", {"valueQuantity": {"value": 3, "unit": "tabs"}}, "", {("", "tabs", 3.0, 3.0)}),
    ("another system", {"valueQuantity": {"value": 3, "system": SCT, "code": "1"}}, ":canonical", set()),
    ("a unit that has no factor", {"valueQuantity": {"value": 7, "system": UCUM, "code": "[pH]"}}, ":canonical", set()),
    ("no value", {"valueQuantity": {"unit": "mg"}}, "", set()),
    (
        "SampledData",
        {"valueSampledData": {"origin": mg("10"), "factor": 2, "data": "1 -3 E 4 U", "upperLimit": 5}},
        "",
        {(UCUM, "mg", 4.0, 20.0)},
    ),
]


@pytest.mark.parametrize(("name", "elements", "suffix", "expected"), QUANTITIES, ids=[q[0] for q in QUANTITIES])
def test_quantities(name: str, elements: dict[str, Any], suffix: str, expected: set[Any]) -> None:
    assert rows("Observation", elements, SearchQuantity, f"value-quantity{suffix}") == expected


OTHER_NUMBERS = [
    (
        "Age",
        "Condition",
        {"onsetAge": {"value": 52, "system": UCUM, "code": "a"}},
        SearchQuantity,
        "onset-age",
        {(UCUM, "a", 52.0, 52.0)},
    ),
    (
        "Range",
        "Condition",
        {"onsetRange": {"low": {"value": 50, "unit": "a"}}},
        SearchQuantity,
        "onset-age",
        {("", "a", 50.0, GREATEST)},
    ),
    (
        "Money",
        "Invoice",
        {"totalNet": {"value": Decimal("9.99"), "currency": "EUR"}},
        SearchQuantity,
        "totalnet",
        {("urn:iso:std:iso:4217", "EUR", 9.99, 9.99)},
    ),
    (
        "decimal",
        "RiskAssessment",
        {"prediction": [{"probabilityDecimal": Decimal("0.1")}]},
        SearchNumber,
        "probability",
        {(0.1, 0.1)},
    ),
    (
        "a Range of numbers",
        "RiskAssessment",
        {"prediction": [{"probabilityRange": {"low": {"value": 1}, "high": {"value": 2}}}]},
        SearchNumber,
        "probability",
        {(1.0, 2.0)},
    ),
    (
        "Duration",
        "Encounter",
        {"length": {"value": 30, "unit": "min"}},
        SearchQuantity,
        "length",
        {("", "min", 30.0, 30.0)},
    ),
    (
        "beyond every float",
        "RiskAssessment",
        {"prediction": [{"probabilityDecimal": 10**400}]},
        SearchNumber,
        "probability",
        {(GREATEST, GREATEST)},
    ),
]


@pytest.mark.parametrize(
    ("name", "resource_type", "elements", "table", "param", "expected"),
    OTHER_NUMBERS,
    ids=[n[0] for n in OTHER_NUMBERS],
)
def test_numbers(
    name: str, resource_type: str, elements: dict[str, Any], table: Any, param: str, expected: Any
) -> None:
    assert rows(resource_type, elements, table, param) == expected


def test_the_components_of_a_composite_belong_to_one_group() -> None:
    def component(code: str, value: int) -> dict[str, Any]:
        return {"code": {"coding": [{"code": code}]}, "valueQuantity": {"value": value, "system": UCUM, "code": "mg"}}

    components = [component("a", 1), component("b", 2), {"code": {"coding": [{"code": "c"}]}}]

    made = load_parameters().rows({"resourceType": "Observation", "component": components})

    name = "component-code-value-quantity"
    codes = {(row["item"], row["value"]) for row in made[SearchToken] if row["param"] == f"{name}.0"}
    values = {(row["item"], row["low"]) for row in made[SearchQuantity] if row["param"] == f"{name}.1"}
    canonical = {(row["item"], row["low"]) for row in made[SearchQuantity] if row["param"] == f"{name}.1:canonical"}
    assert codes == {(0, "a"), (1, "b")}
    assert values == {(0, 1.0), (1, 2.0)}
    assert canonical == {(0, 0.001), (1, 0.002)}


def test_a_component_that_looks_at_the_whole_resource_is_found() -> None:
    sequence = {"referenceSeq": {"chromosome": {"coding": [{"code": "7"}]}}, "variant": [{"start": 3, "end": 5}]}

    made = load_parameters().rows({"resourceType": "MolecularSequence", **sequence})

    name = "chromosome-variant-coordinate"
    assert [row["value"] for row in made[SearchToken] if row["param"] == f"{name}.0"] == ["7"]
    assert {row["param"]: row["low"] for row in made[SearchNumber] if row["param"].startswith(name)} == {
        f"{name}.1": 3.0,
        f"{name}.2": 5.0,
    }


def test_the_components_of_a_relationship_are_what_their_definitions_say() -> None:
    related = {"code": "replaces", "target": {"reference": "DocumentReference/1"}}

    made = load_parameters().rows({"resourceType": "DocumentReference", "relatesTo": [related]})

    assert [row["target_id"] for row in made[SearchReference] if row["param"] == "relationship.0"] == ["1"]
    assert [row["value"] for row in made[SearchToken] if row["param"] == "relationship.1"] == ["replaces"]
