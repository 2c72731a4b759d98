"""The twelve worked cases of examples/cases.json, and the fixed moment tests are run at."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "examples" / "cases.json").read_text("utf-8"))[
    "cases"
]


def assessment(case: dict[str, Any], instrument: str = "dn4") -> dict[str, Any]:
    """The payload of a case's DN4, LANSS or NRS."""
    pain = case["pain"]
    answers = pain["nrs"] if instrument == "nrs" else {key: bool(answer) for key, answer in case[instrument].items()}
    return {
        "patient": "Patient/12",
        "instrument": instrument,
        "taken_at": "2026-05-01T09:30:00+02:00",
        "answers": answers,
        "body_site": pain["bodySite"] or {"text": "widespread"},
        "laterality": pain["laterality"],
        "performer": "Practitioner/3",
    }


def diagnosis(case: dict[str, Any]) -> dict[str, Any]:
    """The payload of a case's diagnosis, with every code it expects."""
    pain = case["pain"]
    return {
        "patient": "Patient/12",
        "code": case["expected"]["diagnosis"]["primary"],
        "onset": "2020",
        "evidence": case["neupsig_inputs"],
        "distribution": pain["distribution"],
        "body_site": pain["bodySite"] or {"text": "widespread"},
        "laterality": pain["laterality"],
    }


def plan(case: dict[str, Any], snomed: str) -> dict[str, Any]:
    """The payload of a case's proposed plan."""
    proposed = case["proposed_plan"]
    drugs = [
        {key: one[key] for key in ("daily_dose_mg", "route", "site") if one.get(key) is not None}
        | {"drug": one["name"]}
        for one in proposed["medications"]
    ]
    procedures = [{"code": {"system": snomed, "code": code}} for code in proposed["non_drug"]]
    return {"patient": "Patient/12", "activities": drugs + procedures}
