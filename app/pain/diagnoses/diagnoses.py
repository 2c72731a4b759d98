"""A diagnosis: what the clinician names, the evidence that the pain is neuropathic, and what is presumed behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from app.pain.coded import concept_view, kind_reader, site_reader, site_view, unchecked, unchecked_site
from app.pain.concepts import Concept, Identifier
from app.pain.content import Content
from app.pain.diagnoses import grading
from app.pain.diagnoses.basis import Bases, basis_reader, basis_view, cautions, steps_view
from app.pain.diagnoses.causes import (
    Etiology,
    Mechanism,
    etiology_reader,
    etiology_view,
    mechanism_reader,
    mechanism_view,
)
from app.pain.diagnoses.codes import code_notes, code_reader, refuse_both_pains, refuse_too_early, site_notes
from app.pain.diagnoses.grading import Evidence, Grade
from app.pain.diagnoses.refractory import Refractory, refractory_notes, refractory_reader, refractory_view
from app.pain.instruments.assessments import patient_view
from app.pain.reading import (
    Place,
    Reader,
    boolean,
    choice,
    earliest,
    fields,
    listed,
    past_date,
    past_moment,
    patient,
    reference,
    several,
)

RECORDERS = ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """code: as posted, in that order.  is_other_pain: whether it names a pain that is not neuropathic by definition.
    basis: what the inputs of the grade rest on.  onset: a date, perhaps only its year or month.  asserted_grade: as
    stated by the clinician, only where it is below what the evidence supports.  recorded_at: when it was recorded, the
    moment of receipt unless stated; graded_at: when it was graded, where that is another moment.  dermatomes, nerves:
    what else is known of the distribution."""

    patient: str | Identifier
    code: Concept
    evidence: Evidence
    recorded_at: str
    onset: str | None = None
    distribution: str | None = None
    body_site: Concept | None = None
    laterality: str | None = None
    etiology_class: str | None = None
    mechanisms: tuple[Mechanism, ...] = ()
    etiology: Etiology | None = None
    dermatomes: tuple[str, ...] = ()
    nerves: tuple[Concept, ...] = ()
    sensory_profile: str | None = None
    extent: str | None = None
    refractory: Refractory | None = None
    symptoms: tuple[Concept, ...] = ()
    basis: Bases = field(default_factory=dict)
    is_other_pain: bool = False
    graded_at: str | None = None
    asserted_grade: Grade | None = None
    recorder: str | None = None
    encounter: str | None = None

    @property
    def stated_grade(self) -> Grade:
        """The grade that counts: the clinician's where it is lower than what the evidence supports."""
        return self.asserted_grade or self.supported_grade

    @property
    def supported_grade(self) -> Grade:
        """The grade that diagnosis and evidence support."""
        return grading.grade(self.evidence, is_other_pain=self.is_other_pain)


