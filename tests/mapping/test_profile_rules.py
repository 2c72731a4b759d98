"""The profiles hold what the clinic's rules say, for every value and every combination."""

from copy import deepcopy
from itertools import count, product
from typing import Any

import pytest

from app.mapping.conditions.condition import diagnosis_to_fhir
from app.mapping.elements import Resource
from app.mapping.questionnaires.observation import assessment_to_fhir
from app.mapping.status import live_status
from app.pain.content import load_content
from app.pain.diagnoses.diagnoses import read_diagnosis
from app.pain.diagnoses.grading import GRADES, OTHER_PAIN, SIGNS, TESTS, Evidence, Grade, exceeds, grade
from app.pain.instruments.assessments import read_assessment
from app.pain.instruments.scoring import score
from app.profiles import json_files
from app.validation import load_validator
from tests.pain.cases import NOW

CONTENT = load_content()
VALIDATOR = load_validator()
NRS = CONTENT.instruments["nrs"]
EVIDENCE = [Evidence(*inputs) for inputs in product((True, False), (True, False), SIGNS, TESTS)]
CLAIMS: list[tuple[Grade, Grade | None]] = list(product(GRADES, (None, *GRADES)))


def broken(resource: Resource) -> set[str]:
    """The rules of our profiles a resource breaks."""
    return {issue.rule for issue in VALIDATOR.check(resource) if issue.is_error}


def graded(evidence: Evidence) -> Resource:
    numbers = count(1)
    payload = {
        "patient": "Patient/12",
        "code": {"text": "pain"},
        "evidence": {name: getattr(evidence, name) for name in Evidence.__slots__},
    }
    one = read_diagnosis(payload, CONTENT, NOW)
    return diagnosis_to_fhir(one, CONTENT, patient_ref="Patient/12", ids=lambda: f"d{next(numbers)}")[1]


def rated(instrument: str, **answers: Any) -> list[Resource]:
    numbers = count(1)
    payload = {
        "patient": "Patient/12",
        "instrument": instrument,
        "taken_at": "2026-05-01T09:30:00Z",
        "answers": answers,
    }
    one = read_assessment(payload, CONTENT, NOW)
    scores = score(CONTENT.instruments[instrument], one.answers)
    made = assessment_to_fhir(one, scores, CONTENT, patient_ref="Patient/12", ids=lambda: f"a{next(numbers)}")
    return deepcopy(made)


def own(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": CONTENT.systems[system], "code": code}]}


@pytest.mark.parametrize("evidence", EVIDENCE, ids=str)
def test_a_grade_holds_where_its_inputs_support_it_or_a_lower_one_is_asserted(evidence: Evidence) -> None:
    supported, made = grade(evidence), graded(evidence)

    for value, asserted in CLAIMS:
        claim = deepcopy(made) | {"valueCodeableConcept": own("np-grade", value)}
        if asserted:
            part = {
                "code": own("np-evidence-input", "asserted_grade"),
                "valueCodeableConcept": own("np-grade", asserted),
            }
            claim["component"].append(part)

        fits = value == supported or (value == asserted and exceeds(supported, value))
        is_legal = fits and (asserted is None or not exceeds(asserted, supported))
        assert (broken(claim) == set()) is is_legal, (value, asserted)


@pytest.mark.parametrize("evidence", EVIDENCE, ids=str)
def test_a_pain_that_is_not_neuropathic_by_definition_has_no_grade_above_unlikely(evidence: Evidence) -> None:
    made = graded(evidence)
    made["component"] = [*made["component"], {"code": own("np-evidence-input", OTHER_PAIN), "valueBoolean": True}]

    for value in GRADES:
        claim = made | {"valueCodeableConcept": own("np-grade", value)}

        assert grade(evidence, is_other_pain=True) == "unlikely"
        assert (broken(claim) == set()) is (value == "unlikely"), value


@pytest.mark.parametrize("key", [item.key for item in NRS.items])
@pytest.mark.parametrize("value", range(-1, 12))
def test_a_rating_lies_on_its_scale_whatever_the_method(key: str, value: int) -> None:
    rating = rated("nrs", **{key: 5})[1]
    rating["valueQuantity"]["value"] = value
    rating["method"] = {"text": "by telephone"}
    del rating["component"]

    assert broken(rating) == (set() if 0 <= value <= 10 else {"np-intensity-nrs-range"})


@pytest.mark.parametrize(("value", "band"), list(product(range(11), NRS.scores[0].bands)), ids=str)
def test_a_band_is_the_one_its_value_lies_in(value: int, band: Any) -> None:
    rating = rated("nrs", current=value)[1]
    rating["component"][0]["valueCodeableConcept"] = own("np-score-band", band.coding.code)

    assert (broken(rating) == set()) is (band.low <= value <= band.high)


@pytest.mark.parametrize("said", ["positive", "negative", None])
@pytest.mark.parametrize("value", range(-1, 12))
def test_a_dn4_total_is_positive_from_its_cutoff_on(value: int, said: str | None) -> None:
    total = rated("dn4", **{item.key: True for item in CONTENT.instruments["dn4"].items})[-1]
    total["valueQuantity"]["value"] = value
    total.pop("interpretation")
    if said:
        code = {"positive": "POS", "negative": "NEG"}[said]
        total["interpretation"] = [own("observation-interpretation", code)]

    expected = "positive" if value >= 4 else "negative"
    assert (broken(total) == set()) is (0 <= value <= 10 and said == expected)


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({"effectiveDateTime": "2026-05-01"}, True),
        ({"effectiveDateTime": "2026-05"}, False),
        ({"effectivePeriod": {"start": "2026-04-24", "end": "2026-05-01"}}, True),
        ({"effectivePeriod": {"start": "2026"}}, False),
        ({"effectivePeriod": {"end": "2026-05-01"}}, False),
    ],
)
def test_when_a_pain_was_rated_is_known_to_the_day(when: dict[str, Any], fits: bool) -> None:
    rating = rated("nrs", average_7d=5)[1]
    del rating["effectiveDateTime"]

    assert (broken(rating | when) == set()) is fits


def test_every_range_of_the_context_is_the_one_the_reader_holds() -> None:
    elements = {one["id"]: one for one in json_files("structuredefinitions")["plan-context"]["differential"]["element"]}

    for key, fact in CONTENT.facts.items():
        element = elements[f"Extension.extension:{key}.value[x]"]
        stated = [value for name, value in element.items() if name.startswith(("minValue", "maxValue"))]
        assert stated == [fact[end] for end in ("low", "high") if end in fact]


def test_the_state_of_a_record_is_told_as_it_stands() -> None:
    condition = json_files("examples/valid")["Condition-diabetic-polyneuropathy"]
    plan = json_files("examples/valid")["CarePlan-duloxetine-and-physical-therapy"]

    assert live_status([condition]) == {"clinical_status": "active", "verification_status": "confirmed"}
    assert live_status([plan | {"status": "completed"}]) == {"status": "completed"}
