"""What the rules may know of a patient follows from the record as FHIR means it."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from app.mapping.facts.daily_dose import daily_dose_mg
from app.mapping.facts.gathering import Gathered, gathered
from app.mapping.facts.held import name_of
from app.pain.content import load_content

CONTENT = load_content()
RXNORM, SNOMED, LOINC = (CONTENT.systems[name] for name in ("rxnorm", "snomed", "loinc"))
TODAY = date(2026, 5, 1)
Json = dict[str, Any]


def amount(value: Any, unit: str = "mg") -> Json:
    return {"value": value, "system": "http://unitsofmeasure.org", "code": unit}


def row(dose: Json, repeat: Json | None = None, **more: Any) -> Json:
    timing = {"timing": {"repeat": repeat}} if repeat else {}
    return {"doseAndRate": [dose], **timing, **more}


def every(frequency: int = 1, period: Any = 1, unit: str = "d", **more: Any) -> Json:
    return {"frequency": frequency, "period": period, "periodUnit": unit, **more}


def coded_timing(code: str) -> Json:
    return {"code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation", "code": code}]}}


STRENGTH = {"numerator": amount(25), "denominator": {"value": 1, "unit": "tablet"}}
SYRUP = {"numerator": amount(50), "denominator": amount(5, "mL")}
# (rows of Dosage, strength, mg a day)
DOSES: dict[str, tuple[list[Json], Json | None, Any]] = {
    "as a rate": ([row({"rateQuantity": amount(60, "mg/d")})], None, 60),
    "three times a day": ([row({"doseQuantity": amount(300)}, every(3))], None, 900),
    "every 8 hours": ([row({"doseQuantity": amount(300)}, every(1, 8, "h"))], None, 900),
    "every week": ([row({"doseQuantity": amount(7)}, every(1, 1, "wk"))], None, 1),
    "in grams": ([row({"doseQuantity": amount(Decimal("0.3"), "g")}, every(2))], None, 600),
    "in micrograms an hour": ([row({"rateQuantity": amount(25, "ug/h")})], None, Decimal("0.6")),
    "as a ratio": ([row({"rateRatio": {"numerator": amount(5), "denominator": amount(12, "h")}})], None, 10),
    "a range is its upper end": ([row({"doseRange": {"low": amount(10), "high": amount(20)}}, every(2))], None, 40),
    "up to three times": ([row({"doseQuantity": amount(10)}, every(1, frequencyMax=3))], None, 30),
    "a range of rates": ([row({"rateRange": {"high": amount(2, "mg/h")}})], None, 48),
    "without an upper end": ([row({"doseRange": {"low": amount(10)}}, every(2))], None, None),
    "by a code": ([row({"doseQuantity": amount(10)}) | {"timing": coded_timing("TID")}], None, 30),
    "every other day by a code": ([row({"doseQuantity": amount(10)}) | {"timing": coded_timing("QOD")}], None, 5),
    "at hours of the day": ([row({"doseQuantity": amount(10)}, {"timeOfDay": ["08:00:00", "20:00:00"]})], None, 20),
    "at night": ([row({"doseQuantity": amount(10)}, {"when": ["HS"]})], None, 10),
    "at most so much": (
        [
            row(
                {"doseQuantity": amount(10)},
                every(6),
                maxDosePerPeriod={"numerator": amount(40), "denominator": amount(1, "d")},
            )
        ],
        None,
        40,
    ),
    "only a most": ([{"maxDosePerPeriod": {"numerator": amount(40), "denominator": amount(1, "d")}}], None, 40),
    "two rows together": (
        [row({"doseQuantity": amount(25)}, every()), row({"doseQuantity": amount(50)}, every())],
        None,
        75,
    ),
    "steps one after the other": (
        [row({"rateQuantity": amount(dose, "mg/d")}, sequence=place) for place, dose in enumerate((30, 60))],
        None,
        60,
    ),
    "one row unknown": (
        [row({"doseQuantity": amount(25)}, every()), row({"doseQuantity": amount(1, "{puff}")})],
        None,
        None,
    ),
    "tablets of a known strength": ([row({"doseQuantity": {"value": 2, "unit": "tablet"}}, every(2))], STRENGTH, 100),
    "millilitres of a known strength": ([row({"doseQuantity": amount(10, "mL")}, every(2))], SYRUP, 200),
    "tablets of an unknown strength": ([row({"doseQuantity": {"value": 2, "unit": "tablet"}}, every(2))], None, None),
    "per kilogram": ([row({"rateQuantity": amount(1, "mg/kg/d")})], None, None),
    "without saying how often": ([row({"doseQuantity": amount(25)})], None, None),
    "a unit in words": ([row({"doseQuantity": {"value": 100, "unit": "mcg"}}, every(10))], None, 1),
    "an infusion for a while": (
        [row({"rateQuantity": amount(10, "mg/h")}, every(duration=30, durationUnit="min"))],
        None,
        None,
    ),
    "a dose at a rate": ([row({"doseQuantity": amount(50), "rateQuantity": amount(99, "mg/h")}, every())], None, 50),
    "nothing said": ([], None, None),
}


@pytest.mark.parametrize("name", DOSES)
def test_the_daily_dose_is_the_most_that_is_allowed_or_unknown(name: str) -> None:
    rows, strength, expected = DOSES[name]

    assert daily_dose_mg(rows, strength) == expected


def request(**more: Any) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "704"}]},
        **more,
    }


def statement(**more: Any) -> Json:
    return request(**more) | {"resourceType": "MedicationStatement"}


ENDED = [{"timing": {"repeat": {"boundsPeriod": {"start": "2026-01-01", "end": "2026-02"}}}}]
# (resource, its use or None where it does not count)
USES: dict[str, tuple[Json, str | None]] = {
    "ordered": (request(), "current"),
    "on hold, so meant to go on": (request(status="on-hold"), "current"),
    "nobody knows": (request(status="unknown"), "current"),
    "planned at an earlier visit": (request(intent="plan"), "current"),
    "ended by its dates": (request(dosageInstruction=ENDED), "past"),
    "stopped": (request(status="stopped"), "past"),
    "completed": (request(status="completed"), "past"),
    "only drafted": (request(status="draft"), None),
    "cancelled": (request(status="cancelled"), None),
    "in error": (request(status="entered-in-error"), None),
    "only proposed": (request(intent="proposal"), None),
    "forbidden": (request(doNotPerform=True), None),
    "taken": (statement(), "current"),
    "taken until last month": (statement(effectivePeriod={"end": "2026-04"}), "past"),
    "never taken": (statement(status="not-taken"), None),
}


@pytest.mark.parametrize("name", USES)
def test_a_medicine_counts_by_its_status_intent_and_dates(name: str) -> None:
    resource, use = USES[name]

    found = facts(resource).facts.medicines

    assert [one.use for one in found] == ([use] if use else [])


def facts(*resources: Json, context: Json | None = None, leave: tuple[str, ...] = ()) -> Gathered:
    held = {f"{one['resourceType']}/{one['id']}": one for one in resources}
    return gathered(held, CONTENT, today=TODAY, context=context or {}, leave=leave)


def test_what_is_written_anew_does_not_count_twice() -> None:
    assert facts(request(), leave=("MedicationRequest/m",)).facts.medicines == ()


def test_the_last_day_of_a_month_is_the_last_day_of_use() -> None:
    [one] = facts(request(dosageInstruction=ENDED)).facts.medicines

    assert one.until == date(2026, 2, 28)


PARTS = [
    {"itemCodeableConcept": {"coding": [{"system": RXNORM, "code": "7804"}]}, "strength": STRENGTH},
    {"itemCodeableConcept": {"text": "paracetamol"}},
]
TWICE = [row({"doseQuantity": {"value": 1, "unit": "tablet"}}, every(2))]


@pytest.mark.parametrize("reference", ["#in", "Medication/p", "https://ehr.example.org/fhir/Medication/p/_history/2"])
def test_a_medicine_by_reference_is_what_its_medication_says(reference: str) -> None:
    product = {"resourceType": "Medication", "id": "p", "ingredient": PARTS}
    one = request(dosageInstruction=TWICE, contained=[product | {"id": "in"}])
    del one["medicationCodeableConcept"]

    first, second = facts(one | {"medicationReference": {"reference": reference}}, product).facts.medicines

    assert (first.drug.codings[0].code, first.daily_dose_mg) == ("7804", 50)
    assert (second.drug.text, second.daily_dose_mg) == ("paracetamol", None)


def condition(clinical: str | None = "active", verification: str | None = None, **more: Any) -> Json:
    base = "http://terminology.hl7.org/CodeSystem/condition"
    found: Json = {"resourceType": "Condition", "id": "c", "code": {"text": "epilepsy"}, **more}
    if clinical:
        found["clinicalStatus"] = {"coding": [{"system": f"{base}-clinical", "code": clinical}]}
    if verification:
        found["verificationStatus"] = {"coding": [{"system": f"{base}-ver-status", "code": verification}]}
    return found


@pytest.mark.parametrize(
    ("resource", "counts"),
    [
        (condition(), True),
        (condition("recurrence"), True),
        (condition("remission"), True),
        (condition("inactive"), False),
        (condition("resolved"), False),
        (condition(None), True),
        (condition(None, abatementDateTime="2020"), False),
        (condition(verification="differential"), True),
        (condition(verification="refuted"), False),
        (condition(None, "entered-in-error"), False),
    ],
)
def test_a_condition_counts_while_it_is_there_and_not_refuted(resource: Json, counts: bool) -> None:
    assert bool(facts(resource).facts.conditions) is counts


@pytest.mark.parametrize(
    ("resource", "was"),
    [
        (condition("resolved"), True),
        (condition(None, abatementDateTime="2020"), True),
        (condition(), False),
        (condition("resolved", "refuted"), False),
        (condition("resolved", "entered-in-error"), False),
    ],
)
def test_what_a_patient_had_is_known_apart(resource: Json, was: bool) -> None:
    assert bool(facts(resource).facts.past_conditions) is was


def observation(name: str, code: tuple[str, str], **more: Any) -> Json:
    system, value = code
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": system, "code": value}]},
        "effectiveDateTime": "2026-04-01",
        **more,
    }


EGFR, QTC, ITEM_9 = (LOINC, "98979-8"), (LOINC, "8636-3"), (LOINC, "44260-8")
HLA = (CONTENT.systems["np-test"], "hla-b-1502")
POSITIVE = {"coding": [{"system": CONTENT.systems["np-finding"], "code": "positive"}]}
PER = "mL/min/{1.73_m2}"
# (Observation, fact, value or None where it cannot be read)
VALUES: dict[str, tuple[Json, str, Any]] = {
    "a number": (observation("o", EGFR, valueQuantity=amount(78, PER)), "egfr", 78),
    "a unit in words": (observation("o", EGFR, valueQuantity={"value": 78, "unit": "mL/min/1.73m2"}), "egfr", 78),
    "another unit of the kind": (observation("o", QTC, valueQuantity=amount(Decimal("0.42"), "s")), "qtc_ms", 420),
    "a unit of another kind": (observation("o", EGFR, valueQuantity=amount(78, "mg/dL")), "egfr", None),
    "no unit": (observation("o", EGFR, valueQuantity={"value": 78}), "egfr", None),
    "above": (observation("o", EGFR, valueQuantity=amount(60, PER) | {"comparator": ">"}), "egfr", 60),
    "below": (
        observation("o", EGFR, valueQuantity=amount(15, PER) | {"comparator": "<"}),
        "egfr",
        Decimal("14.999"),
    ),
    "beyond what can be": (observation("o", QTC, valueQuantity=amount(420, "s")), "qtc_ms", None),
    "an answer": (observation("o", ITEM_9, valueInteger=2), "phq9_item9", 2),
    "a finding": (observation("o", HLA, valueCodeableConcept=POSITIVE), "hla_b_1502", "positive"),
    "a word": (observation("o", HLA, valueString="Negative"), "hla_b_1502", "negative"),
    "another word": (observation("o", HLA, valueString="see report"), "hla_b_1502", None),
}


@pytest.mark.parametrize("name", VALUES)
def test_an_observed_value_is_read_or_told_to_be_unreadable(name: str) -> None:
    resource, fact, expected = VALUES[name]

    found = facts(resource)

    stated = found.facts.stated.get(fact)
    assert (stated.value if stated else None) == expected
    assert any(fact in note and "Observation/o" in note for note in found.notes)


def test_the_newest_observation_counts_and_says_where_it_stands() -> None:
    old = observation("old", EGFR, valueQuantity=amount(78, PER), effectiveDateTime="2020")
    wrong = observation("wrong", EGFR, valueQuantity=amount(5, PER), status="entered-in-error")
    new = observation("new", EGFR, valueQuantity=amount(24, PER), effectiveDateTime="2026-04-01T08:00:00Z")

    found = facts(old, new, wrong)

    assert (found.facts.stated["egfr"].value, found.facts.stated["egfr"].source) == (24, "Observation/new")
    assert found.notes == ("egfr was taken from Observation/new of 2026-04-01.",)


def test_a_newest_value_that_cannot_be_read_is_not_replaced_by_an_older_one() -> None:
    old = observation("old", EGFR, valueQuantity=amount(78, PER), effectiveDateTime="2020")
    new = observation("new", EGFR, valueString="pending")

    assert "egfr" not in facts(old, new).facts.stated


def test_what_is_stated_wins_over_the_record_and_a_contradiction_is_told() -> None:
    seen = observation("o", EGFR, valueQuantity=amount(24, PER))

    found = facts(seen, context={"egfr": 90})

    assert (found.facts.stated["egfr"].value, found.facts.stated["egfr"].source) == (90, "context.egfr")
    assert found.notes == ("context.egfr is not what Observation/o of 2026-04-01 says; the context was taken.",)
    assert facts(seen, context={"egfr": Decimal("24.0")}).notes == ()


@pytest.mark.parametrize(("born", "age"), [("1961-05-01", 65), ("1961-05-02", 64), ("1961", 65), ("1961-05", 65)])
def test_a_birth_date_that_leaves_the_age_open_gives_the_highest(born: str, age: int) -> None:
    found = facts({"resourceType": "Patient", "id": "p", "birthDate": born, "gender": "female"})

    assert (found.facts.age, found.facts.sex) == (age, "female")
    assert bool(found.notes) is (len(born) < 10)


def test_devices_count_while_they_are_in_use() -> None:
    device = {"resourceType": "Device", "type": {"text": "spinal cord stimulator"}}
    worn = device | {"id": "worn", "patient": {"reference": "Patient/p"}}
    broken = device | {"id": "broken", "patient": {"reference": "Patient/p"}, "status": "inactive"}
    lent = device | {"id": "lent"}
    use = {"resourceType": "DeviceUseStatement", "id": "u", "status": "active", "device": {"reference": "Device/lent"}}
    words = {"resourceType": "DeviceUseStatement", "id": "w", "status": "active", "device": {"display": "TENS unit"}}

    found = facts(worn, broken, lent, use, words, use | {"id": "v", "status": "completed", "device": {"display": "x"}})

    assert [one.source for one in found.facts.devices] == ["Device/worn", "Device/lent", "DeviceUseStatement/w"]


def test_a_reference_means_the_same_resource_on_any_server() -> None:
    assert name_of({"reference": "https://ehr.example.org/r4/Device/7/_history/1"}) == "Device/7"
    assert name_of({"reference": "urn:uuid:6a1b"}) == "urn:uuid:6a1b"
