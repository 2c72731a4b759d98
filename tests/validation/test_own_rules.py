"""Every rule of our profiles: it holds for a record that follows it, and is told for one that does not."""

from typing import Any, NamedTuple

import pytest

from app.pain.content import load_content
from app.profiles import canonical, json_files
from app.validation import Validator
from tests.validation.examination_cases import ROWS
from tests.validation.samples import changed
from tests.validation.test_instrument_rules import COVERED
from tools.profile_rules_page import own_rules

CONTENT = load_content()
VALID = json_files("examples/valid")
RULES = {rule["key"]: rule for _, _, rule in own_rules()}
Changes = dict[str, Any]


DONE, IMPLANT = "Procedure-spinal-cord-stimulation", "Device-neurostimulator"
COURSE, PARTS = "CarePlan-after-spinal-cord-stimulation", "activity.0.extension.0.extension"
RELIEF = f"{PARTS}.0"
MADE: Changes = {"manufactureDate": "2026-01-01"}
MODEL: Changes = {"udiCarrier": [{"deviceIdentifier": "00844588003288"}]}


class Case(NamedTuple):
    """A valid example, changed so that the rule is about it and holds, and then so that it is broken."""

    key: str
    example: str
    broken: Changes
    holds: Changes = {}


def made(example: str, *changes: Changes) -> dict[str, Any]:
    resource = VALID[example]
    for each in changes:
        for path, value in each.items():
            resource = changed(resource, path, value)
    return resource


def concept(system: str, *codes: str) -> dict[str, Any]:
    return {"coding": [{"system": CONTENT.systems[system], "code": code} for code in codes]}


def side(*names: str) -> dict[str, Any]:
    """A body site on these sides (several: codings of one laterality)."""
    codings = [{"system": CONTENT.sides[name].system, "code": CONTENT.sides[name].code} for name in names]
    url = canonical("StructureDefinition", "laterality")
    return {"extension": [{"url": url, "valueCodeableConcept": {"coding": codings}}]}


def spread(code: str) -> list[dict[str, Any]]:
    url = canonical("StructureDefinition", "distribution")
    return [{"url": url, "valueCodeableConcept": concept("np-distribution", code)}]


def level(code: str) -> list[dict[str, Any]]:
    url = canonical("StructureDefinition", "dermatome")
    return [{"url": url, "valueCodeableConcept": concept("np-dermatome", code)}]


def nerve(words: str) -> list[dict[str, Any]]:
    return [{"url": canonical("StructureDefinition", "affected-nerve"), "valueCodeableConcept": {"text": words}}]


def item(key: str, yes: bool) -> dict[str, Any]:
    return {"code": concept("np-item", f"dn4.{key}"), "valueBoolean": yes}


def answers(*yes: str, of: int = 10) -> list[dict[str, Any]]:
    """The first items of the DN4 as components."""
    return [item(each.key, each.key in yes) for each in CONTENT.instruments["dn4"].items[:of]]


def cutoff(value: int) -> dict[str, Any]:
    return {"code": concept("np-score-part", "cutoff"), "valueQuantity": points(value)}


def points(value: int) -> dict[str, Any]:
    return {"value": value, "system": CONTENT.systems["ucum"], "code": "{score}"}


def asserted(grade: str) -> dict[str, Any]:
    return {"code": concept("np-evidence-input", "asserted_grade"), "valueCodeableConcept": concept("np-grade", grade)}


def graded(code: str) -> Changes:
    """A diagnosis of this grade, with nothing that says more."""
    return {"stage.0.summary": concept("np-grade", code), "verificationStatus": None}


def measured(measure: str, value: int, unit: str) -> Changes:
    detail = {"value": value, "system": CONTENT.systems["ucum"], "code": unit}
    return {"target.0.measure": concept("np-goal-measure", measure), "target.0.detailQuantity": detail}


def response(**given: bool) -> dict[str, Any]:
    """A contained response to the DN4."""
    rows = [{"linkId": key, "answer": [{"valueBoolean": yes}]} for key, yes in given.items()]
    url = canonical("Questionnaire", "dn4")
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "r",
        "questionnaire": f"{url}|1.0.0",
        "status": "completed",
        "item": rows,
    }


def responded(value: int, *yes: str, of: int) -> Changes:
    keys = [each.key for each in CONTENT.instruments["dn4"].items[:of]]
    contained = response(**{key: key in yes for key in keys})
    return {"contained": [contained], "derivedFrom": [{"reference": "#r"}], "valueQuantity.value": value}


