"""The parameters of an export: what each means, and that what cannot be used is told, all of it."""

from dataclasses import replace
from typing import Any

import pytest

from app.export.asked import Asked
from app.export.kickoff import Kickoff, Value, flaw, read
from app.fhir.compartments import compartments
from app.fhir.instants import period
from app.fhir.outcomes import Issue, Refused
from tests.store.searching import searcher

SEARCHER = searcher()
NOW = period("2026-05-01T12:00:00Z")[0]
SYSTEM = Kickoff("system", "http://x/fhir/$export", "http://x/fhir", NOW, has_key=True)
PATIENT, GROUP = replace(SYSTEM, level="patient"), replace(SYSTEM, level="group", group="g")
MEMBERS = tuple(sorted(compartments()["Patient"].keys() - {"AuditEvent"}))


def reading(kickoff: Kickoff = SYSTEM, **given: Any) -> Asked:
    """What these parameters ask for; a list for one that is repeated."""
    values = {
        name: [Value(each, name) for each in (value if isinstance(value, list) else [value])]
        for name, value in given.items()
    }
    return read(kickoff, SEARCHER, values, [])


def refused(kickoff: Kickoff = SYSTEM, **given: Any) -> list[tuple[str, str]]:
    """The parameter and the sentence of each issue."""
    with pytest.raises(Refused) as found:
        reading(kickoff, **given)
    return [(each.expression, each.diagnostics) for each in found.value.issues]


