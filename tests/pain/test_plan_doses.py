"""Doses of a plan: what they are counted in, and where two of them contradict each other."""

from decimal import Decimal
from typing import Any

import pytest

from app.pain.content import load_content
from app.pain.errors import Rejected
from app.pain.plans.treatments import plan_notes, plan_view, read_plan
from tests.pain.cases import NOW

CONTENT = load_content()


def plan(*activities: dict[str, Any]) -> dict[str, Any]:
    return {"patient": "Patient/12", "activities": list(activities)}


def refused(*activities: dict[str, Any]) -> list[tuple[str, str]]:
    """(code, path) of every problem."""
    try:
        read_plan(plan(*activities), CONTENT, NOW)
    except Rejected as rejected:
        return [(one.code, one.path) for one in rejected.problems]
    return []


def dose(value: Any, unit: str, per: str = "dose", **timing: Any) -> dict[str, Any]:
    return {"value": value, "unit": unit, "per": per, **timing}


def step(mg: int, days: int = 7) -> dict[str, Any]:
    return {"daily_dose_mg": mg, "days": days}


FITTING: list[dict[str, Any]] = [
    {"drug": "lidocaine 5 % patch", "dose": dose(3, "{patch}", times_per_day=1, hours=12)},
    {"drug": "capsaicin 8 % patch", "dose": dose(1, "{patch}", every_days=90, hours=1)},
    {"drug": "capsaicin 0.075 % cream", "dose": dose(1, "{application}", times_per_day=4)},
    {"drug": "botulinum toxin A", "dose": dose(200, "{units}", every_days=84)},
    {"drug": "fentanyl", "route": "transdermal", "dose": dose(Decimal("12.5"), "ug", "hour")},
    {"drug": "fentanyl", "dose": dose(1, "{patch}", every_days=3, hours=72)},
    {"drug": "ziconotide", "route": "intrathecal", "dose": dose(Decimal("2.4"), "ug", "day")},
    {"drug": "baclofen", "route": "intrathecal", "dose": dose(100, "ug", "day")},
    {"drug": "gabapentin", "daily_dose_mg": 900, "dose": dose(300, "mg", times_per_day=3)},
    {"drug": "gabapentin", "daily_dose_mg": 1200, "dose": dose(Decimal("0.4"), "g", times_per_day=3)},
    {"drug": "naloxone", "dose": dose(4, "mg")},
    {"drug": "bark of the willow", "dose": dose(2, "{application}")},
    {"drug": "gabapentin", "daily_dose_mg": 300, "titration": [step(900), step(600)], "taper": True},
    {"drug": "oxycodone", "titration": [step(40), step(20), step(10)], "taper": True},
    {"drug": "duloxetine", "daily_dose_mg": 60, "titration": [step(30), step(30)]},
    {
        "drug": "fentanyl",
        "dose": dose(25, "ug", "hour"),
        "titration": [{"dose": dose(12, "ug", "hour"), "days": 3}],
    },
]


@pytest.mark.parametrize("activity", FITTING, ids=str)
def test_a_dose_is_accepted_in_the_units_of_its_drug_and_told_as_it_was_said(activity: dict[str, Any]) -> None:
    read = read_plan(plan(activity), CONTENT, NOW)

    view = plan_view(read, CONTENT)
    assert read_plan(view, CONTENT, NOW) == read
    assert view["activities"][0].get("dose") == activity.get("dose")


def test_a_dose_of_so_many_mg_a_day_is_the_daily_dose() -> None:
    [one] = read_plan(plan({"drug": "gabapentin", "dose": dose(900, "mg", "day")}), CONTENT, NOW).activities

    assert (one.daily_dose_mg, one.dose) == (900, None)