def read_diagnosis(payload: Any, content: Content, now: datetime) -> Diagnosis:
    """The diagnosis in the clinic's JSON. Raises Rejected with every problem in it.

    `grade` and `asserted_grade` are two names of what the clinician states; asserted_grade counts where both are given.
    """
    place = Place()
    readers: dict[str, Reader] = {
        "patient": patient,
        "code": code_reader(content),
        "evidence": _evidence,
        "recorded_at": past_moment(now),
        "onset": past_date(now),
        "distribution": choice(sorted(content.codes("np-distribution"))),
        "body_site": site_reader(content),
        "laterality": choice(content.sides),
        "etiology_class": choice(sorted(content.codes("np-etiology-class"))),
        "mechanisms": several(mechanism_reader(content)),
        "etiology": etiology_reader(content),
        "dermatomes": several(choice(content.diagnoses.levels)),
        "nerves": several(kind_reader(("nerve", "body site"), content)),
        "sensory_profile": choice(sorted(content.codes("np-sensory-profile"))),
        "extent": choice(sorted(content.codes("np-extent"))),
        "refractory": refractory_reader(content),
        "symptoms": several(kind_reader(("symptom", "diagnosis"), content)),
        "basis": basis_reader(content),
        "graded_at": past_moment(now),
        "grade": choice(grading.GRADES),
        "asserted_grade": choice(grading.GRADES),
        "recorder": reference(*RECORDERS),
        "encounter": reference("Encounter"),
    }
    read = fields(payload, place, readers, required=("patient", "code", "evidence"))
    _refuse_wrong_times(read, place, content, now)
    _refuse_stray_details(read, place, content)
    if read["code"]:
        refuse_both_pains(read["code"], place.at("code"), content)
        read["is_other_pain"] = content.diagnoses.is_other_pain(read["code"].codings)
    _settle_grade(read, place)
    read["recorded_at"] = read["recorded_at"] or _told(now)
    read["graded_at"] = read["graded_at"] if read["graded_at"] != read["recorded_at"] else None
    read |= {name: tuple(dict.fromkeys(read[name] or ())) for name in ("dermatomes", "nerves", "symptoms")}
    read["mechanisms"] = read["mechanisms"] or ()
    read["basis"] = read["basis"] or {}
    place.settle()
    return Diagnosis(**read)


