"""What the clinic sends is read whole: every problem at once, each with its code and path."""

from decimal import Decimal
from typing import Any

import pytest

from app.fhir.json import parse_object
from app.pain.concepts import Coding, Concept, Identifier
from app.pain.content import load_content
from app.pain.diagnoses.diagnoses import diagnosis_notes, read_diagnosis
from app.pain.errors import Rejected
from app.pain.instruments.assessments import read_assessment
from app.pain.plans.treatments import plan_notes, read_plan
from app.pain.topical import kinds_of_site
from tests.pain.cases import NOW

CONTENT = load_content()
SNOMED = CONTENT.systems["snomed"]
ICD_10_CM = CONTENT.systems["icd-10-cm"]
ICD_10 = CONTENT.systems["icd-10"]
NP_SYMPTOM, NP_NERVE = CONTENT.systems["np-symptom"], CONTENT.systems["np-nerve"]
READERS = {"assessment": read_assessment, "diagnosis": read_diagnosis, "plan": read_plan}
EVIDENCE = {
    "history_relevant_lesion_or_disease": True,
    "pain_distribution_neuroanatomically_plausible": True,
    "sensory_signs_same_distribution": "present",
    "confirmatory_test": "not-done",
}
BASE: dict[str, dict[str, Any]] = {
    "assessment": {
        "patient": "Patient/12",
        "instrument": "dn4",
        "taken_at": "2026-05-01T09:30:00+02:00",
        "answers": {"burning": True},
    },
    "diagnosis": {"patient": "Patient/12", "code": {"system": SNOMED, "code": "193184006"}, "evidence": EVIDENCE},
    "plan": {"patient": "Patient/12", "activities": [{"therapy": "cbt"}]},
}


def problems(kind: str, **changes: Any) -> list[tuple[str, str]]:
    """(code, path) of every problem of the base payload with the changes; None takes a field out."""
    try:
        READERS[kind](BASE[kind] | changes, CONTENT, NOW)
    except Rejected as rejected:
        return [(one.code, one.path) for one in rejected.problems]
    return []


def coded(system: str, code: str, **more: str) -> dict[str, str]:
    return {"system": CONTENT.systems[system], "code": code, **more}


