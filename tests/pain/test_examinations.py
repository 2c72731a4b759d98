"""Examinations are read as they are meant, and what cannot be meant is refused where it stands."""

from decimal import Decimal
from typing import Any

import pytest

from app.pain.content import load_content
from app.pain.errors import Rejected
from app.pain.examinations.examinations import (
    Examination,
    examination_notes,
    examination_type_view,
    interpretations_view,
    read_examination,
)
from app.profiles import toml_files
from app.terminology.unit_conversion import exactly
from tests.pain.cases import CASES, NOW
from tests.pain.examinations import CASE_TESTS

CONTENT = load_content()
FOOT = {"body_site": "56459004", "laterality": "left"}
SURAL = {"nerve": "sural", "laterality": "left"}
SNAP = {"parameter": "snap-amplitude", "value": 2, "unit": "uV", **SURAL}
BURNING = {"parameter": "burning", "value": True}
CDT = {"parameter": "cdt", "value": -3, "unit": "Cel", **FOOT}
HBA1C = {"parameter": "hba1c", "value": 7, "unit": "%"}


def read(examination: str, *results: Any, **more: Any) -> Examination:
    payload = {"patient": "Patient/1", "examination": examination, "taken_at": "2026-05-01T09:30:00Z"}
    return read_examination(payload | {"results": list(results)} | more, CONTENT, NOW, exactly)


def problems(examination: str, *results: Any, **more: Any) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as caught:
        read(examination, *results, **more)
    return [(one.code, one.path) for one in caught.value.problems]


def means(examination: str, result: dict[str, Any]) -> str | None:
    told = interpretations_view(read(examination, result), CONTENT)
    return told[0]["interpretation"] if told else None


@pytest.mark.parametrize(
    ("examination", "result", "path"),
    [
        ("ncs", {"parameter": "palm-reading"}, "parameter"),
        ("ncs", {}, "parameter"),
        ("ncs", SNAP | {"unit": "ms"}, "unit"),
        ("ncs", SNAP | {"unit": "microvolts"}, "unit"),
        ("ncs", SNAP | {"unit": None}, "unit"),
        ("ncs", SNAP | {"value": "two"}, "value"),
        ("ncs", SNAP | {"value": True}, "value"),
        ("ncs", SNAP | {"value": -2}, "value"),
        ("ncs", SNAP | {"value": None}, "value"),
        ("ncs", SNAP | {"absent": True}, "absent"),
        ("ncs", SNAP | {"nerve": "nerve of steel"}, "nerve"),
        ("ncs", SNAP | {"nerve": None}, "nerve"),
        ("ncs", SNAP | {"laterality": "inside"}, "laterality"),
        ("ncs", SNAP | {"laterality": None}, "laterality"),
        ("ncs", SNAP | {"muscle": "deltoid"}, "muscle"),
        ("ncs", SNAP | {"z_score": 1}, "z_score"),
        ("ncs", SNAP | {"skin_temperature": 98.6}, "skin_temperature"),
        ("ncs", SNAP | {"reference_range": {}}, "reference_range"),
        ("ncs", SNAP | {"reference_range": {"low": 8, "high": 6}}, "reference_range"),
        ("ncs", SNAP | {"reference_range": {"low": 6}, "interpretation": "normal"}, "interpretation"),
        ("ncs", SNAP | {"reference_range": {"low": 6}, "interpretation": "high"}, "interpretation"),
        ("ncs", SNAP | {"reference_range": {"low": 1}, "interpretation": "low"}, "interpretation"),
        ("ncs", SNAP | {"interpretation": "dreadful"}, "interpretation"),
        ("ncs", {"parameter": "nerve-conduction", "value": "normal", "interpretation": "abnormal"}, "interpretation"),
        ("ncs", {"parameter": "nerve-conduction", "value": "slow"}, "value"),
        ("qst", CDT | {"z_score": 2.5, "interpretation": "normal"}, "interpretation"),
        ("qst", CDT | {"unit": "K"}, "unit"),
        ("qst", CDT | {"body_site": None}, "body_site"),
        ("qst", {"parameter": "phs", "value": 1.5, **FOOT}, "value"),
        ("qst", {"parameter": "vdt", "value": 9, "unit": "/8", **FOOT}, "value"),
        ("sensory-exam", {"parameter": "allodynia-sign", "value": "elicited"}, "stimulus"),
        ("sensory-exam", {"parameter": "allodynia-sign", "value": "elicited", "stimulus": "laser"}, "stimulus"),
        ("sensory-exam", {"parameter": "pinprick", "value": "elicited"}, "value"),
        ("sensory-exam", {"parameter": "pinprick", "value": "normal", "absent": True}, "absent"),
        ("symptoms", BURNING | {"absent": True}, "absent"),
        ("symptoms", {"parameter": "burning"}, "value"),
        ("symptoms", {"parameter": "burning", "absent": True, "severity": "mild"}, "severity"),
        ("symptoms", {"parameter": "burning", "value": False, "severity": "mild"}, "severity"),
        ("symptoms", BURNING | {"value": 7}, "value"),
        ("symptoms", BURNING | {"evocation": "lunar"}, "evocation"),
        ("symptoms", BURNING | {"distribution": "everywhere"}, "distribution"),
        ("symptoms", {"parameter": "allodynia", "value": True}, "stimulus"),
        ("skin-biopsy", {"parameter": "ienf-density", "value": 2, "unit": "/mm", "body_site": "30021000"}, "method"),
        # By UCUM both are bare numbers, and 53 mmol/mol would become 5.3 %.
        ("laboratory", HBA1C | {"value": 53, "unit": "mmol/mol"}, "unit"),
        ("laboratory", HBA1C | {"unit": "mg"}, "unit"),
        ("laboratory", {"parameter": "hla-b-1502", "value": "unknown"}, "value"),
    ],
)
def test_a_result_that_cannot_be_meant_is_refused_where_it_stands(
    examination: str, result: dict[str, Any], path: str
) -> None:
    assert [where for _, where in problems(examination, result)] == [f"results[0].{path}".rstrip(".")]


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"examination": "palm-reading"}, "examination"),
        ({"kind": "brain"}, "kind"),
        ({"imaging_study": "ImagingStudy/1"}, "imaging_study"),
        ({"results": []}, "results"),
        ({"results": "SNAP"}, "results"),
        ({"results": [7]}, "results[0]"),
        ({"results": [SNAP, SNAP]}, "results[1]"),
        ({"performer": "Patient/1"}, "performer"),
        ({"conclusion_code": "fine"}, "conclusion_code"),
        ({"supports": "Observation/1"}, "supports"),
    ],
)
def test_a_report_that_cannot_be_meant_is_refused_where_it_stands(more: dict[str, Any], path: str) -> None:
    payload = {"patient": "Patient/1", "examination": "ncs", "taken_at": "2026-05-01T09:30:00Z", "results": [SNAP]}

    with pytest.raises(Rejected) as caught:
        read_examination(payload | more, CONTENT, NOW, exactly)

    assert path in [one.path for one in caught.value.problems]


