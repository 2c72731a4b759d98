"""The tables that are made of several resources: what a step of treatment is, and who is a responder."""

import json
from typing import Any

import pytest

from app.pain.content import load_content
from app.profiles import canonical
from app.views.ready import ready_tables
from tests.builders import observation

CONTENT = load_content()
Json = dict[str, Any]


def nrs(name: str, when: str, value: int, item: str = "average_7d", side: str = "left", **fields: Any) -> Json:
    """A rating of Patient/a; the side belongs to the place where it hurts."""
    where = {"url": canonical("StructureDefinition", "laterality"), "valueCodeableConcept": _one(CONTENT.sides[side])}
    said = {
        "id": name,
        "code": _one(CONTENT.instruments["nrs"].item(item).coding),
        "effectiveDateTime": when,
        "valueQuantity": {"value": value, "system": CONTENT.systems["ucum"], "code": "{score}"},
        "bodySite": {"extension": [where], "text": "leg"},
    }
    return observation("Patient/a", **said | fields)


def _one(coding: Any) -> Json:
    return {"coding": [{"system": coding.system, "code": coding.code}]}


def drug(started: str | None, **fields: Any) -> Json:
    said = {
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": _one(CONTENT.drugs.rows["duloxetine"].codings[0]),
    }
    begun = {"authoredOn": started} if started else {}
    about = {"subject": {"reference": "Patient/a"}}
    return {"resourceType": "MedicationRequest", "id": "m", **about, **said, **begun, **fields}


def stopped(day: str) -> Json:
    part = {"url": "stoppedOn", "valueDate": day}
    outcome = {"url": canonical("StructureDefinition", "activity-outcome"), "extension": [part]}
    activity = {"extension": [outcome], "reference": {"reference": "MedicationRequest/m"}}
    about = {"subject": {"reference": "Patient/a"}, "status": "active", "intent": "plan"}
    return {"resourceType": "CarePlan", "id": "c", **about, "activity": [activity]}


BEFORE, START, AFTER, LATER = "2026-02-20", "2026-03-01", "2026-03-20", "2026-04-20"
# baseline, follow-up, is_last, relief_percent, responder_30, responder_50, eligible, reason
Told = tuple[Any, ...]
RESPONSES: dict[str, tuple[list[Json], list[Told]]] = {
    "each follow-up is compared with the baseline": (
        [drug(START), nrs("1", BEFORE, 8), nrs("2", AFTER, 6), nrs("3", LATER, 4)],
        [(8, 6, False, 25, False, False, True, None), (8, 4, True, 50, True, True, True, None)],
    ),
    "the last value before the start is the baseline": (
        [drug(START), nrs("1", "2026-01-01", 9), nrs("2", BEFORE, 5), nrs("3", AFTER, 5)],
        [(5, 5, True, 0, False, False, True, None)],
    ),
    "a value of the first day is a baseline": (
        [drug(START), nrs("1", "2026-03-01T18:00:00Z", 10), nrs("2", AFTER, 7)],
        [(10, 7, True, 30, True, False, True, None)],
    ),
    "moments are compared, not their texts": (
        [drug(START), nrs("1", "2026-03-02T01:00:00+02:00", 10), nrs("2", AFTER, 10)],
        [(10, 10, True, 0, False, False, True, None)],
    ),
    "pain may get worse": (
        [drug(START), nrs("1", BEFORE, 4), nrs("2", AFTER, 6)],
        [(4, 6, True, -50, False, False, True, None)],
    ),
    "a third is not thirty percent of a low baseline that counts": (
        [drug(START), nrs("1", BEFORE, 3), nrs("2", AFTER, 2)],
        [(3, 2, True, 33.333333, True, False, False, None)],
    ),
    "nothing is a percentage of no pain": (
        [drug(START), nrs("1", BEFORE, 0), nrs("2", AFTER, 2)],
        [(0, 2, True, None, None, None, False, "baseline-zero")],
    ),
    "another recall period is another scale": (
        [drug(START), nrs("1", BEFORE, 8, "current"), nrs("2", AFTER, 4)],
        [
            (8, None, True, None, None, None, True, "follow-up-missing"),
            (None, 4, True, None, None, None, None, "baseline-missing"),
        ],
    ),
    "the other side is another pain": (
        [drug(START), nrs("1", BEFORE, 8, side="left"), nrs("2", AFTER, 4, side="right")],
        [
            (8, None, True, None, None, None, True, "follow-up-missing"),
            (None, 4, True, None, None, None, None, "baseline-missing"),
        ],
    ),
    "what came after the end is no follow-up": (
        [drug(START), stopped(AFTER), nrs("1", BEFORE, 8), nrs("2", AFTER, 6), nrs("3", LATER, 1)],
        [(8, 6, True, 25, False, False, True, None)],
    ),
    "a preliminary value does not count": (
        [drug(START), nrs("1", BEFORE, 8), nrs("2", AFTER, 4, status="preliminary")],
        [(8, None, True, None, None, None, True, "follow-up-missing")],
    ),
    "a limit is no number to compare": (
        [drug(START), nrs("1", BEFORE, 8), nrs("2", AFTER, 4, valueQuantity={"value": 4, "comparator": ">"})],
        [(8, None, True, None, None, None, True, "follow-up-missing")],
    ),
    "without a value the step stays": ([drug(START)], [(None, None, True, None, None, None, None, "no-value")]),
    "without a start nothing is a baseline": (
        [drug(None), nrs("1", BEFORE, 8), nrs("2", AFTER, 4)],
        [(None, None, True, None, None, None, None, "start-unknown")],
    ),
    "what never began is no step": ([drug(START, status="cancelled"), nrs("1", BEFORE, 8)], []),
}
SHOWN = ("baseline", "follow_up", "is_last", "relief_percent", "responder_30", "responder_50", "eligible", "reason")


