"""What of a diagnosis deserves a second look is said in a note; what contradicts itself is refused."""

from dataclasses import replace
from typing import Any

import pytest

from app.pain.content import load_content
from app.pain.diagnoses.diagnoses import (
    Diagnosis,
    diagnosis_notes,
    diagnosis_steps,
    diagnosis_view,
    read_diagnosis,
    regraded,
)
from app.pain.errors import Rejected
from tests.pain.cases import NOW

CONTENT = load_content()
PROBABLE = {
    "history_relevant_lesion_or_disease": True,
    "pain_distribution_neuroanatomically_plausible": True,
    "sensory_signs_same_distribution": "present",
    "confirmatory_test": "not-done",
}
UNLIKELY = PROBABLE | {"history_relevant_lesion_or_disease": False}
DEFINITE = PROBABLE | {"confirmatory_test": "positive"}
NOT_NEUROPATHIC = (
    "grade: the pain of this diagnosis is not neuropathic by definition, so the grade is unlikely; "
    "the evidence was kept, by itself it would support definite"
)


def coded(system: str, code: str) -> dict[str, str]:
    return {"system": CONTENT.systems[system], "code": code}


def read(**fields: Any) -> Diagnosis:
    payload = {"patient": "Patient/12", "code": coded("snomed", "193184006"), "evidence": PROBABLE} | fields
    return read_diagnosis(payload, CONTENT, NOW)


def notes(**fields: Any) -> list[str]:
    return diagnosis_notes(read(**fields), CONTENT)


def problems(**fields: Any) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as caught:
        read(**fields)
    return [(one.path, one.sentence) for one in caught.value.problems]


@pytest.mark.parametrize(
    "code",
    [
        ("snomed", "203082005"),
        ("snomed", "95417003"),
        ("snomed", "734947007"),
        ("icd-10-cm", "G90.511"),
        ("icd-10-cm", "G90.50"),
        ("icd-10", "G90.5"),
        ("icd-11", "MG30.01"),
        ("icd-10-cm", "M79.7"),
    ],
)
def test_a_pain_that_is_not_neuropathic_by_definition_is_never_graded_so(code: tuple[str, str]) -> None:
    told = read(code=coded(*code), evidence=DEFINITE)

    assert told.supported_grade == told.stated_grade == "unlikely"
    assert diagnosis_notes(told, CONTENT) == [NOT_NEUROPATHIC]
    assert notes(code=coded(*code), evidence=UNLIKELY) == []
    assert problems(code=coded(*code), evidence=DEFINITE, asserted_grade="probable") == [
        (
            "asserted_grade",
            "The pain of this diagnosis is not neuropathic by definition: the grade is unlikely, not probable.",
        )
    ]


@pytest.mark.parametrize("code", [("snomed", "408750000"), ("icd-10-cm", "G56.41"), ("icd-10-cm", "G57.72")])
def test_causalgia_is_graded_by_its_evidence(code: tuple[str, str]) -> None:
    assert read(code=coded(*code), evidence=DEFINITE).stated_grade == "definite"


@pytest.mark.parametrize("code", ["128200000", "712537009", "734986006"])
def test_a_regional_pain_syndrome_of_any_type_is_graded_and_its_type_asked_for(code: str) -> None:
    assert read(code=coded("snomed", code), evidence=DEFINITE).stated_grade == "definite"
    assert any("code the type" in one for one in notes(code=coded("snomed", code)))


def test_a_pain_is_not_coded_as_neuropathic_and_as_what_is_not() -> None:
    codes = [coded("icd-10-cm", "M79.7"), coded("icd-11", "MG30.51")]

    [(path, _)] = problems(code=codes)

    assert path == "code"


def test_a_grade_below_what_the_definition_allows_needs_no_assertion() -> None:
    told = read(code=coded("snomed", "203082005"), asserted_grade="unlikely")

    assert told.asserted_grade is None


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (["M54.16", "M51.16"], ["exclude each other"]),
        (["M54.16"], []),
        (["G90.511", "G56.41"], ["exclude each other"]),
        (["M79.2", "G56.01"], ["exclude each other"]),
        (["G89.28", "G58.8"], ["comes after the code of the cause"]),
        (["G58.8", "G89.28"], []),
        (["G89.0", "I69.398"], []),
    ],
)
def test_codes_at_odds_with_each_other_are_noted(codes: list[str], words: list[str]) -> None:
    told = notes(code=[coded("icd-10-cm", one) for one in codes], evidence=UNLIKELY)

    assert len(told) == len(words)
    assert all(word in note for word, note in zip(words, told, strict=True))


@pytest.mark.parametrize("code", ["G89.0", "G56.41"])
def test_what_stands_in_icd_10_cm_only_is_no_code_of_who_icd_10(code: str) -> None:
    assert [path for path, _ in problems(code=coded("icd-10", code))] == ["code.code"]


