"""Pseudonyms: nothing that names a patient gets through, and what is left still fits together."""

import json
import re
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.export.keyed import Keyed, shifted
from app.export.pseudonym_rules import rules
from app.export.pseudonyms import Pseudonyms, load_pseudonyms
from app.fhir.outcomes import Refused
from app.fhir.references import references
from app.profiles import FOLDER
from app.validation import Validator, load_validator

KEY = "0123456789abcdef0123456789abcdef"
BASE = "http://here.example/fhir"
TODAY = date(2026, 11, 23)
EXAMPLES = sorted((FOLDER / "examples" / "valid").glob("*.json"))
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "PSEUDED"}
MASKED = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}
LENGTH = {"value": 1.5, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"}


@pytest.fixture(scope="module")
def validator() -> Validator:
    return load_validator()


@pytest.fixture(scope="module")
def pseudonyms(validator: Validator) -> Pseudonyms:
    return load_pseudonyms(KEY, base=BASE, today=TODAY, validator=validator)


def unchecked() -> Pseudonyms:
    """Without a validator: what the rules alone let through."""

    def never(*_: str) -> bool:
        return False

    return Pseudonyms(KEY.encode(), rules(), base=BASE, today=TODAY, is_display=never, is_sound=lambda _: True)


def made(pseudonyms: Pseudonyms, resource: dict[str, Any]) -> tuple[dict[str, Any], Counter[str]]:
    text, removed = pseudonyms.resource(json.dumps(resource).encode())
    return json.loads(text) if text else {}, removed


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p", **elements}


def observation(**elements: Any) -> dict[str, Any]:
    code = {"coding": [{"system": "http://loinc.org", "code": "72514-3"}]}
    about = {"reference": "Patient/p"}
    return {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": code,
        "subject": about,
        **elements,
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_is_made_of_every_example_is_valid_r4(pseudonyms: Pseudonyms, validator: Validator, path: Path) -> None:
    text, removed = pseudonyms.resource(path.read_bytes())

    assert [issue for issue in validator.check(json.loads(text)) if issue.is_error] == []
    assert json.loads(text)["meta"]["security"][-1] == LABEL
    assert path.read_text("utf-8").count('"display"') >= text.count(b'"display"')
    assert pseudonyms.resource(path.read_bytes()) == (text, removed)


def test_the_profiles_of_nearly_all_examples_still_hold(pseudonyms: Pseudonyms) -> None:
    lost = [path.stem for path in EXAMPLES if b'"profile"' not in pseudonyms.resource(path.read_bytes())[0]]

    # Its category is in words.
    assert lost == ["Observation-neupsig-asserted-below-its-evidence"]


@pytest.mark.parametrize(
    ("elements", "path"),
    [
        ({"name": [{"family": "Zoë", "given": ["Ada"]}]}, "Patient.name"),
        ({"telecom": [{"system": "phone", "value": "555 0100"}]}, "Patient.telecom"),
        ({"address": [{"city": "Bern", "postalCode": "3000", "country": "CH"}]}, "Patient.address"),
        ({"identifier": [{"system": "http://ids.example", "value": "4711"}]}, "Patient.identifier"),
        ({"photo": [{"contentType": "image/png", "data": "AAAA"}]}, "Patient.photo"),
        ({"contact": [{"name": {"text": "Her sister"}}]}, "Patient.contact"),
        (
            {"text": {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>Zoë</div>"}},
            "Patient.text",
        ),
        ({"extension": [{"url": "http://hospital.example/vip", "valueString": "Yes"}]}, "Patient.extension"),
        ({"_gender": {"extension": [{"url": "http://x.example/y", "valueString": "Yes"}]}}, "Patient.gender.extension"),
        ({"maritalStatus": {"text": "lives with Ada"}}, "Patient.maritalStatus.text"),
        ({"maritalStatus": {"coding": [{"code": "Ada"}]}}, "Patient.maritalStatus.coding.code"),
        ({"meta": {"source": "http://hospital.example/ward-3"}}, "Patient.meta.source"),
        ({"meta": {"lastUpdated": "2026-11-20T08:00:00Z"}}, "Patient.meta.lastUpdated"),
        ({"managingOrganization": {"display": "Ward 3"}}, "Patient.managingOrganization.display"),
        ({"birthDate": "1936-11-23"}, "Patient.birthDate"),
    ],
)
def test_what_names_somebody_is_taken_out_and_counted(
    pseudonyms: Pseudonyms, elements: dict[str, Any], path: str
) -> None:
    found, removed = made(pseudonyms, patient(**elements))

    assert removed == {path: 1}
    assert found == {"resourceType": "Patient", "id": found["id"], "meta": {"security": [LABEL]}}


@pytest.mark.parametrize(
    ("elements", "kept"),
    [
        ({"valueString": "it burns"}, {"_valueString": MASKED}),
        ({"valueQuantity": LENGTH}, {"valueQuantity": LENGTH}),
        ({"valueQuantity": {"value": 4, "unit": "steps of Ada"}}, {"valueQuantity": {"value": 4}}),
        (
            {"component": [{"code": {"text": "Ada"}, "valueInteger": 3}]},
            {"component": [{"code": MASKED, "valueInteger": 3}]},
        ),
        ({"note": [{"text": "Ada"}]}, {}),
        ({"effectiveDateTime": "2026-02-30"}, {}),
        ({"focus": [{"reference": "Patient?identifier=4711", "type": "Patient"}]}, {"focus": [{"type": "Patient"}]}),
    ],
)
def test_what_is_left_of_an_observation(elements: dict[str, Any], kept: dict[str, Any]) -> None:
    found, _ = made(unchecked(), observation(**elements))

    assert {name: each for name, each in found.items() if name.lstrip("_") in elements} == kept


def test_identifiers_that_stand_for_a_resource_stay_the_same_for_the_same() -> None:
    def named(value: str) -> Any:
        elements = {"performer": [{"identifier": {"system": "http://ids.example", "value": value}}]}
        return made(unchecked(), observation(**elements))[0]["performer"]

    assert named("4711") == named("4711") != named("4712")
    assert "4711" not in str(named("4711"))
    assert "example" not in str(named("4711"))


@pytest.mark.parametrize(
    ("link", "like"),
    [
        ("Patient/p", "Patient/[0-9a-f]{32}"),
        (f"{BASE}/Patient/p", "Patient/[0-9a-f]{32}"),
        ("Patient/p/_history/3", "Patient/[0-9a-f]{32}"),
        ("http://other.example/fhir/Patient/p", "Patient/[0-9a-f]{32}"),
        ("urn:uuid:11111111-2222-3333-4444-555555555555", "urn:uuid:[0-9a-f-]{36}"),
        ("#p", "#[0-9a-f]{32}"),
        ("#", "#"),
        ("Patient?name=Ada", ""),
        ("ftp://ada.example", ""),
    ],
)
def test_a_reference_keeps_its_kind_and_tells_no_name(link: str, like: str) -> None:
    found = Keyed(KEY.encode(), BASE).reference(link)

    assert re.fullmatch(like, found)
    assert "ada" not in found.lower()
    assert found != link or link == "#"
    assert found == Keyed(KEY.encode(), BASE).reference(link)
    assert not like.strip("#") or found != Keyed(b"another", BASE).reference(link)


def test_references_of_ours_meet_their_target_however_they_are_written(pseudonyms: Pseudonyms) -> None:
    target, _ = made(pseudonyms, patient())
    links = ("Patient/p", f"{BASE}/Patient/p", "Patient/p/_history/7")

    found = {made(pseudonyms, observation(subject={"reference": link}))[0]["subject"]["reference"] for link in links}

    assert found == {f"Patient/{target['id']}"}


def test_references_between_all_examples_meet_as_they_did(pseudonyms: Pseudonyms) -> None:
    before = {f"{each['resourceType']}/{each['id']}": each for each in map(json.loads, map(Path.read_bytes, EXAMPLES))}
    after = [json.loads(pseudonyms.resource(json.dumps(each).encode())[0]) for each in before.values()]
    named = dict(zip(before, (f"{each['resourceType']}/{each['id']}" for each in after), strict=True))

    for each in before.values():
        found = json.loads(pseudonyms.resource(json.dumps(each).encode())[0])
        met = [named[link] for link in references(each) if link in named]
        assert [link for link in references(found) if link in named.values()] == met
    assert any(link in named for each in before.values() for link in references(each))


def test_contained_resources_are_found_by_their_new_names_and_go_with_their_last_mention() -> None:
    doctor = {"resourceType": "Practitioner", "id": "dr-ada", "name": [{"family": "Lovelace"}]}
    unused = {"resourceType": "Practitioner", "id": "dr-bob", "gender": "male"}
    notes = [{"authorReference": {"reference": "#dr-bob"}, "text": "x"}]
    given_one = observation(contained=[doctor, unused], performer=[{"reference": "#dr-ada"}], note=notes)

    found, removed = made(unchecked(), given_one)

    (left,) = found["contained"]
    assert left == {"resourceType": "Practitioner", "id": left["id"]}
    assert found["performer"] == [{"reference": f"#{left['id']}"}]
    assert "dr-" not in json.dumps(found)
    assert removed["Practitioner.name"] == removed["Observation.note"] == 1


@pytest.mark.parametrize(
    ("resource", "why"),
    [
        ({"resourceType": "Group", "id": "g", "type": "person", "actual": True}, "Group"),
        ({"resourceType": "Bundle", "id": "b", "type": "collection"}, "Bundle"),
        (observation(modifierExtension=[{"url": "http://x.example/not", "valueBoolean": True}]), "Observation"),
        (observation(implicitRules="http://x.example/rules"), "Observation"),
        (observation(contained=[{"resourceType": "Bundle", "id": "b", "type": "collection"}]), "Observation"),
    ],
)
def test_what_cannot_be_made_safe_is_left_out_and_told(
    pseudonyms: Pseudonyms, resource: dict[str, Any], why: str
) -> None:
    assert made(pseudonyms, resource) == ({}, {why: 1})


def test_a_guessable_key_is_refused(validator: Validator) -> None:
    with pytest.raises(Refused):
        load_pseudonyms("secret", base=BASE, today=TODAY, validator=validator)


@pytest.mark.parametrize(
    ("text", "days", "is_end", "moved"),
    [
        ("2024-03-01", -1, False, "2024-02-29"),
        ("2024-03-01T23:59:60.123456+02:00", -366, False, "2023-03-01T23:59:60.123456+02:00"),
        ("2024-03", -1, False, "2024-02"),
        ("2024-03", -31, True, "2024-02"),
        ("2024-03", -30, True, "2024-03"),
        ("2024", -1, False, "2023"),
        ("2024", -365, True, "2024"),
        ("2024-12", -1, True, "2024-12"),
        ("0001-01-01", -1, False, ""),
        ("9999", -1, True, ""),
        ("2024-02-30", -1, False, ""),
        ("yesterday", -1, False, ""),
    ],
)
def test_dates_move_by_whole_days_and_stay_as_precise_as_they_were(
    text: str, days: int, is_end: bool, moved: str
) -> None:
    assert shifted(text, days, is_end=is_end) == moved


@given(st.dates(date(1950, 1, 1), TODAY), st.dates(date(1950, 1, 1), TODAY), st.integers(0, 10**6))
def test_intervals_of_a_patient_stay_and_periods_end_after_they_begin(one: date, other: date, number: int) -> None:
    first, last = sorted((one, other))
    about = {"reference": f"Patient/{number}"}
    cuts = [(a, b) for a in (4, 7, 10) for b in (4, 7, 10)]

    def period(a: int, b: int) -> Any:
        span = {"start": first.isoformat()[:a], "end": last.isoformat()[:b]}
        return made(unchecked(), observation(subject=about, effectivePeriod=span))[0]["effectivePeriod"]

    whole = period(10, 10)
    assert date.fromisoformat(whole["end"]) - date.fromisoformat(whole["start"]) == last - first
    assert 1 <= (first - date.fromisoformat(whole["start"])).days <= 365
    for a, b in cuts:
        found = period(a, b)
        shorter = min(a, b)
        assert (len(found["start"]), len(found["end"])) == (a, b)
        assert found["start"][:shorter] <= found["end"][:shorter]


@pytest.mark.parametrize(
    ("resource", "moves"),
    [
        ({"resourceType": "Practitioner", "id": "d", "birthDate": "1970-01-01"}, "stays"),
        ({"resourceType": "Device", "id": "d", "manufactureDate": "2020-01-01"}, "stays"),
        (
            {
                "resourceType": "Device",
                "id": "d",
                "manufactureDate": "2020-01-01",
                "patient": {"reference": "Patient/p"},
            },
            "moves",
        ),
        (observation(effectiveDateTime="2020-01-01"), "moves"),
        (observation(effectiveDateTime="2020-01-01", performer=[{"reference": "Patient/q"}]), "moves"),
        (observation(effectiveDateTime="2020-01-01", subject={"display": "Ada"}), "goes"),
        (observation(effectiveDateTime="2020-01-01", subject={"identifier": {"value": "4711"}}), "goes"),
        (
            {
                "resourceType": "Provenance",
                "id": "v",
                "target": [{"reference": "Observation/o"}],
                "occurredDateTime": "2020-01-01",
                "recorded": "2020-01-01T00:00:00Z",
                "agent": [{"who": {"reference": "Practitioner/d"}}],
            },
            "goes",
        ),
        (
            {
                "resourceType": "Appointment",
                "id": "a",
                "start": "2020-01-01T00:00:00Z",
                "participant": [{"actor": {"reference": "Patient/p"}}, {"actor": {"reference": "Patient/q"}}],
            },
            "goes",
        ),
    ],
)
def test_whose_days_a_date_moves_by(resource: dict[str, Any], moves: str) -> None:
    """Dates that nobody's days fit would tell those of the patient beside them."""
    found, _ = made(unchecked(), resource)

    stays = "2020-01-01" in json.dumps(found) or "1970-01-01" in json.dumps(found)
    years = re.findall(r'"(?:19|20)\d\d-', json.dumps(found))
    assert (stays, bool(years)) == {"stays": (True, True), "moves": (False, True), "goes": (False, False)}[moves]


@pytest.mark.parametrize(
    ("value", "unit", "is_capped"), [(89, "a", False), (90, "a", True), (1080, "mo", True), (95, "d", False)]
)
def test_ages_over_89_are_told_as_90_or_more(value: int, unit: str, is_capped: bool) -> None:
    age = {"value": value, "system": "http://unitsofmeasure.org", "code": unit}
    capped = {"value": 90, "comparator": ">=", "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}
    resource = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}, "onsetAge": age}

    found, removed = made(unchecked(), resource)

    assert found["onsetAge"] == (capped if is_capped else age)
    assert removed == ({"Condition.onset": 1} if is_capped else {})