def test_every_problem_is_told_at_once() -> None:
    found = problems("ncs", SNAP | {"unit": "ms", "note": 7}, SNAP | {"laterality": "up"}, patient=None)

    assert [path for _, path in found] == [
        "patient",
        "results[0].note",
        "results[0].unit",
        "results[1].laterality",
    ]


def test_a_symptom_is_not_there_and_absent_at_once() -> None:
    assert problems("symptoms", BURNING | FOOT, {"parameter": "burning", "absent": True, **FOOT}) == [
        ("business-rule", "results[1]")
    ]


@pytest.mark.parametrize("said", [{"value": False}, {"absent": True}])
def test_a_symptom_that_is_denied_is_kept_as_absent(said: dict[str, Any]) -> None:
    [one] = read("symptoms", {"parameter": "allodynia", **said}).results

    assert one.value is None


@pytest.mark.parametrize(
    ("examination", "result", "expected"),
    [
        ("ncs", SNAP | {"reference_range": {"low": 6}}, "low"),
        ("ncs", SNAP | {"reference_range": {"low": 2}}, "normal"),
        ("ncs", SNAP | {"reference_range": {"high": 1}}, "high"),
        ("ncs", SNAP | {"reference_range": {"text": "see report"}}, None),
        ("ncs", SNAP, None),
        ("ncs", SNAP | {"value": None, "unit": None, "absent": True}, "abnormal"),
        ("ncs", {"parameter": "motor-conduction", "value": "normal"}, "normal"),
        ("qst", CDT | {"z_score": 1.96}, "normal"),
        ("qst", CDT | {"z_score": -1.97}, "abnormal"),
        # The z-score is the norm's own measure: it decides, whatever the range says.
        ("qst", CDT | {"z_score": 0, "reference_range": {"low": 0}}, "normal"),
        ("qst", CDT | {"reference_range": {"low": 0}}, "low"),
        ("laboratory", {"parameter": "hla-b-1502", "value": "positive"}, "positive"),
        ("laboratory", {"parameter": "hla-b-1502", "value": "indeterminate"}, None),
        ("mri", {"parameter": "image-concordance", "value": "concordant"}, None),
        ("symptoms", BURNING, None),
    ],
)
def test_what_a_result_means_follows_from_range_z_score_or_finding(
    examination: str, result: dict[str, Any], expected: str | None
) -> None:
    assert means(examination, result) == expected