PGIC = "Observation-pgic-change"
INTENSITY, ITEM, SCORE = "Observation-nrs-current", "Observation-dn4-item-burning", "Observation-dn4-score"
INTERVIEW, GRADE, PAIN = (
    "Observation-dn4-interview-score",
    "Observation-neupsig-definite",
    "Condition-diabetic-polyneuropathy",
)
CAUSE = "Condition-lumbar-disc-as-etiology"
PLAN, GOAL = "CarePlan-duloxetine-and-physical-therapy", "Goal-nrs-reduced-by-30-percent"
DRUG, THERAPY = "MedicationRequest-duloxetine-with-titration", "ServiceRequest-physical-therapy"
RAISED, NEEDED = "DetectedIssue-dose-above-renal-limit", "DetectedIssue-data-needed"
SIX = ("burning", "tingling", "pins_needles", "numbness", "hypoesthesia_touch", "hypoesthesia_prick")
FOUR = SIX[:4]
TOLD_FIRST = "2026-04-30T23:00:00Z"
GABAPENTIN = {"medicationCodeableConcept": concept("rxnorm", "25480")}
LEFT_CODE = {"code": concept("icd-10-cm", "G56.02"), "extension": spread("peripheral-nerve")}
WORDS = {"bodySite.text": "Left foot"}