AT = "activities[0]"
UNFIT: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"drug": "lidocaine 5 % patch", "dose": dose(10, "mg")}, [("business-rule", f"{AT}.dose.unit")]),
    ({"drug": "lidocaine 5 % patch", "daily_dose_mg": 10}, [("business-rule", f"{AT}.daily_dose_mg")]),
    ({"drug": "gabapentin", "dose": dose(1, "{patch}")}, [("business-rule", f"{AT}.dose.unit")]),
    ({"drug": "botulinum toxin A", "dose": dose(200, "mg")}, [("business-rule", f"{AT}.dose.unit")]),
    ({"drug": "botulinum toxin A", "dose": dose(200, "[iU]")}, [("code-invalid", f"{AT}.dose.unit")]),
    ({"drug": "capsaicin cream", "dose": dose(0.075, "%")}, [("code-invalid", f"{AT}.dose.unit")]),
    ({"drug": "gabapentin", "dose": {"value": 300}}, [("required", f"{AT}.dose.unit"), ("required", f"{AT}.dose.per")]),
    ({"drug": "lidocaine 5 % patch", "dose": dose(1, "{patch}", "day")}, [("business-rule", f"{AT}.dose.per")]),
    (
        {"drug": "gabapentin", "dose": dose(900, "mg", "day", times_per_day=3)},
        [("business-rule", f"{AT}.dose.times_per_day")],
    ),
    (
        {"drug": "naloxone", "dose": dose(4, "mg", times_per_day=1, every_days=2)},
        [("business-rule", f"{AT}.dose")],
    ),
    (
        {"drug": "lidocaine 5 % patch", "dose": dose(1, "{patch}", times_per_day=2, hours=13)},
        [("business-rule", f"{AT}.dose.hours")],
    ),
    (
        {"drug": "gabapentin", "daily_dose_mg": 600, "dose": dose(300, "mg", times_per_day=3)},
        [("business-rule", f"{AT}.dose")],
    ),
    (
        {"drug": "gabapentin", "daily_dose_mg": 600, "dose": dose(900, "mg", "day")},
        [("business-rule", f"{AT}.dose")],
    ),
    (
        {"drug": "duloxetine", "daily_dose_mg": 60, "titration": [step(90)]},
        [("business-rule", f"{AT}.titration[0]")],
    ),
    (
        {"drug": "duloxetine", "daily_dose_mg": 60, "titration": [step(30), step(20)]},
        [("business-rule", f"{AT}.titration[0]")],
    ),
    (
        {"drug": "duloxetine", "daily_dose_mg": 30, "titration": [step(60), step(90)], "taper": True},
        [("business-rule", f"{AT}.titration[0]")],
    ),
    ({"drug": "duloxetine", "daily_dose_mg": 30, "taper": True}, [("business-rule", f"{AT}.taper")]),
    (
        {"drug": "duloxetine", "daily_dose_mg": 30, "titration": [step(30)], "taper": True},
        [("business-rule", f"{AT}.taper")],
    ),
    (
        {"drug": "gabapentin", "daily_dose_mg": 900, "titration": [{"dose": dose(300, "mg"), "days": 3}]},
        [("business-rule", f"{AT}.titration[0]")],
    ),
    ({"drug": "gabapentin", "titration": [{"days": 3}]}, [("required", f"{AT}.titration[0].daily_dose_mg")]),
    ({"therapy": "cbt", "dose": dose(1, "{application}")}, [("business-rule", f"{AT}.dose")]),
    ({"therapy": "cbt", "taper": True}, [("business-rule", f"{AT}.taper")]),
]


@pytest.mark.parametrize(("activity", "problems"), UNFIT, ids=str)
def test_a_dose_that_cannot_be_followed_is_refused_where_it_stands(
    activity: dict[str, Any], problems: list[tuple[str, str]]
) -> None:
    assert refused(activity) == problems


GABAPENTIN = {"drug": "gabapentin", "daily_dose_mg": 900}
CODED = {"drug": {"system": CONTENT.systems["atc"], "code": "N02BF01"}, "daily_dose_mg": 600}
PATCH = {"drug": "lidocaine 5 % patch", "route": "topical"}
TWICE: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    (GABAPENTIN, {**GABAPENTIN, "daily_dose_mg": 600}, True),
    (GABAPENTIN, GABAPENTIN, True),
    (GABAPENTIN, CODED, True),
    ({**GABAPENTIN, "route": "oral"}, CODED, True),
    (GABAPENTIN, {"drug": "pregabalin", "daily_dose_mg": 150}, False),
    ({"drug": "morphine", "route": "oral"}, {"drug": "morphine", "route": "intrathecal"}, False),
    ({**PATCH, "site": "left T6"}, {**PATCH, "site": "right foot"}, False),
    ({**PATCH, "site": "left T6"}, PATCH, True),
    ({**PATCH, "laterality": "left"}, {**PATCH, "laterality": "right"}, False),
    ({"drug": "tapentadol"}, {"drug": "tapentadol ER"}, False),
    ({"drug": "Willow bark"}, {"drug": "willow  bark"}, True),
    ({**GABAPENTIN, "outcome": {"status": "stopped", "why": "no-response"}}, GABAPENTIN, False),
]


@pytest.mark.parametrize(("first", "second", "is_twice"), TWICE, ids=str)
def test_a_medicine_is_planned_once_for_each_route_site_and_form(
    first: dict[str, Any], second: dict[str, Any], is_twice: bool
) -> None:
    assert refused(first, second) == ([("business-rule", "activities[1]")] if is_twice else [])


ABOVE = [
    ({"drug": "gabapentin", "daily_dose_mg": 3600}, []),
    ({"drug": "gabapentin", "daily_dose_mg": 4800}, ["3600"]),
    ({"drug": "gabapentin", "dose": dose(1600, "mg", times_per_day=3)}, ["3600"]),
    ({"drug": "pregabalin", "titration": [step(600), step(601)]}, ["600"]),
    ({"drug": "morphine", "daily_dose_mg": 4800}, []),
]


@pytest.mark.parametrize(("activity", "most"), ABOVE, ids=str)
def test_a_dose_above_the_greatest_one_is_noted_however_it_is_said(activity: dict[str, Any], most: list[str]) -> None:
    notes = plan_notes(read_plan(plan(activity), CONTENT, NOW), CONTENT)

    said = "activities[0]: the daily dose is above {} mg, the greatest for normal renal function"
    assert notes == [said.format(one) for one in most]


@pytest.mark.parametrize(
    ("measure", "target", "ends"),
    [("nrs", 10, ""), ("nrs", 11, "0 to 10"), ("vas", 11, ""), ("pgic", 0, "1 to 7"), ("promis-sleep", 55, "")],
)
def test_a_target_the_measure_cannot_have_is_noted(measure: str, target: int, ends: str) -> None:
    asked = plan({"therapy": "cbt"}) | {"goals": [{"measure": measure, "target": target}]}

    notes = plan_notes(read_plan(asked, CONTENT, NOW), CONTENT)

    assert notes == ([f"goals[0].target: the measure has values from {ends} only"] if ends else [])
