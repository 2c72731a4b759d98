"""Every treatment, device and order of the clinical reference becomes a request with its codes, and no other."""

import csv
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from app.mapping.careplans.careplan import plan_from_fhir, plan_to_fhir
from app.mapping.elements import Element, Resource
from app.pain.content import Listing, load_content
from app.pain.plans.lists import LISTS
from app.pain.plans.treatments import plan_notes, read_plan
from app.pain.reading import squeezed
from app.terminology.ucum import unit_flaw
from app.validation import load_validator
from tests.pain.cases import CASES, NOW, plan

CONTENT = load_content()
VALIDATOR = load_validator()
DATA = Path(__file__).parents[1] / "data"
Row = dict[str, str]


def rows() -> list[Row]:
    """Sections F1, F5 and E of the clinical reference, one row a treatment; unlisted: codes that only name it."""
    with (DATA / "treatments.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def keys(cell: str) -> list[tuple[str, str]]:
    pairs = (one.split(" ") for one in cell.split(";") if one)
    return [(CONTENT.systems[system], code) for system, code in pairs]


def planned(*activities: dict[str, Any], **more: Any) -> list[Resource]:
    numbers = count(1)
    one = read_plan({"patient": "Patient/12", "activities": list(activities)} | more, CONTENT, NOW)
    made = plan_to_fhir(one, CONTENT, patient_ref="Patient/12", ids=lambda: f"p{next(numbers)}")
    assert [issue for each in made for issue in VALIDATOR.check(each) if issue.is_error] == []
    assert plan_from_fhir(made, CONTENT).activities == one.activities
    return made


def concept(request: Resource) -> Element:
    return next(request[key] for key in ("medicationCodeableConcept", "codeCodeableConcept", "code") if key in request)


def codes(element: Element) -> list[tuple[str, str]]:
    return [(one["system"], one["code"]) for one in element["coding"]] if "coding" in element else []


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['kind']} {row['name']}")
def test_a_treatment_is_requested_with_its_codes(row: Row) -> None:
    care_plan, request = planned({row["kind"]: row["name"]})

    others = [key for key in codes(concept(request)) if not key[0].startswith("https://w3id.org")]
    assert request["resourceType"] == row["type"]
    assert others == keys(row["codes"])
    assert (row["kind"] == "drug") == (codes(concept(request)) == others)
    assert concept(request)["text"]
    assert care_plan["activity"] == [{"reference": {"reference": f"{row['type']}/{request['id']}"}}]


@pytest.mark.parametrize("row", [row for row in rows() if row["codes"] + row["unlisted"]], ids=lambda row: row["name"])
def test_a_treatment_is_known_by_each_of_its_codes(row: Row) -> None:
    for system, code in [*keys(row["codes"]), *keys(row["unlisted"])]:
        coded = {"system": system, "code": code}
        activity = {row["kind"] if row["kind"] in ("drug", "device") else "code": coded}

        request = planned(activity)[1]

        listing: Listing = CONTENT.drugs if row["kind"] == "drug" else getattr(CONTENT, LISTS[row["kind"]][0])
        assert codes(concept(request))[0] == (system, code)
        assert listing.names[squeezed(row["name"]).replace("-", "")] in listing.codes[system, code]
        notes = plan_notes(read_plan({"patient": "Patient/12", "activities": [activity]}, CONTENT, NOW), CONTENT)
        assert notes == []


def verified() -> set[tuple[str, str]]:
    with (DATA / "verified-codes.csv").open(encoding="utf-8") as file:
        return {(row["system"], row["code"]) for row in csv.DictReader(file) if row["status"] == "verified"}


def test_every_code_of_the_table_is_verified() -> None:
    stated = {key for row in rows() for cell in ("codes", "unlisted") for key in keys(row[cell])}

    assert stated <= verified()


@pytest.mark.parametrize("kind", LISTS)
def test_every_row_of_our_lists_is_in_the_table_or_is_not_of_the_reference(kind: str) -> None:
    listing = getattr(CONTENT, LISTS[kind][0])
    told = {listing.named(row["name"]).id for row in rows() if row["kind"] == kind}

    assert listing.rows.keys() - told <= BESIDE


# What the reference does not list by itself: a rest, and what its sections on risk ask for.
BESIDE = {"other-neuromodulation", "other-examination", "suicide-risk-assessment", "opioid-risk-assessment"}


DEVICES = [(row.id, row.row["device"]) for row in CONTENT.therapies.rows.values() if "device" in row.row]


@pytest.mark.parametrize(("therapy", "device"), DEVICES)
def test_a_therapy_names_the_device_it_works_through(therapy: str, device: str) -> None:
    request = planned({"therapy": therapy})[1]

    [detail] = request["orderDetail"]
    listed = [coding.key for coding in CONTENT.devices.rows[device].codings]
    assert codes(detail) == [*listed, (CONTENT.systems["np-device"], device)]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_plan_of_a_worked_case_has_its_codes_and_comes_back(case: dict[str, Any]) -> None:
    proposed = case["proposed_plan"]

    requests = planned(*plan(case, CONTENT.systems["snomed"])["activities"])[1:]

    written = [{code for _, code in codes(concept(one))} for one in requests]
    expected = [{one["rxnorm"], one["atc"]} - {None} for one in proposed["medications"]]
    expected += [{code} for code in proposed["non_drug"]]
    assert all(want <= found for want, found in zip(expected, written, strict=True))