CASES = [
    Case("np-condition-1", PAIN, {"stage.0.summary": concept("np-grade", "probable")}),
    Case("np-condition-2", PAIN, {"clinicalStatus": None}),
    Case("np-condition-3", PAIN, {"abatementDateTime": "2024-12-31"}, {"abatementDateTime": "2025-02"}),
    Case("np-condition-4", PAIN, {"onsetDateTime": "2026-05-02"}, {"onsetDateTime": "2026-05-01"}),
    Case("np-condition-distribution", PAIN, {"extension": spread("axial")}, {"extension": spread("dermatomal")}),
    Case("np-condition-distribution", PAIN, {**graded("possible"), "extension": spread("joint")}, graded("unlikely")),
    Case(
        "np-condition-distribution-side",
        PAIN,
        {"bodySite.0": side("left")},
        {"bodySite": [side("left"), side("right")]},
    ),
    Case(
        "np-condition-distribution-side",
        PAIN,
        {"extension": spread("hemibody")},
        {"bodySite.0": side("left"), "extension": spread("hemibody")},
    ),
    Case(
        "np-condition-side", PAIN, {**LEFT_CODE, "bodySite.0": side("right")}, {**LEFT_CODE, "bodySite.0": side("left")}
    ),
    Case(
        "np-condition-side",
        PAIN,
        {**LEFT_CODE, "bodySite.0": side("bilateral")},
        {"code": concept("icd-10-cm", "G56.01", "G56.02")},
    ),
    Case(
        "np-condition-side",
        PAIN,
        {"code": concept("icd-10-cm", "G56.03"), "bodySite.0": side("left")},
        {"code": concept("icd-10-cm", "G56.03")},
    ),
    Case(
        "np-condition-other-pain",
        PAIN,
        {"code": concept("snomed", "203082005")},
        {"code": concept("snomed", "203082005"), **graded("unlikely")},
    ),
    Case(
        "np-condition-other-pain",
        PAIN,
        {
            "code": {"coding": concept("icd-10-cm", "M79.7")["coding"] + concept("icd-11", "MG30.51")["coding"]},
            **graded("unlikely"),
        },
        {"code": concept("icd-10-cm", "M79.7"), **graded("unlikely")},
    ),
    Case("np-condition-neuropathic", PAIN, graded("unlikely"), graded("possible")),
    Case("np-condition-chronic", PAIN, {"onsetDateTime": "2026-03-01"}, {"onsetDateTime": "2026-02-01"}),
    Case(
        "np-condition-heading", PAIN, {"code": concept("icd-10-cm", "M54.5")}, {"code": concept("icd-10-cm", "M54.50")}
    ),
    Case(
        "np-condition-heading", CAUSE, {"code": concept("icd-10-cm", "M54.5")}, {"code": concept("icd-10-cm", "M54.50")}
    ),
    *(
        Case("np-condition-absent", one, {"code": concept("icd-10", "G89.0")}, {"code": concept("icd-10-cm", "G89.0")})
        for one in (PAIN, CAUSE)
    ),
    Case("np-etiology-1", CAUSE, {"clinicalStatus": None}),
    Case(
        "np-condition-dermatome",
        PAIN,
        {"extension": spread("stocking") + level("L5")},
        {"extension": spread("dermatomal") + level("L5")},
    ),
    Case(
        "np-condition-affected-nerve",
        PAIN,
        {"extension": spread("dermatomal") + nerve("median nerve")},
        {"extension": spread("peripheral-nerve") + nerve("median nerve")},
    ),
    Case(
        "np-condition-excludes",
        PAIN,
        {"code": concept("icd-10-cm", "M79.2", "G56.01"), "bodySite": None},
        {"code": concept("icd-10-cm", "G56.01"), "bodySite": None},
    ),
    Case(
        "np-condition-excludes",
        PAIN,
        {"code": concept("icd-10-cm", "M54.16", "M51.16")},
        {"code": concept("icd-10-cm", "M51.16")},
    ),
    Case(
        "np-condition-excludes",
        PAIN,
        {"code": concept("icd-10-cm", "G63", "E11.42")},
        {"code": concept("icd-10-cm", "E11.42")},
    ),
    Case(
        "np-condition-excludes",
        PAIN,
        {"code": concept("icd-10-cm", "G90.511", "G56.41"), "bodySite": None},
        {"code": concept("icd-10-cm", "G90.511"), "bodySite": None},
    ),
    Case("np-site-side", INTENSITY, {**WORDS, "bodySite.extension": None}, WORDS),
    Case(
        "np-site-side",
        ITEM,
        {**WORDS, "bodySite.extension": side("right")["extension"]},
        {**WORDS, "bodySite.extension": side("left")["extension"]},
    ),
    Case(
        "np-site-side",
        PAIN,
        {"bodySite.0": {"text": "Outer side, LEFT-hand"}},
        {"bodySite.0": {"text": "cleft palate"}},
    ),
    Case(
        "np-site-side",
        THERAPY,
        {"bodySite": [{"text": "right arm"}]},
        {"bodySite": [{"text": "right arm", **side("right")}]},
    ),
    Case("np-laterality-one", INTENSITY, {"bodySite": side("left", "right")}, {"bodySite": side("left")}),
    Case("np-observation-1", INTENSITY, {"issued": TOLD_FIRST}, {"issued": "2026-05-01T09:30:01+02:00"}),
    Case(
        "np-observation-1",
        "Observation-nrs-average-over-a-period",
        {"issued": "2026-04-20T10:00:00Z"},
        {"issued": "2026-05-01T10:00:00Z"},
    ),
    *[
        Case("np-observation-1", one, {"issued": TOLD_FIRST}, {"issued": "2026-05-01T09:30:00Z"})
        for one in (ITEM, SCORE, GRADE)
    ],
    *[
        Case(
            "np-site-side",
            one,
            {"bodySite": {"text": "left foot"}},
            {"bodySite": {"text": "left foot", **side("left")}},
        )
        for one in (SCORE, GRADE)
    ],
    Case("np-intensity-1", INTENSITY, {"valueQuantity": None, "component": []}),
    Case("np-intensity-2", INTENSITY, {"effectiveDateTime": "2026-05"}),
    Case("np-intensity-nrs-range", INTENSITY, {"valueQuantity.value": 11}),
    Case("np-intensity-nrs-band", INTENSITY, {"valueQuantity.value": 0}),
    Case("np-intensity-codes", INTENSITY, {"code.coding.1.code": "nrs.worst_7d"}),
    Case("np-item-1", ITEM, {"effectiveDateTime": "2026"}),
    Case("np-item-dn4-a", ITEM, {"valueBoolean": None, "valueInteger": 1}),
    Case("np-response-dn4-a", "QuestionnaireResponse-dn4", {"item.0.answer.0": {"valueInteger": 1}}),
    Case(
        "np-response-nrs-a",
        "QuestionnaireResponse-nrs",
        {"item.0.answer.0": {"valueInteger": 11}},
        {"item.0.answer.0": {"valueInteger": 10}},
    ),
    Case("np-score-1", SCORE, {"valueQuantity": None, "interpretation": None}),
    Case("np-score-2", SCORE, {"valueQuantity": None}),
    Case("np-score-3", SCORE, {"effectiveDateTime": "2026"}),
    Case("np-score-dn4-range", SCORE, {"valueQuantity.value": 11}),
    Case("np-score-dn4-interview-range", INTERVIEW, {"valueQuantity.value": 8}),
    Case("np-score-dn4-cutoff", SCORE, {"valueQuantity.value": 3}),
    Case("np-score-dn4-interview-cutoff", INTERVIEW, {"valueQuantity.value": 2}),
    Case(
        "np-score-dn4-sum",
        SCORE,
        {"component": [cutoff(4), *answers(*FOUR)]},
        {"component": [cutoff(4), *answers(*SIX)]},
    ),
    Case(
        "np-score-dn4-sum",
        SCORE,
        {"component": [cutoff(4), *answers(*FOUR)]},
        {"component": [cutoff(4), *answers(*FOUR, of=9)]},
    ),
    Case(
        "np-score-dn4-interview-sum",
        INTERVIEW,
        {"component": [cutoff(3), *answers("burning", of=7)]},
        {"component": [cutoff(3), *answers(*FOUR, of=7)]},
    ),
    Case("np-score-dn4-response", SCORE, responded(6, *FOUR, of=10), responded(6, *SIX, of=10)),
    Case("np-score-dn4-interview-response", INTERVIEW, responded(3, *FOUR, of=7), responded(3, *FOUR, of=6)),
    Case("np-score-dn4-members", SCORE, {"hasMember": [{"reference": "Observation/dn4-2"}]}, {"hasMember": None}),
    Case("np-score-dn4-interview-members", INTERVIEW, {"hasMember": [{"reference": "Observation/dn4-2"}]}),
    Case("np-grade-1", GRADE, {"effectiveDateTime": "2026-05"}),
    Case("np-grade-unlikely", GRADE, {"valueCodeableConcept": concept("np-grade", "unlikely")}),
    Case("np-grade-possible", GRADE, {"valueCodeableConcept": concept("np-grade", "possible")}),
    Case("np-grade-probable", GRADE, {"valueCodeableConcept": concept("np-grade", "probable")}),
    Case(
        "np-grade-definite", "Observation-neupsig-unlikely", {"valueCodeableConcept": concept("np-grade", "definite")}
    ),
    Case(
        "np-grade-unlikely-asserted",
        GRADE,
        {"component": [asserted("unlikely"), *VALID[GRADE]["component"][:2]]},
        {"component": [*VALID[GRADE]["component"], asserted("unlikely")]},
    ),
    *[
        Case(
            f"np-grade-{one}-asserted",
            "Observation-neupsig-unlikely",
            {"component": [*VALID["Observation-neupsig-unlikely"]["component"], asserted(one)]},
        )
        for one in ("possible", "probable", "definite")
    ],
    Case("np-goal-1", GOAL, {"target.0.detailQuantity.value": 101}),
    Case("np-goal-2", GOAL, {"startDate": "2026-06-02"}, {"startDate": "2026-06-01"}),
    Case("np-goal-range", GOAL, measured("nrs", 11, "{score}"), measured("nrs", 3, "{score}")),
    Case("np-goal-range", GOAL, measured("phq-9", 28, "{score}"), measured("phq-9", 27, "{score}")),
    Case("np-goal-score", GOAL, measured("nrs", 3, "%"), measured("nrs", 3, "{score}")),
    Case("np-goal-mm", GOAL, measured("vas", 30, "{score}"), measured("vas", 30, "mm")),
    Case("np-goal-t-score", GOAL, measured("promis-pi", 55, "{score}"), measured("promis-pi", 55, "{T-score}")),
    Case("np-medication-1", DRUG, {"dosageInstruction.1.doseAndRate.0.rateQuantity.value": 0}),
    Case(
        "np-medication-2", DRUG, {"reasonReference": None}, {"reasonReference": None, "reasonCode": [{"text": "pain"}]}
    ),
    Case(
        "np-medication-dose",
        DRUG,
        {**GABAPENTIN, "dosageInstruction.1.doseAndRate.0.rateQuantity.value": 3601},
        {**GABAPENTIN, "dosageInstruction.1.doseAndRate.0.rateQuantity.value": 3600},
    ),
    Case(
        "np-medication-dose",
        DRUG,
        {
            "medicationCodeableConcept": concept("atc", "N02BF02"),
            "dosageInstruction.1.doseAndRate.0.rateQuantity.value": 900,
        },
        {"dosageInstruction.1.doseAndRate.0.rateQuantity.value": 900},
    ),
    Case("np-service-1", THERAPY, {"reasonReference": None}),
    Case("np-service-tier", "ServiceRequest-rtms-emerging", {"extension": None}),
    Case("np-outcome-1", PGIC, {"valueQuantity": None, "component": None, "interpretation": None}),
    Case("np-outcome-2", PGIC, {"effectiveDateTime": "2026-05"}),
    Case("np-observation-1", PGIC, {"issued": TOLD_FIRST}, {"issued": "2026-05-01T09:30:01+02:00"}),
    Case("np-plan-1", PLAN, {"addresses": None}),
    Case("np-plan-2", PLAN, {"created": "2026-06-02"}, {"created": "2026-06-01T08:00:00Z"}),
    Case("np-plan-2", PLAN, {"period": {"start": "2026-07"}}, {"period": {"start": "2026-05"}}),
    Case("np-override-1", PLAN, {"extension.2.extension.0.valueCode": "NPR1"}),
    Case("np-context-choice", PLAN, {"extension.1.extension": [{"url": "hla_b_1502", "valueCode": "maybe"}]}),
    Case("np-review-1", PLAN, {"extension.0.valueDate": "2026-06"}),
    Case("np-medication-3", "MedicationRequest-duloxetine-stopped", {"statusReason": None}),
    Case("np-device-request-1", "DeviceRequest-tens", {"reasonReference": None}),
    Case("np-appointment-1", "Appointment-session-of-cbt", {"end": "2026-06-08T09:00:00+02:00"}),
    Case("np-procedure-1", DONE, {"performedDateTime": None}, {"performedDateTime": None, "status": "preparation"}),
    Case("np-procedure-2", DONE, {"basedOn": None, "reasonReference": None}, {"basedOn": None}),
    Case("np-procedure-3", DONE, {"status": "not-done"}, {"status": "not-done", "focalDevice": None}),
    Case("np-device-1", IMPLANT, MADE | {"expirationDate": "2025-12-31"}, MADE | {"expirationDate": "2030-12-31"}),
    Case("np-device-2", IMPLANT, MODEL | {"serialNumber": None}, MODEL | {"serialNumber": None, "lotNumber": "7"}),
    Case("np-activity-1", COURSE, {f"{RELIEF}.valueQuantity.value": 101}, {f"{RELIEF}.valueQuantity.value": -10}),
    Case("np-activity-2", COURSE, {PARTS: [{"url": "relief", "valueQuantity": {"value": 20, "code": "%"}}]}),
    Case("np-finding-1", RAISED, {"severity": None}, {"status": "cancelled", "severity": None}),
    Case("np-finding-2", NEEDED, {"extension": None}, {"status": "cancelled", "extension": None}),
    Case("np-finding-3", NEEDED, {"severity": "low"}, {"status": "cancelled", "severity": "low"}),
    *(Case(*row) for row in ROWS),
]


