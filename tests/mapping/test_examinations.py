"""Examinations in FHIR: what the resources say, and that nothing is lost on the way there and back."""

from copy import deepcopy
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.fhir.json import dumps, parse
from app.mapping.clinic import KINDS
from app.mapping.elements import Resource, Unrecognised, is_error, parts_of
from app.mapping.revision import belongs, withdraw
from app.pain.content import load_content
from app.pain.examinations.examinations import Examination
from app.pain.examinations.types import ExaminationType, Parameter
from app.validation import load_validator
from tests.mapping.payloads import body_site, both, moments, patients, references, sides, some, words
from tests.pain.cases import NOW
from tests.pain.examinations import CASE_TESTS

CONTENT = load_content()
VALIDATOR = load_validator()
KIND = KINDS["examinations"]
TYPES = CONTENT.examinations.types
PATIENT = "Patient/12"
FOOT = {"body_site": "56459004", "laterality": "left"}
thorough = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
fresh = (f"fresh-{number}" for number in count(1))


def read(payload: dict[str, Any]) -> Examination:
    one: Examination = KIND.read({"patient": PATIENT, "taken_at": "2026-05-01T09:30:00Z"} | payload, CONTENT, NOW)
    return one


def written(one: Examination) -> list[Resource]:
    """The resources as they come back from JSON, after the validator found no error in them."""
    numbers = count(1)
    return wire(KIND.to_fhir(one, CONTENT, PATIENT, lambda: f"e{next(numbers)}", ()))


def wire(resources: list[Resource]) -> list[Resource]:
    assert [issue for one in resources for issue in VALIDATOR.check(one) if issue.is_error] == []
    return [parse(dumps(one)) for one in resources]


def examined(examination: str, *results: Any, **more: Any) -> list[Resource]:
    return deepcopy(written(read({"examination": examination, "results": list(results)} | more)))


def codes(element: dict[str, Any]) -> list[str]:
    return [coding["code"] for coding in element["coding"]]


def numbers(low: int, high: int) -> st.SearchStrategy[Any]:
    exact = st.decimals(str(low), str(high), places=2, allow_nan=False, allow_infinity=False)
    return st.one_of(st.integers(low, high), exact)


def ranges(low: int, high: int) -> st.SearchStrategy[Any]:
    ends = (
        st.tuples(numbers(low, high), numbers(low, high)).map(sorted).map(lambda two: {"low": two[0], "high": two[1]})
    )
    return st.one_of(ends, ends.map(lambda one: {"low": one["low"]}), st.fixed_dictionaries({"text": words}))


def results(parameter: Parameter, kind: ExaminationType) -> st.SearchStrategy[dict[str, Any]]:
    """Any legal result of a parameter."""
    low = -40 if parameter.low is None else int(parameter.low)
    high = 500 if parameter.high is None else int(parameter.high)
    value: dict[str, st.SearchStrategy[Any]] = {
        "presence": st.booleans(),
        "quantity": numbers(low, high),
        "integer": st.integers(low, high),
        "coded": st.sampled_from(sorted(parameter.findings)),
        "text": words,
    }
    known = CONTENT.examinations.qualifiers
    said = {
        name: st.one_of(
            st.sampled_from(sorted(known[name].answers)),
            *([st.fixed_dictionaries({"text": words})] if known[name].is_open else []),
        )
        for name in parameter.qualifiers
    } | {"body_site": body_site, "laterality": sides}
    needed: dict[str, Any] = {name: said.pop(name) for name in parameter.needs}
    optional = {**said, "note": words}
    if parameter.kind in ("quantity", "integer"):
        optional["reference_range"] = ranges(low, high)
    if parameter.z_limit is not None:
        optional["z_score"] = numbers(-5, 5)
    if kind.skin_temperature:
        optional["skin_temperature"] = numbers(20, 40)
    unit = {"unit": st.sampled_from(parameter.units)} if parameter.units else {}
    measured = both({"parameter": st.just(parameter.key), "value": value[parameter.kind], **unit, **needed}, **optional)
    measured = measured.map(lambda one: one if one["value"] is not False else _left_out(one, "severity"))
    if not parameter.can_be_absent:
        return measured
    unmeasured = {name: one for name, one in optional.items() if name not in _OF_WHAT_IS_THERE}
    absent = both({"parameter": st.just(parameter.key), "absent": st.just(True), **needed}, **unmeasured)
    return st.one_of(measured, absent)


