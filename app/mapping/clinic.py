"""The three records of the clinic API, each with how it is read, mapped there and back, and told.

Everything that treats the three alike (the router, the tests) goes through this table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.mapping.careplan import amend_plan, plan_from_fhir, plan_to_fhir
from app.mapping.condition import amend_diagnosis, codings_of, diagnosis_from_fhir, diagnosis_to_fhir
from app.mapping.elements import Resource
from app.mapping.observation import amend_assessment, assessment_from_fhir, assessment_to_fhir
from app.mapping.revision import changed_elsewhere, merged
from app.pain.assessments import Assessment, assessment_notes, assessment_view, read_assessment
from app.pain.content import Content
from app.pain.diagnoses import Diagnosis, diagnosis_notes, diagnosis_view, read_diagnosis
from app.pain.grading import data_needed, grade, needs_view
from app.pain.scoring import score, scores_view
from app.pain.treatments import TreatmentPlan, plan_notes, plan_view, read_plan

Clinical = Assessment | Diagnosis | TreatmentPlan
Ids = Callable[[], str]
_STATUS = ("status", "clinical_status", "verification_status")
_COMPUTED = ("id", "resources", "findings", "data_needed", "notes", *_STATUS)


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the three records.

    name: as in the address. title: one of them, in a sentence. anchor: type of the resource whose id is the record's.
    to_fhir(clinical, content, patient_ref, ids, previous): the resources, anchor first; previous: those whose ids
        stay, so that the same item or activity is the same resource.
    computed: what GET tells besides the record itself; sent back with an amendment it is not read.
    points_back: type of the resources that belong to the record by derived-from; the others the anchor refers to.
    kept: what stays as it was recorded when an amendment does not say otherwise.
    results(clinical, content, resources): what the answer tells besides id and resources.
    """

    name: str
    title: str
    anchor: str
    read: Callable[[Any, Content, datetime], Any]
    to_fhir: Callable[[Any, Content, str, Ids, Sequence[Resource]], list[Resource]]
    from_fhir: Callable[[Sequence[Resource], Content], Any]
    view: Callable[[Any, Content], dict[str, Any]]
    results: Callable[[Any, Content, Sequence[Resource]], dict[str, Any]]
    points_back: str = ""
    kept: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()

    def amend(
        self, one: Any, content: Content, patient_ref: str, ids: Ids, previous: Sequence[Resource]
    ) -> list[Resource]:
        """The next versions of a record's resources, with what others have changed in them; unchanged ones too."""
        base = self.to_fhir(self.from_fhir(previous, content), content, patient_ref, ids, previous)
        return merged(previous, base, self.to_fhir(one, content, patient_ref, ids, previous))

    def changed_elsewhere(self, content: Content, patient_ref: str, resources: Sequence[Resource]) -> list[str]:
        """What others have changed in the record through FHIR since the clinic API wrote it."""
        own = self.from_fhir(resources, content)
        return changed_elsewhere(resources, self.to_fhir(own, content, patient_ref, lambda: "unknown", resources))


def _assessment(
    one: Assessment, content: Content, patient_ref: str, ids: Ids, previous: Sequence[Resource]
) -> list[Resource]:
    scores = score(content.instruments[one.instrument], one.answers)
    if previous:
        return amend_assessment(previous, one, scores, content, patient_ref=patient_ref, ids=ids)
    return assessment_to_fhir(one, scores, content, patient_ref=patient_ref, ids=ids)


def _diagnosis(
    one: Diagnosis, content: Content, patient_ref: str, ids: Ids, previous: Sequence[Resource]
) -> list[Resource]:
    if previous:
        return amend_diagnosis(previous, one, content, patient_ref=patient_ref, ids=ids)
    return diagnosis_to_fhir(one, content, patient_ref=patient_ref, ids=ids)


def _plan(
    one: TreatmentPlan, content: Content, patient_ref: str, ids: Ids, previous: Sequence[Resource]
) -> list[Resource]:
    if previous:
        return amend_plan(previous, one, content, patient_ref=patient_ref, ids=ids)
    return plan_to_fhir(one, content, patient_ref=patient_ref, ids=ids)


def _assessment_results(one: Assessment, content: Content, _: Sequence[Resource]) -> dict[str, Any]:
    scores = score(content.instruments[one.instrument], one.answers)
    return {
        "scores": scores_view(scores),
        "findings": [],
        "data_needed": [],
        "notes": assessment_notes(one, content),
    }


def _diagnosis_results(one: Diagnosis, content: Content, resources: Sequence[Resource]) -> dict[str, Any]:
    return {
        "grade": grade(one.evidence),
        "codings": codings_of(resources),
        "findings": [],
        "data_needed": needs_view(data_needed(one.evidence)),
        "notes": diagnosis_notes(one, content),
    }


def _plan_results(one: TreatmentPlan, content: Content, _: Sequence[Resource]) -> dict[str, Any]:
    # rules_checked says that no guideline rule has run: no finding is not the same as nothing found.
    return {"findings": [], "data_needed": [], "rules_checked": [], "notes": plan_notes(one, content)}


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "assessments",
            "an assessment",
            "QuestionnaireResponse",
            read_assessment,
            _assessment,
            assessment_from_fhir,
            lambda one, _: assessment_view(one),
            _assessment_results,
            points_back="Observation",
            computed=(*_COMPUTED, "scores"),
        ),
        Kind(
            "diagnoses",
            "a diagnosis",
            "Condition",
            read_diagnosis,
            _diagnosis,
            diagnosis_from_fhir,
            lambda one, _: diagnosis_view(one),
            _diagnosis_results,
            kept=("recorded_at",),
            computed=(*_COMPUTED, "codings"),
        ),
        Kind(
            "treatment-plans",
            "a treatment plan",
            "CarePlan",
            read_plan,
            _plan,
            plan_from_fhir,
            plan_view,
            _plan_results,
            computed=(*_COMPUTED, "rules_checked"),
        ),
    )
}
