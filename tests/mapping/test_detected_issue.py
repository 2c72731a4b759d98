"""Findings become DetectedIssues, and come back as they were told."""

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.mapping.detected_issue import detected_issues, results_of
from app.mapping.elements import Resource
from app.pain.content import load_content
from app.pain.diagnoses.grading import DataNeeded
from app.pain.rules.results import Finding, RuleResults
from app.validation import load_validator

CONTENT = load_content()
VALIDATOR = load_validator()
RULES = sorted(CONTENT.codes("np-rule"))
WORDS = st.text("abc äß.,", min_size=1, max_size=40).filter(lambda text: text.strip() == text)
FINDINGS = st.builds(
    Finding,
    rule=st.sampled_from(RULES),
    severity=st.sampled_from(["block", "warn", "info"]),
    message=WORDS,
    citation=WORDS,
    year=st.integers(1900, 2100),
    evidence=st.lists(
        st.sampled_from(["Observation/7", "activities[0]", "activities[1]", "context.egfr"]), unique=True
    ).map(tuple),
)
NEEDS = st.builds(DataNeeded, rule=st.sampled_from(RULES), missing=st.just(("egfr", "activities[0].daily_dose_mg")))
PLACES = {"activities[0]": "MedicationRequest/8"}
BLOCK = Finding("NPR06", "block", "Too much.", "Label", 2020, ("Observation/7", "activities[0]"))
NEED = DataNeeded("NPR07", ("egfr",))
FIRST, LATER = "2026-05-01T07:30:00Z", "2026-06-01T07:30:00Z"


def issues(
    results: RuleResults, at: str = FIRST, previous: list[Resource] | None = None, **given: str
) -> list[Resource]:
    return detected_issues(
        results,
        CONTENT,
        patient_ref="Patient/12",
        implicated=["CarePlan/7"],
        identified=at,
        override=given,
        previous=previous or [],
        places=PLACES,
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(FINDINGS, max_size=4, unique_by=lambda one: one.rule),
    st.lists(NEEDS, max_size=3, unique_by=lambda one: one.rule),
)
def test_what_is_written_conforms_and_reads_back_as_it_was_told(
    findings: list[Finding], needs: list[DataNeeded]
) -> None:
    results = RuleResults(tuple(findings), tuple(needs))

    made = issues(results, NPR06="reason")

    back = results_of(made, CONTENT)
    assert back.findings == tuple(sorted(findings, key=lambda one: one.rule))
    assert back.data_needed == tuple(sorted(needs, key=lambda one: one.rule))
    assert [issue for one in made for issue in VALIDATOR.check(one) if issue.is_error] == []


def test_the_record_is_implicated_first_and_what_raised_the_rule_after_it() -> None:
    [one] = issues(RuleResults((BLOCK,)))

    links = [each["reference"] for each in one["implicated"]]
    assert links == ["CarePlan/7", "Observation/7", "MedicationRequest/8"]
    assert (one["status"], one["severity"]) == ("final", "high")


def test_the_same_judgement_again_changes_nothing() -> None:
    before = issues(RuleResults((BLOCK,), (NEED,)), NPR06="reason")

    assert issues(RuleResults((BLOCK,), (NEED,)), LATER, deepcopy(before), NPR06="reason") == before


def test_another_judgement_is_the_same_issue_at_another_time() -> None:
    [raised, lacking] = issues(RuleResults((BLOCK,), (NEED,)), NPR06="reason")

    [settled, cancelled] = issues(
        RuleResults((Finding("NPR07", "warn", "Avoid.", "Label", 2020),)), LATER, [raised, lacking]
    )

    assert (settled["id"], settled["status"], settled["identifiedDateTime"]) == (lacking["id"], "final", LATER)
    assert cancelled == raised | {"status": "cancelled"}
    assert results_of([settled, cancelled], CONTENT).findings[0].rule == "NPR07"


def test_two_findings_of_one_rule_stay_apart() -> None:
    both = RuleResults((BLOCK, Finding("NPR06", "warn", "Rather much.", "Label", 2020)))
    first = issues(both)

    again = issues(both, LATER, list(reversed(first)))

    assert len({one["id"] for one in first}) == 2
    assert again == first


def test_what_others_have_added_stays_and_our_reason_follows_the_plan() -> None:
    [one] = issues(RuleResults((BLOCK,)), NPR06="reason")
    theirs: dict[str, Any] = {"action": {"text": "dialysis arranged"}, "author": {"reference": "Practitioner/1"}}
    added = {"url": "https://example.org/reviewed", "valueBoolean": True}
    one |= {"author": {"reference": "Device/1"}, "mitigation": [*one["mitigation"], theirs]}
    one["extension"] = [*one["extension"], added]

    [after] = issues(RuleResults((BLOCK,)), LATER, [one])

    assert after["mitigation"] == [theirs]
    assert after["author"] == {"reference": "Device/1"}
    assert added in after["extension"]


def test_what_others_call_an_error_is_judged_anew_where_the_rule_still_holds() -> None:
    [one] = issues(RuleResults((BLOCK,)))
    wrong = one | {"status": "entered-in-error"}

    [raised] = issues(RuleResults((BLOCK,)), LATER, [wrong])
    [left] = issues(RuleResults(), LATER, [wrong])

    assert (raised["id"], raised["status"]) == (one["id"], "final")
    assert left == wrong