@pytest.mark.parametrize(
    ("basis", "fields", "words"),
    [
        ({"confirmatory_test": [{"method": "quantitative-sensory-testing"}]}, {}, "psychophysical"),
        ({"confirmatory_test": ["QuestionnaireResponse/1"]}, {}, "a screening result never changes the grade"),
        ({"sensory_signs_same_distribution": [{"method": "screening-questionnaire"}]}, {}, "screening result"),
        ({"confirmatory_test": [{"method": "nerve-conduction"}]}, {"confirmatory_test": "negative"}, "small fibres"),
        ({"confirmatory_test": [{"method": "nerve-conduction"}]}, {}, ""),
        ({"confirmatory_test": [{"method": "quantitative-sensory-testing"}, {"method": "skin-biopsy"}]}, {}, ""),
        ({"confirmatory_test": [{"method": "quantitative-sensory-testing"}, "Observation/9"]}, {}, ""),
    ],
)
def test_an_input_that_rests_on_too_little_is_noted_and_the_grade_stays(
    basis: dict[str, Any], fields: dict[str, Any], words: str
) -> None:
    one = read(evidence=DEFINITE | fields, basis=basis)

    told = diagnosis_notes(one, CONTENT)

    assert [words in note for note in told] == ([True] if words else [])
    assert one.stated_grade == read(evidence=DEFINITE | fields).stated_grade


@pytest.mark.parametrize(
    ("trials", "status"),
    [
        ([("tca", "insufficient-relief", True), ("snri", "not-tolerated", None)], "refractory"),
        ([("tca", "insufficient-relief", True), ("tca", "not-tolerated", None)], "undetermined"),
        ([("tca", "insufficient-relief", None), ("snri", "not-tolerated", None)], "undetermined"),
        ([("tca", "insufficient-relief", False), ("snri", "insufficient-relief", True)], "undetermined"),
        (
            [("tca", "insufficient-relief", True), ("snri", "not-tolerated", None), ("gabapentinoid", "relief", True)],
            "not-refractory",
        ),
    ],
)
def test_a_pain_is_refractory_after_two_classes(trials: list[tuple[str, str, bool | None]], status: str) -> None:
    tried = [{"class": name, "outcome": outcome, "adequate": adequate} for name, outcome, adequate in trials]

    one = read(refractory={"trials": tried})

    assert one.refractory is not None
    assert one.refractory.status == status
    other = next(each for each in ("refractory", "undetermined") if each != status)
    assert notes(refractory={"status": other, "trials": tried}) == [
        f"refractory: {other} was stated; the trials named support {status}"
    ]


def test_the_steps_of_a_grade_say_what_each_rests_on() -> None:
    one = read(evidence=DEFINITE, basis={"confirmatory_test": ["Observation/7"]}, asserted_grade="possible")

    assert [(step["step"], step["evidence"], step["reached"]) for step in diagnosis_steps(one)] == [
        ("history", [], None),
        ("distribution", [], "possible"),
        ("signs", [], "probable"),
        ("test", ["Observation/7"], "definite"),
        ("asserted", [], "possible"),
    ]


def test_a_grade_is_of_the_moment_its_evidence_was_stated() -> None:
    before = read(recorded_at="2026-01-01T00:00:00Z")
    later = read(recorded_at="2026-01-01T00:00:00Z", evidence=DEFINITE)
    stated = read(recorded_at="2026-01-01T00:00:00Z", evidence=DEFINITE, graded_at="2026-02-01T00:00:00Z")

    assert regraded(before, replace(before, extent="diffuse"), NOW).graded_at is None
    assert regraded(before, later, NOW).graded_at == "2026-11-22T12:00:00+00:00"
    assert regraded(before, stated, NOW).graded_at == "2026-02-01T00:00:00Z"
    assert regraded(stated, later, NOW).graded_at == "2026-02-01T00:00:00Z"


@pytest.mark.parametrize("fields", [{"dermatomes": ["T6"]}, {"nerves": [{"text": "median"}]}])
def test_a_level_or_nerve_belongs_to_a_distribution_along_one(fields: dict[str, Any]) -> None:
    assert [path for path, _ in problems(distribution="stocking", **fields)] == list(fields)


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


@pytest.mark.parametrize(
    ("words", "laterality", "is_noted"),
    [
        ("left foot", "right", True),
        ("Left foot", "left", False),
        ("left foot", "bilateral", False),
        ("left", None, False),
    ],
)
def test_the_words_for_a_site_are_compared_with_the_laterality(
    words: str, laterality: str | None, is_noted: bool
) -> None:
    told = notes(body_site={"text": words}, laterality=laterality)

    assert any(one.startswith("body_site: its words name the side left") for one in told) is is_noted


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