TIERS = [
    ("neupsig-2025", {"drug": "amitriptyline"}, "established"),
    ("neupsig-2025", {"drug": "lidocaine 5 % patch"}, "second-line"),
    ("neupsig-2025", {"drug": "tramadol"}, "third-line"),
    ("neupsig-2015", {"drug": "tramadol"}, "second-line"),
    ("nice-cg173", {"drug": "pregabalin"}, "established"),
    ("nice-cg173", {"drug": "lamotrigine"}, None),
    ("neupsig-2025", {"drug": "naloxone"}, None),
    ("neupsig-2025", {"therapy": "rtms"}, "third-line"),
    ("neupsig-2015", {"therapy": "rtms"}, "emerging"),
    ("neupsig-2025", {"therapy": "gene-therapy"}, "investigational"),
    ("neupsig-2025", {"therapy": "intrathecal-drug-delivery"}, "emerging"),
    ("neupsig-2025", {"therapy": "cbt"}, None),
]


@pytest.mark.parametrize(("edition", "activity", "tier"), TIERS)
def test_the_evidence_tier_is_that_of_the_guideline_edition(
    edition: str, activity: dict[str, Any], tier: str | None
) -> None:
    request = planned(activity, guideline=edition)[1]

    marked = [one["valueCodeableConcept"] for one in request.get("extension", [])]
    assert [code for one in marked for _, code in codes(one)] == ([tier] if tier else [])
    is_by_line = tier not in (None, "emerging", "investigational")
    assert all((CONTENT.guidelines.editions[edition].title in one.get("text", "")) is is_by_line for one in marked)


def amounts(row: Element) -> dict[str, Any]:
    """The quantities and the timing of a row of the dosage."""
    found = {key: f"{one[key]['value']} {one[key]['code']}" for one in row["doseAndRate"] for key in one}
    repeat: Element = row.get("timing", {}).get("repeat", {})
    return found | repeat


DAILY = {"frequency": 1, "period": 1, "periodUnit": "d"}
DOSES = [
    (
        {
            "drug": "lidocaine 5 % patch",
            "dose": {"value": 3, "unit": "{patch}", "per": "dose", "times_per_day": 1, "hours": 12},
        },
        {"doseQuantity": "3 {patch}", "duration": 12, "durationUnit": "h", **DAILY},
    ),
    (
        {"drug": "botulinum toxin A", "dose": {"value": 200, "unit": "{units}", "per": "dose", "every_days": 84}},
        {"doseQuantity": "200 {units}", **DAILY, "period": 84},
    ),
    ({"drug": "fentanyl", "dose": {"value": 25, "unit": "ug", "per": "hour"}}, {"rateQuantity": "25 ug/h"}),
    ({"drug": "ziconotide", "dose": {"value": 3, "unit": "ug", "per": "day"}}, {"rateQuantity": "3 ug/d"}),
    (
        {
            "drug": "gabapentin",
            "daily_dose_mg": 900,
            "dose": {"value": 300, "unit": "mg", "per": "dose", "times_per_day": 3},
        },
        {"doseQuantity": "300 mg", "rateQuantity": "900 mg/d", **DAILY, "frequency": 3},
    ),
    ({"drug": "naloxone", "dose": {"value": 4, "unit": "mg", "per": "dose"}}, {"doseQuantity": "4 mg"}),
]


@pytest.mark.parametrize(("activity", "written"), DOSES, ids=lambda one: str(one)[:40])
def test_a_dose_is_written_as_quantity_or_rate_with_its_timing(
    activity: dict[str, Any], written: dict[str, Any]
) -> None:
    [row] = planned(activity)[1]["dosageInstruction"]

    assert amounts(row) == written


def test_the_units_of_doses_are_ucum() -> None:
    rates = {f"{code}/{per[0]}" for code, row in CONTENT.dose_units.items() for per in row["per"] if per != "dose"}

    assert [code for code in CONTENT.dose_units.keys() | rates if unit_flaw(code)] == []


ENDS = [
    ({"drug": "duloxetine"}, "stopped"),
    ({"therapy": "acupuncture"}, "revoked"),
    ({"device": "tens-device"}, "revoked"),
]


@pytest.mark.parametrize(("activity", "status"), ENDS)
def test_what_was_stopped_says_so_and_why(activity: dict[str, Any], status: str) -> None:
    outcome = {"status": "stopped", "why": {"code": "cost", "text": "not covered"}, "response": 35}

    care_plan, request = planned(activity | {"outcome": outcome})

    reason = request.get("statusReason") or request["extension"][0]["valueCodeableConcept"]
    assert request["status"] == status
    assert [code for _, code in codes(reason)] == ["cost"]
    assert reason["text"] == "not covered"
    classes = [code for one in care_plan["activity"][0]["outcomeCodeableConcept"] for _, code in codes(one)]
    assert classes == ["stopped", "moderate"]
