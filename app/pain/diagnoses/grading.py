"""How certain it is that a pain is neuropathic: the NeuPSIG grading system of 2016.

Source: Finnerup NB et al. Neuropathic pain: an updated grading system for research and clinical practice.
Pain 2016;157:1599-1606, doi:10.1097/j.pain.0000000000000492 (flow chart and footnotes).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

Grade = Literal["unlikely", "possible", "probable", "definite"]
Signs = Literal["present", "absent", "not-assessed"]
Test = Literal["positive", "negative", "not-done"]

GRADES: tuple[Grade, ...] = ("unlikely", "possible", "probable", "definite")
SIGNS: tuple[Signs, ...] = ("present", "absent", "not-assessed")
TESTS: tuple[Test, ...] = ("positive", "negative", "not-done")
# The step that comes before all others where a diagnosis settles the question by itself.
OTHER_PAIN = "not_neuropathic_by_definition"
_STEPS = ("history", "distribution", "signs", "test")

# Relevant history and plausible distribution given: (signs, is the test positive) -> grade.
# Footnote c: signs may be hard to demonstrate although the lesion is confirmed, hence absent + positive is probable.
# It presumes an attempted examination: without one a positive test does not lift the grade (product policy).
_GRADE: dict[tuple[Signs, bool], Grade] = {
    ("present", True): "definite",
    ("present", False): "probable",
    ("absent", True): "probable",
    ("absent", False): "possible",
    ("not-assessed", True): "possible",
    ("not-assessed", False): "possible",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The four inputs of the grading, by the names the clinic uses."""

    history_relevant_lesion_or_disease: bool
    pain_distribution_neuroanatomically_plausible: bool
    sensory_signs_same_distribution: Signs
    confirmatory_test: Test


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the grading. name: as the publication has it; input: the name of what is asked; reached: the grade
    after this step, None as long as there is none."""

    name: str
    input: str
    value: bool | str
    reached: Grade | None


@dataclass(frozen=True, slots=True)
class DataNeeded:
    """A rule that could not be settled, and the facts it lacks."""

    rule: str
    missing: tuple[str, ...]


def grade(evidence: Evidence, *, is_other_pain: bool = False) -> Grade:
    """The grade the evidence supports. No screening score enters it.

    is_other_pain: the diagnosis is of a pain that is not neuropathic by definition, such as fibromyalgia or complex
    regional pain syndrome type I: no evidence makes it neuropathic.
    """
    is_relevant = evidence.history_relevant_lesion_or_disease and evidence.pain_distribution_neuroanatomically_plausible
    if is_other_pain or not is_relevant:
        return "unlikely"
    return _GRADE[evidence.sensory_signs_same_distribution, evidence.confirmatory_test == "positive"]


def steps(evidence: Evidence, *, is_other_pain: bool = False, asserted: Grade | None = None) -> list[Step]:
    """How the grade was reached, in the order of the flow chart; the last step reaches the grade that counts."""
    first = None if evidence.history_relevant_lesion_or_disease else grade(evidence)
    examined = replace(evidence, confirmatory_test="not-done")
    located = replace(examined, sensory_signs_same_distribution="not-assessed")
    reached = (first, grade(located), grade(examined), grade(evidence))
    taken = [
        Step(name, input_, getattr(evidence, input_), so_far)
        for name, input_, so_far in zip(_STEPS, Evidence.__slots__, reached, strict=True)
    ]
    if is_other_pain:
        taken.append(Step("definition", OTHER_PAIN, True, "unlikely"))
    return taken + ([Step("asserted", "asserted_grade", asserted, asserted)] if asserted else [])


def data_needed(evidence: Evidence, *, is_other_pain: bool = False) -> list[DataNeeded]:
    """What would settle the grade: a positive test without a sensory examination leaves one outstanding."""
    outstanding = (
        grade(evidence, is_other_pain=is_other_pain) == "possible"
        and evidence.sensory_signs_same_distribution == "not-assessed"
        and evidence.confirmatory_test == "positive"
    )
    return [DataNeeded("neupsig-sensory-examination", ("sensory_signs_same_distribution",))] if outstanding else []


def needs_view(needs: Iterable[DataNeeded]) -> list[dict[str, Any]]:
    """The outstanding facts in the clinic's JSON: [{"rule": …, "missing": […]}]."""
    return [{"rule": one.rule, "missing": list(one.missing)} for one in needs]


def exceeds(asserted: Grade, supported: Grade) -> bool:
    """Whether a grade claims more than another."""
    return GRADES.index(asserted) > GRADES.index(supported)
