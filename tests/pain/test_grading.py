"""The NeuPSIG grade for every combination of its inputs."""

from itertools import product

import pytest

from app.pain.diagnoses.grading import GRADES, SIGNS, TESTS, Evidence, data_needed, exceeds, grade

# Finnerup et al. 2016, as tabulated: history, distribution, signs, test -> grade; None stands for any answer.
TABLE = [
    (False, None, None, None, "unlikely"),
    (True, False, None, None, "unlikely"),
    (True, True, "not-assessed", "not-done", "possible"),
    (True, True, "not-assessed", "negative", "possible"),
    (True, True, "absent", "not-done", "possible"),
    (True, True, "absent", "negative", "possible"),
    (True, True, "not-assessed", "positive", "possible"),
    (True, True, "absent", "positive", "probable"),
    (True, True, "present", "not-done", "probable"),
    (True, True, "present", "negative", "probable"),
    (True, True, "present", "positive", "definite"),
]
ALL = [Evidence(*inputs) for inputs in product((True, False), (True, False), SIGNS, TESTS)]


def expected(evidence: Evidence) -> str:
    given = (
        evidence.history_relevant_lesion_or_disease,
        evidence.pain_distribution_neuroanatomically_plausible,
        evidence.sensory_signs_same_distribution,
        evidence.confirmatory_test,
    )
    [found] = [row[-1] for row in TABLE if all(want in (None, got) for want, got in zip(row[:-1], given, strict=True))]
    return str(found)


@pytest.mark.parametrize("evidence", ALL, ids=str)
def test_every_combination_has_the_published_grade(evidence: Evidence) -> None:
    assert grade(evidence) == expected(evidence)


def test_a_positive_test_without_a_sensory_examination_leaves_it_outstanding() -> None:
    outstanding = [one for one in ALL if data_needed(one)]

    assert outstanding == [Evidence(True, True, "not-assessed", "positive")]
    [needed] = data_needed(outstanding[0])
    assert (needed.rule, needed.missing) == ("neupsig-sensory-examination", ("sensory_signs_same_distribution",))


def test_grades_are_ordered_by_what_they_claim() -> None:
    assert [exceeds(one, "possible") for one in GRADES] == [False, False, True, True]
