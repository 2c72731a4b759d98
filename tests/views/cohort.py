"""A made cohort of two patients: what a clinic posts, and what other systems have written by FHIR. The tables of it are
counted by hand in test_ready_cohort.py."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from app.pain.content import load_content
from tests.builders import MEDICAL_RECORD, bundle, entry, observation, patient

Json = dict[str, Any]
CONTENT = load_content()
EXAMPLES = Path(__file__).parents[2] / "app" / "profiles" / "examples" / "requests"
ANNA, BERT = ({"system": MEDICAL_RECORD, "value": value} for value in ("A", "B"))
FEET = {"body_site": "56459004", "laterality": "bilateral"}
VISIT = "2026-01-10T09:30:00+01:00"
URN = "urn:uuid:00000000-0000-4000-8000-00000000000"


def example(name: str, **changes: Any) -> Json:
    """The example of a clinic's request, about another patient."""
    return json.loads((EXAMPLES / f"{name}.json").read_text("utf-8")) | changes  # type: ignore[no-any-return]


def assessment(who: Json, instrument: str, taken_at: str, **answers: Any) -> Json:
    return {"patient": who, "instrument": instrument, "taken_at": taken_at, "answers": answers, **FEET}


def examination(name: str, *results: Json, **fields: Any) -> Json:
    return {"patient": ANNA, "examination": name, "taken_at": VISIT, "results": list(results), **fields}


def records(encounter: str) -> list[tuple[str, Json]]:
    """What the clinic posts, by kind, but for Anna's diagnosis and the plan that treats it."""
    dn4 = example("assessments")["answers"]
    interview = dict(list(dn4.items())[:7])
    return [
        ("assessments", example("assessments", patient=ANNA, taken_at=VISIT, encounter=encounter)),
        ("assessments", assessment(BERT, "dn4", VISIT, **interview)),
        ("assessments", assessment(ANNA, "nrs", VISIT, average_7d=8)),
        ("assessments", assessment(ANNA, "nrs", "2026-03-10T09:00:00Z", average_7d=4)),
        ("assessments", assessment(BERT, "nrs", "2026-02-01T10:00:00Z", average_7d=6)),
        ("assessments", assessment(ANNA, "vrs-4", VISIT, current="moderate")),
        ("assessments", assessment(ANNA, "pgic", "2026-03-10T09:00:00Z", change=2)),
        ("assessments", assessment(BERT, "phq-9", VISIT, **dict.fromkeys(_keys("phq-9"), 1))),
        ("examinations", _symptoms(encounter)),
        ("examinations", _conduction(encounter)),
        (
            "examinations",
            examination(
                "emg",
                {
                    "parameter": "spontaneous-activity",
                    "value": "fibrillations",
                    "muscle": "tibialis-anterior",
                    "laterality": "left",
                },
            ),
        ),
        (
            "examinations",
            examination(
                "qst",
                {"parameter": "cdt", "value": -4.2, "unit": "Cel", "z_score": -2.4, "distribution": "stocking", **FEET},
            ),
        ),
        (
            "examinations",
            examination(
                "sensory-exam",
                {"parameter": "allodynia-sign", "value": "elicited", "stimulus": "dynamic-mechanical", **FEET},
            ),
        ),
        (
            "examinations",
            examination(
                "skin-biopsy",
                {
                    "parameter": "ienf-density",
                    "value": 2.1,
                    "unit": "{fibers}/mm",
                    "method": "bright-field",
                    "body_site": "30021000",
                    "laterality": "right",
                },
            ),
        ),
        ("examinations", examination("laboratory", {"parameter": "hba1c", "value": 7.1, "unit": "%"})),
        ("treatment-plans", _plan_of_bert()),
    ]


def _keys(instrument: str) -> list[str]:
    return [item.key for item in CONTENT.instruments[instrument].items]


def _symptoms(encounter: str) -> Json:
    burning = {"parameter": "burning", "value": True, "quality": "burning", "severity": "moderate", **FEET}
    burning |= {"evocation": "spontaneous-continuous", "distribution": "stocking"}
    touched = {"parameter": "allodynia", "value": True, "stimulus": "dynamic-mechanical"}
    return examination(
        "symptoms", burning, touched, {"parameter": "electric-shock", "value": False}, encounter=encounter
    )


def _conduction(encounter: str) -> Json:
    late = {
        "parameter": "distal-motor-latency",
        "value": 5.1,
        "unit": "ms",
        "reference_range": {"high": 4.4},
        "nerve": "median",
        "laterality": "right",
    }
    given = example("examinations", patient=ANNA, taken_at=VISIT, encounter=encounter)
    return {key: value for key, value in given.items() if key != "performer"} | {"results": [*given["results"], late]}


def diagnosis(encounter: str) -> Json:
    said = {"snomed": "193184006", "icd-10-cm": "E11.42", "icd-11": "MG30.51"}
    codes = [{"system": CONTENT.systems[system], "code": code} for system, code in said.items()]
    mechanism = {"code": "peripheral-sensitization", "certainty": "low", "evidence": ["Observation/qst"]}
    return example(
        "diagnoses", patient=ANNA, code=codes, encounter=encounter, mechanisms=[mechanism], recorded_at=VISIT
    )


