"""Codes are added to a diagnosis only where a verified row says that they mean the same, and nothing contradicts it."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.mapping.conditions.condition import codings_of, diagnosis_from_fhir, diagnosis_to_fhir
from app.pain.content import Content, load_content
from app.pain.diagnoses.codings import added_codings, near_codings
from app.pain.diagnoses.diagnoses import diagnosis_view, read_diagnosis
from app.profiles import toml_files
from tests.pain.cases import CASES, NOW, diagnosis

CONTENT = load_content()
SYSTEMS = CONTENT.systems
EVIDENCE = CASES[0]["neupsig_inputs"]
MAPS = toml_files("vocabulary")["code-maps"]


def payload(code: str, system: str = "snomed", **more: Any) -> dict[str, Any]:
    given = {"patient": "Patient/12", "code": {"system": SYSTEMS[system], "code": code}, "evidence": EVIDENCE}
    return given | more


def added(code: str, system: str = "snomed", content: Content = CONTENT, **more: Any) -> list[str]:
    return [one.code for one in added_codings(read_diagnosis(payload(code, system, **more), content, NOW), content)]


def near(code: str, content: Content = CONTENT, **more: Any) -> list[str]:
    return [one["code"] for one in near_codings(read_diagnosis(payload(code, **more), content, NOW), content)]


@pytest.mark.parametrize(
    ("code", "more", "codes"),
    [
        ("31681005", {}, ["G50.0", "8B82.0"]),
        ("57406009", {"laterality": "right"}, ["G56.01", "8C10.0"]),
        ("57406009", {"laterality": "left"}, ["G56.02", "8C10.0"]),
        ("57406009", {"laterality": "bilateral"}, ["G56.03", "8C10.0"]),
        # Without a side the "unspecified" code is offered: perhaps the side is only not told yet.
        ("57406009", {}, ["8C10.0"]),
        ("57406009", {"laterality": "midline"}, ["8C10.0"]),
        ("408750000", {"laterality": "left"}, ["G56.42"]),
        ("713706002", {}, ["E11.42"]),
        # Chronic by name, but the record says otherwise: MG30 needs three months.
        ("431481001", {"onset": "2024"}, ["G89.21", "MG30.20"]),
        ("431481001", {"onset": "2026-10-20"}, ["G89.21"]),
        ("431481001", {"onset": "2026-08"}, ["G89.21"]),
        # Headings of ICD-11 are not added either.
        ("24700007", {}, []),
        ("247398009", {}, []),
        # Wider, narrower and inexact translations are not.
        ("193184006", {}, []),
        ("2177002", {}, []),
        ("734947007", {"laterality": "right"}, []),
        ("203082005", {}, ["M79.7"]),
        # A second hop, through SNOMED CT.
        ("G50.0", {"system": "icd-10-cm"}, ["31681005", "8B82.0"]),
        ("G56.01", {"system": "icd-10-cm"}, []),
        ("M54.16", {"system": "icd-10-cm"}, ["128196005"]),
        ("239873007", {}, []),
    ],
)
def test_certain_translations_are_added(code: str, more: dict[str, Any], codes: list[str]) -> None:
    assert added(code, **more) == codes


def test_a_system_the_clinic_has_coded_itself_is_left_alone() -> None:
    codes = [{"system": SYSTEMS["snomed"], "code": "31681005"}, {"system": SYSTEMS["icd-10-cm"], "code": "G50.1"}]

    read = read_diagnosis(payload("") | {"code": codes}, CONTENT, NOW)

    assert [one.code for one in added_codings(read, CONTENT)] == ["8B82.0"]


def test_of_two_translations_into_one_system_neither_is_added() -> None:
    codes = [{"system": SYSTEMS["snomed"], "code": one} for one in ("31681005", "71303008")]

    read = read_diagnosis(payload("") | {"code": codes}, CONTENT, NOW)

    assert [one.code for one in added_codings(read, CONTENT)] == ["8B82.0"]


@pytest.mark.parametrize(
    ("code", "more", "offered", "withheld"),
    [
        ("2177002", {}, ["B02.29", "MG30.51", "1E91.5"], []),
        ("2177002", {"onset": "2026-11-01"}, ["B02.29", "1E91.5"], ["MG30.51"]),
        ("2177002", {"evidence": EVIDENCE | {"history_relevant_lesion_or_disease": False}}, ["B02.29"], ["MG30.51"]),
        ("734947007", {"laterality": "left"}, ["G90.512", "G90.522"], ["G90.511", "G90.521"]),
        ("57406009", {}, ["G56.00", "G56.01", "G56.02", "G56.03"], []),
        ("57406009", {"laterality": "right"}, [], ["G56.00", "G56.02"]),
    ],
)
def test_what_is_near_in_meaning_is_offered(
    code: str, more: dict[str, Any], offered: list[str], withheld: list[str]
) -> None:
    found = near(code, **more)

    assert set(offered) <= set(found)
    assert not set(withheld) & set(found)


# NP-S09: the absence of a limb is no meaning of the pain in it. NP-S10: the heading is equivalent, and what is below it
# not told apart.
_NOT_A_TRANSLATION = {("NP-S09", "Z89.512")}


def expected_codes() -> Iterator[tuple[str, dict[str, Any], str, str]]:
    for case in CASES:
        for one in case["expected"]["diagnosis"]["primary"]:
            if one["system"] != SYSTEMS["snomed"] and (case["id"], one["code"]) not in _NOT_A_TRANSLATION:
                yield case["id"], case, one["system"], one["code"]


@pytest.mark.parametrize(("name", "case", "system", "code"), list(expected_codes()), ids=str)
def test_the_snomed_code_of_a_case_leads_to_its_other_codes(
    name: str, case: dict[str, Any], system: str, code: str
) -> None:
    sources = [one["code"] for one in case["expected"]["diagnosis"]["primary"] if one["system"] == SYSTEMS["snomed"]]

    rows = [row for row in CONTENT.diagnoses.translations if row.source[1] in sources and row.target[0] == system]

    assert code in {name for row in rows for name in (row.target[1], *row.others)}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
@pytest.mark.parametrize("kind", ["primary", "also_acceptable"])
def test_every_code_of_a_case_is_accepted_and_graded_as_expected(case: dict[str, Any], kind: str) -> None:
    for one in case["expected"]["diagnosis"][kind]:
        read = read_diagnosis(diagnosis(case) | {"code": one}, CONTENT, NOW)

        assert read.stated_grade == case["expected"]["neupsig_grade"]
        assert read.code.codings[0].display == one["display"]


def test_added_codings_are_marked_and_never_told_back_as_posted() -> None:
    one = read_diagnosis(payload("57406009", laterality="right"), CONTENT, NOW)
    ids = iter(("c", "g"))

    resources = diagnosis_to_fhir(one, CONTENT, patient_ref="Patient/12", ids=lambda: next(ids))

    chosen = [(each["code"], each.get("userSelected")) for each in resources[0]["code"]["coding"]]
    assert chosen == [("57406009", None), ("G56.01", False), ("8C10.0", False)]
    assert [each.get("translated") for each in codings_of(resources, CONTENT)] == [None, True, True]
    assert diagnosis_view(diagnosis_from_fhir(resources, CONTENT))["code"] == diagnosis_view(one)["code"]


def test_without_icd_11_none_of_its_codes_is_written_and_those_sent_stay() -> None:
    without = load_content(icd_11=False)

    assert added("31681005", content=without) == ["G50.0"]
    assert not {one for one in near("2177002", content=without) if one.startswith(("MG30", "1E91"))}
    sent = read_diagnosis(payload("MG30.51", "icd-11", onset="2020"), without, NOW)
    assert [(one.code, one.display) for one in sent.code.codings] == [("MG30.51", None)]


def test_every_row_of_the_maps_names_known_codes_once() -> None:
    names = {(row["map"], row["from"], row.get("to")) for row in MAPS["row"]}
    ends = {one["id"]: (one["source"], one["target"]) for one in MAPS["map"]}
    known = {(row["system"], row["code"]) for row in toml_files("vocabulary")["diagnoses"]["diagnosis"]}

    assert len(names) == len(MAPS["row"])
    for row in MAPS["row"]:
        source, target = ends[row["map"]]
        codes = [(target, code) for code in (row.get("to"), *row.get("with", ())) if code]
        assert {(source, row["from"]), *codes} <= known, row
        assert ("to" in row) is (row["is"] != "unmatched")
        assert CONTENT.diagnoses.sides.get((SYSTEMS[target], row.get("to", ""))) == row.get("side"), row
