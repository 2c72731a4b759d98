"""A diagnosis: what the clinician names, the evidence that the pain is neuropathic, and what is presumed behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.pain import grading
from app.pain.assessments import patient_view
from app.pain.coded import concept_view, site_reader, site_view, unchecked_site
from app.pain.concepts import Concept, Identifier
from app.pain.content import Content
from app.pain.diagnosis_codes import code_notes, code_reader, refuse_too_early
from app.pain.grading import Evidence, Grade
from app.pain.reading import (
    Place,
    Reader,
    boolean,
    choice,
    earliest,
    fields,
    past_date,
    past_moment,
    patient,
    reference,
    several,
)

RECORDERS = ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson")
EVIDENCE_OF_MECHANISM = (
    "Observation",
    "DiagnosticReport",
    "ImagingStudy",
    "Procedure",
    "QuestionnaireResponse",
    "Condition",
    "ClinicalImpression",
    "DocumentReference",
    "Media",
)


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A presumed mechanism. Mechanisms are inferred, never measured: each refers to its evidence."""

    code: str
    evidence: tuple[str, ...]
    certainty: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """code: as posted, in that order.  onset: a date, perhaps only its year or month.  asserted_grade: as stated by
    the clinician, only where it is below what the evidence supports.  recorded_at: when it was recorded, the moment of
    receipt unless stated."""

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
    asserted_grade: Grade | None = None
    recorder: str | None = None
    encounter: str | None = None

    @property
    def stated_grade(self) -> Grade:
        """The grade that counts: the clinician's where it is lower than what the evidence supports."""
        return self.asserted_grade or grading.grade(self.evidence)


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
        "mechanisms": several(_mechanism(content)),
        "grade": choice(grading.GRADES),
        "asserted_grade": choice(grading.GRADES),
        "recorder": reference(*RECORDERS),
        "encounter": reference("Encounter"),
    }
    read = fields(payload, place, readers, required=("patient", "code", "evidence"))
    _refuse_wrong_times(read, place, content, now)
    _settle_grade(read, place)
    read["recorded_at"] = read["recorded_at"] or now.astimezone(UTC).isoformat(timespec="seconds")
    read["mechanisms"] = read["mechanisms"] or ()
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
        "mechanisms": [_mechanism_view(one) for one in diagnosis.mechanisms] or None,
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
    notes += code_notes(diagnosis.code, diagnosis.laterality, diagnosis.stated_grade, content)
    if diagnosis.asserted_grade:
        supported = grading.grade(diagnosis.evidence)
        notes.append(f"grade: {diagnosis.asserted_grade} was stated, the evidence supports {supported}")
    plausible = diagnosis.evidence.pain_distribution_neuroanatomically_plausible
    if plausible and diagnosis.distribution in content.diagnoses.implausible:
        notes.append(
            f"distribution: {diagnosis.distribution} is rarely neuroanatomically plausible; the evidence says it is"
        )
    return notes


def _evidence(value: Any, place: Place) -> Evidence | None:
    readers: dict[str, Reader] = {
        "history_relevant_lesion_or_disease": boolean,
        "pain_distribution_neuroanatomically_plausible": boolean,
        "sensory_signs_same_distribution": choice(grading.SIGNS),
        "confirmatory_test": choice(grading.TESTS),
    }
    read = fields(value, place, readers, required=tuple(readers) if isinstance(value, Mapping) else ())
    return Evidence(**read) if all(one is not None for one in read.values()) else None


def _mechanism(content: Content) -> Reader:
    readers: dict[str, Reader] = {
        "code": choice(sorted(content.codes("np-mechanism"))),
        "certainty": choice(("low", "moderate", "high")),
        "evidence": several(reference(*EVIDENCE_OF_MECHANISM), at_least=1),
    }

    def read(value: Any, place: Place) -> Mechanism:
        return Mechanism(**fields(value, place, readers, required=("code", "evidence")))

    return read


def _mechanism_view(one: Mechanism) -> dict[str, Any]:
    view = {"code": one.code, "evidence": list(one.evidence)}
    return view | ({"certainty": one.certainty} if one.certainty else {})


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


def _settle_grade(read: dict[str, Any], place: Place) -> None:
    """Leaves in asserted_grade what the clinician states below the evidence; what the evidence supports anyway is no
    statement of its own."""
    key = "grade" if read["asserted_grade"] is None else "asserted_grade"
    stated, read["asserted_grade"] = read[key], None
    read.pop("grade")
    if not stated or not read["evidence"]:
        return
    supported = grading.grade(read["evidence"])
    if grading.exceeds(stated, supported):
        place.at(key).refuse("business-rule", f"The evidence supports the grade {supported}, not {stated}.")
    read["asserted_grade"] = stated if stated != supported else None