CHRONIC = coded("icd-11", "MG30.51")
A_MEASURE, A_SITE, A_DRUG = coded("loinc", "72514-3"), coded("snomed", "56459004"), coded("rxnorm", "72625")
A_DIAGNOSIS, A_THERAPY = coded("snomed", "193184006"), coded("snomed", "91251008")
NO_DIAGNOSIS = [
    A_MEASURE,
    A_SITE,
    A_DRUG,
    A_THERAPY,
    coded("snomed", "81723002"),
    coded("icd-10-cm", "Z45.42"),
    coded("atc", "X99"),
    coded("np-grade", "definite"),
]
DEVICES = [coded("snomed", "25937001"), coded("snomed", "360041000")]
NO_PROCEDURE = [A_MEASURE, A_SITE, A_DRUG, A_DIAGNOSIS, *DEVICES, coded("icd-10-cm", "unlisted")]
NO_MEDICINE = [A_MEASURE, A_SITE, A_DIAGNOSIS, A_THERAPY, coded("icd-11", "unlisted")]
AT_ODDS = [A_DRUG | {"text": "pregabalin"}, A_DRUG | {"display": "Gabapentin"}]
NOT_AT_ODDS = [
    A_DRUG | {"text": "Duloxetine", "display": "duloxetine 30 MG"},
    coded("rxnorm", "1745091", text="lidocaine"),
    {"system": "urn:x", "code": "x", "text": "pregabalin"},
]
CASES: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("assessment", {"patient": None}, [("required", "patient")]),
    ("assessment", {"patient": "Practitioner/3"}, [("value", "patient")]),
    ("assessment", {"patient": {"value": "MRN-7"}}, [("required", "patient.system")]),
    ("assessment", {"instrument": "dn5"}, [("code-invalid", "instrument")]),
    ("assessment", {"instrument": ["dn4"]}, [("code-invalid", "instrument")]),
    ("assessment", {"taken_at": "2026-05-01"}, [("value", "taken_at")]),
    ("assessment", {"taken_at": "2026-05-01T09:30:00"}, [("value", "taken_at")]),
    ("assessment", {"taken_at": "2026-02-30T09:30:00Z"}, [("value", "taken_at")]),
    ("assessment", {"taken_at": "2026-11-22T12:06:00Z"}, [("business-rule", "taken_at")]),
    ("assessment", {"taken_at": "2026-11-22T12:04:00Z"}, []),
    ("assessment", {"answers": {}}, [("required", "answers")]),
    ("assessment", {"answers": {"burning": None}}, [("required", "answers")]),
    ("assessment", {"answers": {"burning": True, "itching": None}}, []),
    ("assessment", {"answers": {"burning": 1}}, [("value", "answers.burning")]),
    (
        "assessment",
        {"answers": {"burning": "yes", "sting": True}},
        [("structure", "answers.sting"), ("value", "answers.burning")],
    ),
    ("assessment", {"answers": [True]}, [("structure", "answers")]),
    ("assessment", {"instrument": "nrs", "answers": {"current": 11}}, [("value", "answers.current")]),
    ("assessment", {"instrument": "nrs", "answers": {"current": Decimal("6.5")}}, [("value", "answers.current")]),
    ("assessment", {"instrument": "nrs", "answers": {"current": True}}, [("value", "answers.current")]),
    ("assessment", {"laterality": "both"}, [("code-invalid", "laterality")]),
    ("assessment", {"body_site": "left foot"}, [("value", "body_site")]),
    ("assessment", {"body_site": "193184006"}, [("code-invalid", "body_site")]),
    ("assessment", {"body_site": {"code": "56459004"}}, [("required", "body_site.system")]),
    ("assessment", {"body_site": {"text": " "}}, [("value", "body_site.text")]),
    ("assessment", {"body_site": {}}, [("required", "body_site")]),
    (
        "assessment",
        {"body_site": {"system": SNOMED.replace("http:", "https:"), "code": "56459004"}},
        [("code-invalid", "body_site.system")],
    ),
    ("assessment", {"performer": "Device/1"}, [("value", "performer")]),
    ("assessment", {"mood": "low"}, [("structure", "mood")]),
    ("diagnosis", {"code": None}, [("required", "code")]),
    ("diagnosis", {"code": []}, [("required", "code")]),
    ("diagnosis", {"code": [{"text": "a"}, {"text": "b"}]}, [("structure", "code")]),
    ("diagnosis", {"code": {"text": "Small-fibre neuropathy"}}, []),
    ("diagnosis", {"code": {"system": ICD_10_CM, "code": "G35"}}, [("code-invalid", "code.code")]),
    ("diagnosis", {"code": {"system": ICD_10_CM, "code": "B02.2"}}, [("code-invalid", "code.code")]),
    ("diagnosis", {"etiology": {"system": ICD_10_CM, "code": "E11.4"}}, [("code-invalid", "etiology.code")]),
    ("diagnosis", {"code": {"system": ICD_10, "code": "B02.2"}}, []),
    ("diagnosis", {"symptoms": [{"system": SNOMED, "code": "56459004"}]}, [("code-invalid", "symptoms[0].code")]),
    ("diagnosis", {"symptoms": [{"system": SNOMED, "code": "228557008"}]}, [("code-invalid", "symptoms[0].code")]),
    ("diagnosis", {"symptoms": [{"system": NP_SYMPTOM, "code": "burning"}]}, []),
    (
        "diagnosis",
        {"distribution": "peripheral-nerve", "nerves": [{"system": SNOMED, "code": "228557008"}]},
        [("code-invalid", "nerves[0].code")],
    ),
    ("diagnosis", {"distribution": "peripheral-nerve", "nerves": [{"system": NP_NERVE, "code": "sural"}]}, []),
    ("diagnosis", {"evidence": EVIDENCE | {"confirmatory_test": None}}, [("required", "evidence.confirmatory_test")]),
    (
        "diagnosis",
        {"evidence": EVIDENCE | {"confirmatory_test": "maybe"}},
        [("code-invalid", "evidence.confirmatory_test")],
    ),
    ("diagnosis", {"evidence": "strong"}, [("structure", "evidence")]),
    ("diagnosis", {"onset": "2026-13"}, [("value", "onset")]),
    ("diagnosis", {"onset": "2027"}, [("business-rule", "onset")]),
    ("diagnosis", {"onset": "2026"}, []),
    ("diagnosis", {"distribution": "sock"}, [("code-invalid", "distribution")]),
    ("diagnosis", {"etiology_class": "sugar"}, [("code-invalid", "etiology_class")]),
    ("diagnosis", {"mechanisms": [{"code": "central-sensitization"}]}, [("required", "mechanisms[0].evidence")]),
    (
        "diagnosis",
        {"mechanisms": [{"code": "central-sensitization", "evidence": []}]},
        [("required", "mechanisms[0].evidence")],
    ),
    ("diagnosis", {"grade": "definite"}, [("business-rule", "grade")]),
    ("diagnosis", {"grade": "probable"}, []),
    ("diagnosis", {"grade": "possible"}, []),
    ("diagnosis", {"asserted_grade": "definite"}, [("business-rule", "asserted_grade")]),
    ("diagnosis", {"grade": "definite", "asserted_grade": "possible"}, []),
    ("diagnosis", {"grade": "possible", "asserted_grade": "definite"}, [("business-rule", "asserted_grade")]),
    ("diagnosis", {"asserted_grade": "certain"}, [("code-invalid", "asserted_grade")]),
    *[("diagnosis", {"code": code}, [("code-invalid", "code.code")]) for code in NO_DIAGNOSIS],
    ("diagnosis", {"code": [{"text": "x"}, NO_DIAGNOSIS[0]]}, [("code-invalid", "code[1].code")]),
    ("diagnosis", {"onset": "2026-03", "recorded_at": "2026-02-28T10:00:00Z"}, [("business-rule", "onset")]),
    ("diagnosis", {"onset": "2026-02-28", "recorded_at": "2026-02-28T10:00:00+02:00"}, []),
    (
        "diagnosis",
        {"code": CHRONIC, "onset": "2026-01-01", "recorded_at": "2026-03-01T10:00:00Z"},
        [("business-rule", "onset")],
    ),
    ("diagnosis", {"code": CHRONIC, "onset": "2026-01-01", "recorded_at": "2026-04-02T10:00:00Z"}, []),
    (
        "diagnosis",
        {"code": {"system": CONTENT.systems["icd-11"], "code": "MG30.51"}, "onset": "2026-10-01"},
        [("business-rule", "onset")],
    ),
    ("plan", {"activities": []}, [("required", "activities")]),
    ("plan", {"activities": {}}, [("structure", "activities")]),
    ("plan", {"activities": [{}]}, [("required", "activities[0]")]),
    ("plan", {"activities": [{"drug": None}]}, [("required", "activities[0]")]),
    ("plan", {"activities": [{"drug": "gabapentin", "therapy": "cbt"}]}, [("business-rule", "activities[0]")]),
    ("plan", {"activities": [{"drug": ""}]}, [("value", "activities[0].drug")]),
    ("plan", {"activities": [{"drug": "gabapentin", "daily_dose_mg": 0}]}, [("value", "activities[0].daily_dose_mg")]),
    ("plan", {"activities": [{"drug": "gabapentin", "daily_dose_mg": -1}]}, [("value", "activities[0].daily_dose_mg")]),
    (
        "plan",
        {"activities": [{"drug": "gabapentin", "daily_dose_mg": "60"}]},
        [("value", "activities[0].daily_dose_mg")],
    ),
    (
        "plan",
        {"activities": [{"therapy": "cbt", "daily_dose_mg": 5}]},
        [("business-rule", "activities[0].daily_dose_mg")],
    ),
    (
        "plan",
        {"activities": [{"drug": "gabapentin", "titration": [{"daily_dose_mg": 300, "days": 0}]}]},
        [("value", "activities[0].titration[0].days")],
    ),
    ("plan", {"activities": [{"code": {"text": "block"}}]}, [("required", "activities[0].code")]),
    (
        "plan",
        {"activities": [{"code": {"system": CONTENT.systems["np-therapy"], "code": "leeches"}}]},
        [("code-invalid", "activities[0].code.code")],
    ),
    *[
        ("plan", {"activities": [{"code": code}]}, [("code-invalid", "activities[0].code.code")])
        for code in NO_PROCEDURE
    ],
    *[
        ("plan", {"activities": [{"drug": code}]}, [("code-invalid", "activities[0].drug.code")])
        for code in NO_MEDICINE
    ],
    *[("plan", {"activities": [{"drug": drug}]}, [("business-rule", "activities[0].drug")]) for drug in AT_ODDS],
    *[("plan", {"activities": [{"drug": drug}]}, []) for drug in NOT_AT_ODDS],
    (
        "plan",
        {"activities": [{"therapy": "cbt", "laterality": "both"}]},
        [("code-invalid", "activities[0].laterality")],
    ),
    ("plan", {"activities": [{"therapy": "acupuncture", "laterality": "left"}]}, []),
    ("plan", {"goals": [{"measure": "nrs"}]}, [("required", "goals[0]")]),
    ("plan", {"goals": [{"measure": "nrs", "target": 3, "reduction_percent": 30}]}, [("business-rule", "goals[0]")]),
    ("plan", {"goals": [{"measure": "nrs", "reduction_percent": 130}]}, [("value", "goals[0].reduction_percent")]),
    ("plan", {"goals": [{"target": 3, "due": "June"}]}, [("required", "goals[0].measure"), ("value", "goals[0].due")]),
    ("plan", {"context": {"shoe_size": 43}}, [("structure", "context.shoe_size")]),
    ("plan", {"context": {"pregnant": "no"}}, [("value", "context.pregnant")]),
    ("plan", {"context": {"hla_b_1502": True, "red_flags": ["saddle anaesthesia"]}}, []),
    ("plan", {"override": {"NPR6": "because"}}, [("value", "override")]),
    ("plan", {"override": {"ABC01": "because"}}, [("value", "override")]),
    ("plan", {"override": {"NPR06": ""}}, [("value", "override.NPR06")]),
    ("plan", {"review_on": "2026-06"}, [("value", "review_on")]),
]


