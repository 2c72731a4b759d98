"""What rows the index has of a resource, for one parameter."""

from typing import Any

from app.store.parameters import load_parameters
from app.store.tables import (
    SearchDate,
    SearchNumber,
    SearchQuantity,
    SearchReference,
    SearchString,
    SearchToken,
    SearchUri,
)

UCUM = "http://unitsofmeasure.org"
SCT = "http://snomed.info/sct"
COLUMNS: dict[Any, tuple[str, ...]] = {
    SearchToken: ("system", "value"),
    SearchReference: ("target_type", "target_id"),
    SearchString: ("value", "exact"),
    SearchUri: ("value",),
    SearchDate: ("low", "high"),
    SearchNumber: ("low", "high"),
    SearchQuantity: ("system", "code", "low", "high"),
}


def rows(resource_type: str, elements: dict[str, Any], table: Any, param: str, base: str = "") -> set[tuple[Any, ...]]:
    """The rows of a parameter in a table, without item."""
    made = load_parameters().rows({"resourceType": resource_type, **elements}, base=base).get(table, [])
    return {tuple(row[name] for name in COLUMNS[table]) for row in made if row["param"] == param}
