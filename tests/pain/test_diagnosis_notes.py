"""What of a diagnosis deserves a second look is said in a note, and never refused."""

from typing import Any

import pytest

from app.pain.content import load_content
from app.pain.diagnoses import diagnosis_notes, diagnosis_view, read_diagnosis
from tests.pain.cases import NOW

CONTENT = load_content()
PROBABLE = {
    "history_relevant_lesion_or_disease": True,
    "pain_distribution_neuroanatomically_plausible": True,
    "sensory_signs_same_distribution": "present",
    "confirmatory_test": "not-done",
}
UNLIKELY = PROBABLE | {"history_relevant_lesion_or_disease": False}
NOT_NEUROPATHIC = "the pain of this diagnosis is not neuropathic by definition, the grade is probable"


def coded(system: str, code: str) -> dict[str, str]:
    return {"system": CONTENT.systems[system], "code": code}


def notes(**fields: Any) -> list[str]:
    payload = {"patient": "Patient/12", "code": coded("snomed", "193184006"), "evidence": PROBABLE} | fields
    return diagnosis_notes(read_diagnosis(payload, CONTENT, NOW), CONTENT)


@pytest.mark.parametrize(
    "code",
    [
        ("snomed", "203082005"),
        ("icd-10-cm", "G90.511"),
        ("icd-10", "G90.5"),
        ("icd-11", "MG30.01"),
        ("icd-10-cm", "M79.7"),
    ],
)
def test_a_diagnosis_without_neuropathic_pain_is_noted_above_unlikely(code: tuple[str, str]) -> None:
    assert notes(code=coded(*code)) == [f"code[0]: {NOT_NEUROPATHIC}"]
    assert notes(code=coded(*code), evidence=UNLIKELY) == []


def test_a_lower_grade_that_was_stated_is_the_one_compared() -> None:
    told = notes(code=coded("snomed", "203082005"), asserted_grade="unlikely")

    assert told == ["grade: unlikely was stated, the evidence supports probable"]


@pytest.mark.parametrize("code", ["MG30.5", "MG30.51"])
def test_chronic_neuropathic_pain_that_is_unlikely_neuropathic_is_noted(code: str) -> None:
    told = notes(code=coded("icd-11", code), evidence=UNLIKELY)

    assert told == ["code[0]: the code states neuropathic pain, the grade is unlikely"]
    assert notes(code=coded("icd-11", code)) == []


@pytest.mark.parametrize("distribution", ["widespread", "regional-non-dermatomal", "axial", "joint"])
def test_a_distribution_along_no_nerve_is_noted_where_it_is_called_plausible(distribution: str) -> None:
    [told] = notes(distribution=distribution)

    assert told.startswith(f"distribution: {distribution}")
    implausible = UNLIKELY | {"pain_distribution_neuroanatomically_plausible": False}
    assert notes(distribution=distribution, evidence=implausible) == []


def test_codes_of_different_sides_are_noted() -> None:
    codes = [coded("icd-10-cm", "G56.01"), coded("icd-10-cm", "G56.02")]

    assert notes(code=codes, laterality="left") == ["code: the codes state different sides: left, right"]


def test_an_assertion_of_what_the_evidence_supports_is_none() -> None:
    payload = {"patient": "Patient/12", "code": {"text": "x"}, "evidence": PROBABLE}

    same = read_diagnosis(payload | {"grade": "probable"}, CONTENT, NOW)
    lower = read_diagnosis(payload | {"grade": "probable", "asserted_grade": "possible"}, CONTENT, NOW)

    assert (same.asserted_grade, same.stated_grade) == (None, "probable")
    assert (lower.asserted_grade, lower.stated_grade) == ("possible", "possible")
    assert "grade" not in diagnosis_view(lower)
    assert diagnosis_view(lower)["asserted_grade"] == "possible"
