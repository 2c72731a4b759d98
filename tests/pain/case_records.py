"""A worked case as an EHR keeps it: resources of FHIR, and the orders that its plan would be."""

from datetime import date
from typing import Any

from app.pain.content import load_content

CONTENT = load_content()
UNIT = {"CrCl_mL_min": ("creatinine-clearance", "mL/min"), "eGFR": ("egfr", "mL/min/{1.73_m2}")}
RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
Json = dict[str, Any]


def person(case: Json, today: date) -> Json:
    """A Patient of the case's age, with what is known of ancestry."""
    found: Json = {
        "resourceType": "Patient",
        "gender": case["patient"]["sex"],
        "birthDate": f"{today.year - case['patient']['age']}-01-01",
    }
    said = case["observations"].get("ancestry")
    return found | ({"extension": [{"url": RACE, "extension": [{"url": "text", "valueString": said}]}]} if said else {})


def record(case: Json, patient: str) -> list[Json]:
    """Conditions, medicines and observations; statements and requests by turns."""
    active = {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
    conditions = [
        {"resourceType": "Condition", "clinicalStatus": {"coding": [active]}, "code": {"coding": [one]}}
        for one in case["conditions"]
    ]
    medicines = [
        medicine(one, "active", as_statement=not index % 2) for index, one in enumerate(case["current_medications"])
    ]
    observations = [_observation(name, value) for name, value in case["observations"].items() if name in UNIT]
    if "HLA_B_1502" in case["observations"]:
        observations.append(_unclear("hla-b-1502"))
    return [one | {"subject": {"reference": patient}} for one in (*conditions, *medicines, *observations)]


def orders(case: Json, patient: str, reason: str) -> list[Json]:
    """The plan of a case as draft orders for a diagnosis."""
    proposed = case["proposed_plan"]
    drafts = [medicine(one, "draft") for one in proposed["medications"]]
    drafts += [
        {"resourceType": "ServiceRequest", "status": "draft", "intent": "order", "code": {"coding": [_snomed(code)]}}
        for code in proposed["non_drug"]
    ]
    common = {"subject": {"reference": patient}, "reasonReference": [{"reference": reason}]}
    return [one | common | {"id": f"draft-{index}"} for index, one in enumerate(drafts)]


def medicine(one: Json, status: str, *, as_statement: bool = False) -> Json:
    rxnorm = {"system": CONTENT.systems["rxnorm"], "code": one["rxnorm"]}
    row: Json = {"route": {"text": one["route"]}}
    if one["daily_dose_mg"] is not None:
        dose = {"value": one["daily_dose_mg"], "unit": "mg", "system": CONTENT.systems["ucum"], "code": "mg"}
        row |= {"doseAndRate": [{"doseQuantity": dose}]}
        row["timing"] = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
    row |= {"site": {"text": one["site"]}} if one.get("site") else {}
    made: Json = {"status": status, "medicationCodeableConcept": {"coding": [rxnorm], "text": one["name"]}}
    if as_statement:
        return {"resourceType": "MedicationStatement", **made, "dosage": [row]}
    return {"resourceType": "MedicationRequest", **made, "intent": "order", "dosageInstruction": [row]}


def _observation(name: str, value: Any) -> Json:
    code, unit = UNIT[name]
    amount = {"value": value, "unit": unit, "system": CONTENT.systems["ucum"], "code": unit}
    return _test(code) | {"valueQuantity": amount}


def _unclear(code: str) -> Json:
    said = {"system": CONTENT.systems["np-finding"], "code": "indeterminate"}
    return _test(code) | {"valueCodeableConcept": {"coding": [said]}}


def _test(code: str) -> Json:
    coded = {"coding": [{"system": CONTENT.systems["np-test"], "code": code}]}
    return {"resourceType": "Observation", "status": "final", "code": coded, "effectiveDateTime": "2026-05-01"}


def _snomed(code: str) -> Json:
    return {"system": CONTENT.systems["snomed"], "code": code}
