"""The verdicts of the official HL7 validator on our definitions, examples and mutants, replayed without Java."""

import pytest

from app.mapping.questionnaires.questionnaire import questionnaires
from app.pain.content import load_content
from app.validation import load_validator
from tools.oracle.cases import Case, definitions_digest, own_cases
from tools.oracle.compare import Compared, Known, compare, known
from tools.oracle.mutants import mutants
from tools.oracle.mutations import KINDS
from tools.oracle.verdicts import Record, read

STALE = "the recorded verdicts are about other definitions or examples: run `make oracle`"


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [*own_cases(), *mutants()]


@pytest.fixture(scope="module")
def recorded() -> dict[str, Record]:
    return read()[1]


@pytest.fixture(scope="module")
def compared(cases: list[Case], recorded: dict[str, Record]) -> list[Compared]:
    official = {name: record.verdict for name, record in recorded.items()}
    return compare(
        [case for case in cases if case.name in official], official, load_validator(questionnaires(load_content()))
    )


def test_the_recorded_verdicts_are_about_these_very_definitions_and_cases(
    cases: list[Case], recorded: dict[str, Record]
) -> None:
    header, _ = read()

    assert header["definitions"] == definitions_digest(), STALE
    assert {case.name: case.digest for case in cases} == {name: one.digest for name, one in recorded.items()}, STALE


def test_the_official_validator_passes_our_definitions_and_valid_examples(compared: list[Compared]) -> None:
    refused = [one.case.name for one in compared if one.case.group in ("definition", "valid") and one.official.errors]

    assert refused == []


def test_every_verdict_agrees_but_for_the_known_differences(compared: list[Compared]) -> None:
    reasons = known()

    new = [(one.case.name, one.cause) for one in compared if not one.agrees and not _is_known(one, reasons)]

    assert new == []


def test_every_known_difference_still_occurs(compared: list[Compared]) -> None:
    differing = [one for one in compared if not one.agrees]

    stale = [each.reason for each in known() if not any(each.covers(one) for one in differing)]

    assert stale == []


def test_nine_in_ten_refusals_name_a_place_the_official_validator_names(compared: list[Compared]) -> None:
    refused = [one for one in compared if one.same_verdict and one.errors]

    assert sum(one.has_same_path for one in refused) >= 0.9 * len(refused)


def test_mutants_of_every_kind_are_accepted_and_refused(cases: list[Case], recorded: dict[str, Record]) -> None:
    made = [case for case in cases if case.group == "mutant"]
    names = {case.name.partition(": ")[2] for case in made}
    verdicts = {recorded[case.name].verdict.is_valid for case in made}

    assert [kind for kind in KINDS if not any(name.startswith(kind) for name in names)] == []
    assert verdicts == {True, False}
    assert len(made) > 1000


@pytest.mark.parametrize(
    ("group", "change", "is_stale"),
    [
        ("valid", {"title": "Another plan"}, True),
        ("mutant", {"status": "unknown"}, True),
        ("definition", {"status": "unknown"}, True),
        ("definition", {"title": "Another title"}, False),
    ],
)
def test_a_changed_resource_is_no_longer_the_recorded_one(
    cases: list[Case], group: str, change: dict[str, str], is_stale: bool
) -> None:
    case = next(case for case in cases if case.group == group)

    changed = case._replace(resource=case.resource | change)

    assert (changed.digest != case.digest) is is_stale


def _is_known(one: Compared, reasons: list[Known]) -> bool:
    return any(each.covers(one) for each in reasons)
