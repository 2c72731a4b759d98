"""The tests of the worked cases as the clinic sends them, one payload for each: nothing is lost but the prose."""

from typing import Any

Payload = dict[str, Any]


def _ncs(*results: Payload, conclusion: str, code: str) -> Payload:
    return {"examination": "ncs", "results": list(results), "conclusion": conclusion, "conclusion_code": code}


def _both(**said: Any) -> list[Payload]:
    return [{**said, "laterality": side} for side in ("left", "right")]


def _imaging(kind: str, finding: str, *, side: str | None = None, site: str | None = None) -> Payload:
    where = {key: value for key, value in (("laterality", side), ("body_site", site)) if value}
    return {
        "examination": "mri",
        "kind": kind,
        "results": [
            {"parameter": "mri-impression", "value": "abnormal"},
            {"parameter": "image-finding", "value": finding, **where},
            {"parameter": "image-concordance", "value": "concordant"},
        ],
        "conclusion_code": "abnormal",
    }


NORMAL_NCS: tuple[Payload, list[tuple[str, str]]] = (
    _ncs({"parameter": "nerve-conduction", "value": "normal"}, conclusion="normal", code="normal"),
    [("nerve-conduction", "normal")],
)

# Case -> its tests in order: what is sent, and the interpretations that must follow, in the order of the results.
CASE_TESTS: dict[str, list[tuple[Payload, list[tuple[str, str]]]]] = {
    "NP-S01": [
        (
            _ncs(
                *_both(parameter="snap-amplitude", absent=True, nerve="sural"),
                *_both(
                    parameter="motor-conduction-velocity",
                    value=36,
                    unit="m/s",
                    nerve="peroneal",
                    reference_range={"low": 41},
                ),
                conclusion="length-dependent sensorimotor polyneuropathy",
                code="abnormal",
            ),
            [("snap-amplitude", "abnormal")] * 2 + [("motor-conduction-velocity", "low")] * 2,
        )
    ],
    "NP-S03": [
        (
            _imaging("spine", "L4/5 right paracentral extrusion compressing L5 root", side="right", site="52612000"),
            [("mri-impression", "abnormal")],
        )
    ],
    "NP-S04": [
        (
            _ncs(
                {
                    "parameter": "distal-motor-latency",
                    "value": 5.6,
                    "unit": "ms",
                    "nerve": "median",
                    "segment": "wrist",
                    "laterality": "right",
                    "reference_range": {"high": 4.4},
                },
                {
                    "parameter": "sensory-conduction-velocity",
                    "value": 38,
                    "unit": "m/s",
                    "nerve": "median",
                    "laterality": "right",
                    "reference_range": {"low": 50},
                },
                {"parameter": "nerve-conduction", "value": "normal", "nerve": "ulnar", "laterality": "right"},
                conclusion="median neuropathy at wrist",
                code="abnormal",
            ),
            [("distal-motor-latency", "high"), ("sensory-conduction-velocity", "low"), ("nerve-conduction", "normal")],
        )
    ],
    "NP-S05": [
        (
            _imaging("brain", "superior cerebellar artery loop at the right trigeminal root entry zone", side="right"),
            [("mri-impression", "abnormal")],
        )
    ],
    "NP-S06": [NORMAL_NCS],
    "NP-S07": [
        (
            _ncs(
                {
                    "parameter": "snap-amplitude",
                    "value": 2,
                    "unit": "uV",
                    "nerve": "sural",
                    "laterality": "right",
                    "reference_range": {"low": 6},
                },
                {"parameter": "motor-conduction", "value": "normal"},
                conclusion="length-dependent sensory axonal neuropathy",
                code="abnormal",
            ),
            [("snap-amplitude", "low"), ("motor-conduction", "normal")],
        )
    ],
    "NP-S08": [
        (
            _imaging("brain", "old lacunar infarct right ventroposterior thalamus", side="right"),
            [("mri-impression", "abnormal")],
        )
    ],
    "NP-S09": [
        (
            {
                "examination": "operative-report",
                "procedure": {"system": "http://snomed.info/sct", "code": "81723002"},
                "results": [
                    {
                        "parameter": "nerve-lesion",
                        "value": "lesion-seen",
                        "nerve": "sciatic",
                        "note": "branches cut at the amputation",
                    }
                ],
                "conclusion": "confirms nerve lesion",
            },
            [("nerve-lesion", "abnormal")],
        )
    ],
    "NP-S11": [
        NORMAL_NCS,
        (
            {
                "examination": "skin-biopsy",
                "results": [
                    {
                        "parameter": "ienf-density",
                        "value": 2.1,
                        "unit": "/mm",
                        "method": "bright-field",
                        "body_site": "30021000",
                        "laterality": "right",
                        "reference_range": {"low": 4.4, "text": "laboratory 5th percentile for age and sex"},
                    }
                ],
                "conclusion": "small-fibre loss",
                "conclusion_code": "abnormal",
            },
            [("ienf-density", "low")],
        ),
    ],
}
