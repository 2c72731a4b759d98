"""There and back loses nothing: what the clinic sends, FHIR keeps, whatever it was."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.fhir.json import dumps, parse
from app.mapping.careplans.careplan import plan_from_fhir, plan_to_fhir
from app.mapping.clinic import KINDS
from app.mapping.conditions.condition import diagnosis_from_fhir, diagnosis_to_fhir
from app.mapping.elements import Resource, is_error
from app.mapping.questionnaires.observation import assessment_from_fhir, assessment_to_fhir
from app.mapping.revision import withdraw
from app.pain.content import load_content
from app.pain.diagnoses.diagnoses import Diagnosis, diagnosis_view, read_diagnosis
from app.pain.instruments.assessments import Assessment, assessment_view, read_assessment
from app.pain.instruments.scoring import score
from app.pain.plans.treatments import TreatmentPlan, plan_view, read_plan
from app.validation import load_validator
from tests.mapping import payloads
from tests.pain.cases import NOW

CONTENT = load_content()
VALIDATOR = load_validator()
PATIENT = "Patient/12"
# Two shared cores: the number of examples is what bounds the time, not the clock.
thorough = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

named = {name: payloads.assessments(name) for name in CONTENT.instruments}
WORKED = [(name, example) for name, one in CONTENT.instruments.items() for example in one.examples]


def new_ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"new-{next(numbers)}"


def wire(resources: Sequence[Resource]) -> list[Resource]:
    """The resources as they come back from JSON, after the validator found no error in them."""
    errors = [issue for one in resources for issue in VALIDATOR.check(one) if issue.is_error]
    assert errors == []
    return [parse(dumps(one)) for one in resources]


def assessed(one: Assessment) -> list[Resource]:
    scores = score(CONTENT.instruments[one.instrument], one.answers)
    return wire(assessment_to_fhir(one, scores, CONTENT, patient_ref=PATIENT, ids=new_ids()))


def diagnosed(one: Diagnosis) -> list[Resource]:
    return wire(diagnosis_to_fhir(one, CONTENT, patient_ref=PATIENT, ids=new_ids()))


def planned(one: TreatmentPlan) -> list[Resource]:
    return wire(plan_to_fhir(one, CONTENT, patient_ref=PATIENT, ids=new_ids()))


@thorough
@given(st.one_of(*named.values()))
def test_an_assessment_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    one = read_assessment(payload, CONTENT, NOW)

    assert assessment_from_fhir(assessed(one), CONTENT) == replace(one, patient=PATIENT)
    assert read_assessment(assessment_view(one), CONTENT, NOW) == one


@pytest.mark.parametrize(("name", "example"), WORKED, ids=[f"{name}: {one['source']}" for name, one in WORKED])
def test_a_worked_example_is_written_without_a_warning_and_comes_back(name: str, example: dict[str, Any]) -> None:
    one = Assessment(PATIENT, name, "2026-05-01T09:30:00Z", example["answers"])

    written = assessed(one)

    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": f"https://example.org/fhir/{each['resourceType']}/{each['id']}", "resource": each}
            for each in written
        ],
    }
    assert assessment_from_fhir(written, CONTENT) == one
    assert [issue for issue in VALIDATOR.check(bundle) if issue.rule.startswith("np-")] == []


@thorough
@given(payloads.diagnoses)
def test_a_diagnosis_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    one = read_diagnosis(payload, CONTENT, NOW)

    assert diagnosis_from_fhir(diagnosed(one), CONTENT) == replace(one, patient=PATIENT)
    assert read_diagnosis(diagnosis_view(one), CONTENT, NOW) == one


@thorough
@given(payloads.plans)
def test_a_plan_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    one = read_plan(payload, CONTENT, NOW)

    assert plan_from_fhir(planned(one), CONTENT) == replace(one, patient=PATIENT)
    assert read_plan(plan_view(one, CONTENT), CONTENT, NOW) == one


def changed(old: Sequence[Resource], new: Sequence[Resource]) -> list[Resource]:
    """Those of the old resources that have another content now."""
    before = {(one["resourceType"], one["id"]): one for one in old}
    return [one for one in new if before.get((one["resourceType"], one["id"]), one) != one]


# Pairs that share the names of items: of the same type, of another type, and with other bounds.
@pytest.mark.parametrize(
    ("was", "now"),
    [
        (("nrs", {"current": 5}), ("vas", {"current": 5})),
        (("paindetect", {"tingling": 2}), ("dn4", {"tingling": True})),
        (("vas", {"current": 55}), ("nrs", {"current": 5})),
    ],
)
def test_an_assessment_can_turn_out_to_be_of_another_instrument(was: Any, now: Any) -> None:
    before, after = (Assessment(PATIENT, name, "2026-05-01T09:30:00Z", answers) for name, answers in (was, now))

    new = wire(KINDS["assessments"].amend(after, CONTENT, PATIENT, lambda: next(fresh), assessed(before)))

    assert assessment_from_fhir(new, CONTENT) == after


@thorough
@given(st.one_of(*(st.tuples(one, one) for one in named.values())))
def test_an_amended_assessment_keeps_its_ids(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, after = (read_assessment(payload, CONTENT, NOW) for payload in pair)
    old = assessed(before)

    new = wire(KINDS["assessments"].amend(after, CONTENT, PATIENT, lambda: next(fresh), old))

    assert new[0]["id"] == old[0]["id"]
    assert {code_of(one): one["id"] for one in old}.items() <= {code_of(one): one["id"] for one in new}.items()
    assert {one["status"] for one in changed(old, new)} <= {"amended", "entered-in-error"}
    assert assessment_from_fhir(new, CONTENT) == replace(after, patient=PATIENT)


@thorough
@given(payloads.diagnoses, payloads.diagnoses)
def test_an_amended_diagnosis_keeps_its_ids(first: dict[str, Any], second: dict[str, Any]) -> None:
    before, after = (read_diagnosis(payload, CONTENT, NOW) for payload in (first, second))
    old = diagnosed(before)

    new = wire(KINDS["diagnoses"].amend(after, CONTENT, PATIENT, lambda: next(fresh), old))
    again = wire(KINDS["diagnoses"].amend(before, CONTENT, PATIENT, lambda: next(fresh), new))

    assert names(old) <= names(new)
    assert {one["status"] for one in changed(old, new) if one["resourceType"] == "Observation"} <= {"amended"}
    assert diagnosis_from_fhir(new, CONTENT) == replace(after, patient=PATIENT)
    # A cause that is told, taken back and told again is the same Condition.
    assert names(old) <= {name for name, error in states(again) if not error}
    assert diagnosis_from_fhir(again, CONTENT) == replace(before, patient=PATIENT)


@thorough
@given(payloads.plans, payloads.plans)
def test_an_amended_plan_keeps_the_ids_of_what_stays(first: dict[str, Any], second: dict[str, Any]) -> None:
    before, after = (read_plan(payload, CONTENT, NOW) for payload in (first, second))
    old = planned(before)

    new = wire(KINDS["treatment-plans"].amend(after, CONTENT, PATIENT, lambda: next(fresh), old))
    again = wire(KINDS["treatment-plans"].amend(before, CONTENT, PATIENT, lambda: next(fresh), new))

    assert new[0]["id"] == old[0]["id"]
    assert names(old) <= names(new)
    assert plan_from_fhir(new, CONTENT) == replace(after, patient=PATIENT)
    # Going back finds every earlier part again, the withdrawn ones included.
    assert names(old) <= {name for name, error in states(again) if not error}
    assert plan_from_fhir(again, CONTENT) == replace(before, patient=PATIENT)


@thorough
@given(payloads.plans)
def test_an_unchanged_plan_stays_as_it_is(payload: dict[str, Any]) -> None:
    one = read_plan(payload, CONTENT, NOW)
    old = planned(one)

    assert wire(KINDS["treatment-plans"].amend(one, CONTENT, PATIENT, lambda: next(fresh), old)) == old


@pytest.mark.parametrize("kind", ["assessment", "diagnosis", "plan"])
def test_withdrawn_resources_are_valid_and_readable(kind: str) -> None:
    old = EXAMPLES[kind]

    gone = wire(withdraw(old))

    assert names(gone) == names(old)
    assert all(is_error(one) for one in gone)
    assert READERS[kind](gone, CONTENT) == READERS[kind](old, CONTENT)


fresh = (f"fresh-{number}" for number in count(1))
READERS: dict[str, Callable[..., Any]] = {
    "assessment": assessment_from_fhir,
    "diagnosis": diagnosis_from_fhir,
    "plan": plan_from_fhir,
}
EXAMPLES = {
    "assessment": assessed(
        read_assessment(
            {
                "patient": PATIENT,
                "instrument": "dn4",
                "taken_at": "2026-05-01T09:30:00Z",
                "answers": {"burning": True},
                "laterality": "left",
            },
            CONTENT,
            NOW,
        )
    ),
    "diagnosis": diagnosed(
        read_diagnosis(
            {
                "patient": PATIENT,
                "code": {"text": "x"},
                "evidence": {
                    "history_relevant_lesion_or_disease": True,
                    "pain_distribution_neuroanatomically_plausible": True,
                    "sensory_signs_same_distribution": "present",
                    "confirmatory_test": "positive",
                },
            },
            CONTENT,
            NOW,
        )
    ),
    "plan": planned(
        read_plan(
            {
                "patient": PATIENT,
                "goals": [{"measure": "nrs", "target": 3}],
                "activities": [{"drug": "gabapentin", "daily_dose_mg": 900}, {"therapy": "cbt"}],
            },
            CONTENT,
            NOW,
        )
    ),
}


def names(resources: Sequence[Resource]) -> set[str]:
    return {f"{one['resourceType']}/{one['id']}" for one in resources}


def states(resources: Sequence[Resource]) -> list[tuple[str, bool]]:
    return [(f"{one['resourceType']}/{one['id']}", is_error(one)) for one in resources]


def code_of(resource: Resource) -> str:
    return str(resource["code"]["coding"][-1]["code"]) if "code" in resource else str(resource["resourceType"])
