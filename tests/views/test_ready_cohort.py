"""The ready tables of a cohort that was posted through the real clinic API, counted by hand."""

from collections import Counter
from typing import Any

import httpx

from app.views.ready import ready_tables
from tests.views.cohort import CONTENT, held, post_cohort

Json = dict[str, Any]
CBT, SCS, RTMS = (CONTENT.therapies.rows[one].label for one in ("cbt", "spinal-cord-stimulation", "rtms"))
TENS = CONTENT.devices.rows["tens-device"].label
# Scores: DN4 two and two (one of them absent), four ratings of ours with the verbal one, PGIC, PHQ-9; two of others.
# Answers: 10 + 7 of DN4, 3 + 1 + 1 of the scales, 9 of PHQ-9; one of others has our code.
# Symptoms: two told, one denied; one of others. Nerve tests: 3 + 1 + 1 + 1 + 1; one of others; the laboratory has none.
# Diagnoses: the pain and its cause. Steps: six of seven activities of Anna (an order is none), one of Bert, one of
# others. Responses: of Anna's steps 2 (duloxetine), 2 (stimulation), 2 (of others), and one each of the four without a
# value; one of Bert's. A rating above 8 is a score, and no number to compare.
ROWS = {
    "pain_scores": 12,
    "pain_answers": 32,
    "symptoms": 4,
    "nerve_tests": 8,
    "diagnoses": 2,
    "treatment_steps": 8,
    "responses": 11,
}


async def tables_of(client: httpx.AsyncClient) -> dict[str, list[Json]]:
    """Every table, read in both ways."""
    tables = ready_tables()
    types = tuple(dict.fromkeys(kind for one in tables.values() for kind in one.resources))
    resources = await held(client, types)
    for one in tables.values():
        assert list(one.rows(resources, is_plain=True)) == list(one.rows(resources))
    return {
        name: [dict(zip((c.name for c in one.columns), row, strict=True)) for row in one.rows(resources)]
        for name, one in tables.items()
    }


async def test_the_tables_of_a_cohort_are_those_counted_by_hand(client: httpx.AsyncClient) -> None:
    told = await post_cohort(client)

    tables = await tables_of(client)

    assert {name: len(tables[name]) for name in ROWS} == ROWS
    raised = Counter(each["rule"] for one in told for each in (*one.get("findings", ()), *one.get("data_needed", ())))
    assert Counter(row["rule"] for row in tables["guideline_findings"]) == raised
    _check_scores(tables["pain_scores"])
    _check_steps(tables["treatment_steps"])
    _check_responses(tables["responses"])
    empty = {
        f"{name}.{column}"
        for name in tables
        for column in tables[name][0]
        if all(row[column] is None for row in tables[name])
    }
    assert sorted(empty) == []


def _check_scores(rows: list[Json]) -> None:
    dn4 = [row for row in rows if row["score"] == "dn4"]
    assert sorted((row["value"], row["cutoff"], row["positive"], row["version"]) for row in dn4 if row["value"]) == [
        (6, 4, True, "1.0.0")
    ]
    assert [row["absent_reason"] for row in dn4 if row["value"] is None] == ["unknown"]


def _check_steps(rows: list[Json]) -> None:
    shown = ("class", "line", "dose_mg_per_day", "started", "started_by", "stopped", "why_stopped", "relief_percent")
    assert {(row["kind"], row["what"], *(row[name] for name in shown)) for row in rows} == {
        ("medicine", "duloxetine", "snri", "first", 60, "2026-01-10", "request", None, None, 50),
        (
            "medicine",
            "gabapentin",
            "gabapentinoid",
            "first",
            900,
            "2025-10-01",
            "request",
            "2025-12-01",
            "not-tolerated",
            10,
        ),
        ("medicine", "amitriptyline", "tca", "first", 25, "2026-02-01", "request", None, None, None),
        ("medicine", "amitriptyline", "tca", None, 60, "2026-04-01", "request", None, None, None),
        ("therapy", CBT, "cbt", None, None, None, None, None, None, None),
        ("therapy", SCS, "spinal-cord-stimulation", None, None, "2026-02-01", "procedure", None, None, None),
        ("therapy", RTMS, "rtms", "third", None, "2025-09-01", "request", "2025-11-01", "patient-choice", None),
        ("device", TENS, "tens-device", None, None, "2025-10-01", "request", "2025-11-01", "patient-choice", None),
    }


def _check_responses(rows: list[Json]) -> None:
    assert Counter(row["reason"] for row in rows) == {
        None: 2,
        "baseline-missing": 3,
        "follow-up-missing": 2,
        "no-value": 3,
        "start-unknown": 1,
    }
