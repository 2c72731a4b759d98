"""Valid resources that tests break in one place."""

from copy import deepcopy
from typing import Any

SURVEY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "nrs-1",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Pain 7</p></div>'},
    "status": "final",
    "category": [{"coding": [SURVEY]}],
    "code": {"text": "Pain intensity"},
    "subject": {"reference": "Patient/12"},
    "effectiveDateTime": "2026-05-01T09:30:00+02:00",
    "performer": [{"reference": "Practitioner/3"}],
    "valueQuantity": {"value": 7, "unit": "points", "system": "http://unitsofmeasure.org", "code": "{score}"},
    "referenceRange": [{"low": {"value": 0}, "high": {"value": 10}}],
    "component": [{"code": {"text": "Now"}, "valueInteger": 7}, {"code": {"text": "Worst"}, "valueInteger": 9}],
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "12",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A patient</div>'},
    "name": [{"family": "Example", "given": ["Ann", "B."], "_given": [None, {"id": "g2"}]}],
    "birthDate": "1960-02-29",
    "contact": [{"name": {"text": "Someone"}}],
}
CONDITION: dict[str, Any] = {
    "resourceType": "Condition",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Neuropathy</div>'},
    "clinicalStatus": {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
    },
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "193184006"}]},
    "subject": {"reference": "Patient/12"},
}
SAMPLES = {"Observation": OBSERVATION, "Patient": PATIENT, "Condition": CONDITION}


def changed(resource: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one place set, e.g. component.0.code; the value None takes the property away."""
    copy = deepcopy(resource)
    *steps, last = path.split(".")
    node: Any = copy
    for step in steps:
        node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
    if isinstance(node, list):
        node[int(last)] = value
    elif value is None:
        node.pop(last)
    else:
        node[last] = value
    return copy