def test_a_stated_interpretation_that_says_less_stays() -> None:
    one = read("ncs", SNAP | {"reference_range": {"low": 6}, "interpretation": "abnormal"})

    assert one.results[0].interpretation == "abnormal"
    assert interpretations_view(one, CONTENT) == []


def test_another_unit_of_the_same_dimension_is_converted_exactly_and_noted() -> None:
    sent = SNAP | {"value": 0.002, "unit": "mV", "reference_range": {"low": 0.006}}

    one = read("ncs", sent)

    [result] = one.results
    assert (result.value, result.unit, result.reference_range and result.reference_range.low) == (2, "uV", 6)
    assert examination_notes(one, CONTENT) == ["results[0] was sent in another unit and is kept in uV"]


@pytest.mark.parametrize(
    ("value", "unit", "into", "expected"),
    [
        ("0.002", "mV", "uV", "2"),
        ("10", "mg/L", "mg/dL", "1"),
        ("3.6", "km/h", "m/s", "1"),
        ("1", "km/h", "m/s", None),
        ("300", "K", "Cel", None),
        ("53", "mmol/mol", "%", None),
        ("1", "mg", "mL", None),
        ("1", "nonsense", "mg", None),
        ("1E+999999", "mg", "g", None),
    ],
)
def test_a_conversion_is_exact_or_is_not_made(value: str, unit: str, into: str, expected: str | None) -> None:
    assert exactly(Decimal(value), unit, into) == (Decimal(expected) if expected else None)


def test_what_was_not_checked_and_what_deserves_a_look_is_noted() -> None:
    site = {"body_site": {"text": "dorsum of foot"}, "nerve": {"text": "medial calcaneal"}, "skin_temperature": 28}
    one = read("ncs", SNAP | site, {"parameter": "nerve-conduction", "value": "abnormal"}, conclusion_code="normal")

    assert examination_notes(one, CONTENT) == [
        "results[0].body_site was not checked: not in the list of body sites",
        "results[0].nerve was not checked: not in the list of np-nerve",
        "results[0].skin_temperature is below 32 Cel: cold slows conduction",
        "conclusion_code: normal was stated, and a result is not",
    ]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_every_test_of_a_case_can_be_sent_and_means_what_the_case_says(case: dict[str, Any]) -> None:
    tests = CASE_TESTS.get(case["id"], [])

    read_tests = [_read(payload) for payload, _ in tests]

    told = [
        [(one["parameter"], one["interpretation"]) for one in interpretations_view(each, CONTENT)]
        for each in read_tests
    ]
    assert len(tests) == len(case["tests"])
    assert told == [expected for _, expected in tests]
    assert all(examination_notes(each, CONTENT) == [] for each in read_tests)


def _read(payload: dict[str, Any]) -> Examination:
    common = {"patient": "Patient/1", "taken_at": "2026-05-01T09:30:00Z"}
    return read_examination(common | payload, CONTENT, NOW, exactly)


def test_a_code_that_several_examinations_share_means_the_same_in_each() -> None:
    seen: dict[tuple[str, str], Any] = {}
    for file in toml_files("examinations").values():
        for row in file["parameter"]:
            kept = row | {"profile": row.get("profile", file["profile"])}
            assert seen.setdefault((file["system"], row["key"]), kept) == kept


@pytest.mark.parametrize("name", CONTENT.examinations.types)
def test_an_examination_tells_everything_that_can_be_sent(name: str) -> None:
    view = examination_type_view(CONTENT.examinations.types[name], CONTENT)

    by_key = {one["key"]: one for one in view["parameters"]}
    for key, one in CONTENT.examinations.types[name].parameters.items():
        assert tuple(by_key[key].get("units", ())) == one.units
        assert [option["key"] for option in by_key[key].get("options", ())] == list(one.findings)
        assert set(by_key[key].get("needs", ())) <= {*by_key[key].get("qualifiers", ()), "body_site", "laterality"}
