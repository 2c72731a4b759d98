"""One case for each rule of the profiles of examinations: rule, valid example, what breaks it, and what still holds."""

from typing import Any

from app.pain.content import load_content
from app.profiles import canonical, shared_json

CONTENT = load_content()
Changes = dict[str, Any]
Row = tuple[str, str, Changes, Changes]

# Profile -> an example with a number, if it can have one, and one with a finding, if it can have one.
NUMBERS = {
    "sensory-exam": "Observation-sensory-vibration-low",
    "qst-result": "Observation-qst-cold-detection-abnormal",
    "ncs-result": "Observation-ncs-velocity-low",
    "ienfd": "Observation-ienf-density-low",
    "corneal-microscopy": "Observation-corneal-fibre-length",
    "laboratory-result": "Observation-laboratory-egfr",
}
FINDINGS = {
    "sensory-exam": "Observation-sensory-pinprick-decreased",
    "ncs-result": "Observation-ncs-no-response",
    "emg-result": "Observation-emg-fibrillations",
    "laboratory-result": "Observation-laboratory-hla-negative",
    "examination-finding": "Observation-mri-impression-abnormal",
}
SYMPTOM, ALLODYNIA = "Observation-symptom-burning", "Observation-symptom-allodynia-to-brush"
IMPRESSION, LESION = FINDINGS["examination-finding"], "Observation-operative-nerve-lesion"
REPORT = "DiagnosticReport-ncs-abnormal"
EVERY = {"pain-symptom": SYMPTOM} | NUMBERS | FINDINGS


def _concept(system: str, code: str) -> Changes:
    return {"coding": [{"system": CONTENT.systems[system], "code": code}]}


def _means(code: str) -> list[Changes]:
    return [_concept("observation-interpretation", code)]


def _number(value: float, unit: str) -> Changes:
    return {"value": value, "system": CONTENT.systems["ucum"], "code": unit}


def _left() -> Changes:
    side = CONTENT.sides["left"]
    coded = {"coding": [{"system": side.system, "code": side.code}]}
    url = canonical("StructureDefinition", "laterality")
    return {"text": "Left foot", "extension": [{"url": url, "valueCodeableConcept": coded}]}


def _compared(unit: str, code: str, low: float = 8, other: str = "") -> Changes:
    """A value of 5 against a low end."""
    return {
        "valueQuantity": _number(5, unit),
        "valueCodeableConcept": None,
        "component": None,
        "referenceRange": [{"low": _number(low, other or unit)}],
        "interpretation": _means(code),
    }


def _of_all() -> list[Row]:
    later, earlier = "2026-06-01T09:30:00+02:00", "2026-04-01T09:30:00+02:00"
    rows: list[Row] = []
    for one in EVERY.values():
        rows += [
            ("np-result-1", one, {"effectiveDateTime": "2026"}, {"effectiveDateTime": "2026-05-01"}),
            ("np-observation-1", one, {"issued": earlier}, {"issued": later}),
            ("np-site-side", one, {"bodySite": {"text": "Left foot"}}, {"bodySite": _left()}),
        ]
    return rows


def _of_values() -> list[Row]:
    unit = "{score}"
    with_range = NUMBERS | {"examination-finding": IMPRESSION}
    gone: Changes = {"valueQuantity": None, "valueCodeableConcept": None}
    why = {"dataAbsentReason": _concept("data-absent-reason", "unknown")}
    rows: list[Row] = [("np-result-2", one, gone, gone | why) for name, one in EVERY.items() if name != "pain-symptom"]
    for one in with_range.values():
        rows += [
            ("np-result-3", one, _compared(unit, "N"), _compared(unit, "L")),
            ("np-result-4", one, _compared(unit, "L", other="mm"), _compared(unit, "L")),
        ]
    return rows


def _of_units() -> list[Row]:
    rows: list[Row] = [(f"np-exam-{name}-unit", one, {"valueQuantity.code": "kg"}, {}) for name, one in NUMBERS.items()]
    qtc: Changes = {"code": _concept("np-test", "qtc"), "valueCodeableConcept": None}
    rows.append(
        (
            "np-exam-examination-finding-unit",
            IMPRESSION,
            qtc | {"valueQuantity": _number(430, "mm")},
            qtc | {"valueQuantity": _number(430, "ms")},
        )
    )
    rows.append(
        (
            "np-exam-examination-finding-scale",
            IMPRESSION,
            qtc | {"valueQuantity": _number(-430, "ms")},
            qtc | {"valueQuantity": _number(430, "ms")},
        )
    )
    rows += [
        (f"np-exam-{name}-scale", one, {"valueQuantity.value": -5}, {})
        for name, one in NUMBERS.items()
        if name != "qst-result"
    ]
    heat = "Observation-qst-paradoxical-heat-count"
    rows.append(("np-exam-qst-result-scale", heat, {"valueInteger": 101}, {"valueInteger": 100}))
    return rows


def _of_findings() -> list[Row]:
    words: Changes = {"valueCodeableConcept": {"text": "as expected"}}
    rows: list[Row] = []
    for name, one in FINDINGS.items():
        wrong = "POS" if name == "laboratory-result" else "N"
        rows += [
            (f"np-exam-{name}-finding", one, words, {}),
            (f"np-exam-{name}-interpretation", one, {"interpretation": _means(wrong)}, {"interpretation": None}),
        ]
    return rows


def _there(example: str, changes: Changes) -> Changes:
    """The changes without the removal of what the example does not have."""
    known = shared_json("examples/valid")[example]
    return {path: value for path, value in changes.items() if value is not None or path in known}


SITELESS: Changes = {"bodySite": None}
_ALL: list[Row] = [
    *_of_all(),
    *_of_values(),
    *_of_units(),
    *_of_findings(),
    (
        "np-exam-qst-result-z",
        NUMBERS["qst-result"],
        {"interpretation": _means("N")},
        {"component.0.valueQuantity.value": 1, "interpretation": _means("N")},
    ),
    ("np-exam-qst-result-needs", NUMBERS["qst-result"], SITELESS, {}),
    ("np-exam-pain-symptom-needs", ALLODYNIA, {"component": None}, {}),
    ("np-exam-sensory-exam-needs", "Observation-sensory-brush-allodynia", {"component": None}, {}),
    ("np-exam-ncs-result-needs", NUMBERS["ncs-result"], SITELESS, {}),
    ("np-exam-emg-result-needs", FINDINGS["emg-result"], {"component": None}, {}),
    ("np-exam-ienfd-needs", NUMBERS["ienfd"], {"method": None}, {}),
    ("np-exam-corneal-microscopy-needs", NUMBERS["corneal-microscopy"], SITELESS, {}),
    ("np-exam-examination-finding-needs", LESION, {"component": None}, {}),
    (
        "np-report-1",
        REPORT,
        {"result": None, "conclusion": None, "conclusionCode": None},
        {"result": None, "conclusion": None},
    ),
    ("np-report-2", REPORT, {"effectiveDateTime": "2026-05"}, {"effectiveDateTime": "2026-05-01"}),
    ("np-report-3", REPORT, {"issued": "2026-04-01T09:30:00+02:00"}, {"issued": "2026-06-01T09:30:00+02:00"}),
]
ROWS = [(key, one, _there(one, broken), _there(one, holds)) for key, one, broken, holds in _ALL]
