"""What became of the activities of a plan: sessions, what was done, how it worked."""

from typing import Any

import pytest

from app.pain.content import load_content
from app.pain.errors import Rejected
from app.pain.plans.done import ImplantedDevice
from app.pain.plans.outcomes import response_class
from app.pain.plans.treatments import plan_view, read_plan
from tests.pain.cases import NOW

CONTENT = load_content()
SNOMED = CONTENT.systems["snomed"]
STOPPED = {"status": "stopped", "why": "adverse-effect"}


def plan(**activity: Any) -> dict[str, Any]:
    return {"patient": "Patient/12", "activities": [activity]}


def refused(**activity: Any) -> list[tuple[str, str]]:
    try:
        read_plan(plan(**activity), CONTENT, NOW)
    except Rejected as rejected:
        return [(one.code, one.path.removeprefix("activities[0].")) for one in rejected.problems]
    return []


PROBLEMS: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"outcome": {}}, [("required", "outcome.status")]),
    ({"outcome": {"status": "better"}}, [("code-invalid", "outcome.status")]),
    ({"outcome": {"status": "ongoing", "response": 101}}, [("value", "outcome.response")]),
    ({"outcome": {"status": "ongoing", "response": "much"}}, [("code-invalid", "outcome.response")]),
    ({"outcome": {"status": "ongoing", "stopped_on": "2026-05-01"}}, [("business-rule", "outcome.stopped_on")]),
    ({"outcome": {"status": "ongoing", "why": "other"}}, [("business-rule", "outcome.why")]),
    ({"outcome": {"status": "stopped"}}, [("required", "outcome.why")]),
    ({"outcome": {"status": "stopped", "why": "completed"}}, [("business-rule", "outcome.why")]),
    ({"outcome": {"status": "completed", "why": "cost"}}, [("business-rule", "outcome.why")]),
    ({"outcome": STOPPED | {"why": "boredom"}}, [("code-invalid", "outcome.why")]),
    ({"outcome": STOPPED | {"stopped_on": "2027-01-01"}}, [("business-rule", "outcome.stopped_on")]),
    ({"outcome": STOPPED | {"evidence": ["Patient/1"]}}, [("value", "outcome.evidence[0]")]),
    ({"started_on": "2027-01-01"}, [("business-rule", "started_on")]),
    (
        {"started_on": "2026-05-02", "outcome": STOPPED | {"stopped_on": "2026-05-01"}},
        [("business-rule", "outcome.stopped_on")],
    ),
    ({"started_on": "2026-05-02", "outcome": STOPPED | {"stopped_on": "2026"}}, []),
    ({"done": {}}, [("required", "done.on")]),
    ({"done": {"on": "2027-01-01"}}, [("business-rule", "done.on")]),
    ({"done": {"on": {"start": "2026-05-02", "end": "2026-05-01"}}}, [("business-rule", "done.on.end")]),
    ({"done": {"procedure": "Procedure/1", "on": "2026-05-01"}}, [("business-rule", "done.on")]),
    ({"done": {"on": "2026-05-01", "device": {"serial": "7"}}}, [("required", "done.device.type")]),
    (
        {"done": {"on": "2026-05-01", "device": {"type": {"system": SNOMED, "code": "91251008"}}}},
        [("code-invalid", "done.device.type.code")],
    ),
    ({"done": [{"on": "2026-05-01"}, {"on": "May"}]}, [("value", "done[1].on")]),
    ({"done": {"on": "2026-05-01", "performer": "Group/1"}}, [("value", "done.performer")]),
    ({"appointment": {"start": "2026-12-01"}}, [("value", "appointment.start"), ("required", "appointment.end")]),
    (
        {"appointment": {"start": "2026-12-01T10:00:00+01:00", "end": "2026-12-01T10:00:00+02:00"}},
        [("business-rule", "appointment.end")],
    ),
]


@pytest.mark.parametrize(("said", "problems"), PROBLEMS, ids=str)
def test_each_defect_of_an_outcome_is_named_with_its_path(
    said: dict[str, Any], problems: list[tuple[str, str]]
) -> None:
    assert refused(therapy="acupuncture", **said) == problems


@pytest.mark.parametrize(
    ("activity", "problems"),
    [
        ({"drug": "capsaicin 8 % patch", "done": {"on": "2026-05-01"}}, [("required", "done.procedure")]),
        ({"device": "tens-device", "site": "back"}, [("business-rule", "site")]),
        (
            {"drug": "duloxetine", "appointment": {"start": "2026-12-01T10:00:00Z", "end": "2026-12-01T11:00:00Z"}},
            [("business-rule", "appointment")],
        ),
        ({"device": {"system": SNOMED, "code": "91251008"}}, [("code-invalid", "device.code")]),
        ({"order": "mri", "device": "tens-device"}, [("business-rule", "activities[0]")]),
    ],
    ids=str,
)
def test_what_an_activity_cannot_have_is_refused(activity: dict[str, Any], problems: list[tuple[str, str]]) -> None:
    assert refused(**activity) == problems


@pytest.mark.parametrize(
    ("percent", "named"),
    [
        (-1, "worse"),
        (0, "no-relief"),
        (9, "no-relief"),
        (10, "minimal"),
        (29, "minimal"),
        (30, "moderate"),
        (49, "moderate"),
        (50, "substantial"),
        (100, "substantial"),
    ],
)
def test_relief_lies_in_the_published_classes(percent: int, named: str) -> None:
    assert response_class(percent, CONTENT) == named


def test_a_device_is_the_one_its_therapy_works_through_unless_another_is_named() -> None:
    done = [{"on": "2026-05-01", "device": {"serial": "7"}}, {"on": "2026-06-01", "device": {"type": "a new kind"}}]

    read = read_plan(plan(therapy="spinal-cord-stimulation", done=done), CONTENT, NOW)

    devices = [one.device for one in read.activities[0].done]
    assert [one.type for one in devices if isinstance(one, ImplantedDevice)] == ["neurostimulator", "a new kind"]
    assert read_plan(plan_view(read, CONTENT), CONTENT, NOW) == read