_OF_WHAT_IS_THERE = ("reference_range", "z_score", "severity")


def _left_out(one: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name != key}


def _unlike(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({one["parameter"]: one for one in sent}.values())


def examinations(kind: ExaminationType) -> st.SearchStrategy[dict[str, Any]]:
    each = st.one_of([results(one, kind) for one in kind.parameters.values()])
    more: dict[str, st.SearchStrategy[Any]] = {
        "conclusion_code": st.sampled_from(["normal", "abnormal"]),
        "performer": references("Practitioner", *(["Patient"] if kind.present else [])),
        "encounter": references("Encounter"),
        "based_on": references("ServiceRequest"),
        "supports": references("Condition"),
    }
    if kind.kinds:
        more["kind"] = st.sampled_from(sorted(kind.kinds))
    if kind.has_images:
        more |= {"imaging_study": references("ImagingStudy"), "study_uid": st.just("1.2.840.10008.7")}
    if kind.stated_procedure:
        more["procedure"] = st.one_of(
            st.fixed_dictionaries({"text": words}),
            st.just({"system": CONTENT.systems["snomed"], "code": "81723002"}),
        )
    return st.builds(
        lambda one, two: one | two,
        st.fixed_dictionaries(
            {
                "patient": patients,
                "examination": st.just(kind.id),
                "taken_at": moments,
                "results": st.lists(each, min_size=1, max_size=4).map(_unlike),
                "conclusion": words,
            }
        ),
        some(**more),
    )


anything = st.one_of([examinations(kind) for kind in TYPES.values()])
pairs = st.one_of([st.tuples(examinations(kind), examinations(kind)) for kind in TYPES.values()])


@settings(thorough, max_examples=200)
@given(anything)
def test_an_examination_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    one = read(payload)

    assert KIND.from_fhir(written(one), CONTENT) == replace(one, patient=PATIENT)
    assert read(KIND.view(one, CONTENT)) == one


@thorough
@given(pairs)
def test_an_amended_examination_keeps_the_ids_of_what_stays(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, after = (read(payload) for payload in pair)
    old = written(before)

    new = wire(KIND.amend(after, CONTENT, PATIENT, lambda: next(fresh), old))

    assert new[0]["id"] == old[0]["id"]
    assert {one["id"] for one in old} <= {one["id"] for one in new}
    assert KIND.from_fhir(new, CONTENT) == replace(after, patient=PATIENT)
    assert KIND.amend(before, CONTENT, PATIENT, lambda: next(fresh), old) == old
    kept = {one.about for one in before.results} & {one.about for one in after.results}
    in_error = [one for one in new if is_error(one) and one["resourceType"] == "Observation"]
    assert len(in_error) == len(before.results) - len(kept)


@pytest.mark.parametrize("payload", [one for tests in CASE_TESTS.values() for one, _ in tests], ids=str)
def test_every_test_of_a_case_is_valid_and_can_be_withdrawn(payload: dict[str, Any]) -> None:
    one = read(payload)
    made = written(one)

    gone = wire(withdraw(made))

    assert parts_of(made[0])[: len(one.results)] == [
        f"Observation/{each['id']}" for each in made[1:][: len(one.results)]
    ]
    assert sorted(parts_of(made[0])) == sorted(f"{each['resourceType']}/{each['id']}" for each in made[1:])
    assert all(is_error(each) for each in gone)
    assert KIND.from_fhir(gone, CONTENT) == KIND.from_fhir(made, CONTENT)


def test_a_symptom_that_is_denied_has_another_code_than_one_that_is_there() -> None:
    there, absent = examined(
        "symptoms", {"parameter": "burning", "value": True}, {"parameter": "tingling", "absent": True}
    )[1:]

    assert codes(there["code"])[-1] == "symptom"
    assert codes(absent["code"]) == ["symptom-absent"]
    assert codes(there["valueCodeableConcept"])[-1] == "burning"
    assert codes(absent["valueCodeableConcept"])[-1] == "tingling"


def test_site_side_distribution_and_evocation_each_have_their_element() -> None:
    said = {"distribution": "stocking", "evocation": "evoked-thermal", "stimulus": "cold", **FOOT}
    [_, one] = examined("symptoms", {"parameter": "allodynia", "value": True, **said})

    assert codes(one["bodySite"]) == ["56459004"]
    assert codes(one["bodySite"]["extension"][0]["valueCodeableConcept"]) == [CONTENT.sides["left"].code]
    assert sorted(codes(each["valueCodeableConcept"])[0] for each in one["extension"]) == ["evoked-thermal", "stocking"]
    assert [codes(part["valueCodeableConcept"]) for part in one["component"]] == [["cold"]]


def test_an_interpretation_that_follows_says_from_what() -> None:
    norm = {"reference_range": {"low": 6}}
    snap = {"parameter": "snap-amplitude", "value": 2, "unit": "uV", "nerve": "sural", "laterality": "left", **norm}

    [_, derived] = examined("ncs", snap)
    [_, stated] = examined("ncs", snap | {"interpretation": "low"})

    assert derived["interpretation"][0]["text"] == "Follows from the reference range"
    assert "text" not in stated["interpretation"][0]
    assert codes(derived["interpretation"][0]) == codes(stated["interpretation"][0]) == ["L"]


@pytest.mark.parametrize(("site", "side", "fits"), [("56459004", "right", True), ("56459004", "left", False)])
def test_a_code_of_one_site_and_side_is_written_for_no_other(site: str, side: str, fits: bool) -> None:
    density = {"parameter": "ienf-density", "value": 5, "unit": "/mm", "method": "bright-field"}

    procedure = examined("skin-biopsy", density | {"body_site": site, "laterality": side})[-1]

    assert procedure["resourceType"] == "Procedure"
    assert ("0HBMXZX" in codes(procedure["code"])) is fits


@pytest.mark.parametrize("kind", ["history-and-physical", "physical", "neurological"])
def test_an_examination_done_by_hand_is_a_procedure_with_its_own_code(kind: str) -> None:
    made = examined("history-and-examination", {"parameter": "history", "value": "burning feet"}, kind=kind)

    expected = TYPES["history-and-examination"].kinds[kind].procedure[0].code
    assert codes(made[-1]["code"])[0] == expected
    assert made[1]["partOf"] == [{"reference": f"Procedure/{made[-1]['id']}"}]
    assert made[-1]["report"] == [{"reference": f"DiagnosticReport/{made[0]['id']}"}]


def test_images_are_named_by_reference_and_by_study_uid() -> None:
    [report] = examined("ct", conclusion="normal", imaging_study="ImagingStudy/7", study_uid="1.2.840.1")

    assert report["imagingStudy"] == [
        {"reference": "ImagingStudy/7", "identifier": {"system": "urn:dicom:uid", "value": "urn:oid:1.2.840.1"}}
    ]


def test_a_result_of_another_record_is_no_part_of_the_report() -> None:
    report, result = examined("ecg", {"parameter": "qtc", "value": 430, "unit": "ms"})

    assert belongs(report, result)
    assert not belongs(report, result | {"derivedFrom": [{"reference": "QuestionnaireResponse/1"}]})
    assert not belongs(report, result | {"meta": {}})


WRITTEN = [resource for tests in CASE_TESTS.values() for payload, _ in tests for resource in [written(read(payload))]]


@settings(thorough, max_examples=300)
@given(st.sampled_from(WRITTEN), st.data())
def test_resources_changed_by_others_are_read_or_refused_but_never_crash(
    resources: list[Resource], data: st.DataObject
) -> None:
    changed = deepcopy(resources)
    node: Any = data.draw(st.sampled_from(changed))
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    change: Any = data.draw(st.sampled_from(["drop", None, 7, "text", [], {}]))
    if change == "drop":
        del node[key]
    else:
        node[key] = change

    try:
        found = KIND.from_fhir(changed, CONTENT)
    except Unrecognised:
        return
    assert isinstance(found, Examination)