def plan(diagnosis_id: str) -> Json:
    relief = {"status": "ongoing", "response": 50, "measure": "nrs-average-7d"}
    ended = {
        "status": "stopped",
        "response": 10,
        "stopped_on": "2025-12-01",
        "why": "not-tolerated",
        "adverse_effect": "drowsiness",
    }
    chosen = {"status": "stopped", "stopped_on": "2025-11-01", "why": "patient-choice"}
    return {
        "patient": ANNA,
        "diagnosis": f"Condition/{diagnosis_id}",
        "activities": [
            {
                "drug": "duloxetine",
                "route": "oral",
                "daily_dose_mg": 60,
                "titration": [{"daily_dose_mg": 30, "days": 7}],
                "started_on": "2026-01-10",
                "outcome": relief,
            },
            {"drug": "gabapentin", "daily_dose_mg": 900, "started_on": "2025-10-01", "outcome": ended},
            {"therapy": "cbt"},
            {"therapy": "spinal-cord-stimulation", "done": {"on": {"start": "2026-02-01", "end": "2026-02-02"}}},
            {"therapy": "rtms", "started_on": "2025-09-01", "outcome": chosen},
            {"device": "tens-device", "started_on": "2025-10-01", "outcome": chosen},
            {"order": "nerve-conduction-study"},
        ],
        "context": {"creatinine_clearance_ml_min": 85},
        "guideline": "neupsig-2025",
    }


def _plan_of_bert() -> Json:
    drug = {"drug": "amitriptyline", "daily_dose_mg": 25, "started_on": "2026-02-01"}
    return {"patient": BERT, "activities": [drug], "override": {"NPR20": "Safety was reviewed."}}


def _coded(system: str, code: str) -> Json:
    return {"coding": [{"system": CONTENT.systems[system], "code": code}]}


def others(anna: str) -> Json:
    """What another system has written: without our profiles, and partly without our codes."""
    period = {"effectivePeriod": {"start": "2026-05-01", "end": "2026-05-02"}}
    rated = _coded("loinc", "72514-3")
    both = {"coding": [*rated["coding"], *_coded("np-item", "nrs.current")["coding"]]}
    visit = {"reference": f"{URN}1"}
    burning = _coded("snomed", "36349006")
    resources = [
        observation(anna, code=rated, valueInteger=5, effectiveDateTime="2026-05-01"),
        observation(anna, code=both, valueQuantity=_above(8, "{score}"), encounter=visit, **period),
        observation(anna, code=_coded("loinc", "75325-1"), valueCodeableConcept=burning, **period),
        observation(anna, code=_coded("np-test", "vibration-threshold"), valueQuantity=_above(3, "/8"), **period),
        {"resourceType": "Medication", "code": _amitriptyline()},
        _request(anna),
        _others_plan(anna),
    ]
    encounter = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": anna},
    }
    return bundle(
        entry(encounter, full_url=f"{URN}1"),
        *(entry(one, full_url=f"{URN}{number}") for number, one in enumerate(resources, 2)),
    )


def _above(value: int, unit: str) -> Json:
    return {"value": value, "comparator": ">", "system": CONTENT.systems["ucum"], "code": unit}


def _amitriptyline() -> Json:
    codings = CONTENT.drugs.rows["amitriptyline"].codings
    return {"coding": [{"system": one.system, "code": one.code} for one in codings], "text": "amitriptyline"}


def _others_plan(anna: str) -> Json:
    about = {"subject": {"reference": anna}, "status": "active", "intent": "order", "period": {"start": "2026-03"}}
    return {"resourceType": "CarePlan", **about, "activity": [{"reference": {"reference": f"{URN}7"}}]}


def _request(anna: str) -> Json:
    """30 mg twice a day of a Medication."""
    dose = {"doseQuantity": {"value": 30, "unit": "mg", "system": CONTENT.systems["ucum"], "code": "mg"}}
    often = {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}}
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": anna},
        "authoredOn": "2026-04-01",
        "medicationReference": {"reference": f"{URN}6"},
        "dosageInstruction": [{"text": "1 capsule twice a day", "timing": often, "doseAndRate": [dose]}],
    }


async def post_cohort(client: httpx.AsyncClient) -> list[Json]:
    """Posts the cohort; answers what the clinic was told of each record."""
    anna, _ = [await _posted(client, "/fhir/Patient", patient(one["value"])) for one in (ANNA, BERT)]
    answer = await _posted(client, "/fhir", others(f"Patient/{anna['id']}"))
    encounter = answer["entry"][0]["response"]["location"].split("/_history")[0].split("/fhir/")[-1]
    told = [await _posted(client, f"/pain/{kind}", record) for kind, record in records(encounter)]
    pain = await _posted(client, "/pain/diagnoses", diagnosis(encounter))
    told += [pain, await _posted(client, "/pain/treatment-plans", plan(pain["id"]))]
    mistaken = await _posted(client, "/pain/assessments", assessment(BERT, "nrs", VISIT, current=9))
    assert (await client.delete(f"/pain/assessments/{mistaken['id']}")).status_code in (200, 204)
    return told


async def _posted(client: httpx.AsyncClient, url: str, body: Json) -> Json:
    answer = await client.post(url, json=body)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()  # type: ignore[no-any-return]


async def held(client: httpx.AsyncClient, types: tuple[str, ...]) -> list[Json]:
    """Every resource of some types the server holds, with exact numbers."""
    found: list[Json] = []
    for kind in types:
        url: str | None = f"/fhir/{kind}?_count=500"
        while url:
            page = json.loads((await client.get(url)).content, parse_float=Decimal)
            found += [one["resource"] for one in page.get("entry", []) if one["search"]["mode"] == "match"]
            url = next((one["url"] for one in page["link"] if one["relation"] == "next"), None)
    return found
