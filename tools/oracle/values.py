"""The values that mutations put in: made up to be wrong, or nearly right. A chosen few are right."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

UNKNOWN = "http://example.org/no-such"
EXTENSION = {"url": f"{UNKNOWN}/extension", "valueString": "x"}
ABSENT = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
_UCUM = "http://unitsofmeasure.org"

DATES = (
    *("2026", "2026-05", "2026-13-01", "2026-02-30", "2026-5-1", "01.05.2026", "2026-05-01", "1791-05-01"),
    *("2026-05-01T09:30:00", "2026-05-01T09:30:00Z", "2026-05-01T09:30Z", "2026-05-01T25:00:00Z", "2026-05-01 "),
    *("2026-05-01T09:30:00+15:00", "2026-05-01T09:30:00.123456-05:00", "yesterday", "2026-05-01T24:00:00Z"),
)
NUMBERS: tuple[Any, ...] = (-1, 0, 1, 3, 4, 5, 10, 11, 30, 101, 5000, Decimal("0.5"), Decimal("6.0"), 10**12)
TOKENS = (
    *("no-such-code", "entered-in-error", "unknown", "draft", "active", "final", "completed", "amended", "plan"),
    *("order", "proposal", "on-hold", "stopped", "cancelled", "revoked", "preliminary", "proposed", "accepted"),
)
REFERENCES = (
    *("Group/2", "Medication/1", "Observation/x", "Patient/2", "Practitioner/3", "#missing", "not a reference"),
    *("http://example.org/fhir/Practitioner/1", "urn:uuid:b8e3a0c8-0c3f-4c5c-9c1c-6d9f0a3f8f11", "Patient/a b"),
    *("Patient/1/_history/2", "Condition/1", "Goal/1", "patient/1", "Nonsense/1", "urn:oid:1.2.3"),
)
UNITS = ("%", "mg", "mg/d", "{points}", "1", "h", "furlong", "[", "{score}", "d", "wk")
CODINGS: tuple[dict[str, Any], ...] = (
    {"system": "http://loinc.org", "code": "72514-3"},
    {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"},
    {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "no-such-code"},
    {"system": f"{UNKNOWN}/system", "code": "x"},
    {"code": "x"},
    {"display": "x"},
)
# One value of each type that a choice may have in our profiles, and of one that it hardly has.
CHOICES: Mapping[str, Any] = {
    "String": "seven",
    "Integer": 7,
    "Decimal": Decimal("7.5"),
    "Boolean": True,
    "Date": "2026-05-01",
    "DateTime": "2026-05-01T09:30:00Z",
    "Period": {"start": "2026-05-01", "end": "2026-06-01"},
    "Quantity": {"value": 7, "unit": "mg", "system": _UCUM, "code": "mg"},
    "Range": {"low": {"value": 1}, "high": {"value": 3}},
    "CodeableConcept": {"text": "x"},
    "Coding": {"system": f"{UNKNOWN}/system", "code": "x"},
    "Reference": {"reference": "Observation/x"},
    "Nonsense": "x",
}
