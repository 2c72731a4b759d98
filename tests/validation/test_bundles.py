"""References between the entries of a Bundle, and what documents and messages must hold (R4 section 2.36.4)."""

from typing import Any

import pytest

from app.profiles import r4
from app.terminology import load_terminology
from app.validation import Validator
from tests.validation.samples import OBSERVATION, PATIENT, changed
from tests.validation.test_profiles import element, structure

SERVER = "https://example.org/fhir"
URN = "urn:uuid:9b9d5c2a-1111-4222-8333-44445555666"
PERSON = {"resourceType": "Practitioner", "id": "3", "active": True}


def entry(resource: dict[str, Any], url: str | None = None) -> dict[str, Any]:
    address = f"{SERVER}/{resource['resourceType']}/{resource.get('id')}"
    return {"fullUrl": url or address, "resource": resource}


def bundle(kind: str, *entries: dict[str, Any], **rest: Any) -> dict[str, Any]:
    needed: dict[str, Any] = {}
    if kind == "document":
        needed = {
            "identifier": {"system": f"{SERVER}/documents", "value": "1"},
            "timestamp": "2026-05-01T10:00:00Z",
        }
    if kind in ("transaction", "batch"):
        entries = tuple(each | {"request": {"method": "PUT", "url": "Patient/12"}} for each in entries)
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)} | needed | rest


def referring(reference: str) -> dict[str, Any]:
    return changed(OBSERVATION, "subject", {"reference": reference})


def composition(**rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Composition",
        "id": "1",
        "text": PATIENT["text"],
        "status": "final",
        "type": {"text": "Report"},
        "date": "2026-05-01",
        "author": [{"reference": "Practitioner/3"}],
        "title": "Report",
    } | rest


def told(validator: Validator, resource: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each.severity, each.rule, each.expression) for each in validator.check(resource) if "dmt-" in each.rule]


SUBJECT = "Bundle.entry[0].resource.subject"


@pytest.mark.parametrize("kind", ["collection", "transaction", "searchset"])
@pytest.mark.parametrize(
    ("reference", "url", "expected"),
    [
        ("Patient/12", None, []),
        (f"{SERVER}/Patient/12", None, []),
        (f"{URN}1", f"{URN}1", []),
        (f"{URN}2", f"{URN}1", [("warning", "dmt-reference-entry", SUBJECT)]),
        ("Patient/12", "https://elsewhere.org/Patient/12", [("warning", "dmt-reference-full-url", SUBJECT)]),
        ("Patient/13", None, []),
        ("Patient/12/_history/2", None, [("warning", "dmt-reference-full-url", SUBJECT)]),
    ],
)
def test_a_reference_is_looked_for_among_the_entries(
    validator: Validator, kind: str, reference: str, url: str | None, expected: list[Any]
) -> None:
    both = bundle(kind, entry(referring(reference)), entry(PATIENT, url))

    assert [each for each in told(validator, both) if "reference" in each[1]] == expected


@pytest.mark.parametrize("reference", [f"{URN}1", f"{SERVER}/Practitioner/3"])
def test_the_type_of_what_is_found_counts(validator: Validator, reference: str) -> None:
    url = reference if reference.startswith("urn:") else None
    both = bundle("collection", entry(referring(reference)), entry(PERSON, url))

    assert ("error", "dmt-reference-type", SUBJECT) in told(validator, both)


@pytest.mark.parametrize(
    ("type_", "expected"),
    [("Patient", []), ("Practitioner", ["dmt-reference-stated"]), ("Unheard", ["dmt-reference-stated"])],
)
def test_the_stated_type_must_fit(validator: Validator, type_: str, expected: list[str]) -> None:
    stated = changed(OBSERVATION, "subject.type", type_)

    assert [rule for _, rule, _ in told(validator, stated) if rule == "dmt-reference-stated"] == expected


@pytest.mark.parametrize(("kind", "is_allowed"), [("transaction", True), ("collection", False)])
def test_conditional_references_belong_into_transactions(validator: Validator, kind: str, is_allowed: bool) -> None:
    only = bundle(kind, entry(referring("Patient?identifier=x")))

    assert ("dmt-reference-form" not in [rule for _, rule, _ in told(validator, only)]) is is_allowed


@pytest.mark.parametrize(
    ("kind", "url", "resource", "rule"),
    [
        ("collection", f"{SERVER}/Patient/13", PATIENT, "dmt-full-url-id"),
        ("collection", f"{SERVER}/Practitioner/12", PATIENT, "dmt-full-url-id"),
        ("collection", f"{SERVER}/Patient/12", changed(PATIENT, "id", None), "dmt-full-url-id"),
        ("transaction", f"{SERVER}/Patient/12", changed(PATIENT, "id", None), ""),
        ("collection", f"{SERVER}/Patient/12/_history/1", PATIENT, "dmt-full-url-version"),
        ("collection", "Patient/12", PATIENT, "dmt-full-url-absolute"),
        ("collection", "https://example.org/not/a/type", PATIENT, ""),
        ("collection", f"{URN}1", PATIENT, ""),
    ],
)
def test_a_full_url_fits_its_resource(
    validator: Validator, kind: str, url: str, resource: dict[str, Any], rule: str
) -> None:
    rules = [each for _, each, _ in told(validator, bundle(kind, entry(resource, url))) if "full-url" in each]

    assert rules == ([rule] if rule else [])


