"""The cohort summary and the table `responses` count the same: both are asked about the same stored resources."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest

from app.pain.content import load_content
from app.profiles import canonical
from app.views.ready import ready_tables
from tests.builders import bundle, entry, observation
from tests.cohort.people import Course, Person, Rating
from tests.cohort.test_outcomes import HAND, asked, groups, open_client, post
from tests.views.cohort import held, post_cohort

__all__ = ["open_client"]
CONTENT = load_content()
SCORE = "nrs-average-7d"
PATIENT = "urn:uuid:00000000-0000-4000-8000-0000000000ff"
Json = dict[str, Any]


async def tables(client: httpx.AsyncClient) -> dict[str, list[Json]]:
    """The ready tables that the comparison needs, as rows by name."""
    found = {}
    for name in ("treatment_steps", "responses", "diagnoses"):
        table = ready_tables()[name]
        resources = await held(client, tuple(table.resources))
        names = [column.name for column in table.columns]
        found[name] = [dict(zip(names, row, strict=True)) for row in table.rows(resources)]
    return found


def counted(found: Mapping[str, list[Json]]) -> dict[str, Json]:
    """By class of treatment: what the rows of the tables come to, counted as the summary says that it counts.

    The first step of a class that a patient was given for a diagnosis is a course; of several scales the one that hurt
    most before, of those with both values.
    """
    steps = {(row["kind"], row["id"]): row for row in found["treatment_steps"] if row["started"] is not None}
    courses: dict[tuple[str, str, str | None], tuple[str, str]] = {}
    for key, row in sorted(steps.items(), key=lambda pair: (pair[1]["started"], pair[0][1])):
        course = (row["patient_id"], row["class"] or "not-recognised", row["diagnosis_id"])
        if row["status"] not in ("draft", "cancelled"):
            courses.setdefault(course, key)
    reliefs: dict[tuple[str, str], list[Json]] = defaultdict(list)
    for row in found["responses"]:
        if row["score"] == SCORE and row["is_last"]:
            reliefs[row["kind"], row["step_id"]].append(row)
    by_class: dict[str, list[Json | None]] = defaultdict(list)
    for (_, cls, _), key in courses.items():
        by_class[cls].append(min(reliefs[key], key=_hurts_most) if reliefs[key] else None)
    return {cls: _summed(rows) for cls, rows in by_class.items()}


def _hurts_most(row: Json) -> tuple[bool, bool, float]:
    return row["baseline"] is None, row["follow_up"] is None, -float(row["baseline"] or 0)


def _summed(rows: Sequence[Json | None]) -> Json:
    with_relief = [row for row in rows if row and row["relief_percent"] is not None]
    return {
        "courses": len(rows),
        "with_relief": len(with_relief),
        "both_missing": sum(row is None for row in rows),
        "baseline_missing": sum(row is not None and row["baseline"] is None for row in rows),
        "follow_up_missing": sum(
            row is not None and row["baseline"] is not None and row["follow_up"] is None for row in rows
        ),
        "responder_30": sum(bool(row["responder_30"]) for row in with_relief),
        "responder_50": sum(bool(row["responder_50"]) for row in with_relief),
    }


def _told(one: Json) -> Json:
    """The same of a group of the summary."""
    levels = {name: (one[name] or {}).get("responders", 0) for name in ("responder_30", "responder_50")}
    names = ("courses", "with_relief", "both_missing", "baseline_missing", "follow_up_missing")
    return {name: one[name] for name in names} | levels


async def _require_same(client: httpx.AsyncClient) -> dict[str, Json]:
    summary = await asked(client, window="any")
    told = {cls: _told(one) for (cls, diagnosis), one in groups(summary).items() if cls and not diagnosis}
    assert told == counted(await tables(client))
    return told


async def test_of_medicines(open_client: httpx.AsyncClient) -> None:
    ended = Person((Course("duloxetine", 0, ended=40),), (Rating(0, 8), Rating(30, 4), Rating(60, 1)))
    courses = (Course("amitriptyline", 0, None), Course("nortriptyline", 20, None))
    twice = Person(courses, (Rating(-3, 9), Rating(10, 6)))
    sites = Person((Course("duloxetine", 3),), (Rating(0, 4), Rating(9, 1), Rating(1, 7, site="7569003")))
    await post(open_client, [*HAND, ended, twice, sites])

    told = await _require_same(open_client)

    assert {cls: one["courses"] for cls, one in told.items()} == {"tca": 10, "snri": 9}


async def test_of_what_a_clinic_writes(open_client: httpx.AsyncClient) -> None:
    """Medicines, a therapy, an implantation that was carried out on two days, and a device."""
    await post_cohort(open_client)

    told = await _require_same(open_client)

    assert told["spinal-cord-stimulation"]["responder_50"] == 1
    assert told.keys() >= {"snri", "gabapentinoid", "tca", "rtms", "tens-device"}


def _rated(*days: tuple[str, int]) -> list[Json]:
    code = _coded(CONTENT.instruments["nrs"].item("average_7d").coding)
    return [observation(PATIENT, code=code, effectiveDateTime=day, valueInteger=value) for day, value in days]


def _coded(*codings: Any) -> Json:
    return {"coding": [{"system": one.system, "code": one.code} for one in codings]}


def _asked(type_: str, **fields: Any) -> Json:
    about = {"status": "active", "intent": "order", "subject": {"reference": PATIENT}}
    return {"resourceType": type_, **about, **fields}


_DRUG = {"medicationCodeableConcept": _coded(CONTENT.drugs.rows["duloxetine"].codings[0])}
_BOTH = _rated(("2026-01-01", 8), ("2026-03-20", 4))
REQUEST, PLAN = "urn:uuid:00000000-0000-4000-8000-0000000000aa", "urn:uuid:00000000-0000-4000-8000-0000000000bb"


def _plan(**fields: Any) -> Json:
    activity = {"reference": {"reference": REQUEST}, **fields.pop("activity", {})}
    return _asked("CarePlan", activity=[activity], **fields)


# What is stored -> classes and their responders of 50 %.
STARTS: dict[str, tuple[list[tuple[str, Json]], dict[str, int]]] = {
    "the plan says when, where the request does not": (
        [(REQUEST, _asked("MedicationRequest", **_DRUG)), (PLAN, _plan(period={"start": "2026-02-01"}))],
        {"snri": 1},
    ),
    "what is not to be done is no treatment": (
        [(REQUEST, _asked("MedicationRequest", authoredOn="2026-02-01", doNotPerform=True, **_DRUG))],
        {},
    ),
    "what was only proposed is no treatment": (
        [(REQUEST, {**_asked("MedicationRequest", authoredOn="2026-02-01", **_DRUG), "intent": "proposal"})],
        {},
    ),
    "an ATC group says the class": (
        [
            (
                REQUEST,
                _asked(
                    "MedicationRequest",
                    authoredOn="2026-02-01",
                    medicationCodeableConcept={"coding": [{"system": CONTENT.systems["atc"], "code": "N06AX21"}]},
                ),
            )
        ],
        {"snri": 1},
    ),
    "what nobody knows counts as such": (
        [
            (
                REQUEST,
                _asked("MedicationRequest", authoredOn="2026-02-01", medicationCodeableConcept={"text": "a tea"}),
            )
        ],
        {"not-recognised": 1},
    ),
    "what was stopped before the rating has no follow-up": (
        [
            (REQUEST, _asked("MedicationRequest", authoredOn="2026-02-01", **_DRUG)),
            (
                PLAN,
                _plan(
                    activity={
                        "extension": [
                            {
                                "url": canonical("StructureDefinition", "activity-outcome"),
                                "extension": [{"url": "stoppedOn", "valueDate": "2026-03-01"}],
                            }
                        ]
                    }
                ),
            ),
        ],
        {"snri": 0},
    ),
}


@pytest.mark.parametrize("name", STARTS)
async def test_of_a_start(open_client: httpx.AsyncClient, name: str) -> None:
    resources, expected = STARTS[name]
    rated = [(f"urn:uuid:00000000-0000-4000-8000-00000000010{place}", one) for place, one in enumerate(_BOTH)]
    everything = [(PATIENT, {"resourceType": "Patient"}), *resources, *rated]
    answer = await open_client.post("/fhir", json=bundle(*(entry(one, full_url=url) for url, one in everything)))
    assert answer.status_code == 200, json.dumps(answer.json())

    told = await _require_same(open_client)

    assert {cls: one["responder_50"] for cls, one in told.items()} == expected