@pytest.mark.parametrize(
    ("kind", "changes", "expected"), CASES, ids=[f"{kind} {changes}"[:90] for kind, changes, _ in CASES]
)
def test_each_defect_is_named_with_its_path(
    kind: str, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert problems(kind, **changes) == expected


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("payload", [None, [], "text", 3, {}])
def test_a_payload_of_any_shape_is_answered_with_problems(kind: str, payload: Any) -> None:
    with pytest.raises(Rejected):
        READERS[kind](payload, CONTENT, NOW)


def test_one_malformed_field_hides_no_other() -> None:
    found = problems(
        "plan",
        patient=7,
        activities=[{"drug": "gabapentin", "daily_dose_mg": -1, "titration": "slow"}, {}],
        goals=[{"measure": ""}],
        context={"egfr": "low"},
    )

    assert sorted(found) == [
        ("required", "activities[1]"),
        ("required", "goals[0]"),
        ("structure", "activities[0].titration"),
        ("value", "activities[0].daily_dose_mg"),
        ("value", "context.egfr"),
        ("value", "goals[0].measure"),
        ("value", "patient"),
    ]


def test_no_sentence_or_path_repeats_what_was_sent() -> None:
    secret = "Jane Doe 1960-01-01"
    with pytest.raises(Rejected) as caught:
        read_assessment({secret: secret, "patient": secret, "instrument": secret, "answers": {secret: 1}}, CONTENT, NOW)

    assert all("Jane" not in one.sentence + one.path for one in caught.value.problems)


def test_a_patient_may_be_a_business_identifier() -> None:
    read = read_assessment(
        BASE["assessment"] | {"patient": {"system": "urn:oid:1.2.3", "value": "MRN-7"}}, CONTENT, NOW
    )

    assert read.patient == Identifier("urn:oid:1.2.3", "MRN-7")


def test_a_bare_body_site_is_a_snomed_code_and_gets_its_display() -> None:
    read = read_assessment(BASE["assessment"] | {"body_site": "56459004"}, CONTENT, NOW)

    assert read.body_site == Concept((Coding(SNOMED, "56459004", "Foot structure (body structure)"),))


def test_any_diagnosis_code_is_accepted_and_an_unlisted_one_noted() -> None:
    read = read_diagnosis(BASE["diagnosis"] | {"code": {"system": "urn:x", "code": "k1"}}, CONTENT, NOW)

    assert diagnosis_notes(read, CONTENT) == ["code[0] was not checked: not in the list of diagnoses"]


def test_a_side_that_contradicts_the_code_is_noted() -> None:
    code = {"system": ICD_10_CM, "code": "G56.01"}
    read = read_diagnosis(BASE["diagnosis"] | {"code": code, "laterality": "left"}, CONTENT, NOW)

    assert diagnosis_notes(read, CONTENT) == ["laterality: the code states right"]


def test_recorded_at_is_the_moment_of_receipt_unless_stated() -> None:
    assert read_diagnosis(BASE["diagnosis"], CONTENT, NOW).recorded_at == "2026-11-22T12:00:00+00:00"


@pytest.mark.parametrize("name", ["duloxetine", " DULOXETINE", "Dulo xetine"])
def test_drug_names_ignore_case_and_spacing(name: str) -> None:
    read = read_plan(BASE["plan"] | {"activities": [{"drug": name}]}, CONTENT, NOW)

    assert read.activities[0].drug == CONTENT.drugs.rows["duloxetine"].concept


def test_what_is_not_listed_is_kept_as_text_and_noted() -> None:
    activities = [{"drug": "Willow bark", "route": "by tea", "site": "left T6"}, {"therapy": "singing"}]
    read = read_plan(
        BASE["plan"] | {"activities": activities, "goals": [{"measure": "joy", "target": "more"}]}, CONTENT, NOW
    )

    assert read.activities[0].drug == Concept((), "Willow bark")
    assert plan_notes(read, CONTENT) == [
        "goals[0].measure was not checked: not in the list of measures",
        "activities[0].route was not checked: not in the list of routes",
        "activities[0].drug was not checked: not in the medicines list",
        "activities[1].therapy was not checked: not in the list of therapies",
    ]


def test_doses_keep_their_digits() -> None:
    payload = parse_object(b'{"patient": "Patient/1", "activities": [{"drug": "venlafaxine", "daily_dose_mg": 37.50}]}')

    assert str(read_plan(payload, CONTENT, NOW).activities[0].daily_dose_mg) == "37.50"


@pytest.mark.parametrize("name", ["physical-therapy", "occupational-therapy", "cbt", "spinal-cord-stimulation"])
def test_promised_therapies_are_listed(name: str) -> None:
    assert name in CONTENT.therapies.rows


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("intact skin left T6", {"intact-skin"}),
        ("skin NOT INTACT over the foot", {"non-intact-skin"}),
        ("right cheek", {"face"}),
        ("scalp above the hairline", {"scalp"}),
        ("left foot", set()),
        ("surface of the forearm", set()),
    ],
)
def test_application_sites_are_recognised_by_whole_words(words: str, kinds: set[str]) -> None:
    assert kinds_of_site(Concept((), words), CONTENT.guidelines.site_kinds) == kinds