def rows_of(name: str, resources: list[Json]) -> list[Json]:
    table = ready_tables()[name]
    return [dict(zip((one.name for one in table.columns), row, strict=True)) for row in table.rows(resources)]


@pytest.mark.parametrize("case", RESPONSES)
def test_responses_follow_the_one_rule(case: str) -> None:
    resources, told = RESPONSES[case]

    rows = rows_of("responses", resources)

    assert [
        tuple(float(v) if n == "relief_percent" and v is not None else v for n in SHOWN for v in [row[n]])
        for row in rows
    ] == told


def test_a_missing_baseline_is_counted() -> None:
    rows = [row for case in RESPONSES.values() for row in rows_of("responses", case[0]) if row["is_last"]]

    assert sum(row["baseline_missing"] for row in rows) == sum(row["baseline"] is None for row in rows) == 4


@pytest.mark.parametrize("name", ["pain_scores", "treatment_steps", "responses"])
def test_the_rows_of_several_patients_are_the_rows_of_each(name: str) -> None:
    cases = [
        json.loads(
            json.dumps(resources).replace("Patient/a", f"Patient/{number}").replace('"id": "', f'"id": "{number}-')
        )
        for number, (resources, _) in enumerate(RESPONSES.values())
    ]

    together = rows_of(name, [one for group in reversed(cases) for one in group])

    apart = [row for group in cases for row in rows_of(name, group)]
    assert sorted(map(str, together)) == sorted(map(str, apart))


ABOUT = {"subject": {"reference": "Patient/a"}, "status": "active", "intent": "order"}


def plan_of(kind: str, **fields: Any) -> Json:
    return {
        "resourceType": "CarePlan",
        "id": "c",
        **ABOUT,
        "activity": [{"reference": {"reference": f"{kind}/m"}}],
        **fields,
    }


def cbt(**fields: Any) -> Json:
    code = _one(CONTENT.own("np-therapy", "cbt"))
    return {"resourceType": "ServiceRequest", "id": "m", **ABOUT, "code": code, **fields}


def done(**fields: Any) -> Json:
    based_on = [{"reference": "CarePlan/c"}, {"reference": "ServiceRequest/m"}]
    return {"resourceType": "Procedure", "id": "p", **ABOUT, "basedOn": based_on, "performedDateTime": AFTER, **fields}


# kind, started, started_by, stopped, dose_mg_per_day of each step
STEPS: dict[str, tuple[list[Json], list[Told]]] = {
    "the request says when it began": (
        [cbt(authoredOn=START), done(), plan_of("ServiceRequest", created=LATER)],
        [("therapy", START, "request", None, None)],
    ),
    "else the Procedure": (
        [cbt(), done(), done(id="q", performedDateTime=BEFORE), plan_of("ServiceRequest", created=LATER)],
        [("therapy", BEFORE, "procedure", None, None)],
    ),
    "else the plan": (
        [cbt(), plan_of("ServiceRequest", created=LATER, period={"start": START})],
        [("therapy", START, "plan", None, None)],
    ),
    "a step in two plans is one step": (
        [drug(START), stopped(AFTER), plan_of("MedicationRequest", id="d")],
        [("medicine", START, "request", AFTER, None)],
    ),
    "two types of request may have the same id": (
        [drug(START), stopped(AFTER), cbt()],
        [("medicine", START, "request", AFTER, None), ("therapy", None, None, None, None)],
    ),
    "an order, a proposal and what is forbidden are no steps": (
        [
            cbt(code=_one(CONTENT.own("np-order", "nerve-conduction-study"))),
            drug(START, intent="proposal"),
            drug(START, id="n", doNotPerform=True),
            drug(START, id="o", status="entered-in-error"),
        ],
        [],
    ),
}
STEP = ("kind", "started", "started_by", "stopped", "dose_mg_per_day")


@pytest.mark.parametrize("case", STEPS)
def test_steps_put_together_what_several_resources_say(case: str) -> None:
    resources, told = STEPS[case]

    rows = rows_of("treatment_steps", resources)

    assert [tuple(row[name] for name in STEP) for row in rows] == told


def _dosed(dose: Json, **repeat: Any) -> Json:
    amount = dose | {"system": CONTENT.systems["ucum"]}
    kind = "rateQuantity" if "/" in dose["code"] else "doseQuantity"
    return {"doseAndRate": [{kind: amount}], **({"timing": {"repeat": repeat}} if repeat else {})}


@pytest.mark.parametrize(
    ("rows", "dose"),
    [
        ([_dosed({"value": 60, "code": "mg/d"})], 60),
        ([_dosed({"value": 30, "code": "mg"}, frequency=2, period=1, periodUnit="d")], 60),
        ([_dosed({"value": 30, "code": "mg"}, period=7, periodUnit="d")], 4.285714285714286),
        ([_dosed({"value": 30, "code": "mg"})], None),
        ([_dosed({"value": 2, "code": "{tablet}"}, frequency=1, period=1, periodUnit="d")], None),
        (
            [
                _dosed({"value": 30, "code": "mg/d"}, boundsDuration={"value": 7, "code": "d"}),
                _dosed({"value": 90, "code": "mg/d"}),
            ],
            90,
        ),
    ],
)
def test_a_daily_dose_is_told_where_nothing_is_guessed(rows: list[Json], dose: float | None) -> None:
    told = [row["dose_mg_per_day"] for row in rows_of("treatment_steps", [drug(START, dosageInstruction=rows)])]

    assert [None if one is None else float(one) for one in told] == [dose]
