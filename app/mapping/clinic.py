"""The records of the clinic API, each with how it is read, mapped there and back, and told.

Everything that treats them alike (the router, the tests) goes through this table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.mapping.careplans.careplan import amend_plan, plan_from_fhir, plan_to_fhir
from app.mapping.conditions.condition import amend_diagnosis, codings_of, diagnosis_from_fhir, diagnosis_to_fhir
from app.mapping.detected_issue import TYPE as ISSUE
from app.mapping.elements import Resource
from app.mapping.judging import ASSESSMENTS, PLANS, Judging
from app.mapping.questionnaires.observation import amend_assessment, assessment_from_fhir, assessment_to_fhir
from app.mapping.reports.report import amend_examination, examination_from_fhir, examination_to_fhir
from app.mapping.revision import changed_elsewhere, merged
from app.pain.content import Content
from app.pain.diagnoses.codings import near_codings
from app.pain.diagnoses.diagnoses import (
    Diagnosis,
    diagnosis_notes,
    diagnosis_steps,
    diagnosis_view,
    read_diagnosis,
    regraded,
)
from app.pain.diagnoses.grading import data_needed, needs_view
from app.pain.examinations.examinations import (
    Examination,
    examination_notes,
    examination_view,
    interpretations_view,
    read_examination,
)
from app.pain.instruments.assessments import Assessment, assessment_notes, assessment_view, read_assessment
from app.pain.instruments.scoring import score, scores_view
from app.pain.plans.treatments import TreatmentPlan, plan_notes, plan_view, read_plan
from app.terminology.unit_conversion import exactly

Clinical = Assessment | Diagnosis | TreatmentPlan | Examination
Ids = Callable[[], str]
_STATUS = ("status", "clinical_status", "verification_status")
_COMPUTED = ("id", "resources", "findings", "data_needed", "notes", *_STATUS)
_ISSUES = (ISSUE, "implicated")


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the records.

    name: as in the address. title: one of them, in a sentence. anchor: type of the resource whose id is the record's.
    to_fhir(clinical, content, patient_ref, ids, previous): the resources, anchor first; previous: those whose ids
        stay, so that the same item or activity is the same resource.
    computed: what GET tells besides the record itself; sent back with an amendment it is not read.
    points_back: (type, search parameter) of the resources that belong to the record by naming its anchor; the others
        the anchor refers to.
    kept: what stays as it was recorded when an amendment does not say otherwise.
    settled(before, after, now): an amended record with what depends on what was changed in it.
    results(clinical, content, resources): what the answer tells besides id, resources and what the rules say.
    judging: how the rules judge it; what they say stands beside the record, as DetectedIssues.
    """

    name: str
    title: str
    anchor: str
    read: Callable[[Any, Content, datetime], Any]
    to_fhir: Callable[[Any, Content, str, Ids, Sequence[Resource]], list[Resource]]
    from_fhir: Callable[[Sequence[Resource], Content], Any]
    view: Callable[[Any, Content], dict[str, Any]]
    results: Callable[[Any, Content, Sequence[Resource]], dict[str, Any]]
    points_back: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()
    settled: Callable[[Any, Any, datetime], Any] = lambda before, after, now: after
    computed: tuple[str, ...] = ()
    judging: Judging | None = None

    def amend(
        self, one: Any, content: Content, patient_ref: str, ids: Ids, previous: Sequence[Resource]
    ) -> list[Resource]:
        """The next versions of a record's resources, with what others have changed in them; unchanged ones too."""
        own = self.from_fhir(previous, content)
        # By FHIR a record can be given to another patient: what was written is about the one it had.
        base = self.to_fhir(own, content, str(own.patient), ids, previous)
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


def _examination(
    one: Examination, content: Content, patient_ref: str, ids: Ids, previous: Sequence[Resource]
) -> list[Resource]:
    if previous:
        return amend_examination(previous, one, content, patient_ref=patient_ref, ids=ids)
    return examination_to_fhir(one, content, patient_ref=patient_ref, ids=ids)


def _assessment_results(one: Assessment, content: Content, _: Sequence[Resource]) -> dict[str, Any]:
    scores = score(content.instruments[one.instrument], one.answers)
    return {
        "scores": scores_view(scores),
        "notes": assessment_notes(one, content),
    }


def _diagnosis_results(one: Diagnosis, content: Content, resources: Sequence[Resource]) -> dict[str, Any]:
    return {
        "grade": one.supported_grade,
        "steps": diagnosis_steps(one),
        "codings": codings_of(resources, content),
        "suggestions": near_codings(one, content),
        "findings": [],
        "data_needed": needs_view(data_needed(one.evidence, is_other_pain=one.is_other_pain)),
        "notes": diagnosis_notes(one, content),
    }


def _plan_results(one: TreatmentPlan, content: Content, _: Sequence[Resource]) -> dict[str, Any]:
    # Without rules checked no finding is not the same as nothing found: others may have written the plan.
    checked = one.checked.rules if one.checked else ()
    return {"rules_checked": list(checked), "notes": plan_notes(one, content)}


def _examination_results(one: Examination, content: Content, _: Sequence[Resource]) -> dict[str, Any]:
    return {
        "interpretations": interpretations_view(one, content),
        "findings": [],
        "data_needed": [],
        "notes": examination_notes(one, content),
    }


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
            points_back=(("Observation", "derived-from"), _ISSUES),
            computed=(*_COMPUTED, "scores"),
            judging=ASSESSMENTS,
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
            computed=(*_COMPUTED, "codings", "steps", "suggestions"),
            settled=regraded,
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
            points_back=(_ISSUES,),
            computed=(*_COMPUTED, "rules_checked"),
            judging=PLANS,
        ),
        Kind(
            "examinations",
            "an examination",
            "DiagnosticReport",
            lambda payload, content, now: read_examination(payload, content, now, exactly),
            _examination,
            examination_from_fhir,
            examination_view,
            _examination_results,
            computed=(*_COMPUTED, "interpretations"),
        ),
    )
}