def told(validator: Validator, resource: dict[str, Any], key: str) -> list[str]:
    return [issue.severity for issue in validator.check(resource) if issue.rule == key]


@pytest.mark.parametrize("case", CASES, ids=[f"{number}-{case.key}" for number, case in enumerate(CASES)])
def test_a_rule_is_told_where_it_is_broken_and_only_there(validator: Validator, case: Case) -> None:
    assert told(validator, made(case.example, case.holds), case.key) == []
    assert told(validator, made(case.example, case.broken), case.key) == [RULES[case.key]["severity"]]


def test_every_rule_of_every_profile_has_a_case() -> None:
    tested = {(profile, case.key) for case in CASES for profile in VALID[case.example]["meta"]["profile"]}
    extensions = {case.key for case in CASES}
    untested = {
        (stem, rule["key"])
        for stem, _, rule in own_rules()
        if (canonical("StructureDefinition", stem), rule["key"]) not in tested
        and not (json_files("structuredefinitions")[stem]["type"] == "Extension" and rule["key"] in extensions)
        and rule["key"] not in COVERED
    }

    assert untested == {("neuropathic-pain", "np-condition-stage")}


def test_every_valid_example_follows_every_rule(validator: Validator) -> None:
    broken = [
        (name, issue.rule)
        for name, example in VALID.items()
        for issue in validator.check(example)
        if issue.rule.startswith("np-")
    ]

    assert broken == []