@pytest.mark.parametrize("kind", ["collection", "searchset", "history"])
def test_entries_need_a_full_url_where_they_are_found_by_it(validator: Validator, kind: str) -> None:
    rules = [rule for _, rule, _ in told(validator, bundle(kind, {"resource": PATIENT}))]

    assert "dmt-full-url-missing" in rules


def test_a_document_that_holds_all_it_refers_to_is_fine(validator: Validator) -> None:
    section = {"title": "Pain", "section": [{"title": "Inner", "entry": [{"reference": "Observation/nrs-1"}]}]}
    first = composition(subject={"reference": "Patient/12"}, section=[section | {"text": PATIENT["text"]}])
    document = bundle("document", entry(first), entry(PATIENT), entry(PERSON), entry(OBSERVATION))

    assert [each for each in validator.check(document) if each.is_error] == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("subject", {"reference": "Patient/99"}),
        ("encounter", {"reference": f"{URN}9"}),
        ("attester[0].party", {"reference": "Patient/99"}),
        ("event[0].detail[0]", {"reference": "Procedure/99"}),
        ("section[0].entry[0]", {"reference": "Observation/99"}),
        ("section[0].section[0].focus", {"reference": "Patient/99"}),
    ],
)
def test_what_a_composition_refers_to_is_in_the_document(
    validator: Validator, place: str, value: dict[str, Any]
) -> None:
    inner: Any = value
    for step in reversed(place.split(".")):
        name, _, many = step.partition("[")
        mode = {"mode": "legal"} if name == "attester" else {}
        title = {"title": "x"} if name == "section" else {}
        inner = {name: [mode | title | inner] if many and isinstance(inner, dict) else inner}
    document = bundle("document", entry(composition(**inner)), entry(PERSON))

    missing = [where for _, rule, where in told(validator, document) if rule == "dmt-document-entry"]

    assert missing == [f"Bundle.entry[0].resource.{place}"]


@pytest.mark.parametrize(("kind", "severity"), [("document", "error"), ("message", "warning")])
def test_an_entry_nothing_leads_to_is_told(validator: Validator, kind: str, severity: str) -> None:
    header = {"resourceType": "MessageHeader", "id": "1", "eventUri": f"{SERVER}/event", "source": {"endpoint": SERVER}}
    first = composition() if kind == "document" else header | {"author": {"reference": "Practitioner/3"}}
    whole = bundle(kind, entry(first), entry(PERSON), entry(PATIENT))

    orphans = [each for each in told(validator, whole) if each[1] == "dmt-document-orphan"]

    assert orphans == [(severity, "dmt-document-orphan", "Bundle.entry[2]")]


def test_in_a_document_a_look_alike_is_an_error(validator: Validator) -> None:
    first = composition(subject={"reference": "Patient/12"})
    document = bundle("document", entry(first), entry(PERSON), entry(PATIENT, f"{URN}1"))

    assert ("error", "dmt-reference-full-url", "Bundle.entry[0].resource.subject") in told(validator, document)


NAMED = structure(f"{SERVER}/StructureDefinition/named", "Patient", element("Patient.name", min=1))
ABOUT_NAMED = structure(
    f"{SERVER}/StructureDefinition/about-named",
    "Observation",
    element("Observation.subject", type=[{"code": "Reference", "targetProfile": [NAMED["url"]]}]),
)


@pytest.fixture(scope="module")
def profiled() -> Validator:
    return Validator(r4(), load_terminology(), [NAMED, ABOUT_NAMED])


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("is_contained", [True, False])
def test_a_target_must_conform_to_the_profile_asked_for(
    profiled: Validator, is_named: bool, is_contained: bool
) -> None:
    patient = PATIENT if is_named else changed(PATIENT, "name", None)
    about = OBSERVATION | {"meta": {"profile": [ABOUT_NAMED["url"]]}}
    if is_contained:
        inner = {name: value for name, value in patient.items() if name != "text"} | {"id": "p"}
        whole = changed(about, "subject", {"reference": "#p"}) | {"contained": [inner]}
    else:
        whole = bundle("collection", entry(about), entry(patient))

    broken = [each for each in profiled.check(whole) if each.rule == "dmt-reference-profile"]

    assert bool(broken) is not is_named
    assert all(each.is_error for each in broken)


@pytest.mark.parametrize("is_contained", [True, False])
def test_references_in_a_circle_are_checked_in_bounded_time(is_contained: bool) -> None:
    url = f"{SERVER}/StructureDefinition/member"
    target = [{"code": "Reference", "targetProfile": [url]}]
    profile = structure(url, "Observation", element("Observation.hasMember", type=target, min=1))
    validator = Validator(r4(), load_terminology(), [profile])
    prefix = "#o" if is_contained else "Observation/o"
    about = OBSERVATION | {"meta": {"profile": [url]}, "hasMember": [{"reference": f"{prefix}{m}"} for m in range(30)]}
    members = [about | {"id": f"o{n}"} for n in range(30)]
    inner = [{name: each for name, each in one.items() if name not in ("meta", "text")} for one in members]
    whole = about | {"contained": inner} if is_contained else bundle("collection", *[entry(each) for each in members])

    issues = validator.check(whole)

    assert [each for each in issues if each.is_error] == []
    assert validator.admits(whole) is not False