def diagnosis_view(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis in the clinic's JSON; reading it again gives the same diagnosis."""
    view = {
        "patient": patient_view(diagnosis.patient),
        "code": concept_view(diagnosis.code),
        "evidence": evidence_view(diagnosis.evidence),
        "recorded_at": diagnosis.recorded_at,
        "onset": diagnosis.onset,
        "distribution": diagnosis.distribution,
        "body_site": site_view(diagnosis.body_site) if diagnosis.body_site else None,
        "laterality": diagnosis.laterality,
        "etiology_class": diagnosis.etiology_class,
        "mechanisms": [mechanism_view(one) for one in diagnosis.mechanisms] or None,
        "etiology": etiology_view(diagnosis.etiology) if diagnosis.etiology else None,
        "dermatomes": list(diagnosis.dermatomes) or None,
        "nerves": [site_view(one) for one in diagnosis.nerves] or None,
        "sensory_profile": diagnosis.sensory_profile,
        "extent": diagnosis.extent,
        "refractory": refractory_view(diagnosis.refractory) if diagnosis.refractory else None,
        "symptoms": [site_view(one) for one in diagnosis.symptoms] or None,
        "basis": basis_view(diagnosis.basis) or None,
        "graded_at": diagnosis.graded_at,
        "asserted_grade": diagnosis.asserted_grade,
        "recorder": diagnosis.recorder,
        "encounter": diagnosis.encounter,
    }
    return {key: value for key, value in view.items() if value is not None}


def evidence_view(evidence: Evidence) -> dict[str, bool | str]:
    return {name: getattr(evidence, name) for name in Evidence.__slots__}


def diagnosis_notes(diagnosis: Diagnosis, content: Content) -> list[str]:
    """What was accepted without being checked, and what deserves a second look."""
    notes = unchecked_site(diagnosis.body_site, "body_site", content)
    notes += site_notes(diagnosis.body_site, diagnosis.laterality)
    notes += unchecked(diagnosis.nerves, "nerves", content) + unchecked(diagnosis.symptoms, "symptoms", content)
    notes += code_notes(diagnosis.code, diagnosis.laterality, diagnosis.stated_grade, content)
    by_evidence = grading.grade(diagnosis.evidence)
    if diagnosis.is_other_pain and by_evidence != "unlikely":
        notes.append(
            "grade: the pain of this diagnosis is not neuropathic by definition, so the grade is unlikely; "
            f"the evidence was kept, by itself it would support {by_evidence}"
        )
    if diagnosis.asserted_grade:
        notes.append(f"grade: {diagnosis.asserted_grade} was stated, the evidence supports {diagnosis.supported_grade}")
    plausible = diagnosis.evidence.pain_distribution_neuroanatomically_plausible
    if plausible and diagnosis.distribution in content.diagnoses.implausible:
        notes.append(
            f"distribution: {diagnosis.distribution} is rarely neuroanatomically plausible; the evidence says it is"
        )
    notes += cautions(diagnosis.basis, diagnosis.evidence, content)
    return notes + refractory_notes(diagnosis.refractory, content)


def diagnosis_steps(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """How the grade was reached, step by step, each with what it rests on."""
    told = grading.steps(diagnosis.evidence, is_other_pain=diagnosis.is_other_pain, asserted=diagnosis.asserted_grade)
    return steps_view(told, diagnosis.basis)


def regraded(before: Diagnosis, after: Diagnosis, now: datetime) -> Diagnosis:
    """An amended diagnosis with the moment of its grade: that of before while nothing it rests on has changed, now if
    something has, unless another moment is stated."""
    rests_on = [(one.evidence, one.basis, one.is_other_pain, one.asserted_grade) for one in (before, after)]
    graded = before.graded_at or before.recorded_at
    if after.graded_at and after.graded_at != graded:
        return after
    moment = graded if rests_on[0] == rests_on[1] else _told(now)
    return replace(after, graded_at=moment if moment != after.recorded_at else None)


def _told(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="seconds")


def _evidence(value: Any, place: Place) -> Evidence | None:
    readers: dict[str, Reader] = {
        "history_relevant_lesion_or_disease": boolean,
        "pain_distribution_neuroanatomically_plausible": boolean,
        "sensory_signs_same_distribution": choice(grading.SIGNS),
        "confirmatory_test": choice(grading.TESTS),
    }
    read = fields(value, place, readers, required=tuple(readers) if isinstance(value, Mapping) else ())
    return Evidence(**read) if all(one is not None for one in read.values()) else None


def _refuse_wrong_times(read: Mapping[str, Any], place: Place, content: Content, now: datetime) -> None:
    """An onset after the diagnosis was recorded, or too shortly before for what its codes mean."""
    if not read["onset"]:
        return
    # Not stated, it is the moment of receipt, and an onset in the future is refused already.
    recorded = datetime.fromisoformat(read["recorded_at"]) if read["recorded_at"] else now
    if read["recorded_at"] and earliest(read["onset"]) > recorded.date():
        place.at("onset").refuse("business-rule", "The onset lies after the moment the diagnosis was recorded.")
    elif read["code"]:
        refuse_too_early(read["code"], read["onset"], recorded, place.at("onset"), content)


def _refuse_stray_details(read: Mapping[str, Any], place: Place, content: Content) -> None:
    """Levels and nerves say more of some distributions, and nothing of the others."""
    rules = content.diagnoses
    for name, fitting in (("dermatomes", rules.with_levels), ("nerves", rules.with_nerves)):
        if read[name] and read["distribution"] not in fitting:
            place.at(name).refuse("business-rule", f"This belongs to the distributions {listed(fitting)}.")


def _settle_grade(read: dict[str, Any], place: Place) -> None:
    """Leaves in asserted_grade what the clinician states below the evidence; what the evidence supports anyway is no
    statement of its own."""
    key = "grade" if read["asserted_grade"] is None else "asserted_grade"
    stated, read["asserted_grade"] = read[key], None
    read.pop("grade")
    if not stated or not read["evidence"]:
        return
    supported = grading.grade(read["evidence"], is_other_pain=read.get("is_other_pain", False))
    if grading.exceeds(stated, supported):
        reason = "The pain of this diagnosis is not neuropathic by definition" if read.get("is_other_pain") else ""
        told = f"{reason}: the grade is {supported}" if reason else f"The evidence supports the grade {supported}"
        place.at(key).refuse("business-rule", f"{told}, not {stated}.")
    read["asserted_grade"] = stated if stated != supported else None