@pytest.mark.parametrize(
    ("kickoff", "given", "field", "value"),
    [
        (SYSTEM, {}, "types", tuple(SEARCHER.parameters.types)),
        (PATIENT, {}, "types", MEMBERS),
        (GROUP, {}, "types", MEMBERS),
        (GROUP, {}, "group", "g"),
        (SYSTEM, {"_type": "Patient,Observation"}, "types", ("Observation", "Patient")),
        (SYSTEM, {"_type": ["Patient", "Patient, Group"]}, "types", ("Group", "Patient")),
        (SYSTEM, {"_since": "2026-05-01T12:00:00Z"}, "since", NOW),
        (SYSTEM, {"_since": "2026-05-01T14:00:00.000+02:00"}, "since", NOW),
        (SYSTEM, {"_until": "2026-05-02T12:00:00Z"}, "until", NOW + 86_400_000_000),
        (SYSTEM, {"_outputFormat": "application/fhir+ndjson"}, "format", "ndjson"),
        (SYSTEM, {"_outputFormat": "application/fhir ndjson"}, "format", "ndjson"),
        (SYSTEM, {"_outputFormat": "ndjson"}, "format", "ndjson"),
        (SYSTEM, {"_elements": "id,Patient.name", "_type": "Patient"}, "elements", {"": ("id",), "Patient": ("name",)}),
        (
            SYSTEM,
            {"_typeFilter": "Observation?category=a%2Cb&status=final,Patient?gender=female"},
            "filters",
            {"Observation": ("category=a%2Cb&status=final",), "Patient": ("gender=female",)},
        ),
        (
            SYSTEM,
            {"_typeFilter": ["Condition?code=a", "Condition?code=b"]},
            "filters",
            {"Condition": ("code=a", "code=b")},
        ),
        (
            PATIENT,
            {"patient": [{"reference": "Patient/1"}, {"reference": "http://x/fhir/Patient/2"}]},
            "patients",
            ("1", "2"),
        ),
        (PATIENT, {"organizeOutputBy": "Patient"}, "organize_by", "Patient"),
        (SYSTEM, {"includeAssociatedData": "LatestProvenanceResources"}, "associated", ("LatestProvenanceResources",)),
        (
            SYSTEM,
            {"includeAssociatedData": "LatestProvenanceResources,RelevantProvenanceResources"},
            "associated",
            ("RelevantProvenanceResources",),
        ),
        (
            SYSTEM,
            {"includeAssociatedData": "RelevantProvenanceResources", "_type": "Patient"},
            "types",
            ("Patient", "Provenance"),
        ),
        (SYSTEM, {"_pseudonymise": True}, "pseudonymised", True),
        (SYSTEM, {"_pseudonymise": False}, "pseudonymised", False),
        (SYSTEM, {"allowPartialManifests": True}, "ignored", ()),
    ],
)
def test_a_parameter_asks_for(kickoff: Kickoff, given: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(reading(kickoff, **given), field) == value


@pytest.mark.parametrize(
    ("kickoff", "given", "told"),
    [
        (SYSTEM, {"_type": "Patient,Paitent"}, "Paitent is no R4 resource type"),
        (SYSTEM, {"_since": "2026-05-01T12:00:00.001Z"}, "lies in the future"),
        (SYSTEM, {"_since": "0001-01-01T00:00:00+14:00"}, "cannot be reckoned with"),
        (SYSTEM, {"_since": "2026-05-01T00:00:00Z", "_until": "2026-05-01T00:00:00Z"}, "later than _since"),
        (SYSTEM, {"_typeFilter": "Observation?colour=red"}, "colour is not served for Observation"),
        (SYSTEM, {"_typeFilter": "Observation?date=yesterday"}, "Search parameter date"),
        (SYSTEM, {"_typeFilter": "Observation?code=a,b"}, "a comma inside a search is written %2C"),
        (SYSTEM, {"_typeFilter": "Observation"}, "takes searches such as"),
        (SYSTEM, {"_typeFilter": "Observation?code=a&_include=*"}, "_include shapes an answer"),
        (SYSTEM, {"_typeFilter": "Observation?code=a", "_type": "Patient"}, "not among the types exported"),
        (SYSTEM, {"_elements": "Patient.nmae", "_type": "Patient"}, "Patient.nmae"),
        (SYSTEM, {"organizeOutputBy": "Patient"}, "by [base]/Patient/$export"),
        (PATIENT, {"organizeOutputBy": "Encounter"}, "organised by Patient"),
        (SYSTEM, {"includeAssociatedData": "_all"}, "takes LatestProvenanceResources"),
    ],
)
def test_what_cannot_be_used_is_refused_unless_the_client_is_lenient_and_then_told(
    kickoff: Kickoff, given: dict[str, Any], told: str
) -> None:
    issues = refused(kickoff, **given)
    lenient = reading(replace(kickoff, is_lenient=True), **given)

    assert len(issues) == 1
    assert issues[0][0] in given
    assert told in issues[0][1]
    assert [issues[0][1]] == [each.removesuffix(" It is left out.") for each in lenient.ignored]


@pytest.mark.parametrize(
    ("kickoff", "given", "told"),
    [
        (SYSTEM, {"_outputFormat": "application/fhir+xml"}, "application/fhir+ndjson only"),
        (PATIENT, {"patient": {"reference": "Patient/1/_history/2"}}, "references to patients"),
        (PATIENT, {"patient": {"reference": "Group/1"}}, "references to patients"),
        (PATIENT, {"patient": {"identifier": {"value": "1"}}}, "references to patients"),
        (PATIENT, {"patient": {"reference": "http://other/fhir/Patient/1"}}, "references to patients"),
        (replace(SYSTEM, has_key=False), {"_pseudonymise": True}, "DERMATOME_SECRET_PSEUDONYMS"),
        (PATIENT, {"_type": "Organization"}, "None of the types"),
    ],
)
def test_what_decides_who_is_shown_is_never_left_out(kickoff: Kickoff, given: dict[str, Any], told: str) -> None:
    issues = refused(replace(kickoff, is_lenient=True), **given)

    assert told in issues[-1][1]
    assert len(issues) == 1


def test_types_in_no_compartment_are_told_and_left_out() -> None:
    """Clients ask for all the types they know; to ask for such types only is an error (Bulk Data Access 3.0.0)."""
    found = reading(GROUP, _type="Patient,Organization")

    assert found.types == ("Patient",)
    assert ["Organization is in no patient's compartment" in each for each in found.ignored] == [True]


def test_every_problem_is_told_at_once() -> None:
    found = refused(
        _type="A,B,Patient", _since="2027-01-01T00:00:00Z", _elements="x", organizeOutputBy="x", _outputFormat="csv"
    )

    assert [name for name, _ in found] == ["_type", "_type", "_since", "_outputFormat", "_elements", "organizeOutputBy"]


def test_flaws_found_before_are_told_with_the_others() -> None:
    before = [flaw("_sicne", Issue("not-supported", "no such parameter", "_sicne"))]

    with pytest.raises(Refused) as found:
        read(SYSTEM, SEARCHER, {"_type": [Value("A", "_type"), Value("Patient", "_type")]}, before)
    lenient = read(replace(SYSTEM, is_lenient=True), SEARCHER, {}, before)

    assert [each.expression for each in found.value.issues] == ["_sicne", "_type"]
    assert len(lenient.ignored) == 1


def test_one_search_of_a_type_that_cannot_be_used_takes_the_others_of_the_type_with_it() -> None:
    """They are alternatives: without one of them less would be exported than was asked for, not more."""
    given = "Observation?code=a,Observation?colour=red,Patient?gender=male"

    found = reading(replace(SYSTEM, is_lenient=True), _typeFilter=given)

    assert found.filters == {"Patient": ("gender=male",)}


def test_what_is_asked_for_comes_back_from_its_text() -> None:
    given: dict[str, Any] = {"_type": "Patient,Observation", "_typeFilter": "Patient?name=Zoë", "_elements": "id"}
    found = replace(reading(**given), views=(("a", "{}"),), ignored=("x",))

    assert Asked.parse(found.text) == found
