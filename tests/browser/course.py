"""A patient whose pain goes on for some months, as a clinic records it."""

from datetime import date, timedelta
from typing import Any

import httpx

from tests.forms import COMPLETE

Json = dict[str, Any]
BEGAN = date(2025, 11, 3)
AVERAGES = (8, 8, 7, 7, 6, 6, 5, 5, 6, 6, 5, 4, 4, 3, 3, 3, 2, 3)
FOOT = "56459004"
EVIDENCE = {
    "history_relevant_lesion_or_disease": True,
    "pain_distribution_neuroanatomically_plausible": True,
    "sensory_signs_same_distribution": "present",
    "confirmatory_test": "positive",
}


def record(server: httpx.Client) -> str:
    """The id of the patient."""
    name = [{"family": "Course", "given": ["Ada"]}]
    identifier = [{"system": "https://example.org/records", "value": "course-1"}]
    born = {"resourceType": "Patient", "identifier": identifier, "name": name, "birthDate": "1961-04-05"}
    found: str = _post(server, "/fhir/Patient", born)["id"]
    about = {"patient": f"Patient/{found}"}
    place = {**about, "body_site": FOOT, "laterality": "bilateral"}
    for number, value in enumerate(AVERAGES):
        answers = {"average_7d": value, "worst_7d": min(10, value + 2)}
        _post(
            server,
            "/pain/assessments",
            {**place, "instrument": "nrs", "taken_at": _at(14 * number), "answers": answers},
        )
    for days in (0, 168):
        form = {"instrument": "dn4", "taken_at": _at(days), "answers": COMPLETE["dn4"]}
        _post(server, "/pain/assessments", {**place, **form})
    symptom = {"parameter": "pain", "value": True, "body_site": "85562004", "laterality": "left"}
    felt = {"examination": "symptoms", "taken_at": _at(0), "results": [symptom]}
    _post(server, "/pain/examinations", {**about, **felt})
    code = {"system": "http://snomed.info/sct", "code": "193184006"}
    pain = _post(server, "/pain/diagnoses", {**place, "code": code, "evidence": EVIDENCE, "distribution": "stocking"})
    ended = {"status": "stopped", "stopped_on": _on(98), "response": 25, "why": "adverse-effect"}
    first = {"drug": "amitriptyline", "route": "oral", "daily_dose_mg": 25, "started_on": _on(14), "outcome": ended}
    second = {"drug": "duloxetine", "route": "oral", "daily_dose_mg": 60, "started_on": _on(112)}
    plan = {
        **about,
        "diagnosis": f"Condition/{pain['id']}",
        "activities": [first, second, {"drug": "tramadol", "route": "oral", "daily_dose_mg": 100}],
        "goals": [{"measure": "nrs", "reduction_percent": 30}],
        "review_on": "2027-01-10",
        "context": {"creatinine_clearance_ml_min": 90},
    }
    told = server.post("/pain/treatment-plans", json=plan).json()
    blocks = [one["rule"] for one in told.get("findings", ()) if one["severity"] == "block"]
    if blocks:
        _post(server, "/pain/treatment-plans", {**plan, "override": dict.fromkeys(blocks, "A test.")})
    return found


def _on(days: int) -> str:
    return str(BEGAN + timedelta(days=days))


def _at(days: int) -> str:
    return f"{_on(days)}T09:30:00+01:00"


def _post(server: httpx.Client, address: str, body: Json) -> Json:
    answer = server.post(address, json=body)
    assert answer.status_code == 201, answer.text
    told: Json = answer.json()
    return told
